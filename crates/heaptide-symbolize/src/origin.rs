//! Whose code a frame is, so that a report can fold what is between `malloc` and the line that asked for memory.
//!
//! It decides from strings alone (function, file, module) and therefore works on imported profiles too. Without
//! file names it cannot tell a dependency compiled into the executable from the program's own code, and says
//! [`Origin::User`]: what might be the reader's is never folded away.

mod classifier;
mod known;
mod path;

pub use classifier::Classifier;
use path::FunctionPath;

/// Whose code a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// Hands out memory: `malloc` and its kin, `operator new`, `__rust_alloc`, `RawVec`, `std::allocator`.
    Allocator,
    /// The language's library: containers, strings, formatting, libc.
    Standard,
    /// Starts processes and threads, and runs what they were given.
    Runtime,
    /// Somebody else's crate or library.
    Dependency,
    /// The program's own code.
    User,
}

impl Origin {
    /// Whether a frame with this origin says how memory was asked for, not what for.
    #[must_use]
    pub fn is_plumbing(self) -> bool {
        matches!(self, Self::Allocator | Self::Standard | Self::Runtime)
    }
}

/// Whose code is `function` (demangled), in source `file`, in the executable or library at path `module`?
///
/// ```
/// use heaptide_symbolize::origin::{Origin, classify};
///
/// let push = classify("alloc::vec::Vec<T,A>::push", Some("/rustc/5980/library/alloc/src/vec/mod.rs"), "/srv/kv");
/// assert_eq!(push, Origin::Standard);
/// assert_eq!(classify("kv::main", Some("src/main.rs"), "/srv/kv"), Origin::User);
/// ```
#[must_use]
pub fn classify(function: &str, file: Option<&str>, module: &str) -> Origin {
    let path = FunctionPath::parse(function, file);
    let place = || file.and_then(by_file).or_else(|| by_module(module));
    let origin = match path {
        // A bare name in a Rust file is all that line tables keep of an inlined function.
        FunctionPath::Plain { name } if is_rust(file) => by_rust_symbol(name).or_else(place),
        FunctionPath::Plain { name } => by_c_name(name, file, module).or_else(place),
        FunctionPath::Cpp { path } => by_cpp_path(path).or_else(place),
        FunctionPath::Rust { path, as_trait } => by_rust_path(path, as_trait).or_else(|| {
            // A function from elsewhere that shows a line of the library got it from inlined code.
            let from_elsewhere = file.is_none_or(|file| !file.contains(known::RUST_LIBRARY_DEPENDENCIES));
            place().filter(|&place| place == Origin::Dependency || !from_elsewhere)
        }),
    };
    origin.unwrap_or(Origin::User)
}

/// The name to sort a frame under: the crate of a Rust function, else the file name of `module`.
///
/// Crates are named as in code, with `_` where their package has `-`.
#[must_use]
pub fn crate_or_module_name(function: &str, file: Option<&str>, module: &str) -> String {
    let named = FunctionPath::parse(function, file).crate_name();
    let from_file = || file.filter(|_| is_rust(file)).and_then(path::crate_of_file);
    match named.map(str::to_owned).or_else(|| Some(from_file()?.replace('-', "_"))) {
        Some(name) => name,
        None => file_name(module).to_owned(),
    }
}

fn is_rust(file: Option<&str>) -> bool {
    file.is_some_and(|file| file.ends_with(".rs"))
}

fn by_rust_path(path: &str, as_trait: Option<&str>) -> Option<Origin> {
    // An allocator of the program's choice is still an allocator.
    let hands_out = as_trait.is_some_and(|implemented| within(implemented, &known::RUST_ALLOCATOR_TRAITS));
    if hands_out || within(path, &known::RUST_ALLOCATOR) {
        return Some(Origin::Allocator);
    }
    let spawns = within(path, &["std::thread"]) && path.contains("spawn");
    if spawns || within(path, &known::RUST_RUNTIME) {
        return Some(Origin::Runtime);
    }
    match path::first_segment(path) {
        "__rustc" => by_rust_symbol(path.trim_start_matches("__rustc::")).or(Some(Origin::Standard)),
        name => known::RUST_LIBRARY.contains(&name).then_some(Origin::Standard),
    }
}

fn by_rust_symbol(name: &str) -> Option<Origin> {
    known::RUST_ALLOCATOR_SYMBOLS.iter().any(|prefix| name.starts_with(prefix)).then_some(Origin::Allocator)
}

fn by_cpp_path(path: &str) -> Option<Origin> {
    let head = path.split(['(', '[']).next().unwrap_or(path);
    if head.starts_with("operator new") || head.starts_with("operator delete") || within(head, &known::CPP_ALLOCATOR) {
        return Some(Origin::Allocator);
    }
    if within(head, &["std::thread"]) {
        return Some(Origin::Runtime);
    }
    within(head, &known::CPP_LIBRARY).then_some(Origin::Standard)
}

fn by_c_name(name: &str, file: Option<&str>, module: &str) -> Option<Origin> {
    let without_prefix = known::MALLOC_PREFIXES.iter().filter_map(|prefix| name.strip_prefix(prefix));
    if without_prefix.chain([name]).any(|name| known::MALLOC_FAMILY.contains(&name)) {
        return Some(Origin::Allocator);
    }
    // A program may have a function of such a name itself; then it has a file outside of libc.
    let starts = known::C_RUNTIME.contains(&name) || name.starts_with("_dl_");
    if starts && (file.is_none() || by_module(module).is_some()) {
        return Some(Origin::Runtime);
    }
    by_rust_symbol(name)
}

/// The compiler's library and other people's code lie in known places.
fn by_file(file: &str) -> Option<Origin> {
    let lies_in = |places: &[&str]| places.iter().any(|place| file.contains(place));
    if lies_in(&known::STANDARD_PLACES) {
        if lies_in(&known::ALLOCATOR_FILES) {
            return Some(Origin::Allocator);
        }
        return Some(if lies_in(&known::RUNTIME_FILES) { Origin::Runtime } else { Origin::Standard });
    }
    (lies_in(&known::DEPENDENCY_PLACES) || file.starts_with("/usr/include/")).then_some(Origin::Dependency)
}

fn by_module(module: &str) -> Option<Origin> {
    let name = file_name(module);
    if name == "[vdso]" {
        return Some(Origin::Runtime);
    }
    // `libc.so.6`, `libc-2.31.so`, `libc.musl-x86_64.so.1` and `libstdc++.so.6.0.30` without their versions.
    let (stem, _) = name.split_once(".so")?;
    let stem = stem.split_once(".musl").map_or(stem, |(stem, _)| stem);
    let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    if known::ALLOCATOR_MODULES.contains(&stem) {
        return Some(Origin::Allocator);
    }
    if stem.starts_with("ld-") {
        return Some(Origin::Runtime);
    }
    if known::STANDARD_MODULES.contains(&stem) {
        return Some(Origin::Standard);
    }
    known::LIBRARY_DIRS.iter().any(|dir| module.starts_with(dir)).then_some(Origin::Dependency)
}

/// Whether `path` is one of `places` or inside of it.
fn within(path: &str, places: &[&str]) -> bool {
    let inside = |rest: &str| rest.is_empty() || rest.starts_with("::") || rest.starts_with('<');
    places.iter().any(|place| path.strip_prefix(place).is_some_and(inside))
}

fn file_name(module: &str) -> &str {
    module.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(module)
}

#[cfg(test)]
mod tests;
