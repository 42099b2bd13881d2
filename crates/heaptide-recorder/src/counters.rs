//! Adding to the counters of a thread, or of the block that all threads share.

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use heaptide_ledger::{
    COUNTERS_PER_LEAF, CountersLeaf, Loss, RADIX, Reallocations, SiteCounters, ThreadBlock, ThreadTotals,
    lifetime::{BUCKETS, Lifetimes, bucket_of_ms, place_in_window, window_around},
};

use crate::{
    global::Global,
    ledger_file::{self, Pages},
};

/// How a counter is added to.
pub trait Adding {
    /// Whether no other thread writes the counters.
    const ALONE: bool;

    /// Adds to a counter.
    fn add(counter: &AtomicU64, value: u64);
}

/// The counter is written by this thread alone: a load and a store.
pub struct Alone;

/// Any thread may write the counter.
pub struct Together;

impl Adding for Alone {
    const ALONE: bool = true;

    #[inline(always)]
    fn add(counter: &AtomicU64, value: u64) {
        counter.store(counter.load(Relaxed).wrapping_add(value), Relaxed);
    }
}

impl Adding for Together {
    const ALONE: bool = false;

    #[inline(always)]
    fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Relaxed);
    }
}

/// What one event counts for: 1 block and its size, or more when it stands for others.
#[derive(Clone, Copy)]
pub struct Weight {
    pub blocks: u64,
    pub bytes: u64,
}

/// The counters of a site in a block.
///
/// # Errors
///
/// If they are new and there is no room for them.
#[inline]
pub fn counters_of<'a>(
    global: &Global,
    block: &'a ThreadBlock,
    site: u64,
    pages: Option<&mut Pages>,
) -> Result<&'a SiteCounters, Loss> {
    match known_counters(global, block, site) {
        Some(counters) => Ok(counters),
        None => new_counters(global, block, site, pages),
    }
}

#[inline(always)]
fn root_of(block: &ThreadBlock, site: u64) -> &AtomicU64 {
    // SAFETY: masked.
    unsafe { block.root.get_unchecked((site >> 12) as usize & (RADIX - 1)) }
}

/// The counters of a site in a block, if there are any yet.
#[inline(always)]
pub fn known_counters<'a>(global: &Global, block: &'a ThreadBlock, site: u64) -> Option<&'a SiteCounters> {
    let table = root_of(block, site).load(Acquire);
    if table == 0 {
        return None;
    }
    // SAFETY: a table of `RADIX` words.
    let middle = unsafe { &*global.words(table).add((site >> 3) as usize & (RADIX - 1)) };
    let leaf = middle.load(Acquire);
    (leaf != 0).then(|| counters_in(global, leaf, site))
}

#[inline]
fn counters_in<'a>(global: &Global, leaf: u64, site: u64) -> &'a SiteCounters {
    let place = (site % COUNTERS_PER_LEAF) as usize;
    // SAFETY: a leaf has `COUNTERS_PER_LEAF` counters, all atomics, and is never moved.
    unsafe { &*(global.words(leaf).cast::<SiteCounters>()).add(place) }
}

#[cold]
#[inline(never)]
fn new_counters<'a>(
    global: &Global,
    block: &'a ThreadBlock,
    site: u64,
    mut pages: Option<&mut Pages>,
) -> Result<&'a SiteCounters, Loss> {
    let table = unit_in(root_of(block, site), |bytes| room(global, &mut pages, bytes), RADIX as u64 * 8)?;
    // SAFETY: a table of `RADIX` words.
    let middle = unsafe { &*global.words(table).add((site >> 3) as usize & (RADIX - 1)) };
    let leaf = unit_in(middle, |bytes| room(global, &mut pages, bytes), size_of::<CountersLeaf>() as u64)?;
    Ok(counters_in(global, leaf, site))
}

fn room(global: &Global, pages: &mut Option<&mut Pages>, bytes: u64) -> Result<u64, Loss> {
    match pages {
        Some(pages) => pages.allocate(global, bytes),
        None => ledger_file::allocate(global, bytes),
    }
}

/// The unit that a word names; if none, room of `bytes` that it names from now on.
fn unit_in(word: &AtomicU64, room: impl FnOnce(u64) -> Result<u64, Loss>, bytes: u64) -> Result<u64, Loss> {
    let unit = word.load(Acquire);
    if unit != 0 {
        return Ok(unit);
    }
    let new = room(bytes)?;
    Ok(word.compare_exchange(0, new, Release, Acquire).map_or_else(|theirs| theirs, |_| new))
}

/// Saves what a site held at the last peak before the site changes.
#[inline]
pub fn keep_peak(counters: &SiteCounters, epoch: u64) {
    let kept = counters.peak_epoch.load(Relaxed);
    if kept != epoch {
        let live = counters.allocated_bytes.load(Relaxed).wrapping_sub(counters.freed_bytes.load(Relaxed));
        counters.live_bytes_at_peak.store(live, Relaxed);
        counters.peak_epoch.store(epoch, Relaxed);
    }
}

/// Counts a block that was handed out.
#[inline]
pub fn count_allocation<A: Adding>(counters: &SiteCounters, totals: &ThreadTotals, weight: Weight) {
    A::add(&counters.allocations, weight.blocks);
    A::add(&counters.allocated_bytes, weight.bytes);
    A::add(&totals.allocations, weight.blocks);
    A::add(&totals.allocated_bytes, weight.bytes);
}

/// Counts a block that was given back.
#[inline]
pub fn count_free<A: Adding>(counters: &SiteCounters, totals: &ThreadTotals, weight: Weight) {
    A::add(&counters.frees, weight.blocks);
    A::add(&counters.freed_bytes, weight.bytes);
    A::add(&totals.frees, weight.blocks);
    A::add(&totals.freed_bytes, weight.bytes);
}

/// Counts a lifetime of at least one millisecond. Without room for its bucket it counts as shorter.
#[inline]
pub fn count_lifetime<A: Adding>(global: &Global, counters: &SiteCounters, ms: u64, blocks: u64) {
    let bucket = bucket_of_ms(ms);
    let lifetimes = lifetimes_of(counters);
    let window = lifetimes.window.load(Acquire);
    if A::ALONE {
        if let Some((word, shift)) = place_in_window(window, bucket) {
            let counts = &lifetimes.counts[word];
            let before = counts.load(Relaxed);
            if (before >> shift & 0xffff_ffff) + blocks <= 0xffff_ffff {
                counts.store(before + (blocks << shift), Relaxed);
                return;
            }
        } else if window & 0xffff_ffff == 0 {
            lifetimes.window.store(window | window_around(bucket), Release);
            return count_lifetime::<A>(global, counters, ms, blocks);
        }
    }
    count_in_whole::<A>(global, lifetimes, bucket, blocks);
}

/// The lifetimes that go with counters.
#[inline(always)]
pub fn lifetimes_of(counters: &SiteCounters) -> &Lifetimes {
    const DISTANCE: usize = core::mem::offset_of!(CountersLeaf, lifetimes);
    // SAFETY: counters lie in a `CountersLeaf`, whose lifetimes have the same size and order.
    unsafe { &*core::ptr::from_ref(counters).byte_add(DISTANCE).cast() }
}

#[cold]
#[inline(never)]
fn count_in_whole<A: Adding>(global: &Global, lifetimes: &Lifetimes, bucket: usize, blocks: u64) {
    let window = &lifetimes.window;
    let mut seen = window.load(Acquire);
    while seen >> 32 == 0 {
        let Ok(new) = ledger_file::allocate(global, BUCKETS as u64 * 8) else {
            return;
        };
        match window.compare_exchange(seen, seen | new << 32, Release, Acquire) {
            Ok(_) => seen |= new << 32,
            Err(now) => seen = now,
        }
    }
    // SAFETY: a whole histogram has `BUCKETS` words.
    A::add(unsafe { &*global.words(seen >> 32).add(bucket) }, blocks);
}

/// The reallocations of a site, made room for at the first.
///
/// # Errors
///
/// If there is no room.
#[inline]
pub fn reallocations_of<'a>(global: &Global, counters: &'a SiteCounters) -> Result<&'a Reallocations, Loss> {
    let bytes = size_of::<Reallocations>() as u64;
    let unit = unit_in(&counters.reallocations, |bytes| ledger_file::allocate(global, bytes), bytes)?;
    // SAFETY: room for it, all atomics, never moved.
    Ok(unsafe { &*global.words(unit).cast() })
}
