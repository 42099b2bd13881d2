//! The tables of a [`Profile`].
//!
//! A call path is a [`NodeId`]: a node of the call tree, whose `parent` is the caller's call path. What was
//! allocated is a list of [`Site`]s: one call path, one class of block size. All other tables hang on these two.
//!
//! A number that is not known is `None`, never 0.

use serde::{Deserialize, Serialize};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The row's place in its table.
            #[must_use]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index! {
    /// A row of [`Profile::strings`].
    StringId
}
index! {
    /// A row of [`Profile::modules`].
    ModuleId
}
index! {
    /// A row of [`Profile::locations`].
    LocationId
}
index! {
    /// A row of [`Profile::nodes`]: a whole call path.
    NodeId
}
index! {
    /// A row of [`Profile::threads`].
    ThreadId
}

/// One recording, complete.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The recorded program.
    pub program: Program,
    /// How it was recorded, and what was lost.
    pub recorder: Recorder,
    /// Sums over the whole program.
    pub totals: Totals,
    /// Every string that a row names, once.
    pub strings: Vec<String>,
    /// Executables and libraries that were mapped, each time they were.
    pub modules: Vec<Module>,
    /// Return addresses as module and offset.
    pub locations: Vec<Location>,
    /// What the locations mean in source, once symbolized: parallel to `locations`, or empty before that.
    pub symbols: Vec<LocationSymbols>,
    /// The call tree. A parent stands before its children.
    pub nodes: Vec<Node>,
    /// What was allocated: one row per call path and size class.
    pub sites: Vec<Site>,
    /// Threads that allocated or freed.
    pub threads: Vec<Thread>,
    /// Which thread did what at which call path, for those that matter. Empty where it was not recorded.
    pub thread_sites: Vec<ThreadSite>,
    /// The program over time.
    pub timeline: Timeline,
    /// Call paths over time, for those that matter.
    pub tracks: Vec<Track>,
    /// How old the blocks are that were alive when the profile was taken. Empty where it was not recorded.
    #[serde(default)]
    pub survivors: Vec<Survivors>,
}

/// The recorded program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Path of the executable.
    pub exe: String,
    /// Its arguments, the program's name first.
    pub args: Vec<String>,
    /// Process id.
    pub pid: u32,
    /// When recording began, in milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
    /// Length of the recording in seconds.
    pub duration_s: f64,
    /// How it ended.
    pub end: End,
}

/// How the program ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Returned from `main` or called `exit`.
    Exited {
        /// Exit status, where somebody waited for the program.
        status: Option<i32>,
    },
    /// A signal ended it.
    Signalled {
        /// Number of the signal.
        signal: i32,
    },
    /// Still running when the profile was taken.
    Running,
    /// Nobody saw the end: the ledger was left behind.
    #[default]
    Lost,
}

/// How allocations were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every allocation.
    #[default]
    Exact,
    /// One allocation in `interval_bytes` allocated bytes on average, scaled up.
    Sampled {
        /// Mean gap between samples, in bytes.
        interval_bytes: u64,
    },
}

/// How the program was recorded, what it cost and what was lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recorder {
    /// Exact or sampled.
    pub mode: Mode,
    /// Calls recorded: allocations, frees, reallocations.
    pub events: u64,
    /// Calls that could not be recorded because a limit was reached (see `limits`).
    pub lost_events: u64,
    /// Frees of addresses whose allocation was not seen.
    pub unmatched_frees: u64,
    /// Call paths that end before the thread's entry, because unwind information was missing.
    pub truncated_stacks: u64,
    /// Memory used by the recorder itself, in bytes: ledger and private tables.
    pub own_bytes: u64,
    /// Version of Heaptide that recorded, for example `0.1.0`.
    pub version: String,
    /// Limits that were reached, in words with their cause.
    pub limits: Vec<String>,
}

/// Sums over the whole program. Sizes are as the program requested them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Blocks handed out, reallocations included.
    pub allocations: u64,
    /// Their bytes.
    pub allocated_bytes: u64,
    /// Blocks given back, reallocations included.
    pub frees: u64,
    /// Their bytes.
    pub freed_bytes: u64,
    /// Calls of `realloc` on a live block.
    pub reallocations: u64,
    /// Blocks alive at the end.
    pub live_allocations: u64,
    /// Bytes alive at the end.
    pub live_bytes: u64,
    /// The highest live bytes of all times.
    pub peak_live_bytes: u64,
    /// When that was, in milliseconds from the start.
    pub peak_at_ms: u64,
    /// Blocks freed by the thread that made them before it allocated anything else; unknown when sampled.
    pub temporary_allocations: Option<u64>,
    /// The highest resident memory that the observer or the kernel saw.
    pub peak_rss_bytes: Option<u64>,
    /// Bytes mapped by the program's own `mmap` calls and not unmapped.
    pub mapped_bytes: Option<u64>,
}

/// An executable or library, during one stay in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Path of the file as the loader knew it; `[vdso]` for the kernel's.
    pub path: StringId,
    /// GNU build id.
    pub build_id: Option<Vec<u8>>,
    /// Address that offsets count from (the load bias plus the lowest segment's page).
    pub base: u64,
}

/// A return address: an offset in a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The module; `None` for code outside any module (made at run time).
    pub module: Option<ModuleId>,
    /// The return address minus the module's base. The call instruction ends just before it, so names and lines
    /// are looked up at `offset - 1`.
    pub offset: u64,
}

/// The source meaning of one location: several frames where calls were inlined, innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationSymbols {
    /// Innermost (inlined) frame first; the physical function is last. Empty where nothing is known.
    pub frames: Vec<Frame>,
}

/// One source-level frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Demangled function name.
    pub function: StringId,
    /// Source file.
    pub file: Option<StringId>,
    /// Line in the file, from 1.
    pub line: Option<u32>,
    /// Whether this frame was inlined into the next.
    pub inlined: bool,
}

/// A node of the call tree: a call path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The caller's call path; `None` at a thread's entry.
    pub parent: Option<NodeId>,
    /// Where in this frame the call stands.
    pub location: LocationId,
    /// Whether the path was cut here: frames further out are not known.
    pub truncated: bool,
}

/// What one call path did with blocks of one size class, all threads together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// The call path.
    pub node: Option<NodeId>,
    /// Smallest size of the class, in bytes.
    pub size_min: u64,
    /// Largest size of the class, in bytes.
    pub size_max: u64,
    /// Blocks handed out.
    pub allocations: u64,
    /// Their bytes.
    pub allocated_bytes: u64,
    /// Blocks of this site given back, by any thread.
    pub frees: u64,
    /// Their bytes.
    pub freed_bytes: u64,
    /// Bytes of this site alive when the program's live bytes were highest.
    pub live_bytes_at_peak: u64,
    /// See [`Totals::temporary_allocations`].
    pub temporary_allocations: Option<u64>,
    /// Reallocations that made blocks of this site.
    pub reallocations: u64,
    /// Blocks of this site that left it by `realloc` (counted in `frees` too).
    pub reallocated_away: u64,
    /// Bytes copied by reallocations that moved the block.
    pub copied_bytes: u64,
    /// Reallocations that were the first of their buffer: the number of buffers grown here.
    pub first_reallocations: u64,
    /// Blocks that had been reallocated at least once and were freed at this size.
    pub grown_frees: u64,
    /// Lifetimes of freed blocks (not of reallocated ones): `(upper bound in ms, blocks)`, ascending. The bound is in
    /// whole milliseconds and belongs to its bucket: 0 stands for less than one millisecond.
    pub lifetimes: Vec<(u64, u64)>,
    /// Samples behind the numbers, when sampled.
    pub samples: Option<u64>,
}

/// A thread that allocated or freed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// Kernel thread id; `None` for a row that sums several threads.
    pub tid: Option<u32>,
    /// The thread's name.
    pub name: StringId,
    /// First event, in milliseconds from the start.
    pub started_ms: u64,
    /// End of the thread, in milliseconds from the start; `None` while it lives.
    pub ended_ms: Option<u64>,
    /// Blocks handed out to it.
    pub allocations: u64,
    /// Their bytes.
    pub allocated_bytes: u64,
    /// Blocks it gave back, made by any thread.
    pub frees: u64,
    /// Their bytes.
    pub freed_bytes: u64,
}

/// What one thread did with the blocks of one call path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadSite {
    /// The thread.
    pub thread: ThreadId,
    /// The call path that made the blocks.
    pub node: NodeId,
    /// Blocks this thread made there.
    pub allocations: u64,
    /// Their bytes.
    pub allocated_bytes: u64,
    /// Blocks made there, by any thread, that this thread freed.
    pub frees: u64,
    /// Their bytes.
    pub freed_bytes: u64,
}

/// The program over time: parallel columns, one entry a sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Time of the sample, in milliseconds from the start.
    pub t_ms: Vec<u64>,
    /// Bytes alive.
    pub live_bytes: Vec<u64>,
    /// Blocks alive.
    pub live_allocations: Vec<u64>,
    /// Blocks handed out so far.
    pub allocations: Vec<u64>,
    /// Bytes handed out so far.
    pub allocated_bytes: Vec<u64>,
    /// Bytes mapped by the program's own `mmap`.
    pub mapped_bytes: Vec<u64>,
    /// Resident memory.
    pub rss_bytes: Vec<Option<u64>>,
    /// Proportional share of resident memory.
    pub pss_bytes: Vec<Option<u64>>,
    /// Threads.
    pub threads: Vec<Option<u64>>,
    /// Open file descriptors.
    pub open_files: Vec<Option<u64>>,
    /// Memory limit of the program's cgroup; `None` where there is none.
    pub cgroup_limit_bytes: Option<u64>,
}

/// A call path over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// The call path.
    pub node: NodeId,
    /// Times of the samples, in milliseconds from the start.
    pub t_ms: Vec<u64>,
    /// Bytes alive.
    pub live_bytes: Vec<u64>,
    /// Blocks alive.
    pub live_allocations: Vec<u64>,
    /// Blocks handed out so far.
    pub allocations: Vec<u64>,
}

/// Blocks of one call path that were alive when the profile was taken, by age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survivors {
    /// The call path; `None` where it is not known.
    pub node: Option<NodeId>,
    /// `(upper bound of the age in ms, blocks, bytes)`, ascending; bounds as in [`Site::lifetimes`].
    pub ages: Vec<(u64, u64, u64)>,
}
