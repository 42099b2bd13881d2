//! Files that commands write: private, never over an existing one unasked, whole or not at all.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use heaptide_profile::file::Existing;
use rustix::fs::{Access, AtFlags, CWD};

use crate::error::{Attempt, Failure, Outcome};

/// What `--force` says about a file that is there already.
pub fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Keep }
}

/// Refuses, before any work is done, what could not be written in the end.
pub fn check_writable(path: &Path, existing: Existing) -> Outcome<()> {
    if path.is_dir() {
        return Err(Failure::new(format!("{} is a directory", path.display())).hint("name a file with -o"));
    }
    if existing == Existing::Keep && path.symlink_metadata().is_ok() {
        return Err(Failure::new(format!("{} exists already", path.display()))
            .hint("--force replaces it, -o FILE writes another"));
    }
    let dir = directory_of(path);
    let is_there = std::fs::metadata(dir).attempt(|| format!("cannot write to the directory {}", dir.display()));
    let elsewhere = |failure: Failure| failure.hint("-o FILE writes to another place");
    if !is_there.map_err(elsewhere)?.is_dir() {
        return Err(elsewhere(Failure::new(format!("{} is not a directory", dir.display()))));
    }
    rustix::fs::accessat(CWD, dir, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(io::Error::from)
        .attempt(|| format!("cannot write to the directory {}", dir.display()))
        .map_err(|failure| failure.hint("-o FILE writes to another place"))
}

/// The directory that a file is in.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Writes a whole file, or none: with mode `0600`, under another name first.
pub fn write_file(path: &Path, existing: Existing, bytes: &[u8]) -> Outcome<()> {
    let what = || format!("cannot write {}", path.display());
    let temporary = temporary_beside(path);
    let result = create_private(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| place(&temporary, path, existing));
    if result.is_err() {
        // Not there, or ours.
        let _ = std::fs::remove_file(&temporary);
    }
    result.attempt(what)
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    directory_of(path).join(name)
}

fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Gives a finished file its name.
fn place(temporary: &Path, path: &Path, existing: Existing) -> io::Result<()> {
    match existing {
        Existing::Replace => std::fs::rename(temporary, path),
        Existing::Keep => {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(CWD, temporary, CWD, path, flags) {
                // Some file systems cannot promise it.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if path.symlink_metadata().is_err() => {
                    std::fs::rename(temporary, path)
                }
                result => result.map_err(io::Error::from),
            }
        }
    }
}

/// Writes to stdout, to the end.
pub fn write_stdout(bytes: &[u8]) -> Outcome<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).attempt(|| "cannot write to stdout".to_owned())
}
