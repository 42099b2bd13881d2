//! From a name to a file that can be run.
//!
//! A source's first line carries its compiler flags, a second one may name the libraries it loads, which lie beside it:
//!
//! ```c
//! // flags: -O2 -g -pthread
//! // needs: robust/plugin-alpha robust/plugin-bravo
//! ```
//!
//! Compiled files are kept in `target/programs/` and made again when a source of the folder or an include is newer. They appear by rename,
//! so tests that run at once cannot see a half-written one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

const FOLDERS: [&str; 2] = ["exact", "robust"];

/// The compiled program (or, for a source with `-shared`, library) called `name`, as `exact/c-all-calls`.
///
/// # Panics
///
/// Where there is no such source, or the compiler (`CC`, `CXX`, `RUSTC`, or else `cc`, `c++`, `rustc`) refuses it.
pub fn program(name: &str) -> PathBuf {
    let source = Source::find(name);
    for needed in source.header("// needs: ") {
        program(&needed);
    }
    let output = target().join(name).with_extension(if source.is_library() { "so" } else { "" });
    if modified(&output) <= source.newest() {
        source.compile(&output);
    }
    output
}

/// The names of all programs, in order; libraries that only other programs load are not among them.
pub fn list() -> Vec<String> {
    let mut names = Vec::new();
    for folder in FOLDERS {
        for path in files(&home().join(folder)) {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let Some(name) = stem.filter(|_| Language::of(&path).is_some()).map(|stem| format!("{folder}/{stem}"))
            else {
                continue;
            };
            if !Source::find(&name).is_library() {
                names.push(name);
            }
        }
    }
    names.sort();
    names
}

#[derive(Clone, Copy)]
enum Language {
    C,
    Cpp,
    Rust,
}

impl Language {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "c" => Some(Self::C),
            "cpp" => Some(Self::Cpp),
            "rs" => Some(Self::Rust),
            _ => None,
        }
    }

    fn compiler(self) -> Command {
        let (variable, usual) = match self {
            Self::C => ("CC", "cc"),
            Self::Cpp => ("CXX", "c++"),
            Self::Rust => ("RUSTC", "rustc"),
        };
        let mut command = Command::new(std::env::var_os(variable).unwrap_or_else(|| usual.into()));
        if !matches!(self, Self::Rust) {
            command.arg("-I").arg(home().join("include"));
        }
        command
    }
}

struct Source {
    path: PathBuf,
    language: Language,
    text: String,
}

impl Source {
    fn find(name: &str) -> Self {
        let path = ["c", "cpp", "rs"]
            .iter()
            .map(|extension| home().join(format!("{name}.{extension}")))
            .find(|path| path.is_file());
        let Some((path, language)) = path.and_then(|path| Some((path.clone(), Language::of(&path)?))) else {
            panic!("no program is called `{name}`");
        };
        match fs::read_to_string(&path) {
            Ok(text) => Self { path, language, text },
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }

    /// The words after `prefix` in one of the first two lines.
    fn header(&self, prefix: &str) -> Vec<String> {
        let words = self.text.lines().take(2).find_map(|line| line.strip_prefix(prefix)).unwrap_or_default();
        words.split_whitespace().map(str::to_owned).collect()
    }

    fn is_library(&self) -> bool {
        self.header("// flags: ").iter().any(|flag| flag == "-shared")
    }

    /// When this source, or anything it may include, was last changed.
    fn newest(&self) -> Option<SystemTime> {
        let beside = self.path.parent().map(files).unwrap_or_default();
        beside.iter().chain(&files(&home().join("include"))).filter_map(|path| modified(path)).max()
    }

    fn compile(&self, output: &Path) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let unfinished = output.with_extension(format!("{}-{count}.unfinished", std::process::id()));
        if let Some(Err(error)) = output.parent().map(fs::create_dir_all) {
            panic!("{}: {error}", output.display());
        }
        let mut compiler = self.language.compiler();
        compiler.arg(&self.path).args(self.header("// flags: ")).arg("-o").arg(&unfinished);
        match compiler.output() {
            Ok(done) if done.status.success() => {}
            Ok(done) => panic!("{compiler:?} failed:\n{}", String::from_utf8_lossy(&done.stderr)),
            Err(error) => panic!("{compiler:?}: {error}"),
        }
        if let Err(error) = fs::rename(&unfinished, output) {
            panic!("{}: {error}", output.display());
        }
    }
}

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => PathBuf::from(target).join("programs"),
        None => home().with_file_name("target").join("programs"),
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect()
}

/// `None`, which is before any time, where there is no such file.
fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::{list, modified, program};

    #[test]
    fn a_program_is_compiled_once() {
        let first = program("exact/c-strdup");
        let made = modified(&first);
        assert!(made.is_some());
        assert_eq!(modified(&program("exact/c-strdup")), made);
    }

    #[test]
    fn libraries_are_no_programs() {
        let names = list();
        assert!(names.iter().any(|name| name == "robust/dlopen-storm"));
        assert!(!names.iter().any(|name| name == "robust/plugin-alpha"));
        assert!(program("robust/plugin-alpha").to_string_lossy().ends_with("plugin-alpha.so"));
    }
}
