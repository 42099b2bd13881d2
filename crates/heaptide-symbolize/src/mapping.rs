//! Files as memory, so that a debug file of gigabytes costs only the pages that are read.
//!
//! This is the crate's only `unsafe`. It refuses whatever is not a regular file: opening a pipe could wait for ever.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// Maps a regular file read-only.
pub(crate) fn map(path: &Path) -> io::Result<Mmap> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    // SAFETY: the mapping is read-only and owned by the returned value. As in every debugger, the bytes are the
    // file's for as long as nobody truncates it; a linker replaces a file instead of rewriting it in place.
    unsafe { Mmap::map(&file) }
}
