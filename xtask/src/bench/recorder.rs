//! What a program is run under.

use std::path::Path;
use std::process::Command;

use super::SLOW_ROUNDS;

/// A way to run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorder {
    /// Nothing.
    Alone,
    /// `heaptide run`.
    Exact,
    /// `heaptide run --sample`.
    Sampled,
    /// heaptrack, which writes events and leaves the analysis for later.
    Heaptrack,
    /// valgrind's DHAT.
    Dhat,
}

impl Recorder {
    /// Its name on the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Exact => "exact",
            Self::Sampled => "sampled",
            Self::Heaptrack => "heaptrack",
            Self::Dhat => "DHAT",
        }
    }

    /// The end of the name of its recordings.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Alone => "none",
            Self::Exact => "exact.heaptide",
            Self::Sampled => "sampled.heaptide",
            Self::Heaptrack => "heaptrack",
            Self::Dhat => "dhat.json",
        }
    }

    /// Whether it is this project's.
    pub fn is_heaptide(self) -> bool {
        matches!(self, Self::Exact | Self::Sampled)
    }

    /// How many rounds it takes part in.
    pub fn rounds(self, all: usize) -> usize {
        match self {
            Self::Dhat => all.min(SLOW_ROUNDS),
            _ => all,
        }
    }

    /// The command that runs `program` and records into `recording`; the program's arguments are to be added.
    pub fn command(self, release: &Path, program: &Path, recording: &Path) -> Command {
        let mut command = match self {
            Self::Alone => return Command::new(program),
            Self::Exact | Self::Sampled => Command::new(release.join("heaptide")),
            Self::Heaptrack => Command::new("heaptrack"),
            Self::Dhat => Command::new("valgrind"),
        };
        match self {
            Self::Alone => {}
            Self::Exact | Self::Sampled => {
                command.args(["run", "--quiet", "--force", "--output"]).arg(recording);
                if self == Self::Sampled {
                    command.arg("--sample");
                }
                command.arg("--");
            }
            Self::Heaptrack => {
                command.arg("--output").arg(recording);
            }
            Self::Dhat => {
                let mut out = std::ffi::OsString::from("--dhat-out-file=");
                out.push(recording);
                command.args(["--quiet", "--tool=dhat"]).arg(out);
            }
        }
        command.arg(program);
        command
    }
}
