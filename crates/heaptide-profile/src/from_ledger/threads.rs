//! Threads: those that live, those that ended, and whose counters a thread's block holds.

use std::collections::HashMap;

use heaptide_ledger::read::{Reader, ThreadView};
use heaptide_ledger::{PAST_THREAD_WORDS, PAST_THREADS_LIMIT, SHARED_TID, ThreadBlock, ThreadTotals, header_word};

use super::whole_blocks;
use crate::model::{Mode, Thread, ThreadId};
use crate::strings::Strings;

/// Words of a row of a thread that ended.
mod past {
    pub(super) const TID: u64 = 0;
    pub(super) const NAME: u64 = 1;
    pub(super) const STARTED_MS: u64 = 3;
    pub(super) const ENDED_MS: u64 = 4;
    pub(super) const ALLOCATIONS: u64 = 5;
    pub(super) const ALLOCATED_BYTES: u64 = 6;
    pub(super) const FREES: u64 = 7;
    pub(super) const FREED_BYTES: u64 = 8;
    /// Row of the block that the thread had; 0 if not known.
    pub(super) const BLOCK: u64 = 11;
}

/// The rows of threads, and the blocks with the thread that counted in each.
pub(super) struct ThreadTable<'a> {
    pub(super) threads: Vec<Thread>,
    pub(super) blocks: Vec<(ThreadView<'a>, ThreadId)>,
}

macro_rules! block_word {
    ($($field:tt)+) => {
        core::mem::offset_of!(ThreadBlock, $($field)+) / 8
    };
}

impl<'a> ThreadTable<'a> {
    pub(super) fn read(reader: &Reader<'a>, mode: Mode, strings: &mut Strings) -> Self {
        let mut threads = Vec::new();
        // The thread that ended and had a block; `None` if several had it.
        let mut past_users: HashMap<u64, Option<ThreadId>> = HashMap::new();
        let table = reader.table(header_word!(past_threads), PAST_THREAD_WORDS);
        for row in 1..table.len().min(PAST_THREADS_LIMIT + 1) {
            let word = |index| table.word(row, index).unwrap_or(0);
            if word(past::TID) == 0 {
                continue;
            }
            let id = ThreadId(threads.len() as u32);
            let thread = past_thread(&word, mode, strings);
            if thread.tid.is_some() && word(past::BLOCK) != 0 {
                past_users.entry(word(past::BLOCK)).and_modify(|user| *user = None).or_insert(Some(id));
            }
            threads.push(thread);
        }

        let mut blocks: Vec<(ThreadView<'a>, Option<ThreadId>)> = Vec::new();
        for block in reader.threads() {
            let taken_over =
                (0..size_of::<ThreadTotals>() / 8).any(|word| block.word(block_word!(at_start) + word) != 0);
            if block.word(block_word!(tid)) == 0 {
                blocks.push((block, past_users.get(&block.row).copied().flatten()));
                continue;
            }
            let id = ThreadId(threads.len() as u32);
            threads.push(live_thread(&block, mode, strings));
            blocks.push((block, (!taken_over).then_some(id)));
        }

        // Several threads, one after the other, counted in one block: nobody knows which of them did what.
        if blocks.iter().any(|(_, user)| user.is_none()) {
            threads.push(Thread {
                tid: None,
                name: strings.id("several threads"),
                started_ms: 0,
                ended_ms: None,
                allocations: 0,
                allocated_bytes: 0,
                frees: 0,
                freed_bytes: 0,
            });
        }
        let several = ThreadId(threads.len().saturating_sub(1) as u32);
        let mut blocks: Vec<_> = blocks.into_iter().map(|(block, user)| (block, user.unwrap_or(several))).collect();
        blocks.sort_by_key(|(_, user)| *user);
        ThreadTable { threads, blocks }
    }
}

fn past_thread(word: &impl Fn(u64) -> u64, mode: Mode, strings: &mut Strings) -> Thread {
    let tid = u32::try_from(word(past::TID)).ok().filter(|tid| u64::from(*tid) != SHARED_TID);
    let name = match tid {
        Some(_) => name(word(past::NAME), word(past::NAME + 1)),
        None => "ended threads".to_owned(),
    };
    Thread {
        tid,
        name: strings.id(&name),
        started_ms: word(past::STARTED_MS),
        ended_ms: Some(word(past::ENDED_MS)),
        allocations: whole_blocks(mode, word(past::ALLOCATIONS)),
        allocated_bytes: word(past::ALLOCATED_BYTES),
        frees: whole_blocks(mode, word(past::FREES)),
        freed_bytes: word(past::FREED_BYTES),
    }
}

fn live_thread(block: &ThreadView<'_>, mode: Mode, strings: &mut Strings) -> Thread {
    let tid = u32::try_from(block.word(block_word!(tid))).ok().filter(|tid| u64::from(*tid) != SHARED_TID);
    let name = match tid {
        Some(_) => name(block.word(block_word!(name)), block.word(block_word!(name) + 1)),
        None => "other threads".to_owned(),
    };
    let own =
        |word: usize| block.word(block_word!(totals) + word).saturating_sub(block.word(block_word!(at_start) + word));
    Thread {
        tid,
        name: strings.id(&name),
        started_ms: block.word(block_word!(started_ms)),
        ended_ms: None,
        allocations: whole_blocks(mode, own(total_word::ALLOCATIONS)),
        allocated_bytes: own(total_word::ALLOCATED_BYTES),
        frees: whole_blocks(mode, own(total_word::FREES)),
        freed_bytes: own(total_word::FREED_BYTES),
    }
}

mod total_word {
    use super::ThreadTotals;
    use core::mem::offset_of;

    pub(super) const ALLOCATIONS: usize = offset_of!(ThreadTotals, allocations) / 8;
    pub(super) const ALLOCATED_BYTES: usize = offset_of!(ThreadTotals, allocated_bytes) / 8;
    pub(super) const FREES: usize = offset_of!(ThreadTotals, frees) / 8;
    pub(super) const FREED_BYTES: usize = offset_of!(ThreadTotals, freed_bytes) / 8;
}

/// A name of up to 16 bytes, ended by a NUL byte if it is shorter.
fn name(low: u64, high: u64) -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&low.to_le_bytes());
    bytes[8..].copy_from_slice(&high.to_le_bytes());
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(16);
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}
