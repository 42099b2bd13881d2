//! What was damaged or missing in something that could still be read.

/// Damage that was read around: which part is affected, and how.
///
/// A profile that comes with problems is what could be read; its numbers may be too low.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {cause}")]
pub struct Problem {
    /// The affected part, for example `call tree`.
    pub part: &'static str,
    /// What is wrong with it and what was done without it.
    pub cause: String,
}

impl Problem {
    pub(crate) fn new(part: &'static str, cause: impl Into<String>) -> Self {
        Problem { part, cause: cause.into() }
    }

    /// Notes that `rows` rows have this problem, if any have.
    pub(crate) fn note(problems: &mut Vec<Problem>, rows: u64, part: &'static str, cause: &str) {
        if rows > 0 {
            problems.push(Problem::new(part, format!("{cause} (rows: {rows})")));
        }
    }
}
