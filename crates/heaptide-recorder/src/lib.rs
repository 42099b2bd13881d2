//! Counts a process's allocations in a ledger, from inside that process.
//!
//! Allocation hooks call [`allocated`], [`freed`] and [`reallocated`]; all else happens here. Whatever can be reached
//! from them **never** allocates through the hooked allocator, takes a lock, calls the loader, formats, or changes
//! `errno`; it makes system calls only to grow. On any failure the event is counted as lost and the program goes on.
//!
//! | module | holds |
//! | --- | --- |
//! | [`events`] | what an allocation, a free and a reallocation do, in order |
//! | `walk`, `rules`, `memo` | from a stack pointer to a call path |
//! | `modules` | which file a return address belongs to |
//! | `heap_map` | from an address to the block that lives there |
//! | `counters`, `thread` | counting without atomics, and what a thread keeps |
//! | `ledger_file`, `interner`, `sys` | memory that is shared, tables that only grow, system calls |
//! | `lifecycle`, `options`, `place`, `environment` | start, fork, exec, end |
//! | `mapped` | memory the program maps itself |
//! | `keeper` | the clock and the timeline of a program without an observer |

#![no_std]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[cfg(test)]
extern crate std;

mod counters;
mod environment;
pub mod events;
mod global;
mod heap_map;
mod interner;
mod keeper;
mod ledger_file;
mod lifecycle;
pub mod mapped;
mod memo;
mod modules;
mod options;
mod place;
mod rules;
mod sampling;
mod sys;
mod thread;
mod walk;

pub use events::{Caller, Taken, allocated, freed, reallocated, reallocation_failed, take};
pub use keeper::keep_clock;
pub use lifecycle::{
    Allocator, Host, dynamic_loading_began, ended, library_closed, library_closing, loaded, start, thread_exits,
};
pub use thread::mute;
