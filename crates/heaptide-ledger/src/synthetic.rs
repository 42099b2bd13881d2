//! Writes small ledgers by hand, so that readers are tested against words whose meaning is known.
//!
//! One thread, no growth, no failure: it panics when the words it was given are used up. The recorder shares no code
//! with it, on purpose.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::layout::{
    CHUNKS, COUNTERS_PER_LEAF, CountersLeaf, FIRST_CHUNK_ROWS, FIRST_LOCATION, HEADER_BYTES, MAGIC, MODULE_WORDS,
    PAST_THREAD_WORDS, RADIX, Reallocations, SiteCounters, Table, ThreadBlock, ThreadTotals, UNIT_BYTES, VERSION,
    chunk_of, location, state, text_word,
};
use crate::lifetime::{BUCKETS, bucket_of_ms, place_in_window, window_around};
use crate::{cell, clock, header_word, series, size_class};

const UNIT_WORDS: usize = (UNIT_BYTES / 8) as usize;

/// Word index of a field of [`SiteCounters`].
#[macro_export]
macro_rules! counter_word {
    ($field:ident) => {
        core::mem::offset_of!($crate::SiteCounters, $field) / 8
    };
}

/// Word index of a field of [`Reallocations`].
#[macro_export]
macro_rules! reallocation_word {
    ($field:ident) => {
        core::mem::offset_of!($crate::Reallocations, $field) / 8
    };
}

/// Word index of a field of [`ThreadBlock`].
#[macro_export]
macro_rules! thread_word {
    ($($field:tt)+) => {
        core::mem::offset_of!($crate::ThreadBlock, $($field)+) / 8
    };
}

/// A ledger in the making.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    words: &'a [AtomicU64],
}

/// A thread's block: its word index.
#[derive(Clone, Copy, Debug)]
pub struct Thread(pub usize);

impl<'a> Writer<'a> {
    /// Begins an exact ledger of a running program in `words`, which must be zero.
    #[must_use]
    pub fn new(words: &'a [AtomicU64]) -> Self {
        let writer = Writer { words };
        writer.set(header_word!(magic), MAGIC);
        writer.set(header_word!(version), VERSION);
        writer.set(header_word!(state), state::RECORDING);
        writer.set(header_word!(cell_shift), u64::from(cell::GLIBC_SHIFT));
        writer.set(header_word!(used_bytes), HEADER_BYTES);
        writer.set(header_word!(file_bytes), words.len() as u64 * 8);
        for table in [
            header_word!(modules),
            header_word!(nodes),
            header_word!(sites),
            header_word!(leaves),
            header_word!(threads),
            header_word!(past_threads),
        ] {
            writer.set(table + core::mem::offset_of!(Table, len) / 8, 1);
        }
        writer.set(header_word!(locations) + core::mem::offset_of!(Table, len) / 8, FIRST_LOCATION);
        writer
    }

    /// Sets a word.
    pub fn set(&self, word: usize, value: u64) {
        self.words[word].store(value, Relaxed);
    }

    /// Adds to a word.
    pub fn add(&self, word: usize, value: u64) {
        self.words[word].fetch_add(value, Relaxed);
    }

    /// A word.
    #[must_use]
    pub fn get(&self, word: usize) -> u64 {
        self.words[word].load(Relaxed)
    }

    /// Hands out words, as the unit where they begin.
    pub fn reserve(&self, words: usize) -> u64 {
        let bytes = (words.div_ceil(UNIT_WORDS) * UNIT_WORDS * 8) as u64;
        let at = self.words[header_word!(used_bytes)].fetch_add(bytes, Relaxed);
        assert!((at + bytes) as usize <= self.words.len() * 8, "too few words");
        at / UNIT_BYTES
    }

    /// Writes a text.
    pub fn text(&self, text: &[u8]) -> u64 {
        let unit = self.reserve(text.len().div_ceil(8));
        for (index, bytes) in text.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            self.set(unit as usize * UNIT_WORDS + index, u64::from_le_bytes(word));
        }
        text_word(unit, text.len() as u64)
    }

    /// Appends a row to the table at `table` and returns its number.
    pub fn row(&self, table: usize, row: &[u64]) -> u64 {
        let index = self.words[table + core::mem::offset_of!(Table, len) / 8].fetch_add(1, Relaxed);
        let (chunk, place) = chunk_of(index);
        for earlier in 0..=chunk {
            let directory = table + core::mem::offset_of!(Table, chunks) / 8 + earlier;
            if self.get(directory) == 0 {
                let rows = FIRST_CHUNK_ROWS as usize;
                self.set(directory, self.reserve((rows << earlier) * row.len()));
            }
        }
        assert!(chunk < CHUNKS, "too many rows");
        let unit = self.get(table + core::mem::offset_of!(Table, chunks) / 8 + chunk);
        for (word, value) in row.iter().enumerate() {
            self.set(unit as usize * UNIT_WORDS + place as usize * row.len() + word, *value);
        }
        index
    }

    /// Adds a module.
    pub fn module(&self, base: u64, path: &[u8], build_id: &[u8]) -> u64 {
        let mut row = [0; MODULE_WORDS as usize];
        row[..4].copy_from_slice(&[base, base + 0x10_0000, self.text(path), self.text(build_id)]);
        self.row(header_word!(modules), &row)
    }

    /// Adds a location.
    pub fn location(&self, module: u64, offset: u64) -> u64 {
        self.row(header_word!(locations), &[location::pack(module, offset)])
    }

    /// Adds a node.
    pub fn node(&self, parent: u64, location: u64) -> u64 {
        self.row(header_word!(nodes), &[parent << 32 | location, 0, 0, 0])
    }

    /// Adds a site for blocks of this size.
    pub fn site(&self, node: u64, size: u64) -> u64 {
        let class = u64::from(size_class::class_of(size));
        self.row(header_word!(sites), &[node << 32 | class])
    }

    /// Adds a thread.
    pub fn thread(&self, tid: u64, name: &str) -> Thread {
        let unit = self.reserve(size_of::<ThreadBlock>() / 8);
        self.row(header_word!(threads), &[unit]);
        let thread = Thread(unit as usize * UNIT_WORDS);
        self.set(thread.0 + thread_word!(tid), tid);
        for (index, bytes) in name.as_bytes().chunks(8).take(2).enumerate() {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            self.set(thread.0 + thread_word!(name) + index, u64::from_le_bytes(word));
        }
        thread
    }

    /// Adds a row of a thread that ended.
    pub fn past_thread(&self, row: [u64; PAST_THREAD_WORDS as usize]) -> u64 {
        self.row(header_word!(past_threads), &row)
    }

    /// The word index of a thread's [`SiteCounters`] at a site.
    pub fn counters(&self, thread: Thread, site: u64) -> usize {
        let descend = |at: usize, words: usize| {
            if self.get(at) == 0 {
                self.set(at, self.reserve(words));
            }
            self.get(at) as usize * UNIT_WORDS
        };
        let table = descend(thread.0 + thread_word!(root) + (site >> 12) as usize, RADIX);
        let leaf = descend(table + (site >> 3 & 511) as usize, size_of::<CountersLeaf>() / 8);
        leaf + (site % COUNTERS_PER_LEAF) as usize * (size_of::<SiteCounters>() / 8)
    }

    /// The word index of a thread's [`Reallocations`] at a site.
    pub fn reallocations(&self, thread: Thread, site: u64) -> usize {
        let at = self.counters(thread, site) + counter_word!(reallocations);
        if self.get(at) == 0 {
            self.set(at, self.reserve(size_of::<Reallocations>() / 8));
        }
        self.get(at) as usize * UNIT_WORDS
    }

    /// Counts `blocks` allocations of `size` bytes each.
    pub fn allocate(&self, thread: Thread, site: u64, size: u64, blocks: u64) {
        let at = self.counters(thread, site);
        let totals = thread.0 + thread_word!(totals);
        self.add(at + counter_word!(allocations), blocks);
        self.add(at + counter_word!(allocated_bytes), size * blocks);
        self.add(totals + core::mem::offset_of!(ThreadTotals, allocations) / 8, blocks);
        self.add(totals + core::mem::offset_of!(ThreadTotals, allocated_bytes) / 8, size * blocks);
    }

    /// Counts `blocks` frees of `size` bytes each, after a life of `lived_ms`.
    pub fn free(&self, thread: Thread, site: u64, size: u64, blocks: u64, lived_ms: u64) {
        let at = self.counters(thread, site);
        let totals = thread.0 + thread_word!(totals);
        self.add(at + counter_word!(frees), blocks);
        self.add(at + counter_word!(freed_bytes), size * blocks);
        self.add(totals + core::mem::offset_of!(ThreadTotals, frees) / 8, blocks);
        self.add(totals + core::mem::offset_of!(ThreadTotals, freed_bytes) / 8, size * blocks);
        if lived_ms == 0 {
            return;
        }
        let bucket = bucket_of_ms(lived_ms);
        let window = at + core::mem::offset_of!(CountersLeaf, lifetimes) / 8;
        if self.get(window) == 0 {
            self.set(window, window_around(bucket));
        }
        if let Some((word, shift)) = place_in_window(self.get(window), bucket) {
            self.add(window + 1 + word, blocks << shift);
            return;
        }
        if self.get(window) >> 32 == 0 {
            self.add(window, self.reserve(BUCKETS) << 32);
        }
        self.add((self.get(window) >> 32) as usize * UNIT_WORDS + bucket, blocks);
    }

    /// Writes a live block into the heap map.
    pub fn live_block(&self, address: u64, site: u64, size: u64, birth_ms: u64) {
        let cell_shift = self.get(header_word!(cell_shift));
        let word = cell::Cell {
            site: site as u32,
            size: size.min(cell::LARGE),
            birth: clock::tick_of_ms(birth_ms),
            grown: 0,
            sub: address >> 4 & 1,
        }
        .pack();
        self.set_cell(address >> cell_shift, word);
        if size >= cell::LARGE {
            self.set_cell((address >> cell_shift) + 1, size);
        }
    }

    fn set_cell(&self, index: u64, word: u64) {
        let leaf = index / cell::CELLS_PER_LEAF;
        let table = header_word!(leaves);
        let rows = self.get(table + core::mem::offset_of!(Table, len) / 8);
        let known = (1..rows).find_map(|row| {
            let (chunk, place) = chunk_of(row);
            let unit = self.get(table + core::mem::offset_of!(Table, chunks) / 8 + chunk);
            let row = self.get(unit as usize * UNIT_WORDS + place as usize);
            (row >> 32 == leaf).then_some(row & 0xffff_ffff)
        });
        let unit = known.unwrap_or_else(|| {
            let unit = self.reserve(cell::CELLS_PER_LEAF as usize);
            self.row(table, &[leaf << 32 | unit]);
            unit
        });
        let place = (index % cell::CELLS_PER_LEAF) as usize;
        self.set(unit as usize * UNIT_WORDS + place, word);
    }

    /// Makes room for the series and returns them.
    pub fn series(&self) -> series::Series<'a> {
        let unit = self.reserve(series::SERIES_WORDS);
        self.set(header_word!(series), unit);
        // `reserve` has checked that the words are there.
        series::Series::over(&self.words[unit as usize * UNIT_WORDS..]).unwrap()
    }
}
