//! What the recorder's tests stand on: programs run with the preload library, and their ledgers read back.
//!
//! The library is loaded as the dynamic loader does it, by `LD_PRELOAD`, without the command line tool between, so that a
//! test sees what the recorder alone does. A test names a program, adds options and compares:
//!
//! ```no_run
//! use heaptide_tests::{Place, record};
//!
//! let place = Place::new();
//! let recorded = record(&place, "exact/c-strdup", "").run();
//! assert!(recorded.profile().totals.allocations > 0);
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | `built` | the preload library and the workloads, built when a test first asks |
//! | `place` | a directory that goes with the test |
//! | `recording` | a program under the recorder, and the ledger it leaves |
//! | `call_tree` | call paths by the names of their functions |
//! | `process` | processes that end with the test |
//! | `tools` | Debian's programs, by name of their package |
#![forbid(unsafe_code)]

mod built;
mod call_tree;
mod place;
mod process;
mod recording;
mod tools;

pub use built::{preload, workload};
pub use call_tree::{PathCounts, Paths, is_zero, matches, own_calls, paths};
pub use place::Place;
pub use process::{Running, free_port, wait_for_port};
pub use recording::{Ran, Recording, header, ledgers, read, record, record_command};
pub use tools::{bare, tool};
