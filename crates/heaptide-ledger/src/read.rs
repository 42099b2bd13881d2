//! Reading a ledger: live, left behind, cut short or damaged.
//!
//! The reader trusts nothing: a place outside the file reads as absent, a table is as long as its chunks allow, a
//! parent that does not stand before its child is refused. It never fails; it returns what is there.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::layout::{
    CHUNKS, COUNTERS_PER_LEAF, CountersLeaf, HEADER_BYTES, Header, MAGIC, RADIX, Reallocations, SiteCounters, Table,
    ThreadBlock, UNIT_BYTES, VERSION, chunk_of,
};
use crate::lifetime::{BUCKETS, Lifetimes, place_in_window};

/// Why a file is not a ledger that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotALedger {
    /// Shorter than a header.
    TooShort,
    /// It does not begin with [`MAGIC`].
    Magic,
    /// It was written by a newer Heaptide, with this version of the layout.
    Newer(u64),
}

/// Byte offset of a field of [`Header`], as a word index.
#[macro_export]
macro_rules! header_word {
    ($($field:tt)+) => {
        core::mem::offset_of!($crate::Header, $($field)+) / 8
    };
}

/// A ledger's words. Copies are cheap.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    words: &'a [AtomicU64],
}

/// Counters of one thread at one site, with the site's id.
#[derive(Clone, Copy, Debug)]
pub struct SiteView<'a> {
    reader: Reader<'a>,
    counters: usize,
    lifetimes: usize,
    /// The site.
    pub site: u32,
}

macro_rules! site_fields {
    ($($name:ident),* $(,)?) => {
        $(
            /// The field of [`SiteCounters`] of this name.
            #[must_use]
            pub fn $name(&self) -> u64 {
                self.reader.word(self.counters + core::mem::offset_of!(SiteCounters, $name) / 8).unwrap_or(0)
            }
        )*
    };
}

macro_rules! reallocation_fields {
    ($($name:ident = $field:ident),* $(,)?) => {
        $(
            /// The field of [`Reallocations`] with that meaning.
            #[must_use]
            pub fn $name(&self) -> u64 {
                self.reallocation_word(core::mem::offset_of!(Reallocations, $field) / 8)
            }
        )*
    };
}

impl SiteView<'_> {
    site_fields!(
        allocations,
        allocated_bytes,
        frees,
        freed_bytes,
        temporary_or_samples,
        live_bytes_at_peak,
        peak_epoch,
    );

    reallocation_fields!(
        reallocations = made,
        reallocated_away = away,
        copied_bytes = copied_bytes,
        first_reallocations = first,
        grown_frees = grown_frees,
    );

    fn reallocation_word(&self, word: usize) -> u64 {
        let unit = self.reader.word(self.counters + core::mem::offset_of!(SiteCounters, reallocations) / 8);
        unit.and_then(|unit| self.reader.unit(unit)).and_then(|at| self.reader.word(at + word)).unwrap_or(0)
    }

    /// Calls `visit(bucket, blocks)` for every bucket of the lifetime histogram that holds any; a bucket may come twice.
    pub fn lifetimes(&self, mut visit: impl FnMut(usize, u64)) {
        let Some(window) = self.reader.word(self.lifetimes) else {
            return;
        };
        for bucket in 0..BUCKETS {
            if let Some((word, shift)) = place_in_window(window, bucket) {
                let blocks = self.reader.word(self.lifetimes + 1 + word).unwrap_or(0) >> shift & 0xffff_ffff;
                if blocks > 0 {
                    visit(bucket, blocks);
                }
            }
        }
        let Some(whole) = self.reader.unit(window >> 32) else {
            return;
        };
        for bucket in 0..BUCKETS {
            match self.reader.word(whole + bucket) {
                Some(blocks) if blocks > 0 => visit(bucket, blocks),
                _ => {}
            }
        }
    }
}

/// A thread's block.
#[derive(Clone, Copy, Debug)]
pub struct ThreadView<'a> {
    reader: Reader<'a>,
    at: usize,
    /// Its row in the table of threads.
    pub row: u64,
}

impl<'a> ThreadView<'a> {
    /// A word of [`ThreadBlock`], by its index.
    #[must_use]
    pub fn word(&self, index: usize) -> u64 {
        self.reader.word(self.at + index).unwrap_or(0)
    }

    /// Calls `visit` for every site that the block has counters for. A site whose counters are all zero may be among
    /// them.
    pub fn sites(&self, visit: impl FnMut(SiteView<'a>)) {
        self.sites_within(&mut self.reader.budget(), visit);
    }

    /// Like [`sites`](Self::sites), in a pass over many threads that share a budget.
    pub fn sites_within(&self, budget: &mut Budget, mut visit: impl FnMut(SiteView<'a>)) {
        let root = core::mem::offset_of!(ThreadBlock, root) / 8;
        for high in 0..RADIX {
            let Some(table) = self.reader.unit(self.word(root + high)) else {
                continue;
            };
            if budget.tables == 0 {
                return;
            }
            budget.tables -= 1;
            for middle in 0..RADIX {
                let Some(leaf) = self.reader.word(table + middle).and_then(|unit| self.reader.unit(unit)) else {
                    continue;
                };
                if budget.leaves == 0 {
                    return;
                }
                budget.leaves -= 1;
                for low in 0..COUNTERS_PER_LEAF as usize {
                    let site = (high << 12 | middle << 3 | low) as u32;
                    visit(SiteView {
                        reader: self.reader,
                        counters: leaf + low * (size_of::<SiteCounters>() / 8),
                        lifetimes: leaf
                            + (core::mem::offset_of!(CountersLeaf, lifetimes) + low * size_of::<Lifetimes>()) / 8,
                        site,
                    });
                }
            }
        }
    }
}

/// What a pass over the threads may visit: as many pieces as there is room for in the file. Threads share none, so a
/// sound ledger never comes to the end of it; words that name the same pieces again and again do.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    tables: usize,
    leaves: usize,
}

impl<'a> Reader<'a> {
    /// A reader over the words of a file, whole or cut short.
    ///
    /// # Errors
    ///
    /// If the words are not those of a ledger of a version known here.
    pub fn new(words: &'a [AtomicU64]) -> Result<Self, NotALedger> {
        if words.len() * 8 < HEADER_BYTES as usize {
            return Err(NotALedger::TooShort);
        }
        let reader = Reader { words };
        if reader.header(header_word!(magic)) != MAGIC {
            return Err(NotALedger::Magic);
        }
        match reader.header(header_word!(version)) {
            version if version > VERSION => Err(NotALedger::Newer(version)),
            _ => Ok(reader),
        }
    }

    /// A word of the header: `reader.header(header_word!(pid))`.
    #[must_use]
    pub fn header(&self, word: usize) -> u64 {
        self.word(word).unwrap_or(0)
    }

    /// All the words, to write series into.
    #[must_use]
    pub fn words(&self) -> &'a [AtomicU64] {
        self.words
    }

    /// Word index of a unit inside the file and behind the header.
    #[must_use]
    pub fn unit(&self, unit: u64) -> Option<usize> {
        let bytes = unit.checked_mul(UNIT_BYTES)?;
        let index = usize::try_from(bytes / 8).ok()?;
        (bytes >= HEADER_BYTES && index < self.words.len()).then_some(index)
    }

    /// A word by its index; `None` outside the file.
    #[must_use]
    pub fn word(&self, index: usize) -> Option<u64> {
        self.words.get(index).map(|word| word.load(Relaxed))
    }

    /// The bytes of a text, through `visit`, eight or fewer at a time. Returns whether all of it was there.
    pub fn text(&self, text: u64, mut visit: impl FnMut(&[u8])) -> bool {
        let (unit, len) = (text >> 32, (text & 0xffff_ffff) as usize);
        if len == 0 {
            return true;
        }
        let Some(start) = self.unit(unit) else {
            return false;
        };
        for index in 0..len.div_ceil(8) {
            let Some(word) = self.word(start + index) else {
                return false;
            };
            visit(&word.to_le_bytes()[..(len - index * 8).min(8)]);
        }
        true
    }

    /// Rows of the table at `table` (`header_word!(nodes)`), which are `row_words` long.
    #[must_use]
    pub fn table(&self, table: usize, row_words: u64) -> TableView<'a> {
        let len = self.header(table + core::mem::offset_of!(Table, len) / 8);
        let mut view =
            TableView { reader: *self, chunks: table + core::mem::offset_of!(Table, chunks) / 8, row_words, len: 0 };
        // As long as its chunks are there.
        let mut possible = 0;
        for chunk in 0..CHUNKS {
            let unit = self.header(view.chunks + chunk);
            if self.unit(unit).is_none() {
                break;
            }
            possible += crate::FIRST_CHUNK_ROWS << chunk;
        }
        view.len = len.min(possible).min(self.words.len() as u64 / row_words + 1);
        view
    }

    /// The budget of one pass over all threads with [`ThreadView::sites_within`].
    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget {
            tables: self.words.len() / RADIX + 1,
            leaves: self.words.len() / (COUNTERS_PER_LEAF as usize * size_of::<SiteCounters>() / 8) + 1,
        }
    }

    /// The thread blocks, no more than there is room for in the file.
    pub fn threads(&self) -> impl Iterator<Item = ThreadView<'a>> + use<'a> {
        let reader = *self;
        let table = self.table(header_word!(threads), 1);
        (1..table.len())
            .filter_map(move |row| {
                let at = reader.unit(table.word(row, 0)?)?;
                Some(ThreadView { reader, at, row })
            })
            .take(self.words.len() / (size_of::<ThreadBlock>() / 8) + 1)
    }
}

/// Rows of one table.
#[derive(Clone, Copy, Debug)]
pub struct TableView<'a> {
    reader: Reader<'a>,
    chunks: usize,
    row_words: u64,
    len: u64,
}

impl TableView<'_> {
    /// Rows, row 0 included.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Word `word` of row `row`; `None` where it is not in the file.
    #[must_use]
    pub fn word(&self, row: u64, word: u64) -> Option<u64> {
        if row >= self.len || word >= self.row_words {
            return None;
        }
        let (chunk, place) = chunk_of(row);
        let start = self.reader.unit(self.reader.header(self.chunks + chunk))?;
        self.reader.word(start + (place * self.row_words + word) as usize)
    }
}

/// Header and first words: enough for [`Reader::header`] to name any field.
const _: () = assert!(size_of::<Header>().is_multiple_of(8));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Writer;
    use std::vec::Vec;

    #[test]
    fn threads_that_name_the_same_counters_end() {
        let words: Vec<_> = (0..1 << 17).map(|_| AtomicU64::new(0)).collect();
        let writer = Writer::new(&words);
        let thread = writer.thread(1, "main");
        writer.allocate(thread, 9, 40, 1);
        let root = thread.0 + core::mem::offset_of!(ThreadBlock, root) / 8;
        let table = writer.get(root);
        let leaf = writer.get((table * UNIT_BYTES / 8) as usize + 1);
        for entry in 0..RADIX {
            writer.set(root + entry, table);
            writer.set((table * UNIT_BYTES / 8) as usize + entry, leaf);
        }
        for _ in 0..10_000 {
            writer.row(header_word!(threads), &[thread.0 as u64 * 8 / UNIT_BYTES]);
        }
        let reader = Reader::new(&words).unwrap();
        let (mut budget, mut visits) = (reader.budget(), 0);
        for thread in reader.threads() {
            thread.sites_within(&mut budget, |_| visits += 1);
        }
        assert!(visits > 0 && visits <= words.len() / 8 + 8, "{visits}");
    }
}
