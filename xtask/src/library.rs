//! The preload library as it lies inside the command line tool: what it needs, which versions of it, and what it hooks.
//!
//! A library that needs a symbol which its libc lacks is not loaded at all, and one that exports a name too many
//! replaces a function of the program.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use object::elf::{FileHeader64, STB_LOCAL};
use object::read::elf::{Dyn, FileHeader, SectionHeader, Sym};
use object::{Endianness, elf};

use crate::cargo::{cargo, root, target_dir};
use crate::program;

/// Everything that the library may replace in a program.
const HOOKS: [&str; 20] = [
    "aligned_alloc",
    "calloc",
    "cfree",
    "dlclose",
    "dlopen",
    "free",
    "free_aligned_sized",
    "free_sized",
    "malloc",
    "malloc_usable_size",
    "memalign",
    "mmap",
    "mmap64",
    "mremap",
    "munmap",
    "posix_memalign",
    "pvalloc",
    "realloc",
    "reallocarray",
    "valloc",
];

/// Start of the names of libraries that every program of glibc has already.
const NEEDED: [&str; 2] = ["libc.so.", "ld-linux"];
/// The oldest glibc that recorded programs may have.
const GLIBC: [u32; 2] = [2, 34];

/// What a library needs and exports.
#[derive(Debug, Default)]
struct Library {
    needed: Vec<String>,
    versions: Vec<String>,
    exported: BTreeSet<String>,
}

/// Checks the library that this checkout's tool carries.
pub fn check() -> Result<()> {
    program::run(&mut cargo(&["build", "--quiet", "--package", "heaptide-cli"]))?;
    let target = target_dir()?;
    let path = target.join("xtask").join("libheaptide.so");
    fs::create_dir_all(target.join("xtask"))?;
    let mut heaptide = Command::new(target.join("debug/heaptide"));
    heaptide.current_dir(root()).args(["preload-path", "--force", "--output"]).arg(&path);
    program::output(&mut heaptide)?;

    let bytes = fs::read(&path)?;
    let library = Library::read(&bytes).with_context(|| format!("cannot read {}", path.display()))?;
    let mistakes = library.mistakes();
    ensure!(mistakes.is_empty(), "{}:\n  {}", path.display(), mistakes.join("\n  "));
    println!("{} bytes, needs {} of {}", bytes.len(), library.versions.join(" "), library.needed.join(" "));
    Ok(())
}

impl Library {
    fn read(bytes: &[u8]) -> Result<Library> {
        let header = FileHeader64::<Endianness>::parse(bytes)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, bytes)?;
        let mut library = Library::default();

        let symbols = sections.symbols(endian, bytes, elf::SHT_DYNSYM)?;
        for symbol in symbols.iter().filter(|symbol| symbol.st_bind() != STB_LOCAL && !symbol.is_undefined(endian)) {
            library.exported.insert(text(symbol.name(endian, symbols.strings())?));
        }
        for section in sections.iter() {
            if let Some((entries, link)) = section.dynamic(endian, bytes)? {
                let strings = sections.strings(endian, bytes, link)?;
                for entry in entries.iter().filter(|entry| entry.tag(endian) == elf::DT_NEEDED) {
                    library.needed.push(text(entry.string(endian, strings)?));
                }
            }
            if let Some((mut files, link)) = section.gnu_verneed(endian, bytes)? {
                let strings = sections.strings(endian, bytes, link)?;
                while let Some((_, mut versions)) = files.next()? {
                    while let Some(version) = versions.next()? {
                        library.versions.push(text(version.name(endian, strings)?));
                    }
                }
            }
        }
        library.versions.sort();
        library.versions.dedup();
        Ok(library)
    }

    fn mistakes(&self) -> Vec<String> {
        let hooks: BTreeSet<String> = HOOKS.map(str::to_owned).into();
        let needed = self.needed.iter().filter(|name| !NEEDED.iter().any(|known| name.starts_with(known)));
        let versions = self.versions.iter().filter(|version| is_newer(version));
        let mut mistakes: Vec<String> = needed.map(|name| format!("needs the library {name}")).collect();
        mistakes.extend(versions.map(|version| format!("needs {version}, newer than {}.{}", GLIBC[0], GLIBC[1])));
        mistakes.extend(self.exported.difference(&hooks).map(|name| format!("exports {name}")));
        mistakes.extend(hooks.difference(&self.exported).map(|name| format!("does not export {name}")));
        mistakes
    }
}

/// Whether a version is of a glibc that is too new, or of nothing known.
fn is_newer(version: &str) -> bool {
    let numbers = version.strip_prefix("GLIBC_").map(|numbers| numbers.split('.').map(str::parse::<u32>).collect());
    match numbers {
        Some(Ok(numbers)) => {
            let numbers: Vec<u32> = numbers;
            numbers.as_slice() > [GLIBC[0], GLIBC[1], u32::MAX].as_slice()
        }
        _ => true,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, expected) in [
            ("GLIBC_2.2.5", false),
            ("GLIBC_2.34", false),
            ("GLIBC_2.35", true),
            ("GLIBC_3.0", true),
            ("GCC_3.0", true),
        ] {
            assert_eq!(is_newer(version), expected, "{version}");
        }
    }

    #[test]
    fn whatever_is_too_much_or_missing_is_told() {
        let mut library = Library {
            needed: vec!["libc.so.6".to_owned(), "libgcc_s.so.1".to_owned()],
            versions: vec!["GLIBC_2.36".to_owned()],
            exported: HOOKS.map(str::to_owned).into(),
        };
        library.exported.remove("free");
        library.exported.insert("open".to_owned());
        let expected = [
            "needs the library libgcc_s.so.1",
            "needs GLIBC_2.36, newer than 2.34",
            "exports open",
            "does not export free",
        ];
        assert_eq!(library.mistakes(), expected);
    }

    #[test]
    fn a_library_of_the_system_can_be_read() {
        let own = fs::read(std::env::current_exe().expect("a path")).expect("this test's bytes");
        let library = Library::read(&own).expect("an ELF file");
        assert!(library.needed.iter().any(|name| name.starts_with("libc.so.")), "{library:?}");
        assert!(library.versions.iter().any(|version| version.starts_with("GLIBC_")), "{library:?}");
    }
}
