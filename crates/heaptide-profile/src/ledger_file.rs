//! A ledger's file as words.
//!
//! The only unsafe code of this crate. It does not read the ledger; that is `heaptide_ledger::read::Reader`, which
//! trusts none of the words.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapMut, MmapOptions};

/// The words of a file, as they were or are being written. Nothing can be written through it.
///
/// Whoever cuts the file short while it is mapped here makes the next read beyond its new end fail with a bus error.
/// The recorder never cuts a ledger.
#[derive(Debug)]
pub(crate) struct LedgerFile {
    map: MmapMut,
}

impl LedgerFile {
    /// Maps the whole file. Bytes of a last word that is not complete are left out.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        // A private mapping, though nothing is ever written: an atomic load is sound only in memory that could be
        // written to.
        let mut options = MmapOptions::new();
        options.no_reserve_swap();
        // SAFETY: the recorder may change the file at any moment. Its bytes are only ever seen through atomic loads of
        // whole words, for which that is allowed: `words` is the only way to them.
        let map = unsafe { options.map_copy(file) }?;
        Ok(LedgerFile { map })
    }

    /// The words.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        let words = self.map.len() / size_of::<AtomicU64>();
        // SAFETY: the mapping is at least this long and lives as long as `self`; it begins at a page and so is aligned;
        // any bits are an `AtomicU64`; there is no other reference to the bytes.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), words) }
    }
}
