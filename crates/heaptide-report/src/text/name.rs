//! Names short enough for a table.
//!
//! A demangled name carries its generics, argument types, closures and hashes. A reader who looks for a function needs
//! none of them; `--format json` keeps them all. A name that does not parse is left as it is.

use super::width::{cut_middle, width};
use crate::lookup::beginning;

/// Bytes of a demangled name that are looked at.
const LONGEST: usize = 4096;

/// Nested `<<T as A>::B as C>` that are opened; deeper ones are left as they are.
const DEEPEST: usize = 4;

/// The path of a function without generics, arguments, closures and hash.
pub(crate) fn function(demangled: &str) -> String {
    let name = beginning(demangled, LONGEST);
    shorten(without_suffix(name), DEEPEST).filter(|short| !short.is_empty()).unwrap_or_else(|| name.to_owned())
}

/// The last two parts of a source file's path.
pub(crate) fn file(path: &str) -> &str {
    let path = path.trim_end_matches(is_separator);
    match path.rmatch_indices(is_separator).nth(1) {
        Some((at, separator)) => &path[at + separator.len()..],
        None => path,
    }
}

/// The file name of a module's path.
pub(crate) fn module(path: &str) -> &str {
    path.rsplit(is_separator).next().filter(|name| !name.is_empty()).unwrap_or(path)
}

/// `short` in at most `columns`: inner path segments go first.
pub(crate) fn fit_function(short: &str, columns: usize) -> String {
    if width(short) <= columns {
        return short.to_owned();
    }
    let segments: Vec<&str> = short.split("::").collect();
    for dropped in 1..segments.len().saturating_sub(1) {
        let fitted = format!("{}::…::{}", segments[0], segments[1 + dropped..].join("::"));
        if width(&fitted) <= columns {
            return fitted;
        }
    }
    match segments.last() {
        Some(last) if segments.len() > 1 && width(last) + 3 <= columns => format!("…::{last}"),
        _ => cut_middle(short, columns),
    }
}

fn is_separator(c: char) -> bool {
    c == '/' || c == '\\'
}

/// Drops what compilers append: Rust's legacy hash, `.llvm.…`, ` [clone …]`.
fn without_suffix(name: &str) -> &str {
    let mut name = name.split(" [clone ").next().unwrap_or(name);
    name = name.split(".llvm.").next().unwrap_or(name);
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => path,
        _ => name,
    }
}

/// `None` where brackets do not match.
fn shorten(name: &str, depth: usize) -> Option<String> {
    let mut out = String::new();
    let mut rest = name;
    if rest.starts_with('<') && depth > 0 {
        let end = closing(rest)?;
        let inside = &rest[1..end];
        let self_type = inside.split(" as ").next().filter(|this| balanced(this)).unwrap_or(inside);
        let self_type = self_type.trim_start_matches(['&', '*']).trim_start_matches("mut ").trim_start_matches("dyn ");
        out.push_str(&shorten(self_type, depth - 1)?);
        rest = &rest[end + 1..];
    }
    let mut has_arguments = false;
    while let Some(c) = rest.chars().next() {
        let is_operator = out.ends_with("operator");
        match c {
            '<' | '>' | '-' | '=' | '!' if is_operator => {
                let end = rest.find(|c: char| !"<>-=!".contains(c)).unwrap_or(rest.len());
                // The last of `operator<<int>` opens the template arguments, as `operator<` and `<int>`.
                let end = if end > 1 && rest[end..].starts_with(|c: char| c.is_alphanumeric()) { end - 1 } else { end };
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            '(' if is_operator => {
                out.push_str("()");
                rest = &rest[closing(rest)? + 1..];
            }
            '<' | '{' => {
                out.truncate(out.trim_end().len());
                rest = &rest[closing(rest)? + 1..];
            }
            '(' if out.ends_with(|last: char| !matches!(last, ':' | '.' | ' ')) => {
                has_arguments = true;
                rest = &rest[closing(rest)? + 1..];
            }
            '(' => {
                let end = closing(rest)? + 1;
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            '>' | '}' | ')' => return None,
            c => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    let mut short = out.as_str();
    if has_arguments {
        for qualifier in [" const", " volatile", " &&", " &", " noexcept"] {
            short = short.trim_end_matches(qualifier);
        }
        short = without_return_type(short);
    }
    let segments: Vec<&str> = short.split("::").filter(|segment| !segment.is_empty()).collect();
    Some(segments.join("::"))
}

/// `void store` → `store`; `operator new` and `(anonymous namespace)::f` stay.
fn without_return_type(name: &str) -> &str {
    let end = name.find("operator").unwrap_or(name.len());
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, c) in name[..end].char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    name[start..].trim_start_matches(['*', '&'])
}

fn balanced(text: &str) -> bool {
    let opened = text.matches('<').count();
    // The `>` of `->` closes nothing.
    opened + text.matches("->").count() == text.matches('>').count()
}

/// Where the bracket that `text` begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => open.push('>'),
            '(' => open.push(')'),
            '{' => open.push('}'),
            '[' => open.push(']'),
            '>' if before == '-' => {}
            '>' | ')' | '}' | ']' => {
                if open.pop() != Some(c) {
                    return None;
                }
                if open.is_empty() {
                    return Some(at);
                }
            }
            _ => {}
        }
        before = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_lose_their_noise() {
        let check = |name: &str, expected: &str| assert_eq!(function(name), expected);
        check("kvd::store::Store<K,V>::insert", "kvd::store::Store::insert");
        check("kvd::store::Store::insert::h0123456789abcdef", "kvd::store::Store::insert");
        check("kvd::server::handle::{{closure}}::{{closure}}", "kvd::server::handle");
        check("kvd::server::handle::{closure#0}", "kvd::server::handle");
        check("<kvd::codec::Frame as core::fmt::Debug>::fmt", "kvd::codec::Frame::fmt");
        check("<kvd::Store<alloc::string::String>>::get", "kvd::Store::get");
        check("<alloc::vec::Vec<T> as core::iter::FromIterator<T>>::from_iter", "alloc::vec::Vec::from_iter");
        check("<&mut W as core::fmt::Write>::write_str", "W::write_str");
        check("<F as core::ops::function::FnOnce<A>>::call_once{{vtable.shim}}", "F::call_once");
        check("alloc::slice::<impl [T]>::to_vec", "alloc::slice::to_vec");
        check("core::ops::function::FnOnce::call_once::<fn() -> u8, ()>", "core::ops::function::FnOnce::call_once");
        check("std::vector<int, std::allocator<int> >::push_back(int const&)", "std::vector::push_back");
        check("void store::put<int>(int) const", "store::put");
        check("operator new(unsigned long)", "operator new");
        check("std::ostream& operator<< <char>(std::ostream&, char)", "operator<<");
        check("X operator<<int>(X, int)", "operator<");
        check("bool operator<(A const&, B const&)", "operator<");
        check("foo::operator->() const", "foo::operator->");
        check("foo::operator()(int) const", "foo::operator()");
        check("run()::{lambda(int)#1}::operator()(int) const", "run::operator()");
        check("(anonymous namespace)::load(char const*)", "(anonymous namespace)::load");
        check("main.(*Server).handle", "main.(*Server).handle");
        check("compress_block.part.0 [clone .cold]", "compress_block.part.0");
        check("main", "main");
    }

    #[test]
    fn odd_names_stay() {
        for name in ["", "<", "a>b", "f<(>)", "{{closure}}", "::", "<T as", ")("] {
            assert_eq!(function(name), name);
        }
        assert_eq!(function(&"<".repeat(100_000)), "<".repeat(LONGEST));
    }

    #[test]
    fn files_and_modules_keep_their_end() {
        assert_eq!(file("/home/u/kvd/src/store.rs"), "src/store.rs");
        assert_eq!(file("store.c"), "store.c");
        assert_eq!(file("src/store.rs"), "src/store.rs");
        assert_eq!(file(r"C:\work\kvd\main.rs"), r"kvd\main.rs");
        assert_eq!(module("/usr/lib/x86_64-linux-gnu/libssl.so.3"), "libssl.so.3");
        assert_eq!(module("[vdso]"), "[vdso]");
        assert_eq!(module("/"), "/");
    }

    #[test]
    fn fitting_drops_inner_segments_first() {
        let name = "kvd::storage::engine::compaction::Level::merge";
        assert_eq!(fit_function(name, 80), name);
        assert_eq!(fit_function(name, 30), "kvd::…::Level::merge");
        assert_eq!(fit_function(name, 14), "kvd::…::merge");
        assert_eq!(fit_function(name, 9), "…::merge");
        assert_eq!(fit_function(name, 6), "k…erge");
    }
}
