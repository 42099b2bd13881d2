//! What all threads share.
//!
//! It lives on pages that the kernel wipes in a forked child ([`Global::protect_from_fork`]). A child therefore finds
//! [`Global::active`] at 0 and never touches its parent's ledger, however it was forked.

use core::sync::atomic::{
    AtomicU8, AtomicU64,
    Ordering::{Acquire, Relaxed},
};

use heaptide_ledger::{Header, UNIT_BYTES};

use crate::{
    heap_map::HeapMap, interner::Interner, mapped::MappedRanges, modules::Modules, sampling::SampledBlocks, sys,
    thread::Threads, walk::Buffers,
};

/// Longest path of a ledger.
pub const PATH_BYTES: usize = 4096;

/// Nothing is recorded: not started, dormant, or a forked child.
pub const OFF: u64 = 0;
/// Every allocation is recorded.
pub const EXACT: u64 = 1;
/// Some are.
pub const SAMPLED: u64 = 2;

/// All that the recorder of one process has, apart from a thread's own things.
#[repr(C, align(4096))]
pub struct Global {
    /// [`OFF`], [`EXACT`] or [`SAMPLED`].
    pub active: AtomicU64,
    /// Address of the ledger's header.
    pub base: AtomicU64,
    /// 0 until the ledger could not grow, then why, see [`crate::ledger_file`].
    pub full: AtomicU64,
    /// Mean gap of samples, 0 in exact mode.
    pub sample_interval: AtomicU64,
    /// 0 if every path is to be unwound whole.
    pub memo: AtomicU64,
    /// 1 if every path is to be unwound both ways and compared.
    pub verify: AtomicU64,
    /// Advances whenever a library was unloaded: what threads remember is then void.
    pub unload_epoch: AtomicU64,
    /// Number of `dlclose` calls going on.
    pub closing: AtomicU64,
    /// 1 once the program loads libraries itself: modules seen from then on may go away.
    pub dynamic: AtomicU64,

    /// Time between samples of the timeline.
    pub interval_ms: AtomicU64,
    /// 1 if the process keeps its own clock.
    pub own_clock: AtomicU64,

    pub ledger_fd: AtomicU64,
    pub ledger_device: AtomicU64,
    pub ledger_inode: AtomicU64,
    pub ledger_length: AtomicU64,
    pub ledger_limit: AtomicU64,
    pub ledger_populated: AtomicU64,

    pub heap_map: HeapMap,
    pub threads: Threads,
    /// Return address to rule and location.
    pub return_addresses: Interner,
    /// Parent and location to node.
    pub nodes: Interner,
    /// Node and size class to site.
    pub sites: Interner,
    pub modules: Modules,
    pub buffers: Buffers,
    pub sampled: SampledBlocks,
    pub mapped: MappedRanges,

    path: [AtomicU8; PATH_BYTES],
}

// SAFETY: only atomics, all zero is the valid "nothing yet" state; a static with no initialiser lies in `.bss`.
static GLOBAL: Global = unsafe { core::mem::zeroed() };

/// The one [`Global`].
#[inline]
pub fn global() -> &'static Global {
    &GLOBAL
}

impl Global {
    /// Asks the kernel to wipe this in forked children. Whether it will.
    pub fn protect_from_fork(&self) -> bool {
        sys::advise(core::ptr::from_ref(self).cast_mut().cast(), size_of::<Global>(), libc::MADV_WIPEONFORK)
    }

    /// The ledger's header. Only once `base` is set.
    #[inline]
    pub fn header(&self) -> &'static Header {
        // SAFETY: `base` is the start of the ledger's mapping, which is never unmapped; the header is all atomics.
        unsafe { &*(self.base.load(Relaxed) as *const Header) }
    }

    /// The words from a unit on.
    #[inline]
    pub fn words(&self, unit: u64) -> *const AtomicU64 {
        (self.base.load(Relaxed) + unit * UNIT_BYTES) as *const AtomicU64
    }

    /// Remembers where the ledger is. The path ends with a NUL byte.
    pub fn set_ledger_path(&self, path: &[u8]) {
        for (to, from) in self.path.iter().zip(path) {
            to.store(*from, Relaxed);
        }
    }

    /// The ledger's path, ended by a NUL byte.
    pub fn ledger_path(&self) -> &[u8] {
        let len = self.path.iter().position(|byte| byte.load(Acquire) == 0).map_or(1, |end| end + 1);
        // SAFETY: bytes that are not written any more after the start, as `set_ledger_path` runs before any reader.
        unsafe { core::slice::from_raw_parts(self.path.as_ptr().cast(), len) }
    }
}
