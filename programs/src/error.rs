//! Why another recorder gave no totals.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why another recorder gave no totals.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tool is not installed or cannot be started.
    #[error("cannot start {tool}: {source}")]
    Start {
        /// Its name.
        tool: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The tool, or the program under it, failed.
    #[error("{tool} ended with {status}: {stderr}")]
    Failed {
        /// Its name.
        tool: &'static str,
        /// With what.
        status: ExitStatus,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// A file that the tool should have written, or its scratch folder, is not usable.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The tool's output is not what this version of it writes.
    #[error("{tool} wrote something unexpected: {what}")]
    Output {
        /// Its name.
        tool: &'static str,
        /// What was missing or contradictory.
        what: String,
    },
}
