//! What happens at an allocation, a free and a reallocation.
//!
//! The order matters. An allocation is recorded after the allocator returned and before the program has the block; a
//! free before the allocator gets the block back; a reallocation takes the block out of the map before the call,
//! because another thread may own the old address as soon as it returns.
//!
//! A thread counts in its own block, alone. In a signal handler that interrupted an event, and where a thread has
//! nothing of its own (any more), the same is done in the shared block, atomically.

use core::{
    mem::MaybeUninit,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use heaptide_ledger::{Loss, SiteCounters, ThreadBlock, clock::ms_of_tick, size_class};

use crate::{
    counters::{
        Adding, Alone, Together, Weight, count_allocation, count_free, count_lifetime, counters_of, keep_peak,
        known_counters, lifetimes_of, reallocations_of,
    },
    global::{EXACT, Global, OFF, SAMPLED, global},
    heap_map::Block,
    ledger_file::Pages,
    lifecycle,
    sampling::{next_gap, weight},
    thread::{self, Local, Thread, local, working},
    walk::{CallPath, OwnStack, Step, call_path, call_path_whole, site},
};

/// Where a hook was called from.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Address of the hook's return address on the stack.
    pub slot: u64,
    /// Frame pointer of the caller.
    pub rbp: u64,
}

/// A block that was taken out of the map for a reallocation.
#[derive(Clone, Copy)]
pub struct Taken(Option<Block>);

/// Records a block that the allocator handed out.
#[inline]
pub fn allocated(address: u64, size: u64, caller: Caller) {
    let global = global();
    match global.active.load(Relaxed) {
        EXACT => {}
        SAMPLED => {
            let local = local();
            // SAFETY: the thread's own.
            let gap = unsafe { &mut (*local).gap_bytes };
            *gap -= size as i64;
            if *gap >= 0 || !due(global, local, size) {
                return;
            }
        }
        _ if lifecycle::start_if_needed(global) => return allocated(address, size, caller),
        _ => return,
    }
    record_allocation(global, address, size, caller, None);
}

/// Takes a block out of the map, before it is freed or reallocated: another thread may own the address as soon as the
/// allocator has it.
#[inline(always)]
pub fn take(address: u64) -> Taken {
    let global = global();
    match global.active.load(Relaxed) {
        OFF => {
            lifecycle::start_if_needed(global);
            return Taken(None);
        }
        SAMPLED if !global.sampled.may_hold(address) => return Taken(None),
        _ => {}
    }
    let block = global.heap_map.take(address);
    match &block {
        Some(block) => prefetch_counters(global, block),
        None => unknown(global),
    }
    if block.is_some() && global.sample_interval.load(Relaxed) != 0 {
        global.sampled.remove(address);
    }
    Taken(block)
}

#[cold]
fn unknown(global: &Global) {
    if global.sample_interval.load(Relaxed) == 0 {
        global.header().unmatched_frees.fetch_add(1, Relaxed);
    }
}

/// Asks for the counters of a block that is being freed. They are counted in after the allocator has it back, when they
/// are there.
#[inline(always)]
fn prefetch_counters(global: &Global, freed: &Block) {
    if let Some(block) = thread::block_of(local())
        && let Some(counters) = known_counters(global, block, freed.site)
    {
        prefetch(counters);
        if global.header().birth_tick.load(Relaxed) != freed.birth {
            prefetch(lifetimes_of(counters));
        }
    }
}

/// Records that a block that was taken is gone.
#[inline(always)]
pub fn freed(taken: Taken, address: u64) {
    if let Some(block) = taken.0 {
        record_free(global(), address, block);
    }
}

/// Records what became of a block that was taken at `address`: its new address and size, or `None` if it was freed by
/// asking for no bytes. A block that was not known is an allocation.
pub fn reallocated(taken: Taken, address: u64, new: Option<(u64, u64)>, caller: Caller) {
    let global = global();
    let Some(block) = taken.0 else {
        if let Some((new_address, size)) = new {
            allocated(new_address, size, caller);
        }
        return;
    };
    match new {
        None => record_free(global, address, block),
        Some((new_address, size)) if global.active.load(Relaxed) == SAMPLED => {
            record_free(global, address, block);
            allocated(new_address, size, caller);
        }
        Some((new_address, size)) => {
            record_allocation(global, new_address, size, caller, Some((address, block)));
        }
    }
}

/// Puts a block back whose reallocation failed.
#[cold]
pub fn reallocation_failed(taken: Taken, address: u64) {
    let global = global();
    if let Some(block) = taken.0 {
        // It was in the map a moment ago, so there is a place for it.
        let _ = global.heap_map.put(global, address, block);
        if global.active.load(Relaxed) == SAMPLED {
            global.sampled.add(address);
        }
    }
}

/// Whether this allocation is a sample; draws the next gap.
#[cold]
#[inline(never)]
fn due(global: &Global, local: *mut Local, size: u64) -> bool {
    let interval = global.sample_interval.load(Relaxed);
    // SAFETY: the thread's own.
    let Local { gap_bytes, seed, .. } = unsafe { &mut *local };
    if *seed == 0 {
        // The thread's first event: the gap has not been drawn yet.
        *gap_bytes = next_gap(interval, seed) - size as i64;
        if *gap_bytes >= 0 {
            return false;
        }
    }
    *gap_bytes = next_gap(interval, seed);
    true
}

#[inline]
fn weigh(global: &Global, size: u64) -> Weight {
    match global.sample_interval.load(Relaxed) {
        0 => Weight { blocks: 1, bytes: size },
        interval => weight(size, interval),
    }
}

/// Records an allocation, or a reallocation of the block that was at an address.
#[inline]
fn record_allocation(global: &Global, address: u64, size: u64, caller: Caller, old: Option<(u64, Block)>) {
    let done = match working(global, local()) {
        Some(mut working) => allocate_alone(global, working.thread(), address, size, caller, old),
        None if thread::is_muted(local()) => return,
        None => allocate_together(global, address, size, caller, old),
    };
    if let Err(loss) = done {
        lose(global, loss, old);
    }
}

/// Counts an event that could not be recorded. A block that was taken is at least counted as freed.
#[cold]
#[inline(never)]
fn lose(global: &Global, loss: Loss, old: Option<(u64, Block)>) {
    global.header().lost[loss as usize].fetch_add(1, Relaxed);
    if let Some((address, block)) = old {
        record_free(global, address, block);
    }
}

fn allocate_alone(
    global: &Global,
    thread: &mut Thread,
    address: u64,
    size: u64,
    caller: Caller,
    old: Option<(u64, Block)>,
) -> Result<(), Loss> {
    thread.begin_event(global.header());
    let path = if global.memo.load(Relaxed) != 0 {
        call_path(global, caller, &mut thread.memo, thread.own_stack, &mut thread.steps)?
    } else {
        call_path_whole(global, caller, thread.own_stack, &mut thread.steps)?
    };
    if global.verify.load(Relaxed) != 0 {
        verify(global, caller, thread.own_stack, path);
    }
    let block = thread.block();
    let header = global.header();
    // A reallocation changes the live bytes by the difference.
    let freed_bytes = old.map_or(0, |(_, old)| old.size);
    if freed_bytes > size {
        thread.live.before_free(header);
    }
    let weight = allocate::<Alone>(global, block, Some(&mut thread.pages), path, address, size, old)?;
    match weight.bytes.checked_sub(freed_bytes) {
        Some(more) => thread.live.add(header, more),
        None => thread.live.subtract(header, freed_bytes - weight.bytes),
    }
    thread.newest = address;
    Ok(())
}

#[cold]
#[inline(never)]
fn allocate_together(
    global: &Global,
    address: u64,
    size: u64,
    caller: Caller,
    old: Option<(u64, Block)>,
) -> Result<(), Loss> {
    // Whose stack this is, is not known here.
    let any = OwnStack::default();
    let path = match global.buffers.with_steps(|steps| call_path_whole(global, caller, any, steps)) {
        Some(path) => path?,
        None => call_path_whole(global, caller, any, &mut [MaybeUninit::<Step>::uninit(); 24])?,
    };
    let weight = allocate::<Together>(global, global.threads.shared(), None, path, address, size, old)?;
    let header = global.header();
    let change = weight.bytes.wrapping_sub(old.map_or(0, |(_, old)| old.size));
    let live = header.live_bytes.fetch_add(change, Relaxed).wrapping_add(change);
    thread::raise_peak(header, (live as i64).max(0) as u64);
    Ok(())
}

#[inline(always)]
fn allocate<A: Adding>(
    global: &Global,
    block: &ThreadBlock,
    mut pages: Option<&mut Pages>,
    path: CallPath,
    address: u64,
    size: u64,
    old: Option<(u64, Block)>,
) -> Result<Weight, Loss> {
    let header = global.header();
    if path.truncated {
        header.truncated_stacks.fetch_add(1, Relaxed);
    }
    let site = site(global, path.node, size_class::class_of(size).into())?;
    let counters = counters_of(global, block, site, pages.as_deref_mut())?;
    prefetch(counters);
    let birth = old.map_or_else(|| header.birth_tick.load(Relaxed), |(_, old)| old.birth);
    global.heap_map.put(global, address, Block { site, size, birth, grown: old.is_some() })?;
    let weight = weigh(global, size);
    keep_peak(counters, header.peak_epoch.load(Relaxed));
    count_allocation::<A>(counters, &block.totals, weight);
    if global.sample_interval.load(Relaxed) != 0 {
        A::add(&counters.temporary_or_samples, 1);
        global.sampled.add(address);
    }
    if let Some((old_address, old)) = old {
        count_reallocation::<A>(global, block, pages, counters, (old_address, old), (address, size))?;
    }
    Ok(weight)
}

/// Asks for the counters' memory while the heap map is being seen to.
#[inline(always)]
fn prefetch<T>(line: &T) {
    // SAFETY: a hint.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(core::ptr::from_ref(line).cast())
    };
}

/// What a reallocation adds to an allocation: the free of the old block, and how the buffer grew, unless the ledger is
/// too full for that detail: what has been counted already stands.
fn count_reallocation<A: Adding>(
    global: &Global,
    block: &ThreadBlock,
    pages: Option<&mut Pages>,
    counters: &SiteCounters,
    (old_address, old): (u64, Block),
    (address, size): (u64, u64),
) -> Result<(), Loss> {
    let header = global.header();
    A::add(&block.totals.reallocations, 1);
    if let Ok(made) = reallocations_of(global, counters) {
        A::add(&made.made, 1);
        if !old.grown {
            A::add(&made.first, 1);
        }
        if address != old_address {
            A::add(&made.copied_bytes, old.size.min(size));
        }
    }
    let before = counters_of(global, block, old.site, pages)?;
    keep_peak(before, header.peak_epoch.load(Relaxed));
    count_free::<A>(before, &block.totals, Weight { blocks: 1, bytes: old.size });
    if let Ok(before) = reallocations_of(global, before) {
        A::add(&before.away, 1);
    }
    Ok(())
}

#[inline(always)]
fn record_free(global: &Global, address: u64, freed: Block) {
    let done = match working(global, local()) {
        Some(mut working) => {
            let thread = working.thread();
            let header = global.header();
            thread.begin_event(header);
            thread.live.before_free(header);
            let temporary = thread.newest == address;
            let weight = free::<Alone>(global, thread.block(), Some(&mut thread.pages), freed, temporary);
            weight.map(|weight| {
                thread.live.subtract(header, weight.bytes);
                if temporary {
                    thread.newest = 0;
                }
            })
        }
        None => free_together(global, freed),
    };
    if let Err(loss) = done {
        global.header().lost[loss as usize].fetch_add(1, Relaxed);
    }
}

#[cold]
#[inline(never)]
fn free_together(global: &Global, freed: Block) -> Result<(), Loss> {
    let weight = free::<Together>(global, global.threads.shared(), None, freed, false)?;
    global.header().live_bytes.fetch_sub(weight.bytes, Relaxed);
    Ok(())
}

#[inline(always)]
fn free<A: Adding>(
    global: &Global,
    block: &ThreadBlock,
    pages: Option<&mut Pages>,
    freed: Block,
    temporary: bool,
) -> Result<Weight, Loss> {
    let header = global.header();
    let counters = counters_of(global, block, freed.site, pages)?;
    let weight = weigh(global, freed.size);
    keep_peak(counters, header.peak_epoch.load(Relaxed));
    count_free::<A>(counters, &block.totals, weight);
    if freed.grown
        && let Ok(reallocations) = reallocations_of(global, counters)
    {
        A::add(&reallocations.grown_frees, 1);
    }
    let now = header.birth_tick.load(Relaxed);
    if now != freed.birth {
        let ms = ms_of_tick(now).saturating_sub(ms_of_tick(freed.birth)).max(1);
        count_lifetime::<A>(global, counters, ms, weight.blocks);
    }
    if temporary && global.sample_interval.load(Relaxed) == 0 {
        A::add(&counters.temporary_or_samples, 1);
        A::add(&block.totals.temporary, 1);
    }
    Ok(weight)
}

/// Walks the stack whole and compares.
#[cold]
#[inline(never)]
fn verify(global: &Global, caller: Caller, own: OwnStack, path: CallPath) {
    let whole = global.buffers.with_steps(|steps| call_path_whole(global, caller, own, steps));
    if !matches!(whole, Some(Ok(whole)) if whole == path) {
        let mismatches: &AtomicU64 = &global.header().memo_mismatches;
        mismatches.fetch_add(1, Relaxed);
    }
}
