//! Writing a recording.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::container::FileWriter;
use super::section;
use super::tables::{
    LocationColumns, NodeColumns, SiteColumns, SummaryOf, SurvivorColumns, SymbolColumns, ThreadSiteColumns,
};
use crate::model::Profile;

/// What to do with a file that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail.
    Keep,
    /// Put the recording in its place.
    Replace,
}

/// Why a recording was not written. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is a file of this name.
    #[error("{} exists", .0.display())]
    Exists(PathBuf),
    /// The system refused.
    #[error("cannot write {}", .path.display())]
    Io {
        /// The recording's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes a recording, readable by its owner only, and returns its size in bytes.
///
/// The path names either what was there before or the whole recording, at any moment.
///
/// # Errors
///
/// If the file exists and is to be kept, or cannot be written.
pub fn write(path: &Path, profile: &Profile, existing: Existing) -> Result<u64, WriteError> {
    let io_error = |source| WriteError::Io { path: path.to_owned(), source };
    let exists = || WriteError::Exists(path.to_owned());
    if existing == Existing::Keep && fs::symlink_metadata(path).is_ok() {
        return Err(exists());
    }
    let bytes = encode(profile).map_err(io_error)?;
    let draft = Draft::create(path).map_err(io_error)?;
    draft.fill(&bytes).map_err(io_error)?;
    match draft.publish(path, existing) {
        Ok(()) => Ok(bytes.len() as u64),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists()),
        Err(error) => Err(io_error(error)),
    }
}

/// The bytes of a recording.
///
/// # Errors
///
/// If there is no memory for the compressor.
pub fn encode(profile: &Profile) -> io::Result<Vec<u8>> {
    let mut file = FileWriter::new();
    let mut put = |name, content: Vec<u8>| file.section(name, &content);
    put(
        section::SUMMARY,
        packed(&SummaryOf { program: &profile.program, recorder: &profile.recorder, totals: &profile.totals })?,
    )?;
    put(section::STRINGS, packed(&profile.strings)?)?;
    put(section::MODULES, packed(&profile.modules)?)?;
    let locations = LocationColumns::of(&profile.locations);
    put(section::LOCATIONS, packed(&locations)?)?;
    put(section::NODES, packed(&NodeColumns::of(&profile.nodes))?)?;
    put(section::SITES, packed(&SiteColumns::of(&profile.sites))?)?;
    let symbols = SymbolColumns::of(&profile.symbols);
    put(section::SYMBOLS, packed(&symbols)?)?;
    put(section::THREADS, packed(&profile.threads)?)?;
    put(section::TIMELINE, packed(&profile.timeline)?)?;
    put(section::TRACKS, packed(&profile.tracks)?)?;
    let thread_sites = ThreadSiteColumns::of(&profile.thread_sites);
    put(section::THREAD_SITES, packed(&thread_sites)?)?;
    let survivors = SurvivorColumns::of(&profile.survivors);
    put(section::SURVIVORS, packed(&survivors)?)?;
    Ok(file.finish())
}

fn packed(content: &impl Serialize) -> io::Result<Vec<u8>> {
    rmp_serde::to_vec_named(content).map_err(io::Error::other)
}

/// A file beside its place, removed unless it gets there.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    fn create(target: &Path) -> io::Result<Self> {
        let name =
            target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
        let mut attempt = 0;
        loop {
            let mut draft_name = std::ffi::OsString::from(".");
            draft_name.push(name);
            draft_name.push(format!(".{}-{attempt}", std::process::id()));
            let path = target.with_file_name(draft_name);
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            match file {
                Ok(file) => return Ok(Draft { path, file }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn fill(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)?;
        self.file.sync_all()
    }

    fn publish(self, target: &Path, existing: Existing) -> io::Result<()> {
        if existing == Existing::Keep {
            // A link, unlike a rename, never replaces. Where the file system has no links, the check has to do.
            match fs::hard_link(&self.path, target) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                Err(_) if fs::symlink_metadata(target).is_ok() => {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                Err(_) => {}
            }
        }
        fs::rename(&self.path, target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone already if it was renamed.
        let _ = fs::remove_file(&self.path);
    }
}
