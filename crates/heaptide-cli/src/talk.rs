//! What is said to a person: on stderr, as loud as asked, and never a reason to fail.

use std::io::{self, IsTerminal, Write};

use heaptide_report::escape;

use crate::args::ColorChoice;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// Errors only.
    Quiet,
    /// Warnings and the short report too.
    Usual,
    /// What is being done too.
    Verbose,
}

/// The voice of one run of `heaptide`.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    loudness: Loudness,
    color: ColorChoice,
}

/// Which stream a colour is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Data.
    Stdout,
    /// Talk.
    Stderr,
}

/// Columns of the terminal that a stream goes to, if it does.
pub fn columns(stream: Stream) -> Option<usize> {
    let size = match stream {
        Stream::Stdout => terminal_size::terminal_size_of(io::stdout()),
        Stream::Stderr => terminal_size::terminal_size_of(io::stderr()),
    };
    // A terminal that was never told its size has none.
    size.map(|(width, _)| usize::from(width.0)).filter(|&width| width > 0)
}

const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const CYAN: &str = "36";
const BOLD: &str = "1";

impl Talk {
    /// As asked on the command line.
    pub fn new(loudness: Loudness, color: ColorChoice) -> Self {
        Talk { loudness, color }
    }

    /// Says errors only, for the many of which one stands for all.
    pub fn quieter(&self) -> Talk {
        Talk { loudness: Loudness::Quiet, ..*self }
    }

    /// How much is said.
    pub fn loudness(&self) -> Loudness {
        self.loudness
    }

    /// Whether a stream gets colours: asked for, or a terminal that has any.
    pub fn colors(&self, stream: Stream) -> bool {
        let is_terminal = || match stream {
            Stream::Stdout => io::stdout().is_terminal(),
            Stream::Stderr => io::stderr().is_terminal(),
        };
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }

    /// What failed.
    pub fn error(&self, what: &str) {
        self.line(RED, "error:", what);
    }

    /// Why it failed.
    pub fn caused_by(&self, why: &str) {
        self.line(RED, "caused by:", why);
    }

    /// What to do about it, after an error.
    pub fn hint(&self, hint: &str) {
        self.line(CYAN, "hint:", hint);
    }

    /// Something that makes the result less than expected.
    pub fn warning(&self, what: &str) {
        if self.loudness >= Loudness::Usual {
            self.line(YELLOW, "warning:", what);
        }
    }

    /// What to do about a warning.
    pub fn advice(&self, hint: &str) {
        if self.loudness >= Loudness::Usual {
            self.hint(hint);
        }
    }

    /// Something worth knowing.
    pub fn note(&self, what: &str) {
        if self.loudness >= Loudness::Usual {
            self.line(BOLD, "heaptide:", what);
        }
    }

    /// What is being done, for those who ask.
    pub fn detail(&self, what: &str) {
        if self.loudness >= Loudness::Verbose {
            self.line(BOLD, "heaptide:", what);
        }
    }

    /// A text of several lines that was made for a terminal.
    pub fn text(&self, text: &str) {
        if self.loudness >= Loudness::Usual {
            write_stderr(text);
        }
    }

    fn line(&self, color: &str, label: &str, text: &str) {
        // Messages of the operating system and of parsers may quote what a program or a file says.
        let text: Vec<String> = text.lines().map(escape).collect();
        let text = text.join("\n  ");
        write_stderr(&match self.colors(Stream::Stderr) {
            true => format!("\x1b[{color}m{label}\x1b[0m {text}\n"),
            false => format!("{label} {text}\n"),
        });
    }
}

/// In one piece, so that lines of the recorded program do not end up inside.
fn write_stderr(text: &str) {
    // Nobody may be listening; nobody to tell it to.
    let _ = io::stderr().write_all(text.as_bytes());
}
