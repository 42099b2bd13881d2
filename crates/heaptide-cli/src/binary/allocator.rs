//! Allocators that are linked into an executable: what they hand out, a preloaded recorder does not see.
//!
//! They are known by their functions, and in a stripped executable by their messages.

use memchr::memmem;
use object::read::elf::{ElfFile64, Sym as _};
use object::{LittleEndian, Object, ObjectSection};

/// Symbols that an answer shows.
const SHOWN_SYMBOLS: usize = 3;
/// A message that stands further back than this is not looked for.
const TEXT_BYTES: usize = 256 << 20;

/// An allocator inside an executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAllocator {
    /// What it is called.
    pub name: &'static str,
    /// What it is known by: names of functions, or a text.
    pub evidence: Vec<String>,
    /// What its presence means.
    pub role: Role,
}

/// What an allocator does in its executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It replaces `malloc` for the whole process, in front of every library.
    ReplacesMalloc,
    /// The program calls it by names of its own, such as Rust's `#[global_allocator]`.
    CalledDirectly,
    /// It checks memory accesses and insists on being `malloc`.
    Sanitizer,
}

struct Known {
    name: &'static str,
    role: Role,
    functions: &'static [&'static str],
    /// Each in two parts, so that it does not stand in this binary.
    texts: &'static [(&'static str, &'static str)],
}

const KNOWN: [Known; 8] = [
    Known {
        name: "jemalloc",
        role: Role::CalledDirectly,
        functions: &[
            "_rjem_malloc",
            "_rjem_mallocx",
            "_rjem_sdallocx",
            "je_malloc",
            "je_mallocx",
            "mallocx",
            "sdallocx",
        ],
        texts: &[("<jemal", "loc>: ")],
    },
    Known {
        name: "mimalloc",
        role: Role::CalledDirectly,
        functions: &["mi_malloc", "mi_malloc_aligned", "mi_heap_malloc", "_mi_malloc_generic", "mi_free"],
        texts: &[("mimal", "loc: ")],
    },
    Known {
        name: "tcmalloc",
        role: Role::CalledDirectly,
        functions: &["tc_malloc", "tc_new", "tc_free", "TCMallocInternalMalloc", "TCMallocInternalNew"],
        texts: &[("TCMALLOC_", "SAMPLE_PARAMETER"), ("tcmalloc: ", "large alloc")],
    },
    Known {
        name: "snmalloc",
        role: Role::CalledDirectly,
        functions: &["sn_malloc", "sn_rust_alloc", "sn_free"],
        texts: &[],
    },
    Known { name: "rpmalloc", role: Role::CalledDirectly, functions: &["rpmalloc", "rpfree"], texts: &[] },
    Known {
        name: "Scudo",
        role: Role::CalledDirectly,
        functions: &["scudo_allocate", "scudo_malloc"],
        texts: &[("Scudo ", "ERROR: ")],
    },
    Known { name: "dlmalloc", role: Role::CalledDirectly, functions: &["dlmalloc", "dlfree"], texts: &[] },
    Known {
        name: "a sanitizer",
        role: Role::Sanitizer,
        functions: &["__asan_init", "__msan_init", "__tsan_init", "__lsan_init", "__hwasan_init"],
        texts: &[],
    },
];

/// Allocators that `file` defines.
pub fn find(file: &ElfFile64<'_, LittleEndian>) -> Vec<OwnAllocator> {
    let mut evidence: Vec<Vec<String>> = vec![Vec::new(); KNOWN.len()];
    for name in defined_functions(file) {
        for (known, evidence) in KNOWN.iter().zip(&mut evidence) {
            if known.functions.iter().any(|function| function.as_bytes() == name) && evidence.len() < SHOWN_SYMBOLS {
                evidence.push(String::from_utf8_lossy(name).into_owned());
                evidence.dedup();
            }
        }
    }
    if file.elf_symbol_table().is_empty() {
        for (known, evidence) in KNOWN.iter().zip(&mut evidence) {
            let mut texts = known.texts.iter().map(|(begin, end)| format!("{begin}{end}"));
            let text = texts.find(|text| evidence.is_empty() && has_text(file, text.as_bytes()));
            evidence.extend(text.map(|text| format!("the text {text:?}")));
        }
    }
    let mut found: Vec<OwnAllocator> = KNOWN
        .iter()
        .zip(evidence)
        .filter(|(_, evidence)| !evidence.is_empty())
        .map(|(known, evidence)| OwnAllocator { name: known.name, evidence, role: known.role })
        .collect();

    if exports(file, b"malloc") {
        let evidence = "malloc".to_owned();
        if let Some(allocator) = found.iter_mut().find(|allocator| allocator.role == Role::CalledDirectly) {
            allocator.role = Role::ReplacesMalloc;
            allocator.evidence.insert(0, evidence);
        } else if found.is_empty() {
            let name = "an allocator of its own";
            found.push(OwnAllocator { name, evidence: vec![evidence], role: Role::ReplacesMalloc });
        }
    }
    found
}

/// Names of the functions that a file defines, from all of its symbol tables.
fn defined_functions<'d>(file: &ElfFile64<'d, LittleEndian>) -> impl Iterator<Item = &'d [u8]> {
    let tables = [*file.elf_symbol_table(), *file.elf_dynamic_symbol_table()];
    tables.into_iter().flat_map(|table| {
        let strings = table.strings();
        table
            .symbols()
            .iter()
            .filter(|symbol| symbol.st_value(LittleEndian) != 0 && !symbol.is_undefined(LittleEndian))
            .filter_map(move |symbol| symbol.name(LittleEndian, strings).ok())
    })
}

/// Whether other modules find a function of this name in the file, before they look anywhere else.
fn exports(file: &ElfFile64<'_, LittleEndian>, function: &[u8]) -> bool {
    let table = file.elf_dynamic_symbol_table();
    table
        .symbols()
        .iter()
        .filter(|symbol| symbol.st_value(LittleEndian) != 0 && !symbol.is_undefined(LittleEndian))
        .any(|symbol| symbol.name(LittleEndian, table.strings()) == Ok(function))
}

/// Whether a text stands among the file's constants.
pub fn has_text(file: &ElfFile64<'_, LittleEndian>, text: &[u8]) -> bool {
    let Some(data) = file.section_by_name(".rodata").and_then(|section| section.data().ok()) else {
        return false;
    };
    memmem::find(&data[..data.len().min(TEXT_BYTES)], text).is_some()
}
