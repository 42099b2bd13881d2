//! The recorder's library: carried inside this binary, put where the loader of a recorded program can map it.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, StatVfsMountFlags};

/// The library's bytes.
pub const LIBRARY: &[u8] = include_bytes!(env!("HEAPTIDE_PRELOAD_LIBRARY"));
/// Its name in a file system.
pub const LIBRARY_NAME: &str = "libheaptide.so";

/// The library, where a program started now can load it. Keep it until all such programs have ended.
#[derive(Debug)]
pub struct Placed {
    path: PathBuf,
    _memory: Option<File>,
}

impl Placed {
    /// Puts the library into `dir`, or into memory where nothing in `dir` can be mapped as code.
    pub fn in_dir(dir: &Path) -> io::Result<Placed> {
        let may_execute = rustix::fs::statvfs(dir).is_ok_and(|stat| !stat.f_flag.contains(StatVfsMountFlags::NOEXEC));
        if !may_execute || !is_loadable_path(dir) {
            return Placed::in_memory();
        }
        let path = dir.join(LIBRARY_NAME);
        OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?.write_all(LIBRARY)?;
        Ok(Placed { path, _memory: None })
    }

    /// A file without a place in any file system, reached through this process.
    fn in_memory() -> io::Result<Placed> {
        let mut file = File::from(rustix::fs::memfd_create(LIBRARY_NAME, MemfdFlags::CLOEXEC)?);
        file.write_all(LIBRARY)?;
        let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
        Ok(Placed { path, _memory: Some(file) })
    }

    /// The value of `LD_PRELOAD`: this library in front of those asked for already. Libraries of other recordings
    /// are left out: a program has one recorder.
    pub fn ld_preload(&self, before: Option<&OsStr>) -> OsString {
        let mut value = self.path.clone().into_os_string();
        let others = before.map(OsStr::as_bytes).unwrap_or_default();
        for other in others.split(|&byte| byte == b':' || byte == b' ').filter(|other| !is_recorder(other)) {
            value.push(":");
            value.push(OsStr::from_bytes(other));
        }
        value
    }
}

fn is_recorder(library: &[u8]) -> bool {
    library.is_empty() || library.ends_with(LIBRARY_NAME.as_bytes())
}

/// Whether the loader takes a path in `LD_PRELOAD` as it is: no separators, nothing that it expands.
pub fn is_loadable_path(path: &Path) -> bool {
    !path.as_os_str().as_bytes().iter().any(|byte| matches!(byte, b':' | b'$') || byte.is_ascii_whitespace())
}
