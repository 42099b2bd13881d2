//! A program under the recorder, and the ledger it leaves.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use heaptide_ledger::header_word;
use heaptide_profile::{Profile, Source, open};
use heaptide_programs::program;
use heaptide_symbolize::Symbolizer;

use crate::built::preload;
use crate::place::Place;

/// A program that is about to run under the recorder.
pub struct Recording {
    /// The program, its arguments, its environment.
    pub command: Command,
    ledger: PathBuf,
    stdin: Vec<u8>,
}

/// How a program ended, and what it left.
pub struct Ran {
    /// With what it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it and the recorder wrote to standard error.
    pub stderr: String,
    /// Where its ledger should be.
    pub ledger: PathBuf,
}

/// One of the small programs under the recorder, with `options` more, as `verify:1`.
pub fn record(place: &Place, name: &str, options: &str) -> Recording {
    record_command(place, Command::new(program(name)), options)
}

/// Any program under the recorder.
pub fn record_command(place: &Place, mut command: Command, options: &str) -> Recording {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let ledger = place.path(format!("{count}.ledger"));
    let more = if options.is_empty() { String::new() } else { format!(",{options}") };
    command
        .env("LD_PRELOAD", preload())
        .env("HEAPTIDE_OPTIONS", format!("out:{},observer:1{more}", ledger.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Recording { command, ledger, stdin: Vec::new() }
}

/// The ledgers in a directory, by name: those of `dir:` and of `out:`, numbered ones among them.
///
/// # Panics
///
/// Where it cannot be read.
pub fn ledgers(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a directory's entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".ledger")))
        .collect();
    found.sort();
    found
}

/// A ledger's contents, without names.
///
/// # Panics
///
/// Where it is missing or damaged.
pub fn read(ledger: &Path) -> Profile {
    let opened = open(ledger).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(opened.source, Source::Ledger);
    assert_eq!(opened.problems, [], "{}", ledger.display());
    opened.profile
}

/// A word of a ledger's header, named by `header_word!`.
///
/// # Panics
///
/// Where there is no ledger.
pub fn header(ledger: &Path, word: usize) -> u64 {
    let mut bytes = [0; 8];
    let read = File::open(ledger).and_then(|file| file.read_exact_at(&mut bytes, word as u64 * 8));
    match read {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(error) => panic!("{}: {error}", ledger.display()),
    }
}

impl Recording {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Sets a variable of the program's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What the program reads from standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.command.stdin(Stdio::piped());
        self.stdin = bytes.into();
        self
    }

    /// Where the ledger will be.
    pub fn ledger(&self) -> &Path {
        &self.ledger
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    pub fn run(mut self) -> Ran {
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", self.command));
        let writer = child.stdin.take().map(|mut pipe| {
            // A program may end without reading all of it.
            std::thread::spawn(move || drop(pipe.write_all(&self.stdin)))
        });
        let output = child.wait_with_output().expect("a child that was started ends");
        if let Some(writer) = writer {
            writer.join().expect("nothing in it panics");
        }
        Ran {
            status: output.status,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            ledger: self.ledger,
        }
    }
}

impl Ran {
    /// The same, after it ended with status 0.
    ///
    /// # Panics
    ///
    /// Where it ended otherwise.
    #[must_use]
    pub fn succeeded(self) -> Self {
        assert!(
            self.status.success(),
            "{}: {}\n{}{}",
            self.ledger.display(),
            self.status,
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        self
    }

    /// What the ledger holds, without names.
    ///
    /// # Panics
    ///
    /// Where it is missing or damaged.
    pub fn profile(&self) -> Profile {
        assert!(self.ledger.is_file(), "no ledger: {} {}", self.status, self.stderr);
        read(&self.ledger)
    }

    /// What the ledger holds, with names.
    ///
    /// # Panics
    ///
    /// Where it is missing or damaged.
    pub fn symbolized(&self) -> Profile {
        let mut profile = self.profile();
        Symbolizer::new().cache_dir(None).symbolize(&mut profile, &mut |_| {});
        profile
    }

    /// Events whose remembered call path differed from the one unwound anew, in a recording with `verify:1`.
    ///
    /// # Panics
    ///
    /// Where there is no ledger.
    pub fn memo_mismatches(&self) -> u64 {
        header(&self.ledger, header_word!(memo_mismatches))
    }
}
