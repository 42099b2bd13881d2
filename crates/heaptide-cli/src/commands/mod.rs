//! One file per command.

pub mod completions;
pub mod demo;
pub mod doctor;
pub mod man;
pub mod preload_path;
pub mod report;
pub mod run;
