//! What an executable's headers, symbols and sections say.

use std::io;
use std::path::{Path, PathBuf};

use object::elf::{self, FileHeader64};
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, Object};

use super::allocator::{self, OwnAllocator};
use super::debug_info::DebugInfo;
use super::privilege::{self, Privilege};
use crate::os;

/// The architecture that this `heaptide` records.
#[cfg(target_arch = "x86_64")]
const OWN_MACHINE: elf::Machine = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const OWN_MACHINE: elf::Machine = elf::EM_AARCH64;

/// An executable, as far as recording is concerned.
#[derive(Debug)]
pub struct Image {
    /// The file.
    pub path: PathBuf,
    /// How it meets its C library.
    pub linkage: Linkage,
    /// Libraries that it asks for.
    pub needed: Vec<String>,
    /// Allocators inside it.
    pub allocators: Vec<OwnAllocator>,
    /// Whether it was made by the Go compiler.
    pub is_go: bool,
    /// Whether it was made by the Rust compiler.
    pub is_rust: bool,
    /// Whether it has tables to unwind its stack by.
    pub has_unwind_tables: bool,
    /// Where names and lines come from.
    pub debug_info: DebugInfo,
    /// What makes the kernel distrust the environment.
    pub privilege: Option<Privilege>,
}

/// How an executable meets its C library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Through this loader of glibc.
    Glibc(String),
    /// Through musl's.
    Musl(String),
    /// Through another one.
    OtherLoader(String),
    /// Not at all: everything is inside.
    Static,
    /// It is a loader itself.
    Loader,
}

/// Why an executable cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It may be executable all the same.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The kernel would refuse it as well.
    #[error("it is made for {found}, this machine is {}", std::env::consts::ARCH)]
    WrongArchitecture {
        /// The other architecture.
        found: String,
    },
    /// The kernel may run it; the recorder cannot be loaded into it.
    #[error("it is a 32-bit program")]
    Not64Bit,
    /// It is an object file, a core dump or damaged.
    #[error("it is not an ELF executable: {0}")]
    Malformed(String),
}

impl Image {
    /// Looks into the file at `path`.
    pub fn read(path: &Path) -> Result<Image, ImageError> {
        let bytes = os::map_file(path)?;
        check_ident(&bytes)?;
        let malformed = |error: object::read::Error| ImageError::Malformed(error.to_string());
        let header = FileHeader64::<LittleEndian>::parse(&*bytes).map_err(malformed)?;
        check_kind(header.e_type(LittleEndian))?;

        let segments = header.program_headers(LittleEndian, &*bytes).map_err(malformed)?;
        let interpreter = segments.iter().find_map(|segment| segment.interpreter(LittleEndian, &*bytes).ok()?);
        let has_eh_frame_header = segments.iter().any(|segment| segment.p_type(LittleEndian) == elf::PT_GNU_EH_FRAME);

        // A file without or with damaged sections still runs; it only says less.
        let file = ElfFile64::<LittleEndian>::parse(&*bytes).ok();
        let has_section = |name: &str| file.as_ref().is_some_and(|file| file.section_by_name(name).is_some());
        let needed = file.as_ref().map(needed).unwrap_or_default();
        Ok(Image {
            path: path.to_path_buf(),
            linkage: linkage(path, interpreter),
            allocators: file.as_ref().map(allocator::find).unwrap_or_default(),
            needed,
            is_go: has_section(".note.go.buildid") || has_section(".go.buildinfo"),
            is_rust: file.as_ref().is_some_and(is_rust),
            has_unwind_tables: has_eh_frame_header || has_section(".eh_frame"),
            debug_info: DebugInfo::find(path, file.as_ref()),
            privilege: privilege::of(path),
        })
    }

    /// Allocator libraries that are loaded beside it: the recorder sees through those.
    pub fn allocator_library(&self) -> Option<&str> {
        self.needed.iter().map(String::as_str).find(|name| {
            ["libjemalloc", "libtcmalloc", "libmimalloc", "libsnmalloc", "librpmalloc"]
                .iter()
                .any(|known| name.starts_with(known))
        })
    }
}

fn check_ident(bytes: &[u8]) -> Result<(), ImageError> {
    let word = |at: usize| bytes.get(at).copied().unwrap_or(0);
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(ImageError::Malformed("it does not begin as one".to_owned()));
    }
    let is_little_endian = word(5) == elf::ELFDATA2LSB.0;
    let machine = match is_little_endian {
        true => u16::from_le_bytes([word(18), word(19)]),
        false => u16::from_be_bytes([word(18), word(19)]),
    };
    let is_own_32_bit = cfg!(target_arch = "x86_64") && machine == elf::EM_386.0;
    if (machine != OWN_MACHINE.0 && !is_own_32_bit) || !is_little_endian {
        return Err(ImageError::WrongArchitecture { found: machine_name(machine) });
    }
    match word(4) == elf::ELFCLASS64.0 {
        true => Ok(()),
        false => Err(ImageError::Not64Bit),
    }
}

fn machine_name(machine: u16) -> String {
    let name = match elf::Machine(machine) {
        elf::EM_X86_64 => "x86_64",
        elf::EM_386 => "x86",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_ARM => "arm",
        elf::EM_RISCV => "riscv",
        elf::EM_PPC64 => "powerpc64",
        elf::EM_S390 => "s390x",
        elf::EM_MIPS => "mips",
        elf::EM_LOONGARCH => "loongarch",
        _ => return format!("another machine (number {machine})"),
    };
    name.to_owned()
}

fn check_kind(kind: elf::FileType) -> Result<(), ImageError> {
    let what = match kind {
        elf::ET_EXEC | elf::ET_DYN => return Ok(()),
        elf::ET_REL => "it is an object file, not linked yet",
        elf::ET_CORE => "it is a core dump",
        _ => "it is of an unknown kind",
    };
    Err(ImageError::Malformed(what.to_owned()))
}

fn linkage(path: &Path, interpreter: Option<&[u8]>) -> Linkage {
    let is_loader =
        |name: &str| name.starts_with("ld-linux") || name.starts_with("ld64.so") || name.starts_with("ld.so");
    let Some(interpreter) = interpreter else {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return if is_loader(&name) { Linkage::Loader } else { Linkage::Static };
    };
    let interpreter = String::from_utf8_lossy(interpreter).into_owned();
    let name = interpreter.rsplit('/').next().unwrap_or_default();
    if is_loader(name) {
        Linkage::Glibc(interpreter)
    } else if name.starts_with("ld-musl") {
        Linkage::Musl(interpreter)
    } else {
        Linkage::OtherLoader(interpreter)
    }
}

fn needed(file: &ElfFile64<'_, LittleEndian>) -> Vec<String> {
    let Ok(table) = file.elf_dynamic_table() else {
        return Vec::new();
    };
    table
        .iter()
        .filter(|entry| entry.tag == elf::DT_NEEDED)
        .filter_map(|entry| table.string(entry).ok())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

fn is_rust(file: &ElfFile64<'_, LittleEndian>) -> bool {
    file.section_by_name(".debug_gdb_scripts").is_some() || allocator::has_text(file, b"/rustc/")
}
