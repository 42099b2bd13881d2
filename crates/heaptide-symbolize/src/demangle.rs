//! Names as their author wrote them.
//!
//! Names come from files that are not trusted: a short mangled name can stand for gigabytes of text, so output is
//! bounded and what does not fit is cut.

use std::fmt::{self, Write};

/// Longest name kept, in bytes.
const NAME_BYTES_MAX: usize = 8 << 10;
/// Deepest nesting a mangled C++ name may have.
const NESTING_MAX: u32 = 96;

/// What compilers append to the name of a function that they copied or split.
const CLONES: [&str; 6] = ["cold", "part", "isra", "constprop", "lto_priv", "llvm"];

/// The readable form of a linked name: Rust without hashes, C++ with its parameters, everything else as it is.
pub(crate) fn demangle(linked: &[u8]) -> String {
    let linked = String::from_utf8_lossy(linked);
    let linked = without_clone(&linked);
    let mut out = Bounded::default();
    let done = if is_rust(linked) {
        rustc_demangle::try_demangle(linked).is_ok_and(|name| write!(out, "{name:#}").is_ok() || out.full)
    } else if linked.starts_with("_Z") {
        demangle_cpp(linked, &mut out)
    } else {
        false
    };
    if done && !out.text.is_empty() {
        return out.text;
    }
    out = Bounded::default();
    // A bounded writer fails only by being full, and then what it holds is the answer.
    let _ = out.write_str(linked);
    out.text
}

/// Whether a linked name is more than the function's plain name.
pub(crate) fn is_mangled(linked: &[u8]) -> bool {
    linked.starts_with(b"_Z") || linked.starts_with(b"_R")
}

fn without_clone(linked: &str) -> &str {
    let clone =
        linked.match_indices('.').find(|(at, _)| CLONES.iter().any(|clone| linked[at + 1..].starts_with(clone)));
    clone.map_or(linked, |(at, _)| &linked[..at])
}

fn demangle_cpp(linked: &str, out: &mut Bounded) -> bool {
    let parsing = cpp_demangle::ParseOptions::default().recursion_limit(NESTING_MAX);
    let Ok(symbol) = cpp_demangle::Symbol::new_with_options(linked.as_bytes(), &parsing) else {
        return false;
    };
    let writing = cpp_demangle::DemangleOptions::new().recursion_limit(NESTING_MAX);
    symbol.structured_demangle(&mut Unstructured(out), &writing).is_ok() || out.full
}

/// Rust's names are `_R…`, or C++-like ones that end with a hash.
fn is_rust(linked: &str) -> bool {
    if linked.starts_with("_R") {
        return true;
    }
    let Some(hash) = linked.rfind("17h").filter(|_| linked.starts_with("_ZN")) else {
        return false;
    };
    let bytes = &linked.as_bytes()[hash + 3..];
    bytes.len() >= 17
        && bytes[..16].iter().all(u8::is_ascii_hexdigit)
        && bytes[16] == b'E'
        && matches!(bytes.get(17), None | Some(b'.'))
}

#[derive(Default)]
struct Bounded {
    text: String,
    full: bool,
}

impl Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = NAME_BYTES_MAX - self.text.len().min(NAME_BYTES_MAX);
        if piece.len() <= room && !self.full {
            self.text.push_str(piece);
            return Ok(());
        }
        if !self.full {
            let cut = (0..=room).rev().find(|&at| piece.is_char_boundary(at)).unwrap_or(0);
            self.text.push_str(&piece[..cut]);
            self.text.push('…');
            self.full = true;
        }
        Err(fmt::Error)
    }
}

struct Unstructured<'o>(&'o mut Bounded);

impl cpp_demangle::DemangleWrite for Unstructured<'_> {
    fn write_string(&mut self, piece: &str) -> fmt::Result {
        self.0.write_str(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(linked: &str, expected: &str) {
        assert_eq!(demangle(linked.as_bytes()), expected);
    }

    #[test]
    fn rust_names_lose_their_hash() {
        check("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad");
        check("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE.llvm.42", "core::fmt::Formatter::pad");
        check(
            "_ZN63_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..clone..Clone$GT$5clone17h0123456789abcdefE",
            "<alloc::vec::Vec<T> as core::clone::Clone>::clone",
        );
        check("_RNvC6_123foo3bar", "123foo::bar");
        check("_RNCNvCs1234_7mycrate4main0B3_", "mycrate::main::{closure#0}");
    }

    #[test]
    fn cpp_names_keep_their_parameters() {
        check("_ZN3foo3barEv", "foo::bar()");
        check("_Znwm", "operator new(unsigned long)");
        check("_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector<int, std::allocator<int> >::push_back(int&&)");
    }

    #[test]
    fn copies_of_a_function_bear_its_name() {
        check("_ZN3foo3barEv.cold", "foo::bar()");
        check("_ZN3foo3barEv.constprop.0.isra.0", "foo::bar()");
        check("parse.part.0", "parse");
        check("_RNvC6_123foo3bar.cold", "123foo::bar");
        check("file.c", "file.c");
    }

    #[test]
    fn other_names_stay() {
        check("main", "main");
        check("_Z", "_Z");
        check("_ZN17h", "_ZN17h");
        check("_R", "_R");
        check("__libc_start_call_main", "__libc_start_call_main");
    }

    #[test]
    fn long_names_are_cut() {
        let name = demangle("é".repeat(NAME_BYTES_MAX).as_bytes());
        assert!(name.len() <= NAME_BYTES_MAX + '…'.len_utf8() && name.ends_with("é…"));
    }

    #[test]
    fn a_name_that_doubles_with_every_parameter_is_cut() {
        // Each parameter's type names the one before it twice.
        let mut linked = String::from("_Z1f1aIiiE");
        for digit in ('0'..='9').chain('A'..='T') {
            linked.push_str(&format!("S_IS{digit}_S{digit}_E"));
        }
        let name = demangle(linked.as_bytes());
        assert!(name.starts_with("f(a<int, int>, a<a<int, int>, a<int, int> >"), "{name}");
        assert!(name.len() <= NAME_BYTES_MAX + '…'.len_utf8() && name.ends_with('…'));
    }

    #[test]
    fn deep_nesting_is_no_deep_recursion() {
        let linked = format!("_Z1f{}i", "P".repeat(100_000));
        assert!(demangle(linked.as_bytes()).starts_with("_Z1fPPP"));
        assert!(demangle(format!("_RNv{}", "N".repeat(100_000)).as_bytes()).len() <= NAME_BYTES_MAX + 3);
    }
}
