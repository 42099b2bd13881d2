//! The recording file: a [`Profile`](crate::Profile) with its symbols, in one file that opens anywhere.
//!
//! ```text
//!  0   header, 64 bytes      magic "HEAPTIDE", format version, version of Heaptide that wrote it, check
//!  64  sections              each: header of 64 bytes (mark, name, lengths, coding, checks), then its bytes
//!      section "end"         empty; a file without it is cut short
//! ```
//!
//! A section holds one table as MessagePack maps of columns with names, compressed with zstd. So a later Heaptide adds
//! columns and sections without a new format version, and each section can be read without the others: where one is
//! damaged, the rest is still there. The checks find damage, not malice; a hostile file yields wrong numbers, but
//! never a panic, a hang or memory out of proportion to its size.
//!
//! A file is written beside its place and then moved there: nobody ever sees half a recording.

mod container;
mod mend;
mod read;
mod tables;
mod write;

pub use container::{FORMAT_VERSION, MAGIC};
pub use read::{ReadError, decode};
pub use write::{Existing, WriteError, encode, write};

/// Names of the sections, in the order in which they are written: what other sections need comes first.
mod section {
    pub(super) const SUMMARY: &str = "summary";
    pub(super) const STRINGS: &str = "strings";
    pub(super) const MODULES: &str = "modules";
    pub(super) const LOCATIONS: &str = "locations";
    pub(super) const NODES: &str = "nodes";
    pub(super) const SITES: &str = "sites";
    pub(super) const SYMBOLS: &str = "symbols";
    pub(super) const THREADS: &str = "threads";
    pub(super) const TIMELINE: &str = "timeline";
    pub(super) const TRACKS: &str = "tracks";
    pub(super) const THREAD_SITES: &str = "thread_sites";
    pub(super) const SURVIVORS: &str = "survivors";

    /// All of them.
    pub(super) const ALL: [&str; 12] = [
        SUMMARY,
        STRINGS,
        MODULES,
        LOCATIONS,
        NODES,
        SITES,
        SYMBOLS,
        THREADS,
        TIMELINE,
        TRACKS,
        THREAD_SITES,
        SURVIVORS,
    ];
}
