//! The directory that observer and recorded program share: the library, and one ledger per program image.
//!
//! It is private, and removed at the end. When observer and program are both killed, it stays, and what was recorded
//! can be read from it.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;

use crate::preload::{Placed, is_loadable_path};

/// Where files are memory.
pub const SHARED_MEMORY: &str = "/dev/shm";
/// Free space that is asked of it.
pub const SHARED_MEMORY_BYTES: u64 = 256 << 20;

const PREFIX: &str = "heaptide-";
const LEDGER_SUFFIX: &str = ".ledger";

/// A session's directory.
#[derive(Debug)]
pub struct Session {
    dir: PathBuf,
    library: Placed,
    at_end: AtEnd,
}

/// What becomes of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtEnd {
    Remove,
    Keep,
}

/// A ledger in a session's directory: `<pid>-<image>.ledger`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerFile {
    /// Process id, in the program's own name space.
    pub pid: u32,
    /// 0 for the first program that the process executed, then counting.
    pub image: u32,
    /// The file.
    pub path: PathBuf,
}

impl Session {
    /// Makes the directory: in shared memory if there is room, else in `beside`.
    pub fn create(beside: &Path) -> io::Result<Session> {
        let beside = std::path::absolute(beside)?;
        let candidates = [PathBuf::from(SHARED_MEMORY), beside, std::env::temp_dir()];
        let mut failure = io::Error::other("there is no place for it");
        for parent in candidates.iter().filter(|parent| suits(parent)) {
            match Session::create_in(parent) {
                Ok(session) => return Ok(session),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn create_in(parent: &Path) -> io::Result<Session> {
        let mut random = [0_u8; 8];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let user = rustix::process::getuid().as_raw();
        let name = format!("{PREFIX}{user}-{}-{:016x}", std::process::id(), u64::from_ne_bytes(random));
        let dir = parent.join(name);
        DirBuilder::new().mode(0o700).create(&dir)?;
        match Placed::in_dir(&dir) {
            Ok(library) => Ok(Session { dir, library, at_end: AtEnd::Remove }),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&dir);
                Err(error)
            }
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The library in it.
    pub fn library(&self) -> &Placed {
        &self.library
    }

    /// Where the ledger of a program image will be.
    pub fn ledger_path(&self, pid: u32, image: u32) -> PathBuf {
        self.dir.join(format!("{pid}-{image}{LEDGER_SUFFIX}"))
    }

    /// The ledgers that are there.
    pub fn ledgers(&self) -> Vec<LedgerFile> {
        ledgers_in(&self.dir)
    }

    /// Leaves the directory where it is.
    pub fn keep(&mut self) {
        self.at_end = AtEnd::Keep;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.at_end == AtEnd::Remove {
            // What cannot be removed is listed by `heaptide report`.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn suits(parent: &Path) -> bool {
    let is_plain = !parent.as_os_str().as_encoded_bytes().contains(&b',') && is_loadable_path(parent);
    let has_room = || {
        rustix::fs::statvfs(parent).is_ok_and(|stat| {
            stat.f_bavail.saturating_mul(stat.f_frsize) >= SHARED_MEMORY_BYTES
                && !stat.f_flag.contains(StatVfsMountFlags::NOEXEC)
        })
    };
    is_plain && (parent != Path::new(SHARED_MEMORY) || has_room())
}

fn ledgers_in(dir: &Path) -> Vec<LedgerFile> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut ledgers: Vec<LedgerFile> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let (pid, image) = path.file_name()?.to_str()?.strip_suffix(LEDGER_SUFFIX)?.split_once('-')?;
            Some(LedgerFile { pid: pid.parse().ok()?, image: image.parse().ok()?, path })
        })
        .collect();
    ledgers.sort();
    ledgers
}

/// Ledgers in this user's session directories below `parent`, newest image of each process, with the process id of the
/// session's observer.
pub fn left_over(parent: &Path) -> Vec<(LedgerFile, u32)> {
    let user = rustix::process::getuid().as_raw();
    let prefix = format!("{PREFIX}{user}-");
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let observer = |name: &OsStr| -> Option<u32> {
        let (pid, random) = name.to_str()?.strip_prefix(&prefix)?.split_once('-')?;
        (random.len() == 16).then_some(pid.parse().ok()?)
    };
    let mut found: Vec<(LedgerFile, u32)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let observer = observer(&entry.file_name())?;
            // Others may have put a directory of that name there.
            let metadata = entry.path().symlink_metadata().ok()?;
            (metadata.is_dir() && metadata.uid() == user).then(|| (entry.path(), observer))
        })
        .flat_map(|(dir, observer)| newest_images(ledgers_in(&dir)).map(move |ledger| (ledger, observer)))
        .collect();
    found.sort();
    found
}

/// Of sorted ledgers, the last one of each process.
fn newest_images(ledgers: Vec<LedgerFile>) -> impl Iterator<Item = LedgerFile> {
    let mut ledgers = ledgers.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut newest = ledgers.next()?;
        while let Some(next) = ledgers.next_if(|next| next.pid == newest.pid) {
            newest = next;
        }
        Some(newest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(pid: u32, image: u32) -> LedgerFile {
        LedgerFile { pid, image, path: PathBuf::new() }
    }

    #[test]
    fn the_newest_image_of_a_process_counts() {
        let all = vec![ledger(7, 0), ledger(7, 1), ledger(7, 10), ledger(9, 0)];
        assert_eq!(newest_images(all).collect::<Vec<_>>(), [ledger(7, 10), ledger(9, 0)]);
    }

    #[test]
    fn a_session_leaves_nothing_behind() {
        let parent = std::env::temp_dir();
        let session = Session::create(&parent).expect("a place for a session");
        let dir = session.dir().to_path_buf();
        std::fs::write(session.ledger_path(12, 3), b"x").expect("a file in the session");
        std::fs::write(dir.join("12-x.ledger"), b"x").expect("a file in the session");
        let found = session.ledgers();
        assert_eq!(found.iter().map(|found| (found.pid, found.image)).collect::<Vec<_>>(), [(12, 3)]);
        assert_eq!(std::fs::metadata(&dir).expect("the directory").mode() & 0o777, 0o700);
        drop(session);
        assert!(!dir.exists());
    }
}
