//! The files that describe one module: its own, and those its debug information was moved to.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use object::Object;

use crate::debug_file;
use crate::elf_file::{ElfFile, lowest_page};
use crate::lookup::{Lookup, Resolved};

/// The files that describe one module.
pub(crate) struct ModuleFiles {
    main: ElfFile,
    debug: Option<ElfFile>,
    shared: Option<ElfFile>,
}

impl ModuleFiles {
    /// Opens a module's file; its debug files are looked for by [`find_debug_files`](Self::find_debug_files).
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { main: ElfFile::open(path)?, debug: None, shared: None })
    }

    /// GNU build id of the file.
    pub(crate) fn build_id(&self) -> Option<Vec<u8>> {
        self.main.build_id()
    }

    /// Looks for debug information kept apart, if the file has none of its own.
    pub(crate) fn find_debug_files(&mut self, debug_dirs: &[PathBuf]) {
        if !self.main.has_dwarf() {
            self.debug = debug_file::find(&self.main, debug_dirs);
        }
        self.shared = self.dwarf_file().and_then(|file| debug_file::find_shared(file, debug_dirs));
    }

    /// Whether any of the files holds DWARF.
    pub(crate) fn has_dwarf(&self) -> bool {
        self.dwarf_file().is_some()
    }

    /// Changes when one of the files does.
    pub(crate) fn fingerprint(&self) -> String {
        let files = [Some(&self.main), self.debug.as_ref(), self.shared.as_ref()];
        let package = self.dwarf_file().map(|file| package_path(&file.path));
        let mut text = String::new();
        for path in files.into_iter().flatten().map(|file| &file.path).chain(package.as_ref()) {
            if let Ok(found) = fs::metadata(path) {
                let modified = (found.mtime(), found.mtime_nsec());
                text.push_str(&format!("{} {} {}.{:09}\n", path.display(), found.len(), modified.0, modified.1));
            }
        }
        text
    }

    /// The frames of each offset of `offsets`, told one by one.
    pub(crate) fn resolve(&self, offsets: &[u64], tell: impl FnMut(u64, Resolved)) {
        let Some(main) = self.main.object() else {
            return;
        };
        let debug = self.debug.as_ref().and_then(ElfFile::object);
        let dwarf_object = if self.main.has_dwarf() { Some(&main) } else { debug.as_ref() };
        let objects = debug.iter().chain([&main]).collect();
        Lookup::new(self.loader(), dwarf_object, objects).resolve_all(lowest_page(&main), offsets, tell);
    }

    fn dwarf_file(&self) -> Option<&ElfFile> {
        [Some(&self.main), self.debug.as_ref()].into_iter().flatten().find(|file| file.has_dwarf())
    }

    fn loader(&self) -> Option<Loader> {
        let path = &self.dwarf_file()?.path;
        let package = package_path(path);
        // The loader would unpack a damaged package without asking.
        if package.exists() {
            ElfFile::open(&package).ok()?;
        }
        Loader::new_with_sup(path, self.shared.as_ref().map(|file| &file.path)).ok()
    }
}

/// The frames of the kernel's library, which has a symbol table and nothing else.
pub(crate) fn resolve_bytes(bytes: &[u8], offsets: &[u64], tell: impl FnMut(u64, Resolved)) {
    let Ok(object) = object::File::parse(bytes) else {
        return;
    };
    Lookup::new(None, None, vec![&object]).resolve_all(lowest_page(&object), offsets, tell);
}

/// GNU build id of an ELF file in memory.
pub(crate) fn build_id_of(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(object::File::parse(bytes).ok()?.build_id().ok()??.to_vec())
}

/// Where the packed split DWARF of a file is looked for: `name.dwp`, `libname.so.dwp`.
fn package_path(path: &Path) -> PathBuf {
    let mut extension = path.extension().map(ToOwned::to_owned).unwrap_or_default();
    extension.push(if extension.is_empty() { "dwp" } else { ".dwp" });
    path.with_extension(extension)
}
