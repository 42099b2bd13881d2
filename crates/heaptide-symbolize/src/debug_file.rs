//! Where the debug information of a stripped file is kept.
//!
//! By build id (`/usr/lib/debug/.build-id/xx/yyyy.debug`, and what `debuginfod-find` downloaded before), by the name
//! in `.gnu_debuglink`, and the part shared by several files by `.gnu_debugaltlink`. A candidate counts only if it
//! proves to belong to the file: by build id, or by the link's checksum where there is none.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::Object;

use crate::elf_file::ElfFile;

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The separate debug file of `file`, if there is one that belongs to it.
pub(crate) fn find(file: &ElfFile, debug_dirs: &[PathBuf]) -> Option<ElfFile> {
    let build_id = file.build_id();
    if let Some(found) = build_id.as_deref().and_then(|id| by_build_id(id, debug_dirs)) {
        return Some(found);
    }
    let object = file.object()?;
    let (name, checksum) = object.gnu_debuglink().ok()??;
    linked_places(file, name, debug_dirs).into_iter().find_map(|path| {
        let found = ElfFile::open(&path).ok()?;
        let belongs = match (&build_id, found.build_id()) {
            (Some(ours), Some(theirs)) => *ours == theirs,
            _ => crc32fast::hash(found.bytes()) == checksum,
        };
        belongs.then_some(found)
    })
}

/// The file that holds what `debug_file` shares with others (made by `dwz`).
pub(crate) fn find_shared(debug_file: &ElfFile, debug_dirs: &[PathBuf]) -> Option<ElfFile> {
    let object = debug_file.object()?;
    let (name, build_id) = object.gnu_debugaltlink().ok()??;
    let beside = debug_file.path.canonicalize().ok()?.parent()?.join(OsStr::from_bytes(name));
    ElfFile::open(&beside)
        .ok()
        .filter(|found| found.build_id().as_deref() == Some(build_id))
        .or_else(|| by_build_id(build_id, debug_dirs))
}

fn by_build_id(build_id: &[u8], debug_dirs: &[PathBuf]) -> Option<ElfFile> {
    let (first, rest) = build_id.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let in_dirs =
        debug_dirs.iter().map(|dir| dir.join(".build-id").join(hex(&[*first])).join(format!("{}.debug", hex(rest))));
    let downloaded = debuginfod_cache().map(|dir| dir.join(hex(build_id)).join("debuginfo"));
    in_dirs
        .chain(downloaded)
        .filter_map(|path| ElfFile::open(&path).ok())
        .find(|found| found.build_id().as_deref() == Some(build_id))
}

fn linked_places(file: &ElfFile, name: &[u8], debug_dirs: &[PathBuf]) -> Vec<PathBuf> {
    let name = Path::new(OsStr::from_bytes(name));
    let Ok(real) = file.path.canonicalize() else {
        return Vec::new();
    };
    let Some(dir) = real.parent().filter(|_| name.components().count() == 1) else {
        return Vec::new();
    };
    let mut places = vec![dir.join(name), dir.join(".debug").join(name)];
    for debug_dir in debug_dirs {
        places.push(debug_dir.join(dir.strip_prefix("/").unwrap_or(dir)).join(name));
        places.push(debug_dir.join(name));
    }
    places.retain(|place| *place != real);
    places
}

/// Where elfutils keeps what was downloaded.
fn debuginfod_cache() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("DEBUGINFOD_CACHE_PATH") {
        return Some(PathBuf::from(dir));
    }
    crate::cache::user_cache_dir().map(|dir| dir.join("debuginfod_client"))
}
