//! What must be known of an ELF file before its symbols may be used: whose they are and where it was mapped.

use std::io;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use object::{Object, ObjectSection, ObjectSegment};

use crate::mapping;

/// Loaders map whole pages; this is the page size of the format's smallest common denominator.
const PAGE_BYTES: u64 = 4096;

/// A mapped ELF file, parsed anew where it is looked at: parsing reads only its headers.
pub(crate) struct ElfFile {
    pub(crate) path: PathBuf,
    bytes: Mmap,
}

impl ElfFile {
    /// Opens a regular file that is ELF.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = Self {
            path: path.to_path_buf(),
            bytes: mapping::map(path)?,
        };
        object::File::parse(&*file.bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(file)
    }

    /// The whole file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The parsed headers; `None` only if the file changed since it was opened.
    pub(crate) fn object(&self) -> Option<object::File<'_>> {
        object::File::parse(&*self.bytes).ok()
    }

    /// GNU build id.
    pub(crate) fn build_id(&self) -> Option<Vec<u8>> {
        Some(self.object()?.build_id().ok()??.to_vec())
    }

    /// Whether the file itself holds DWARF.
    pub(crate) fn has_dwarf(&self) -> bool {
        self.object()
            .and_then(|object| Some(object.section_by_name(".debug_info")?.size() > 0))
            .unwrap_or(false)
    }
}

/// The address in the file that a module's base stands for: the page of its lowest segment.
pub(crate) fn lowest_page(object: &object::File<'_>) -> u64 {
    let lowest = object
        .segments()
        .map(|segment| segment.address())
        .min()
        .unwrap_or(0);
    lowest & !(PAGE_BYTES - 1)
}
