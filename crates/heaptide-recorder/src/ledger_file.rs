//! The shared file, and memory out of it.
//!
//! The whole range that the ledger may ever have is reserved as address space at once; the file behind it grows, and
//! each piece is given its disk or memory blocks before anybody writes there. A full disk is then an error here, and
//! never a `SIGBUS` in the program.

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use heaptide_ledger::{CHUNKS, FIRST_CHUNK_ROWS, HEADER_BYTES, Header, Loss, Table, UNIT_BYTES, chunk_of, text_word};

use crate::{global::Global, sys};

const PAGE_BYTES: u64 = 4096;
const GROWTH_BYTES: u64 = 1 << 20;
/// The file is this long from the start, without blocks behind it: should it ever become impossible to lengthen it
/// (descriptors closed, user changed), there is room for a while.
const FIRST_LENGTH: u64 = 256 << 20;
/// What a ledger needs at least.
const LEAST_BYTES: u64 = 2 << 20;
const RESERVATIONS: [u64; 8] = [64 << 30, 16 << 30, 4 << 30, 1 << 30, 256 << 20, 64 << 20, 16 << 20, 4 << 20];
/// The reservation for a ledger that may not become longer than this.
const RESERVED_AT_LEAST: u64 = 64 << 20;
/// Where address space is limited, this part of it is ours: the rest is the program's.
const SHARE_LOG2: u32 = 3;
/// Linux 5.14; not in all versions of the `libc` crate.
const MADV_POPULATE_WRITE: i32 = 23;

/// Makes a new ledger at `path` (which ends with a NUL byte) and fills in what the file itself needs.
///
/// # Errors
///
/// The error number; `EEXIST` if there is such a file.
pub fn create(global: &Global, path: &[u8], limit_bytes: u64) -> Result<(), i32> {
    // Beyond that limit `ftruncate` would not only fail, but send a signal that ends the program.
    let limit_bytes = limit_bytes.min(sys::limit_of(libc::RLIMIT_FSIZE).unwrap_or(u64::MAX));
    if limit_bytes < LEAST_BYTES {
        return Err(libc::EFBIG);
    }
    let share = sys::limit_of(libc::RLIMIT_AS).map_or(u64::MAX, |bytes| bytes >> SHARE_LOG2);
    let fd = sys::open(path, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW, 0o600)?;
    let failed = |error| {
        sys::close(fd);
        sys::unlink(path);
        Err(error)
    };
    if !sys::set_len(fd, FIRST_LENGTH.min(limit_bytes)) {
        return failed(libc::EFBIG);
    }
    let reserved = RESERVATIONS.iter().filter(|bytes| **bytes <= limit_bytes.max(RESERVED_AT_LEAST).min(share));
    let mut mapped = None;
    for bytes in reserved {
        if let Some(base) = sys::map_shared(fd, *bytes as usize) {
            mapped = Some((base, *bytes));
            break;
        }
    }
    let Some((base, reserved)) = mapped else {
        return failed(libc::ENOMEM);
    };
    sys::advise(base, reserved as usize, libc::MADV_DONTFORK);
    let (device, inode) = sys::identity(fd).unwrap_or((0, 0));
    global.ledger_device.store(device, Relaxed);
    global.ledger_inode.store(inode, Relaxed);
    global.ledger_fd.store(fd as u64, Relaxed);
    global.ledger_length.store(FIRST_LENGTH.min(limit_bytes), Relaxed);
    global.ledger_limit.store(reserved.min(limit_bytes), Relaxed);
    // The header is written by storing through this pointer; its page needs blocks before that.
    global.ledger_populated.store(0, Relaxed);
    if !populate(global, base, GROWTH_BYTES) {
        global.ledger_limit.store(0, Relaxed);
        // SAFETY: nobody has been given the address yet.
        unsafe { sys::unmap(base, reserved as usize) };
        return failed(libc::ENOSPC);
    }
    global.base.store(base as u64, Release);
    let header = global.header();
    header.limit_bytes.store(reserved.min(limit_bytes), Relaxed);
    header.used_bytes.store(HEADER_BYTES, Relaxed);
    header.file_bytes.store(GROWTH_BYTES, Relaxed);
    Ok(())
}

/// Gives the file blocks up to `end`. Any number of threads may do so at once.
fn populate(global: &Global, base: *mut u8, end: u64) -> bool {
    let end = end.min(global.ledger_limit.load(Relaxed));
    if end > global.ledger_length.load(Relaxed) && !lengthen(global, end) {
        return false;
    }
    let from = global.ledger_populated.load(Acquire);
    if end <= from {
        return true;
    }
    let bytes = end - from;
    // SAFETY: within the reservation.
    let start = unsafe { base.add(from as usize) };
    let populated = sys::advise(start, bytes as usize, MADV_POPULATE_WRITE)
        || with_file(global, |fd| sys::allocate_file(fd, from, bytes));
    if populated {
        global.ledger_populated.fetch_max(end, Release);
    }
    populated
}

fn lengthen(global: &Global, end: u64) -> bool {
    let length = (end * 2).next_multiple_of(FIRST_LENGTH).min(global.ledger_limit.load(Relaxed));
    // `ftruncate` may shorten what another thread lengthened meanwhile, and used; blocks for the last page lengthen only.
    // Not all file systems give them.
    let last = length.saturating_sub(PAGE_BYTES);
    let may = sys::limit_of(libc::RLIMIT_FSIZE).is_none_or(|most| length <= most);
    let longer = may && with_file(global, |fd| sys::allocate_file(fd, last, length - last) || sys::set_len(fd, length));
    if longer {
        global.ledger_length.fetch_max(length, Release);
    }
    longer
}

/// Runs `act` on the ledger's file: through the descriptor if the program has left it alone, else by its path.
fn with_file(global: &Global, act: impl Fn(i32) -> bool) -> bool {
    let wanted = Some((global.ledger_device.load(Relaxed), global.ledger_inode.load(Relaxed)));
    let kept = global.ledger_fd.load(Relaxed) as i32;
    if sys::identity(kept) == wanted && act(kept) {
        return true;
    }
    let Ok(fd) = sys::open(global.ledger_path(), libc::O_RDWR, 0) else {
        return false;
    };
    let done = sys::identity(fd) == wanted && act(fd);
    sys::close(fd);
    done
}

/// [`Global::full`]: the ledger is as long as it may become.
const AT_ITS_LIMIT: u64 = 1;
/// [`Global::full`]: no blocks are to be had for it.
const OUT_OF_SPACE: u64 = 2;

/// Hands out `bytes` of the ledger, zeroed, and returns their first unit. Whole pages begin on a page.
pub fn allocate(global: &Global, bytes: u64) -> Result<u64, Loss> {
    match global.full.load(Relaxed) {
        0 => {}
        OUT_OF_SPACE => return Err(Loss::NoSpace),
        _ => return Err(Loss::LedgerFull),
    }
    let header = global.header();
    let limit = global.ledger_limit.load(Relaxed);
    let bytes = bytes.next_multiple_of(UNIT_BYTES);
    let alignment = if bytes.is_multiple_of(PAGE_BYTES) { PAGE_BYTES } else { UNIT_BYTES };
    let mut used = header.used_bytes.load(Relaxed);
    let (start, end) = loop {
        let start = used.next_multiple_of(alignment);
        if start + bytes > limit {
            global.full.store(AT_ITS_LIMIT, Relaxed);
            return Err(Loss::LedgerFull);
        }
        match header.used_bytes.compare_exchange_weak(used, start + bytes, Relaxed, Relaxed) {
            Ok(_) => break (start, start + bytes),
            Err(now) => used = now,
        }
    };
    if end > global.ledger_populated.load(Acquire) {
        let growth = GROWTH_BYTES.max((end / 16).next_multiple_of(GROWTH_BYTES)).min(32 << 20);
        let wanted = (end + growth).next_multiple_of(GROWTH_BYTES).min(limit);
        let base = global.base.load(Relaxed) as *mut u8;
        if !populate(global, base, wanted) && !populate(global, base, end.next_multiple_of(4096)) {
            global.full.store(OUT_OF_SPACE, Relaxed);
            return Err(Loss::NoSpace);
        }
        header.file_bytes.fetch_max(global.ledger_populated.load(Relaxed), Relaxed);
    }
    Ok(start / UNIT_BYTES)
}

/// Pages of the ledger that one thread fills. Threads that shared a page would have its cache lines fetched from one
/// another, by prefetching if by nothing else.
#[derive(Clone, Copy, Default)]
pub struct Pages {
    next: u64,
    end: u64,
}

impl Pages {
    const TAKEN_BYTES: u64 = 16 << 10;

    /// Hands out `bytes`, zeroed, and returns their first unit.
    pub fn allocate(&mut self, global: &Global, bytes: u64) -> Result<u64, Loss> {
        let units = bytes.div_ceil(UNIT_BYTES);
        if self.end - self.next < units {
            self.next = allocate(global, Self::TAKEN_BYTES)?;
            self.end = self.next + Self::TAKEN_BYTES / UNIT_BYTES;
        }
        let unit = self.next;
        self.next += units;
        Ok(unit)
    }
}

/// Private memory of the recorder, zeroed, counted whole.
pub fn private(global: &Global, bytes: usize) -> Option<*mut u8> {
    private_counted(global, bytes, bytes)
}

/// The same, of which only `counted_bytes` are counted, because the rest is seldom touched: until then it is addresses
/// without memory.
pub fn private_counted(global: &Global, bytes: usize, counted_bytes: usize) -> Option<*mut u8> {
    let memory = sys::map_private(bytes)?;
    if global.base.load(Relaxed) != 0 {
        global.header().private_bytes.fetch_add(counted_bytes as u64, Relaxed);
    }
    Some(memory)
}

/// Copies bytes into the ledger; the word that names them, or 0.
pub fn text(global: &Global, bytes: &[u8]) -> u64 {
    let bytes = &bytes[..bytes.len().min(1 << 20)];
    if bytes.is_empty() {
        return 0;
    }
    let Ok(unit) = allocate(global, bytes.len() as u64) else {
        return 0;
    };
    let words = global.words(unit);
    for (index, piece) in bytes.chunks(8).enumerate() {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        // SAFETY: `allocate` gave at least this many words.
        unsafe { &*words.add(index) }.store(u64::from_le_bytes(word), Relaxed);
    }
    text_word(unit, bytes.len() as u64)
}

/// A new row of `words` words in a table: its index and where it is. The row is all zero.
pub fn new_row(
    global: &Global,
    table: &Table,
    words: u64,
    limit: u64,
    full: Loss,
) -> Result<(u64, *const AtomicU64), Loss> {
    let mut len = table.len.load(Relaxed);
    loop {
        // Row 0 stays unused.
        let index = len.max(1);
        let (chunk, place) = chunk_of(index);
        if index >= limit || chunk >= CHUNKS {
            return Err(full);
        }
        // Every row that was handed out has its chunk.
        let mut unit = table.chunks[chunk].load(Acquire);
        if unit == 0 {
            let new = allocate(global, (FIRST_CHUNK_ROWS << chunk) * words * 8)?;
            unit = match table.chunks[chunk].compare_exchange(0, new, Release, Acquire) {
                Ok(_) => new,
                Err(theirs) => theirs,
            };
        }
        match table.len.compare_exchange_weak(len, index + 1, Relaxed, Relaxed) {
            // SAFETY: the chunk has this row.
            Ok(_) => return Ok((index, unsafe { global.words(unit).add((place * words) as usize) })),
            Err(now) => len = now,
        }
    }
}

/// The first word of row `index`, which must have been handed out.
#[inline]
pub fn row(global: &Global, table: &Table, words: u64, index: u64) -> *const AtomicU64 {
    let (chunk, place) = chunk_of(index);
    // SAFETY: the row was handed out, so its chunk exists.
    unsafe { global.words(table.chunks[chunk].load(Relaxed)).add((place * words) as usize) }
}

const _: () = assert!(size_of::<Header>() <= HEADER_BYTES as usize);

#[cfg(test)]
mod tests {
    use std::{
        alloc::{Layout, alloc_zeroed},
        collections::BTreeSet,
        thread,
        vec::Vec,
    };

    use super::*;

    const LEDGER_BYTES: usize = 1 << 20;

    /// A recorder whose ledger is plain memory that cannot grow.
    fn in_memory() -> &'static Global {
        let zeroed = |layout| {
            // SAFETY: the layouts are not of size 0.
            let memory = unsafe { alloc_zeroed(layout) };
            assert!(!memory.is_null());
            memory
        };
        // SAFETY: all zero is the valid "nothing yet" state; never given back.
        let global = unsafe { &*zeroed(Layout::new::<Global>()).cast::<Global>() };
        let ledger = zeroed(Layout::from_size_align(LEDGER_BYTES, 4096).expect("a layout"));
        global.base.store(ledger as u64, Relaxed);
        global.ledger_limit.store(LEDGER_BYTES as u64, Relaxed);
        global.ledger_populated.store(LEDGER_BYTES as u64, Relaxed);
        global.header().used_bytes.store(HEADER_BYTES, Relaxed);
        global
    }

    #[test]
    fn threads_get_all_rows_up_to_the_limit_once() {
        const LIMIT: u64 = 5000;
        let global = in_memory();
        let table = &global.header().past_threads;
        let rows: Vec<(u64, usize)> = thread::scope(|scope| {
            let take = || {
                core::iter::from_fn(|| new_row(global, table, 4, LIMIT, Loss::Nodes).ok())
                    .map(|(index, row)| (index, row as usize))
                    .collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(rows.iter().map(|row| row.0).collect::<BTreeSet<_>>().into_iter().eq(1..LIMIT));
        assert_eq!(rows.iter().map(|row| row.1).collect::<BTreeSet<_>>().len(), rows.len());
        assert!(rows.iter().all(|(index, place)| row(global, table, 4, *index) as usize == *place));
        assert_eq!(table.len.load(Relaxed), LIMIT);
    }

    #[test]
    fn a_row_without_room_is_not_handed_out() {
        let global = in_memory();
        let (first, second) = (&global.header().past_threads, &global.header().sites);
        assert_eq!(new_row(global, first, 16, 100, Loss::Nodes).map(|row| row.0), Ok(1));
        assert!(matches!(allocate(global, LEDGER_BYTES as u64), Err(Loss::LedgerFull)));
        assert_eq!(new_row(global, second, 1, 100, Loss::Sites).map(|row| row.0), Err(Loss::LedgerFull));
        assert_eq!(second.len.load(Relaxed), 0);
        // The first chunk is there already.
        assert_eq!(new_row(global, first, 16, 100, Loss::Nodes).map(|row| row.0), Ok(2));
        assert_eq!(new_row(global, first, 16, 3, Loss::Nodes).map(|row| row.0), Err(Loss::Nodes));
    }
}
