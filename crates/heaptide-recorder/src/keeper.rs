//! The clock and the timeline of a program that no observer watches, kept by one thread of the program's own.

/// Keeps the clock until the process ends.
pub fn keep_clock() {}
