//! What the measured workloads share.
//!
//! The workloads are ordinary programs: they know nothing of the recorder, use the system allocator, and do the same
//! work on every run, so that a ratio of two wall times is the recorder's cost and nothing else. They refuse to
//! measure themselves; the paired runner times whole processes.
//!
//! | binary | what it stands for |
//! | --- | --- |
//! | `kv-service` (with `kv-load`) | a network service: tasks, sockets, a handful of allocations a request |
//! | `json-parse` | many small blocks, made by one parser and dropped together |
//! | `binary-trees` | the worst case of a call tree: recursion with 131,071 distinct call paths, on two threads |
#![forbid(unsafe_code)]

pub mod arguments;
pub mod kv;
pub mod random;
