//! What went wrong, in the form a person reads it: the thing, why, and the next step.
//!
//! ```text
//! error: cannot read ./api.2931.heaptide
//! caused by: No such file or directory (os error 2)
//! hint: `heaptide report` without a file lists the recordings here
//! ```

use std::fmt;
use std::io;

use crate::talk::Talk;

/// What a command returns.
pub type Outcome<T = Exit> = Result<T, Failure>;

/// How `heaptide` ends when nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Fine,
    /// Everything was done, and the answer is no.
    No,
    /// The recording is damaged and was read in part.
    Damaged,
    /// The recorded program's own status.
    Status(u8),
    /// The signal that ended the recorded program.
    Signal(i32),
}

/// Exit codes of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// An operational error.
    Operational = 1,
    /// The command line asks for something that does not exist.
    Usage = 2,
    /// The recording is damaged, so much that nothing could be read.
    Damaged = 4,
    /// `run` failed before the program started, as with `env` and `timeout`.
    BeforeStart = 125,
    /// The program was found and cannot be executed.
    CannotExecute = 126,
    /// The program was not found.
    NotFound = 127,
}

/// An error with its exit code and the next step.
#[derive(Debug)]
pub struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    code: Code,
}

impl Failure {
    /// A failure that no other error caused.
    pub fn new(what: impl fmt::Display) -> Self {
        anyhow::Error::msg(what.to_string()).into()
    }

    /// What to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What was being tried.
    pub fn while_trying(self, what: String) -> Self {
        Failure { error: self.error.context(what), ..self }
    }

    /// The exit code, if it is not 1.
    pub fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The code that `heaptide` exits with.
    pub fn exit_code(&self) -> u8 {
        self.code as u8
    }

    /// Whether the reader of our output went away, which is no failure.
    pub fn is_broken_pipe(&self) -> bool {
        self.error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Says it on stderr.
    pub fn tell(&self, talk: &Talk) {
        talk.error(&self.error.to_string());
        for cause in self.error.chain().skip(1) {
            talk.caused_by(&cause.to_string());
        }
        if let Some(hint) = &self.hint {
            talk.hint(hint);
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure { error: error.into(), hint: None, code: Code::Operational }
    }
}

/// Says what was tried when it failed.
pub trait Attempt<T> {
    /// Adds what was tried, for example ``cannot read `x` ``.
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Attempt<T> for Result<T, E> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| error.into().context(what()).into())
    }
}
