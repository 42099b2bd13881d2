//! Memory that the program maps itself, counted apart from the heap.
//!
//! Only what was mapped by a call seen here is subtracted when it is unmapped: the allocator's and the loader's own
//! mappings come and go unseen.

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::global::{Global, OFF, global};

const PAGE: u64 = 4096;
const RANGES: usize = 8192;

/// Address ranges mapped and not unmapped. All zero is none.
pub struct MappedRanges {
    /// Start and length in pages, `start << 20 | pages` (to 4 GiB a row; longer ranges take several rows); 0 is free.
    rows: [AtomicU64; RANGES],
    /// Rows used so far.
    used: AtomicU64,
}

const PAGES_BITS: u32 = 20;
const MOST_PAGES: u64 = (1 << PAGES_BITS) - 1;

/// Records a successful `mmap`.
pub fn mapped(address: u64, bytes: u64) {
    let global = global();
    if global.active.load(Relaxed) == OFF {
        return;
    }
    // What was mapped there is replaced.
    remove(global, address, bytes);
    add(global, address, bytes);
    global.header().maps.fetch_add(1, Relaxed);
}

/// Records a successful `munmap`.
pub fn unmapped(address: u64, bytes: u64) {
    let global = global();
    if global.active.load(Relaxed) != OFF && remove(global, address, bytes) {
        global.header().unmaps.fetch_add(1, Relaxed);
    }
}

/// Records a successful `mremap`.
pub fn remapped(old: u64, old_bytes: u64, new: u64, new_bytes: u64) {
    let global = global();
    if global.active.load(Relaxed) != OFF && remove(global, old, old_bytes) {
        remove(global, new, new_bytes);
        add(global, new, new_bytes);
    }
}

fn add(global: &Global, address: u64, bytes: u64) {
    let mut page = address / PAGE;
    let mut left = bytes.div_ceil(PAGE);
    while left > 0 {
        let pages = left.min(MOST_PAGES);
        if insert(&global.mapped, page << PAGES_BITS | pages) {
            global.header().mapped_bytes.fetch_add(pages * PAGE, Relaxed);
        }
        page += pages;
        left -= pages;
    }
}

/// Whether there was a free row. Without one the range is not counted, and not subtracted later.
fn insert(ranges: &MappedRanges, row: u64) -> bool {
    let free = |place: &&AtomicU64| place.compare_exchange(0, row, Release, Relaxed).is_ok();
    let used = (ranges.used.load(Acquire) as usize).min(RANGES);
    if ranges.rows[..used].iter().any(|place| free(&place)) {
        return true;
    }
    let next = ranges.used.fetch_add(1, Relaxed) as usize;
    match ranges.rows.get(next) {
        Some(place) => free(&place) || ranges.rows.iter().any(|place| free(&place)),
        None => {
            ranges.used.store(RANGES as u64, Relaxed);
            false
        }
    }
}

/// Subtracts what was mapped of a range. Whether there was any.
fn remove(global: &Global, address: u64, bytes: u64) -> bool {
    let (from, to) = (address / PAGE, address / PAGE + bytes.div_ceil(PAGE));
    let ranges = &global.mapped;
    let used = (ranges.used.load(Acquire) as usize).min(RANGES);
    let mut found = false;
    for place in &ranges.rows[..used] {
        let row = place.load(Acquire);
        let (start, pages) = (row >> PAGES_BITS, row & MOST_PAGES);
        let (first, last) = (start.max(from), (start + pages).min(to));
        if row == 0 || first >= last || place.compare_exchange(row, 0, Acquire, Relaxed).is_err() {
            continue;
        }
        found = true;
        global.header().unmapped_bytes.fetch_add((last - first) * PAGE, Relaxed);
        for (start, end) in [(start, first), (last, start + pages)] {
            if start < end && !insert(ranges, start << PAGES_BITS | (end - start)) {
                // The remainder is lost from sight.
                global.header().unmapped_bytes.fetch_add((end - start) * PAGE, Relaxed);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::{boxed::Box, sync::Mutex};

    use super::*;
    use crate::global::EXACT;

    /// A header to count in; the tests that do take turns.
    static TURN: Mutex<()> = Mutex::new(());

    /// Bytes mapped and not unmapped, calls of `mmap` and of `munmap` that counted, since the test began.
    fn counted(act: impl FnOnce(&dyn Fn() -> (u64, u64, u64))) {
        let _turn = TURN.lock();
        let global = global();
        if global.base.load(Acquire) == 0 {
            let header = Box::leak(Box::new([0_u64; heaptide_ledger::HEADER_BYTES as usize / 8]));
            global.base.store(header.as_ptr() as u64, Release);
        }
        global.active.store(EXACT, Release);
        let header = global.header();
        let now = || {
            let bytes = header.mapped_bytes.load(Relaxed) - header.unmapped_bytes.load(Relaxed);
            (bytes, header.maps.load(Relaxed), header.unmaps.load(Relaxed))
        };
        let before = now();
        act(&|| (now().0 - before.0, now().1 - before.1, now().2 - before.2));
        global.active.store(OFF, Release);
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn parts_of_ranges_go() {
        counted(|now| {
            mapped(0x1000_0000, 10 * MIB + 5);
            assert_eq!(now(), (10 * MIB + PAGE, 1, 0));
            unmapped(0x1000_0000 + 4 * MIB, MIB);
            assert_eq!(now(), (9 * MIB + PAGE, 1, 1));
            // The hole again, with a part on each side.
            unmapped(0x1000_0000 + 3 * MIB, 3 * MIB);
            assert_eq!(now(), (7 * MIB + PAGE, 1, 2));
            // Not of any range that was seen.
            unmapped(0x7000_0000, MIB);
            assert_eq!(now(), (7 * MIB + PAGE, 1, 2));
            unmapped(0, 1 << 40);
            assert_eq!(now(), (0, 1, 3));
        });
    }

    #[test]
    fn what_is_mapped_over_is_replaced() {
        counted(|now| {
            mapped(0x1000_0000, 4 * MIB);
            mapped(0x1000_0000 + MIB, MIB);
            assert_eq!(now(), (4 * MIB, 2, 0));
            remapped(0x1000_0000 + MIB, MIB, 0x2000_0000, 3 * MIB);
            assert_eq!(now(), (6 * MIB, 2, 0));
            unmapped(0x1000_0000, 4 * MIB);
            unmapped(0x2000_0000, 3 * MIB);
            assert_eq!(now(), (0, 2, 2));
        });
    }

    #[test]
    fn more_than_a_row_can_say_and_more_ranges_than_rows() {
        counted(|now| {
            mapped(0x10_0000_0000, 9 << 30);
            assert_eq!(now().0, 9 << 30);
            unmapped(0x10_0000_0000, 9 << 30);
            assert_eq!(now().0, 0);
            let address = |number: u64| 0x20_0000_0000 + number * 2 * PAGE;
            (0..RANGES as u64 + 100).for_each(|number| mapped(address(number), PAGE));
            assert_eq!(now().0, RANGES as u64 * PAGE);
            (0..RANGES as u64 + 100).for_each(|number| unmapped(address(number), PAGE));
            assert_eq!(now().0, 0);
        });
    }
}
