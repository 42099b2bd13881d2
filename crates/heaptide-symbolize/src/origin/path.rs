//! Demangled names, taken apart as far as needed to see whose they are.

/// Crates of Rust's library: a trait of theirs says nothing about who implements it.
const LIBRARY: [&str; 3] = ["alloc", "core", "std"];

/// Where types without a crate have their functions.
const BUILTIN: &str = "core";

/// A function's name by language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FunctionPath<'n> {
    /// A name without a path: C, or all that is known.
    Plain {
        /// The name.
        name: &'n str,
    },
    /// A qualified name.
    Cpp {
        /// Without return type: `std::vector<int>::push_back(int&&)`.
        path: &'n str,
    },
    /// A path.
    Rust {
        /// Begins with a crate: that of the type if the function belongs to one, except for foreign types' own traits.
        path: &'n str,
        /// The trait it implements.
        as_trait: Option<&'n str>,
    },
}

impl<'n> FunctionPath<'n> {
    pub(super) fn parse(function: &'n str, file: Option<&str>) -> Self {
        let parameters = top_level(function, '(');
        if parameters.is_some() && !file.is_some_and(|file| file.ends_with(".rs")) {
            return Self::Cpp { path: without_return_type(function) };
        }
        if let Some(qualified) = function.strip_prefix('<') {
            return Self::parse_qualified(qualified).unwrap_or(Self::Plain { name: function });
        }
        let segments = top_level_str(function, "::");
        if segments.is_some() && !first_segment(function).is_empty() {
            return Self::Rust { path: function, as_trait: None };
        }
        Self::Plain { name: function }
    }

    /// The rest of `<Type>::function` and `<Type as Trait>::function`.
    fn parse_qualified(rest: &'n str) -> Option<Self> {
        let inside = &rest[..closing_angle(rest)?];
        let as_at = top_level_str(inside, " as ");
        let own = type_path(as_at.map_or(inside, |at| &inside[..at]));
        // A trait inside of a type's function: `<std::ffi::os_str::OsString>::push::SpecPushTo`.
        let as_trait = as_at.map(|at| inside[at + " as ".len()..].trim_start_matches('<'));
        let path = match (own, as_trait) {
            (Some(own), Some(implemented)) if is_library(own) && !is_library(implemented) => implemented,
            (Some(own), _) => own,
            (None, Some(implemented)) => implemented,
            (None, None) => BUILTIN,
        };
        let path = if first_segment(path).is_empty() { BUILTIN } else { path };
        // Functions of slices, pointers and tuples are the library's, whatever they hold.
        let is_builtin = as_trait.is_none() && rest.starts_with(['[', '*', '&', '(']);
        Some(Self::Rust { path: if is_builtin { BUILTIN } else { path }, as_trait })
    }

    /// The crate of a Rust function.
    pub(super) fn crate_name(&self) -> Option<&'n str> {
        match *self {
            Self::Rust { path, .. } => Some(first_segment(path)),
            Self::Plain { .. } | Self::Cpp { .. } => None,
        }
    }
}

/// The crate of a Rust source file: `tokio` of `/…/registry/src/index/tokio-1.40.0/src/task.rs`.
pub(super) fn crate_of_file(file: &str) -> Option<&str> {
    let after = |place: &str| file.find(place).map(|at| &file[at + place.len()..]);
    let directory = |rest: &'_ str| rest.split('/').next().map(str::len);
    if let Some(rest) = after("/registry/src/").and_then(|rest| rest.split_once('/')).map(|(_, rest)| rest) {
        return without_version(&rest[..directory(rest)?]);
    }
    if let Some(rest) = after("/git/checkouts/").or_else(|| after("/rust/deps/")).or_else(|| after("/vendor/")) {
        return without_version(&rest[..directory(rest)?]);
    }
    let library = file.contains("/rustc/") || file.contains("/rustlib/src/rust/");
    let rest = after("/library/").filter(|_| library)?;
    Some(&rest[..directory(rest)?])
}

/// `tokio-util` of `tokio-util-0.7.1`, `kv` of `kv-2f3a9c11d0e4b567`.
fn without_version(directory: &str) -> Option<&str> {
    let name = match directory.rsplit_once('-') {
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) || version.len() == 16 => name,
        _ => directory,
    };
    Some(name).filter(|name| !name.is_empty())
}

/// `alloc` of `alloc::vec::Vec<T>`.
pub(super) fn first_segment(path: &str) -> &str {
    let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(path.len());
    &path[..end]
}

fn is_library(path: &str) -> bool {
    LIBRARY.contains(&first_segment(path))
}

/// The outermost path in a type: of `&mut [kv::Entry]` it is `kv::Entry`; of `T` there is none.
fn type_path(mut own: &str) -> Option<&str> {
    loop {
        let trimmed = own.trim_start_matches(['&', '*', '[', '(', ' ']);
        let trimmed =
            ["mut ", "const ", "dyn ", "for<"].iter().find_map(|word| trimmed.strip_prefix(word)).unwrap_or(trimmed);
        if trimmed == own {
            break;
        }
        own = trimmed;
    }
    let end = own.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(own.len());
    own[..end].contains("::").then_some(own)
}

/// A C++ name after its return type, if it has one (only templates do).
fn without_return_type(function: &str) -> &str {
    let end = top_level(function, '(').unwrap_or(function.len());
    let mut start = 0;
    while let Some(at) = top_level(&function[start..end], ' ') {
        if function[start..end].starts_with("operator") || function[start..start + at].ends_with("::operator") {
            break;
        }
        start += at + 1;
    }
    function[start..].trim_start_matches(['&', '*'])
}

/// How many brackets are open behind `c`. The head of an arrow closes none.
fn depth_behind(depth: usize, before: char, c: char) -> usize {
    match c {
        '<' | '(' | '[' | '{' => depth + 1,
        '>' if before == '-' => depth,
        '>' | ')' | ']' | '}' => depth.saturating_sub(1),
        _ => depth,
    }
}

/// Where `wanted` first stands outside of all brackets. `operator` and what follows it are no brackets.
fn top_level(name: &str, wanted: char) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, c) in name.char_indices() {
        if depth == 0 && name[at..].starts_with("operator") && !before.is_alphanumeric() && before != '_' {
            return after_operator(name, at, wanted);
        }
        let anonymous = name[at..].starts_with("(anonymous namespace)");
        if depth == 0 && c == wanted && !anonymous {
            return Some(at);
        }
        depth = depth_behind(depth, before, c);
        before = c;
    }
    None
}

fn after_operator(name: &str, at: usize, wanted: char) -> Option<usize> {
    let symbols = at + "operator".len();
    let rest = name[symbols..].strip_prefix("()").map_or(symbols, |_| symbols + 2);
    name[rest..].find(wanted).map(|found| rest + found)
}

fn top_level_str(name: &str, wanted: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, c) in name.char_indices() {
        if depth == 0 && name[at..].starts_with(wanted) {
            return Some(at);
        }
        depth = depth_behind(depth, before, c);
        before = c;
    }
    None
}

/// Where the bracket closes that was opened before `rest`.
fn closing_angle(rest: &str) -> Option<usize> {
    let mut depth = 1_usize;
    let mut before = ' ';
    for (at, c) in rest.char_indices() {
        depth = depth_behind(depth, before, c);
        if depth == 0 {
            return Some(at);
        }
        before = c;
    }
    None
}
