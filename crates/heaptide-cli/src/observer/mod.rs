//! What runs beside a recorded program: the directory that they share, the clock and the samples that the program
//! need not take itself, its signals and its end.
//!
//! The program never waits for the observer, and goes on unharmed without it.

mod cgroup;
pub mod ledger;
pub mod process;
mod progress;
pub mod session;
mod vitals;
pub mod watch;
pub mod watched;
