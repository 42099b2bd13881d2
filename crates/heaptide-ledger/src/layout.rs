//! The words of the header, of the tables and of a thread's block.

use core::sync::atomic::AtomicU64;

/// First word of every ledger: the bytes `HTLEDGER`.
pub const MAGIC: u64 = u64::from_le_bytes(*b"HTLEDGER");
/// Version of the layout in this file. A reader refuses a newer one.
pub const VERSION: u64 = 1;
/// Places in a ledger are named in units of this many bytes.
pub const UNIT_BYTES: u64 = 64;
/// Bytes in front of the first unit that may be handed out.
pub const HEADER_BYTES: u64 = 4096;
/// Chunks of a table: chunk `k` holds `FIRST_CHUNK_ROWS << k` rows.
pub const CHUNKS: usize = 24;
/// Rows of a table's first chunk.
pub const FIRST_CHUNK_ROWS: u64 = 512;

/// A growing table of rows that never move. Row `i` is published once `len > i` and its own first word is nonzero.
#[repr(C)]
pub struct Table {
    /// Rows handed out. Row 0 is never used.
    pub len: AtomicU64,
    /// Unit where chunk `k` begins, or 0.
    pub chunks: [AtomicU64; CHUNKS],
}

/// The chunk that holds row `index`, and the row's place in it.
#[must_use]
pub const fn chunk_of(index: u64) -> (usize, u64) {
    let place = index + FIRST_CHUNK_ROWS;
    let chunk = (63 - place.leading_zeros()) - FIRST_CHUNK_ROWS.trailing_zeros();
    (chunk as usize, place - (FIRST_CHUNK_ROWS << chunk))
}

/// Words of a row of [`Header::nodes`]: parent << 32 | location, and three shortcuts of the recorder's own, each to a
/// child (location << 32 | node) or to a site of the node ([`SITE_SHORTCUT`] + size class << 32 | site). They make most
/// steps down the tree a comparison with memory that is at hand.
pub const NODE_WORDS: u64 = 4;
/// What tells a site's shortcut from a child's: more than any location.
pub const SITE_SHORTCUT: u64 = 1 << 31;
/// Words of a row of [`Header::modules`]: base, end, path text, build id text, loaded ms, unloaded ms.
pub const MODULE_WORDS: u64 = 8;
/// Words of a row of [`Header::past_threads`]: thread id, name (two), started ms, ended ms, then what the thread did, in
/// the order of [`ThreadTotals`], and the row of its block in [`Header::threads`].
pub const PAST_THREAD_WORDS: u64 = 16;
/// Rows that [`Header::past_threads`] grows to; what ends later is summed in row 1.
pub const PAST_THREADS_LIMIT: u64 = 1024;

/// What the recorder does now.
pub mod state {
    /// The ledger is being set up.
    pub const STARTING: u64 = 0;
    /// Events are counted.
    pub const RECORDING: u64 = 1;
    /// The same process has executed another program, which has a ledger of its own.
    pub const SUPERSEDED: u64 = 2;
    /// The process called `exit` (or returned from `main`) and came as far as the last destructors.
    pub const ENDED: u64 = 3;
}

/// Why something could not be recorded: an index into [`Header::lost`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Loss {
    /// The ledger's size limit was reached.
    LedgerFull = 0,
    /// The file could not grow: no space left on its file system.
    NoSpace = 1,
    /// The table of call paths was full.
    Nodes = 2,
    /// The table of sites was full.
    Sites = 3,
    /// The table of locations or modules was full.
    Locations = 4,
    /// Private memory of the recorder could not be had (`ulimit -v`, overcommit).
    PrivateMemory = 5,
    /// The address lies outside the heap map.
    HeapMap = 6,
}

/// Number of [`Loss`] kinds.
pub const LOSSES: usize = 7;

impl Loss {
    /// Every kind, in the order of [`Header::lost`].
    pub const ALL: [Loss; LOSSES] = [
        Loss::LedgerFull,
        Loss::NoSpace,
        Loss::Nodes,
        Loss::Sites,
        Loss::Locations,
        Loss::PrivateMemory,
        Loss::HeapMap,
    ];

    /// What was reached, for a person.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Loss::LedgerFull => "the ledger reached its size limit",
            Loss::NoSpace => "no space was left for the ledger on its file system",
            Loss::Nodes => "the table of call paths was full",
            Loss::Sites => "the table of sites was full",
            Loss::Locations => "the table of code locations was full",
            Loss::PrivateMemory => "the recorder could not get memory of its own",
            Loss::HeapMap => "blocks lay outside the address range that is mapped",
        }
    }
}

/// First page of a ledger. What is read at every event and what is written often stand in different cache lines.
#[repr(C)]
pub struct Header {
    /// [`MAGIC`], written last when a ledger is set up.
    pub magic: AtomicU64,
    /// [`VERSION`].
    pub version: AtomicU64,
    /// One of [`state`].
    pub state: AtomicU64,
    /// Process id, in the program's own name space.
    pub pid: AtomicU64,
    /// Start of the recording, nanoseconds since the Unix epoch.
    pub started_unix_ns: AtomicU64,
    /// The same moment on `CLOCK_MONOTONIC`.
    pub started_monotonic_ns: AtomicU64,
    /// Mean gap between samples in bytes; 0 in exact mode.
    pub sample_interval: AtomicU64,
    /// One heap map cell stands for `1 << cell_shift` bytes of address space.
    pub cell_shift: AtomicU64,
    /// Text: path of the executable.
    pub exe: AtomicU64,
    /// Text: arguments, each ended by a NUL byte.
    pub args: AtomicU64,
    /// Text: version of Heaptide that recorded.
    pub recorder_version: AtomicU64,
    /// Milliseconds since the start, advanced by whoever keeps the clock.
    pub clock_ms: AtomicU64,
    /// [`Header::clock_ms`] as a birth tick, see [`crate::clock`].
    pub birth_tick: AtomicU64,
    /// Number of that moment; counters with another number have not changed since.
    pub peak_epoch: AtomicU64,
    /// Unit of the series, see [`crate::series`]; 0 if there is none yet.
    pub series: AtomicU64,
    /// Memory limit of the cgroup in bytes, 0 if not known.
    pub cgroup_limit_bytes: AtomicU64,
    /// Bytes handed out, header included.
    pub used_bytes: AtomicU64,
    /// Bytes that the file really has.
    pub file_bytes: AtomicU64,
    /// Bytes that it may have.
    pub limit_bytes: AtomicU64,
    /// Memory of the recorder outside the ledger.
    pub private_bytes: AtomicU64,
    /// To the end of the cache line.
    pub reserved2: [AtomicU64; 4],
    /// Events not recorded, by [`Loss`].
    pub lost: [AtomicU64; LOSSES],
    /// Frees of addresses that the heap map does not know.
    pub unmatched_frees: AtomicU64,
    /// Live bytes, as of what threads have handed in. Signed.
    pub live_bytes: AtomicU64,
    /// Highest live bytes.
    pub peak_bytes: AtomicU64,
    /// When that was, milliseconds since the start.
    pub peak_ms: AtomicU64,
    /// Live bytes at the moment that `live_bytes_at_peak` of the counters stands for.
    pub peak_snapshot_bytes: AtomicU64,
    /// Events whose call path was cut.
    pub truncated_stacks: AtomicU64,
    /// Events whose remembered call path differed from the one unwound anew (only with the option `verify`).
    pub memo_mismatches: AtomicU64,
    /// To the end of the cache line.
    pub reserved4: [AtomicU64; 2],
    /// Bytes that the program's own calls of `mmap` mapped.
    pub mapped_bytes: AtomicU64,
    /// Bytes of those unmapped again.
    pub unmapped_bytes: AtomicU64,
    /// Calls of `mmap`.
    pub maps: AtomicU64,
    /// Calls of `munmap`.
    pub unmaps: AtomicU64,
    /// To the end of the cache line.
    pub reserved5: [AtomicU64; 4],
    /// Executables and libraries.
    pub modules: Table,
    /// Return addresses.
    pub locations: Table,
    /// Call tree.
    pub nodes: Table,
    /// Call path and size class.
    pub sites: Table,
    /// Heap map.
    pub leaves: Table,
    /// Thread blocks.
    pub threads: Table,
    /// Threads that ended.
    pub past_threads: Table,
}

/// Text: `unit << 32 | length in bytes`; 0 is the empty text.
#[must_use]
pub const fn text_word(unit: u64, len: u64) -> u64 {
    unit << 32 | len
}

/// A location: `module << 48 | offset`. Module 0 is code outside any module.
pub mod location {
    /// Bits of the offset.
    pub const OFFSET_BITS: u32 = 47;
    /// Set in every location so that no row is 0.
    pub const PRESENT: u64 = 1 << 47;

    /// Packs a location.
    #[must_use]
    pub const fn pack(module: u64, offset: u64) -> u64 {
        module << 48 | PRESENT | offset & (PRESENT - 1)
    }

    /// `(module, offset)` of a location.
    #[must_use]
    pub const fn unpack(word: u64) -> (u64, u64) {
        (word >> 48, word & (PRESENT - 1))
    }
}

/// Parent of the call paths that begin at a thread's entry.
pub const ROOT: u64 = 0;
/// Location of the node that stands for "frames further out are not known".
pub const TRUNCATED_LOCATION: u64 = 1;
/// Location of the node that stands for code outside any module.
pub const FOREIGN_CODE_LOCATION: u64 = 2;
/// First location that is a real return address.
pub const FIRST_LOCATION: u64 = 3;

/// Most call tree nodes.
pub const NODES_LIMIT: u64 = 1 << 23;
/// Most sites; what a radix tree of a thread's block can name.
pub const SITES_LIMIT: u64 = 1 << 21;
/// Most locations.
pub const LOCATIONS_LIMIT: u64 = 1 << 22;
/// Most modules, counted each time one is loaded.
pub const MODULES_LIMIT: u64 = (1 << 16) - 1;

/// Entries of the radix tree's inner tables.
pub const RADIX: usize = 512;
/// Counters in one leaf of the radix tree.
pub const COUNTERS_PER_LEAF: u64 = 8;

/// Sums of one thread, or of the threads that used this block one after the other.
#[repr(C)]
pub struct ThreadTotals {
    /// Blocks handed out.
    pub allocations: AtomicU64,
    /// Their bytes.
    pub allocated_bytes: AtomicU64,
    /// Blocks given back.
    pub frees: AtomicU64,
    /// Their bytes.
    pub freed_bytes: AtomicU64,
    /// Reallocations.
    pub reallocations: AtomicU64,
    /// Temporary allocations.
    pub temporary: AtomicU64,
}

/// A thread's block. It outlives its thread: the next new thread takes it over and goes on counting in it. So nothing
/// is ever moved, and a kill at any instruction loses nothing.
#[repr(C)]
pub struct ThreadBlock {
    /// Kernel thread id of the thread that has the block; 0 if none has. The first block is shared by all threads
    /// that have none of their own, which add to it atomically: its id is [`SHARED_TID`].
    pub tid: AtomicU64,
    /// The thread's name, 16 bytes.
    pub name: [AtomicU64; 2],
    /// When the thread took the block, milliseconds since the start.
    pub started_ms: AtomicU64,
    /// The block's row in [`Header::threads`].
    pub row: AtomicU64,
    /// Padding to a cache line.
    pub reserved: [AtomicU64; 3],
    /// All that was counted in this block.
    pub totals: ThreadTotals,
    /// Padding to a cache line.
    pub reserved_line: [AtomicU64; 2],
    /// Totals when the present thread took the block.
    pub at_start: ThreadTotals,
    /// Padding to a cache line.
    pub reserved_line2: [AtomicU64; 2],
    /// Site id to counters: `root[site >> 12]` is the unit of a table of [`RADIX`] words, whose word
    /// `site >> 3 & 511` is the unit of a [`CountersLeaf`].
    pub root: [AtomicU64; RADIX],
}

/// Thread id of the block that all threads share.
pub const SHARED_TID: u64 = u32::MAX as u64;

/// What one thread did with the blocks of one site: a cache line.
///
/// `live bytes = Σ allocated_bytes − Σ freed_bytes` over all threads. In sampled mode all counts of blocks are in
/// units of 1/256, see [`crate::weight`].
#[repr(C)]
pub struct SiteCounters {
    /// Blocks handed out.
    pub allocations: AtomicU64,
    /// Their bytes.
    pub allocated_bytes: AtomicU64,
    /// Blocks of the site that this thread gave back.
    pub frees: AtomicU64,
    /// Their bytes.
    pub freed_bytes: AtomicU64,
    /// Exact mode: temporary allocations. Sampled mode: samples taken (a plain count).
    pub temporary_or_samples: AtomicU64,
    /// `allocated_bytes − freed_bytes` at the peak, if `peak_epoch` is the header's. Signed.
    pub live_bytes_at_peak: AtomicU64,
    /// The peak that `live_bytes_at_peak` belongs to.
    pub peak_epoch: AtomicU64,
    /// Unit of the site's [`Reallocations`], or 0 if there were none.
    pub reallocations: AtomicU64,
}

/// How the blocks of one site were reallocated by one thread.
#[repr(C)]
pub struct Reallocations {
    /// Reallocations that made blocks of this site.
    pub made: AtomicU64,
    /// Blocks of this site that left it by reallocation (counted in `frees` too).
    pub away: AtomicU64,
    /// Bytes copied by reallocations that moved the block.
    pub copied_bytes: AtomicU64,
    /// Reallocations that were the first of their block.
    pub first: AtomicU64,
    /// Blocks freed that had been reallocated before.
    pub grown_frees: AtomicU64,
}

/// A leaf of a thread's radix tree: counters that lie side by side, and the lifetimes that go with them.
#[repr(C)]
pub struct CountersLeaf {
    /// Counters of the sites `8 n .. 8 n + 8`.
    pub counters: [SiteCounters; COUNTERS_PER_LEAF as usize],
    /// Their lifetimes.
    pub lifetimes: [crate::lifetime::Lifetimes; COUNTERS_PER_LEAF as usize],
}

const _: () = assert!(size_of::<Header>() <= HEADER_BYTES as usize);
const _: () = assert!(size_of::<SiteCounters>() == 64);
const _: () = assert!(size_of::<CountersLeaf>() == 1024);
const _: () = assert!(size_of::<ThreadBlock>().is_multiple_of(64));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fill_chunks_one_after_the_other() {
        assert_eq!(chunk_of(0), (0, 0));
        assert_eq!(chunk_of(511), (0, 511));
        assert_eq!(chunk_of(512), (1, 0));
        assert_eq!(chunk_of(1535), (1, 1023));
        assert_eq!(chunk_of(1536), (2, 0));
    }

    #[test]
    fn location_keeps_its_parts() {
        assert_eq!(location::unpack(location::pack(7, 0x1234)), (7, 0x1234));
        assert_ne!(location::pack(0, 0), 0);
    }
}
