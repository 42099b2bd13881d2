//! What must be known of an ELF file before its symbols may be used: whose they are and where it was mapped.

use std::io;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use object::{CompressionFormat, Object, ObjectSection, ObjectSegment};

use crate::mapping;

/// Loaders map whole pages; this is the page size of the format's smallest common denominator.
const PAGE_BYTES: u64 = 4096;

/// No section unpacks to more than this many times its size: zlib cannot do 1032, and zstd does not with DWARF.
const COMPRESSION_MAX: u64 = 1100;
/// Most that is unpacked from one file.
const UNPACKED_BYTES_MAX: u64 = 8 << 30;

/// A mapped ELF file, parsed anew where it is looked at: parsing reads only its headers.
pub(crate) struct ElfFile {
    pub(crate) path: PathBuf,
    bytes: Mmap,
}

impl ElfFile {
    /// Opens a regular file that is ELF.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = Self { path: path.to_path_buf(), bytes: mapping::map(path)? };
        let invalid = |error: &str| io::Error::new(io::ErrorKind::InvalidData, error);
        let object = object::File::parse(&*file.bytes).map_err(|error| invalid(&error.to_string()))?;
        if unpacked_bytes(&object).is_none() {
            return Err(invalid("a compressed section claims an impossible size"));
        }
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
        self.object().and_then(|object| Some(object.section_by_name(".debug_info")?.size() > 0)).unwrap_or(false)
    }
}

/// The address in the file that a module's base stands for: the page of its lowest segment.
pub(crate) fn lowest_page(object: &object::File<'_>) -> u64 {
    let lowest = object.segments().map(|segment| segment.address()).min().unwrap_or(0);
    lowest & !(PAGE_BYTES - 1)
}

/// The size of all compressed sections once unpacked; `None` if they claim what cannot be.
fn unpacked_bytes(object: &object::File<'_>) -> Option<u64> {
    let mut total = 0_u64;
    for section in object.sections() {
        // A section that cannot be read is not unpacked either.
        let Ok(range) = section.compressed_file_range() else {
            continue;
        };
        if range.format != CompressionFormat::None {
            let possible = range.compressed_size.saturating_mul(COMPRESSION_MAX);
            total = total.checked_add(range.uncompressed_size).filter(|_| range.uncompressed_size <= possible)?;
        }
    }
    (total <= UNPACKED_BYTES_MAX).then_some(total)
}
