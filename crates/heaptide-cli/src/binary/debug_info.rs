//! Where an executable's names and lines can come from.

use std::path::{Path, PathBuf};

use memchr::memmem;
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection};

/// Where separate debug files are kept.
const DEBUG_DIR: &str = "/usr/lib/debug";

/// The best source of names and lines that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DebugInfo {
    /// Functions, files and lines, inside the executable.
    Inside,
    /// The same, in another file.
    Separate(PathBuf),
    /// The executable refers to `.dwo` files or a `.dwp`.
    Split {
        /// The package, if it is there.
        package: Option<PathBuf>,
    },
    /// Names of functions, no lines.
    SymbolsOnly,
    /// Only the names of exported functions.
    Stripped,
}

impl DebugInfo {
    /// Looks in the file and at the usual places beside it.
    pub fn find(path: &Path, file: Option<&ElfFile64<'_, LittleEndian>>) -> DebugInfo {
        let Some(file) = file else {
            return DebugInfo::Stripped;
        };
        let has = |name: &str| file.section_by_name(name).is_some_and(|section| section.size() > 0);
        if has(".debug_info") {
            return match is_split(file) {
                true => DebugInfo::Split { package: package_of(path) },
                false => DebugInfo::Inside,
            };
        }
        if let Some(separate) = by_build_id(file).or_else(|| by_link(path, file)) {
            return DebugInfo::Separate(separate);
        }
        match has(".symtab") || has(".gnu_debugdata") {
            true => DebugInfo::SymbolsOnly,
            false => DebugInfo::Stripped,
        }
    }
}

/// Whether any unit is only the skeleton of one in a `.dwo` file.
fn is_split(file: &ElfFile64<'_, LittleEndian>) -> bool {
    const SKELETON: u8 = 4;
    // `data` is as it is stored: of compressed sections nothing is known here.
    let data = |name: &str| file.section_by_name(name).and_then(|section| section.data().ok()).unwrap_or_default();
    let mut units = data(".debug_info");
    let mut has_version_4 = false;
    while let Some((&[a, b, c, d, version_low, version_high, kind], _)) = units.split_first_chunk() {
        let version = u16::from_le_bytes([version_low, version_high]);
        match version {
            5 if kind == SKELETON => return true,
            2..=5 => has_version_4 |= version == 4,
            _ => break,
        }
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        units = units.get(length.saturating_add(4)..).unwrap_or_default();
    }
    // GNU's split DWARF 4 has no mark in its headers.
    has_version_4 && memmem::find(data(".debug_str"), b".dwo\0").is_some()
}

fn package_of(path: &Path) -> Option<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(".dwp");
    Some(PathBuf::from(name)).filter(|package| package.is_file())
}

fn by_build_id(file: &ElfFile64<'_, LittleEndian>) -> Option<PathBuf> {
    let (first, rest) = file.build_id().ok()??.split_first()?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let path = PathBuf::from(format!("{DEBUG_DIR}/.build-id/{}/{}.debug", hex(&[*first]), hex(rest)));
    path.is_file().then_some(path)
}

fn by_link(path: &Path, file: &ElfFile64<'_, LittleEndian>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let (name, _checksum) = file.gnu_debuglink().ok()??;
    let name = Path::new(std::ffi::OsStr::from_bytes(name)).file_name()?;
    let dir = std::fs::canonicalize(path).ok()?.parent()?.to_path_buf();
    let in_system = Path::new(DEBUG_DIR).join(dir.strip_prefix("/").ok()?);
    [dir.join(name), dir.join(".debug").join(name), in_system.join(name)]
        .into_iter()
        .find(|candidate| candidate.is_file() && candidate != path)
}
