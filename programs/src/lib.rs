//! Small programs that a recorder of heaps is tested on, and the other recorders it is compared with.
//!
//! A program is one source file, in C, C++ or Rust, compiled when a test asks for it by name:
//!
//! ```no_run
//! use std::process::Command;
//!
//! let output = Command::new(heaptide_programs::program("exact/c-all-calls")).output().expect("it runs");
//! let truth = heaptide_programs::Truth::parse(&output.stdout).expect("it says what it did");
//! assert_eq!(truth.live_blocks, truth.allocations - truth.frees);
//! ```
//!
//! | folder | what is in it |
//! | --- | --- |
//! | `exact/` | every function that hands out or takes back memory; totals are the same on every run |
//! | `robust/` | what other recorders crashed, hung or lied on, one trap a file |
//! | `include/` | how a program counts what it does ([`Truth`]) |
//!
//! The crate knows nothing of any recorder of this workspace: it hands out paths and numbers to compare with. It does
//! not download, and it does not link the programs into tests, because they have to be run as they are.
#![forbid(unsafe_code)]

mod compile;
mod dhat;
mod error;
mod heaptrack;
mod scratch;
mod truth;

pub use compile::{list, program};
pub use dhat::{DhatTotals, dhat_totals};
pub use error::Error;
pub use heaptrack::{HeaptrackTotals, heaptrack_totals};
pub use truth::{PathTruth, Truth, path_truths};
