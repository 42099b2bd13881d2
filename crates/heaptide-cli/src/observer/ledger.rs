//! A ledger that is being written, or was left behind, as a mapped file.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use heaptide_ledger::read::{NotALedger, Reader};
use heaptide_ledger::{header_word, state};

use crate::os::SharedWords;

/// The ledger of one program image.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    words: SharedWords,
}

impl Ledger {
    /// Opens a ledger to keep its clock and samples. `None` while the recorder is still setting it up.
    pub fn open(path: &Path) -> io::Result<Option<Ledger>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() < heaptide_ledger::HEADER_BYTES {
            return Ok(None);
        }
        let words = SharedWords::map(&file)?;
        match Reader::new(words.words()) {
            Ok(_) => Ok(Some(Ledger { path: path.to_path_buf(), file, words })),
            Err(NotALedger::TooShort | NotALedger::Magic) => Ok(None),
            Err(NotALedger::Newer(version)) => Err(newer(version)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Maps what was added since. The mapping stays as it was if that fails.
    pub fn catch_up(&mut self) {
        let mapped_bytes = self.words.words().len() as u64 * 8;
        if self.header(header_word!(file_bytes)) > mapped_bytes
            && let Ok(words) = SharedWords::map(&self.file)
        {
            self.words = words;
        }
    }

    /// Reads what is mapped.
    pub fn reader(&self) -> Option<Reader<'_>> {
        Reader::new(self.words.words()).ok()
    }

    /// A word of the header.
    pub fn header(&self, word: usize) -> u64 {
        self.words.words().get(word).map_or(0, |word| word.load(Relaxed))
    }

    /// Writes a word of the header; only those that belong to the observer.
    pub fn set_header(&self, word: usize, value: u64) {
        if let Some(word) = self.words.words().get(word) {
            word.store(value, Relaxed);
        }
    }

    /// Milliseconds since this recording's start, at a moment of the monotonic clock.
    pub fn ms_at(&self, monotonic_ns: u64) -> u64 {
        monotonic_ns.saturating_sub(self.header(header_word!(started_monotonic_ns))) / 1_000_000
    }

    /// Gives the memory of a ledger back that nobody writes or reads any more. Its name and its header stay: the
    /// recorder numbers the images of a process by the names that are taken.
    pub fn discard(self) {
        // What cannot be given back now goes with the session.
        let _ = self.file.set_len(heaptide_ledger::HEADER_BYTES);
    }

    /// Whether its process has executed another program since.
    pub fn is_superseded(&self) -> bool {
        self.header(header_word!(state)) == state::SUPERSEDED
    }
}

/// A ledger of a newer version is an error, not damage.
pub fn newer(version: u64) -> io::Error {
    let own = heaptide_ledger::VERSION;
    io::Error::other(format!("it is of version {version}, this heaptide knows versions up to {own}"))
}
