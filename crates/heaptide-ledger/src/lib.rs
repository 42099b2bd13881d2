//! The ledger: what the recorder inside a program and the reader beside it agree on, byte for byte.
//!
//! A ledger is one file, mapped shared by the recorded program and, if it likes, by an observer. The program only
//! ever adds to it; nobody waits for anybody. It can be read at any moment, also after the program was killed between
//! two instructions: **every field is one aligned 64-bit word, and a row is written before the word that publishes it.**
//!
//! ```text
//!  0      Header                         one page; counters, table directories, limits, losses
//!  4096   …                              bump-allocated in units of 64 bytes, never moved, never freed:
//!           text                         paths, arguments, thread names' overflow
//!           tables                       append-only rows in chunks that double in size
//!             modules     16 words       file, build id, where it was mapped and when it left
//!             locations    1 word        module << 48 | offset of a return address
//!             nodes        4 words       parent node << 32 | location           = a call path
//!             sites        1 word        node << 32 | size class                = what a block belongs to
//!             leaves       1 word        address >> leaf shift << 32 | unit     = a piece of the heap map
//!             threads      1 word        unit of a thread's block
//!             past threads 8 words       what ended threads did in all
//!           thread blocks                totals, and a radix tree from site to counters
//!           heap map leaves              8,192 cells of one word, see [`cell`]
//!           details                      reallocations of a site, whole lifetime histograms
//!           series                       the timeline and the tracks, see [`series`]
//! ```
//!
//! Worked example: a program calls `malloc(40)` twice from one line and frees one block. There is one site: key
//! `node << 32 | class_of(40)`. The thread's counters at that site read `allocations 2, allocated_bytes 80, frees 1,
//! freed_bytes 40`, and the heap map holds one nonzero cell that names the site, size 40 and the birth tick.
//!
//! Row 0 of every table means "none": ids start at 1.
//!
//! This crate holds layout and arithmetic. It never allocates, never makes a system call and never follows a pointer.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod cell;
pub mod clock;
pub mod layout;
pub mod lifetime;
pub mod read;
pub mod sampler;
pub mod series;
pub mod size_class;
#[cfg(any(test, feature = "synthetic"))]
pub mod synthetic;
pub mod weight;

pub use layout::*;
