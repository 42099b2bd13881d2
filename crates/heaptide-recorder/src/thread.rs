//! What a thread keeps, and how it comes by it.
//!
//! A thread that ends hands its [`Thread`] and its block in the ledger on to the next new thread. Nothing is summed or
//! moved at the end of a thread, so there is no moment at which a kill could lose or double a count.

use core::{
    arch::{asm, global_asm},
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
        compiler_fence,
    },
};

use heaptide_ledger::{
    Header, Loss, PAST_THREAD_WORDS, PAST_THREADS_LIMIT, SHARED_TID, ThreadBlock, ThreadTotals, clock::tick_of_ms,
};

use crate::{
    global::Global,
    ledger_file::{self, Pages},
    memo::Memo,
    sys,
    walk::{OwnStack, Steps},
};

/// Threads alive at once that have a block of their own; the others share one.
pub const MOST_THREADS: usize = 4096;

/// A thread-local value with the initial-exec model: one load from the thread pointer, never an allocation, never a
/// call. Rust's own thread-locals in a shared library call into the loader.
#[repr(C)]
pub struct Local {
    /// Null until the first event, [`NONE`] where there is no [`Thread`] to be had any more.
    thread: *mut Thread,
    /// Sampled mode: bytes until the next sample.
    pub gap_bytes: i64,
    /// Sampled mode: state of the random numbers, 0 before the first.
    pub seed: u64,
}

global_asm!(
    ".pushsection .tbss.heaptide_local, \"awT\", @nobits",
    ".globl heaptide_local",
    ".hidden heaptide_local",
    ".type heaptide_local, @object",
    ".size heaptide_local, 24",
    ".balign 8",
    "heaptide_local:",
    ".zero 24",
    ".popsection",
);

/// What a thread's own things are counted as: the first page of each of their arrays, which are as long as the deepest
/// stacks need, and some more. Stacks of 5 frames touch 12 KiB, stacks of 200 touch 28.
const COUNTED_BYTES: usize = 20 << 10;

const _: () = assert!(COUNTED_BYTES < size_of::<Thread>());

const NONE: *mut Thread = core::ptr::without_provenance_mut(8);

const MUTED: *mut Thread = core::ptr::without_provenance_mut(4);

/// Does something of the recorder's own in this thread that may allocate: it is not recorded.
pub fn mute<R>(act: impl FnOnce() -> R) -> R {
    let local = local();
    // SAFETY: the thread's own.
    let before = unsafe { core::mem::replace(&mut (*local).thread, MUTED) };
    let result = act();
    // SAFETY: as above.
    unsafe { (*local).thread = before };
    result
}

/// Whether the thread is doing something of the recorder's own.
pub fn is_muted(local: *mut Local) -> bool {
    // SAFETY: the thread's own.
    unsafe { (*local).thread == MUTED }
}

/// The calling thread's [`Local`].
#[inline]
pub fn local() -> *mut Local {
    let address;
    // SAFETY: reads the thread pointer and a constant.
    unsafe {
        asm!(
            "mov {0}, qword ptr [rip + heaptide_local@GOTTPOFF]",
            "add {0}, qword ptr fs:[0]",
            out(reg) address,
            options(pure, readonly, nostack),
        );
    }
    address
}

/// A thread's own things: private memory, wiped in forked children.
#[repr(C)]
pub struct Thread {
    /// 1 between events. A signal handler that comes in the middle of one finds 0, and so does a forked child.
    ready: AtomicU64,
    /// The block in the ledger.
    block: *const ThreadBlock,
    /// Address of the newest block, until it is freed.
    pub newest: u64,
    pub live: Live,
    clock: Clock,
    pub own_stack: OwnStack,
    /// Where its counters go.
    pub pages: Pages,
    index: u64,
    /// Index of the next free thread.
    next_free: AtomicU64,
    /// How often the end of the thread was put off.
    put_off: u64,
    pub memo: Memo,
    pub steps: Steps,
}

/// How a thread helps to keep the recording's clock: it looks at the time now and then, often enough to notice every
/// millisecond. An observer that woke up for each would take more from the program than all the looks together.
#[derive(Clone, Copy)]
struct Clock {
    /// Events to the next look.
    left: u32,
    /// Events between two looks.
    gap: u32,
    last_ns: u64,
}

/// Looks this far apart or less are made rarer, others more often.
const LOOK_NS: u64 = 400_000;
const MOST_EVENTS_TO_A_LOOK: u32 = 256;

impl Clock {
    #[inline(always)]
    fn event(&mut self, header: &Header) {
        self.left = self.left.wrapping_sub(1);
        if self.left == 0 {
            self.look(header);
        }
    }

    #[cold]
    #[inline(never)]
    fn look(&mut self, header: &Header) {
        let now_ns = sys::monotonic_ns();
        let apart_ns = now_ns.wrapping_sub(self.last_ns);
        self.gap = if apart_ns < LOOK_NS { (self.gap * 2).min(MOST_EVENTS_TO_A_LOOK) } else { (self.gap / 2).max(1) };
        self.left = self.gap;
        self.last_ns = now_ns;
        let now_ms = now_ns.saturating_sub(header.started_monotonic_ns.load(Relaxed)) / 1_000_000;
        if now_ms > header.clock_ms.load(Relaxed) {
            header.clock_ms.store(now_ms, Relaxed);
            header.birth_tick.store(tick_of_ms(now_ms), Relaxed);
        }
    }
}

/// What a thread knows of all threads' live bytes.
#[derive(Clone, Copy)]
pub struct Live {
    /// Of all threads, when this one last handed in.
    known: i64,
    /// Not handed in yet.
    pending: i64,
    hand_in_at: i64,
    /// Live bytes that make a new peak worth keeping.
    peak_from: i64,
    /// The highest, while it is a new peak.
    rising_to: i64,
}

/// A peak is kept anew when it is this part higher than the last one.
const PEAK_STEP_LOG2: u32 = 9;
/// A thread hands in when it has changed its share of this part of all live bytes: what has not been handed in is then
/// less than one percent of them.
const HAND_IN_LOG2: u32 = 7;

impl Live {
    /// Counts bytes handed out.
    #[inline]
    pub fn add(&mut self, header: &Header, bytes: u64) {
        self.pending += bytes as i64;
        let live = self.known + self.pending;
        if live > self.peak_from && live > self.rising_to {
            self.rising_to = live;
        }
        if self.pending > self.hand_in_at {
            self.hand_in(header);
        }
    }

    /// What must happen before bytes are given back: if they were never more, this moment is kept.
    #[inline]
    pub fn before_free(&mut self, header: &Header) {
        if self.rising_to != 0 {
            self.keep_peak(header);
        }
    }

    /// Counts bytes given back.
    #[inline]
    pub fn subtract(&mut self, header: &Header, bytes: u64) {
        self.pending -= bytes as i64;
        if -self.pending > self.hand_in_at {
            self.hand_in(header);
        }
    }

    #[cold]
    #[inline(never)]
    fn keep_peak(&mut self, header: &Header) {
        let live = self.rising_to as u64;
        self.rising_to = 0;
        raise_peak(header, live);
        let kept = header.peak_snapshot_bytes.load(Relaxed);
        if live > kept + (kept >> PEAK_STEP_LOG2)
            && header.peak_snapshot_bytes.compare_exchange(kept, live, Relaxed, Relaxed).is_ok()
        {
            header.peak_epoch.fetch_add(1, Relaxed);
        }
        self.learn_peak(header);
    }

    fn learn_peak(&mut self, header: &Header) {
        let kept = header.peak_snapshot_bytes.load(Relaxed);
        self.peak_from = (kept + (kept >> PEAK_STEP_LOG2)) as i64;
    }

    #[cold]
    #[inline(never)]
    fn hand_in(&mut self, header: &Header) {
        let before = header.live_bytes.fetch_add(self.pending as u64, Relaxed) as i64;
        if self.pending < 0 {
            // Another thread may have seen the highest and not freed since: what it left is still there, nearly.
            let highest = header.peak_bytes.load(Relaxed);
            let kept = header.peak_snapshot_bytes.load(Relaxed);
            // Below zero while another thread's frees are known before its allocations.
            let before = before.max(0) as u64;
            if highest > kept + (kept >> PEAK_STEP_LOG2) && before + (before >> 6) > highest {
                self.rising_to = highest as i64;
                self.keep_peak(header);
            }
        }
        self.known = before + self.pending;
        self.pending = 0;
        let threads = crate::global::global().threads.count.load(Relaxed) as i64;
        self.hand_in_at = ((self.known >> HAND_IN_LOG2) / threads.max(1)).clamp(256, 1 << 20);
        raise_peak(header, self.known.max(0) as u64);
        self.learn_peak(header);
        self.rising_to = if self.known > self.peak_from { self.rising_to.max(self.known) } else { self.rising_to };
    }
}

/// Raises the peak, if it is one.
pub fn raise_peak(header: &Header, live: u64) {
    if live > header.peak_bytes.load(Relaxed) && header.peak_bytes.fetch_max(live, Relaxed) < live {
        header.peak_ms.store(header.clock_ms.load(Relaxed), Relaxed);
    }
}

/// All [`Thread`]s of the process. All zero is none.
pub struct Threads {
    /// Index of the first free one, and a tag against reuse in between.
    free: AtomicU64,
    count: AtomicU64,
    all: [AtomicU64; MOST_THREADS],
    shared: AtomicU64,
    /// `pthread_setspecific`, and the key whose destructor announces the end of a thread.
    announce: AtomicU64,
    key: AtomicU64,
}

/// `pthread_setspecific`.
pub type SetSpecific = unsafe extern "C" fn(libc::pthread_key_t, *const core::ffi::c_void) -> i32;

/// The calling thread's things while an event is being recorded.
pub struct Working(*mut Thread);

impl Drop for Working {
    #[inline]
    fn drop(&mut self) {
        compiler_fence(Release);
        // SAFETY: it is this thread's own, see `working`.
        unsafe { &(*self.0).ready }.store(1, Relaxed);
    }
}

impl Working {
    /// The thread.
    #[inline]
    pub fn thread(&mut self) -> &mut Thread {
        // SAFETY: only its owner gets here, and only once at a time, because `ready` is 0 meanwhile.
        unsafe { &mut *self.0 }
    }
}

impl Thread {
    /// Begins an event: looks at the clock if that is due.
    #[inline(always)]
    pub fn begin_event(&mut self, header: &Header) {
        self.clock.event(header);
    }

    /// Its block in the ledger.
    #[inline]
    pub fn block(&self) -> &'static ThreadBlock {
        // SAFETY: blocks are never moved or freed.
        unsafe { &*self.block }
    }
}

/// The block of the thread that a [`Local`] is of, if it has one.
#[inline(always)]
pub fn block_of(local: *mut Local) -> Option<&'static ThreadBlock> {
    // SAFETY: the thread's own.
    let thread = unsafe { (*local).thread };
    if thread <= NONE {
        return None;
    }
    // SAFETY: threads are never unmapped.
    let block = unsafe { (*thread).block };
    // SAFETY: blocks are never moved; in a forked child the pointer is wiped.
    unsafe { block.as_ref() }
}

/// The calling thread's things; `None` if it has none or is using them: then the shared block is for it.
#[inline]
pub fn working(global: &Global, local: *mut Local) -> Option<Working> {
    // SAFETY: the thread's own.
    let thread = unsafe { (*local).thread };
    if thread > NONE {
        // SAFETY: threads are never unmapped.
        let ready = unsafe { &(*thread).ready };
        if ready.load(Relaxed) == 1 {
            ready.store(0, Relaxed);
            // What is done with the thread's things stays behind this store.
            compiler_fence(SeqCst);
            return Some(Working(thread));
        }
    }
    working_slow(global, local)
}

#[cold]
#[inline(never)]
fn working_slow(global: &Global, local: *mut Local) -> Option<Working> {
    // SAFETY: the thread's own.
    if !unsafe { (*local).thread }.is_null() {
        return None;
    }
    // What comes in between, from `pthread_setspecific` or a signal, is for the shared block.
    // SAFETY: as above.
    unsafe { (*local).thread = NONE };
    let thread = global.threads.take_free().or_else(|| global.threads.make(global))?;
    // SAFETY: taken or made for this thread alone.
    unsafe { (*thread).begin(global, local) };
    global.threads.announce_end(thread);
    // SAFETY: as above.
    unsafe { (*local).thread = thread };
    compiler_fence(SeqCst);
    Some(Working(thread))
}

/// After a fork: the thread that went on in the child has nothing of its parent's.
pub fn forget_thread() {
    // SAFETY: the thread's own.
    unsafe { (*local()).thread = core::ptr::null_mut() };
}

/// Called when the thread ends, with what [`SetSpecific`] was given; perhaps several times.
///
/// Destructors of other thread-local values may free memory after this; so it is put off to the last round.
pub fn ends(global: &Global, thread: *mut Thread) {
    let local = local();
    // SAFETY: the thread's own.
    if unsafe { (*local).thread } != thread {
        return;
    }
    // SAFETY: the thread's own things.
    let things = unsafe { &mut *thread };
    if things.put_off < 3 {
        things.put_off += 1;
        global.threads.announce_end(thread);
        return;
    }
    // SAFETY: as above.
    unsafe { (*local).thread = NONE };
    things.end(global);
    global.threads.give_free(things);
}

impl Thread {
    fn begin(&mut self, global: &Global, local: *mut Local) {
        // A thread that was handed on was left between events; it is in the middle of its first one.
        self.ready.store(0, Relaxed);
        let header = global.header();
        let tid = u64::from(sys::tid());
        let block = self.block();
        block.started_ms.store(header.clock_ms.load(Relaxed), Relaxed);
        set_name(block);
        copy_totals(&block.totals, &block.at_start);
        block.tid.store(tid, Release);
        self.newest = 0;
        self.clock = Clock { left: 1, gap: 1, last_ns: 0 };
        self.put_off = 0;
        self.live = Live {
            known: header.live_bytes.load(Relaxed) as i64,
            pending: 0,
            hand_in_at: 256,
            peak_from: 0,
            rising_to: 0,
        };
        self.live.learn_peak(header);
        self.memo.keep(None);
        self.own_stack = own_stack(tid, local);
    }

    fn end(&mut self, global: &Global) {
        let header = global.header();
        self.live.hand_in(header);
        let block = self.block();
        set_name(block);
        write_past_thread(global, block);
        block.tid.store(0, Release);
    }
}

fn set_name(block: &ThreadBlock) {
    let name = u128::from_le_bytes(sys::thread_name());
    block.name[0].store(name as u64, Relaxed);
    block.name[1].store((name >> 64) as u64, Relaxed);
}

fn totals(totals: &ThreadTotals) -> [&AtomicU64; 6] {
    [
        &totals.allocations,
        &totals.allocated_bytes,
        &totals.frees,
        &totals.freed_bytes,
        &totals.reallocations,
        &totals.temporary,
    ]
}

fn copy_totals(from: &ThreadTotals, to: &ThreadTotals) {
    for (from, to) in totals(from).into_iter().zip(totals(to)) {
        to.store(from.load(Relaxed), Relaxed);
    }
}

/// Notes what a thread did in all: a row of its own, or once there are many, a share of row 1.
fn write_past_thread(global: &Global, block: &ThreadBlock) {
    let header = global.header();
    let done = totals(&block.totals)
        .into_iter()
        .zip(totals(&block.at_start))
        .map(|(now, then)| now.load(Relaxed).wrapping_sub(then.load(Relaxed)));
    let table = &header.past_threads;
    let now = header.clock_ms.load(Relaxed);
    let word = |row: *const AtomicU64, index: usize| {
        // SAFETY: a row has `PAST_THREAD_WORDS` words.
        unsafe { &*row.add(index) }
    };
    if table.len.load(Relaxed) == 0
        && let Ok((1, row)) = ledger_file::new_row(global, table, PAST_THREAD_WORDS, 2, Loss::LedgerFull)
    {
        word(row, 0).store(SHARED_TID, Release);
    }
    match ledger_file::new_row(global, table, PAST_THREAD_WORDS, PAST_THREADS_LIMIT, Loss::LedgerFull) {
        Ok((_, row)) => {
            word(row, 1).store(block.name[0].load(Relaxed), Relaxed);
            word(row, 2).store(block.name[1].load(Relaxed), Relaxed);
            word(row, 3).store(block.started_ms.load(Relaxed), Relaxed);
            word(row, 4).store(now, Relaxed);
            for (index, value) in done.enumerate() {
                word(row, 5 + index).store(value, Relaxed);
            }
            word(row, 11).store(block.row.load(Relaxed), Relaxed);
            word(row, 0).store(block.tid.load(Relaxed), Release);
        }
        Err(_) if table.len.load(Relaxed) > 1 => {
            let row = ledger_file::row(global, table, PAST_THREAD_WORDS, 1);
            word(row, 4).store(now, Relaxed);
            for (index, value) in done.enumerate() {
                word(row, 5 + index).fetch_add(value, Relaxed);
            }
        }
        Err(_) => {}
    }
}

impl Threads {
    /// Makes the block for threads that have none of their own, and learns how to hear of a thread's end.
    pub fn start(&self, global: &Global, announce: SetSpecific, key: libc::pthread_key_t) -> bool {
        self.announce.store(announce as usize as u64, Relaxed);
        self.key.store(u64::from(key), Relaxed);
        let Ok(block) = new_block(global) else {
            return false;
        };
        // SAFETY: just made.
        unsafe { &*block }.tid.store(SHARED_TID, Release);
        self.shared.store(block as u64, Release);
        true
    }

    /// The block that threads without one share.
    pub fn shared(&self) -> &'static ThreadBlock {
        // SAFETY: set at the start; blocks are never moved.
        unsafe { &*(self.shared.load(Relaxed) as *const ThreadBlock) }
    }

    fn announce_end(&self, thread: *mut Thread) {
        // SAFETY: set at the start from the function's address.
        let announce: SetSpecific = unsafe { core::mem::transmute(self.announce.load(Relaxed) as *const ()) };
        // SAFETY: a valid key.
        unsafe { announce(self.key.load(Relaxed) as libc::pthread_key_t, thread.cast()) };
    }

    fn take_free(&self) -> Option<*mut Thread> {
        let mut head = self.free.load(Acquire);
        loop {
            let index = (head & 0xffff_ffff).checked_sub(1)?;
            let thread = self.all[index as usize].load(Acquire) as *mut Thread;
            // SAFETY: threads are never unmapped.
            let next = unsafe { &(*thread).next_free }.load(Relaxed);
            let tag = (head >> 32).wrapping_add(1) << 32;
            match self.free.compare_exchange_weak(head, tag | next, Acquire, Acquire) {
                Ok(_) => return Some(thread),
                Err(now) => head = now,
            }
        }
    }

    fn give_free(&self, thread: &Thread) {
        let mut head = self.free.load(Acquire);
        loop {
            thread.next_free.store(head & 0xffff_ffff, Relaxed);
            let tag = (head >> 32).wrapping_add(1) << 32;
            match self.free.compare_exchange_weak(head, tag | (thread.index + 1), Release, Acquire) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    fn make(&self, global: &Global) -> Option<*mut Thread> {
        let index = self.count.fetch_add(1, Relaxed);
        if index >= MOST_THREADS as u64 {
            self.count.fetch_sub(1, Relaxed);
            return None;
        }
        let block = new_block(global).ok()?;
        let memory = ledger_file::private_counted(global, size_of::<Thread>(), COUNTED_BYTES)?;
        sys::advise(memory, size_of::<Thread>(), libc::MADV_WIPEONFORK);
        let thread = memory.cast::<Thread>();
        // SAFETY: fresh zeroed memory of that size, nobody else's.
        unsafe { (*thread).block = block };
        // SAFETY: as above.
        unsafe { (*thread).index = index };
        self.all[index as usize].store(thread as u64, Release);
        Some(thread)
    }
}

fn new_block(global: &Global) -> Result<*const ThreadBlock, Loss> {
    let unit = ledger_file::allocate(global, size_of::<ThreadBlock>() as u64)?;
    let (index, row) = ledger_file::new_row(global, &global.header().threads, 1, 1 << 20, Loss::LedgerFull)?;
    let block = global.words(unit).cast::<ThreadBlock>();
    // SAFETY: just made.
    unsafe { &*block }.row.store(index, Relaxed);
    // SAFETY: the new row.
    unsafe { &*row }.store(unit, Release);
    Ok(block)
}

unsafe extern "C" {
    /// Where the kernel put the arguments, at the end of the main thread's stack.
    static __libc_stack_end: *const u64;
}

/// Address of the arguments: their number, then them, then the environment.
pub fn initial_stack() -> *const u64 {
    // SAFETY: set by the loader before anything runs.
    unsafe { __libc_stack_end }
}

/// Where the outermost frame of a thread's own stack may lie.
fn own_stack(tid: u64, local: *mut Local) -> OwnStack {
    if tid == u64::from(sys::pid()) {
        let end = initial_stack() as u64;
        return OwnStack { entry_from: end.saturating_sub(4096), entry_to: end + 8 };
    }
    // A thread's descriptor lies at the end of its stack, thread-local storage below it. Stacks are at least 16 KiB, so
    // what is this close cannot be another.
    let descriptor: u64;
    // SAFETY: the first word of the descriptor is its own address.
    unsafe {
        asm!("mov {0}, qword ptr fs:[0]", out(reg) descriptor, options(pure, readonly, nostack, preserves_flags))
    };
    let entry_to = (local as u64).min(descriptor);
    OwnStack { entry_from: entry_to.saturating_sub(12 << 10), entry_to: descriptor }
}
