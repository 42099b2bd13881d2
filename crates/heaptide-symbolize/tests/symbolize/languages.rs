//! Names and lines by language and by the way the compiler wrote them down.

use crate::fixture::{Dir, check, frames, line_of, marks, profile_of, symbolize, symbolizer};

const C: &str = r#"
void mark(const char *);
volatile int sink;

static inline __attribute__((always_inline)) void innermost(void) {
    mark("inlined");
    sink = 1;
}

static inline __attribute__((always_inline)) void middle(void) {
    innermost();
    sink = 2;
}

int main(void) {
    mark("plain");
    sink = 3;
    middle();
    sink = 4;
    return 0;
}
"#;

#[test]
fn c_names_the_line_of_the_call_and_the_inlined_frames() {
    for flags in ["-O0", "-O2", "-O1 -no-pie", "-O2 -gdwarf-4", "-O2 -gz", "-O2 -g1", "-O0 -Wl,--build-id=none"] {
        let dir = Dir::new();
        dir.file("a.c", C);
        dir.tool(&format!("gcc -g {flags} a.c mark.o -o a"));
        let marks = marks(dir.path("a"));
        let mut profile = profile_of(&marks["plain"]);
        assert_eq!(symbolize(&symbolizer(&dir), &mut profile), [], "{flags}");
        check(&frames(&profile, 0), &[("main", "/a.c", line_of(C, "mark(\"plain\")"))]);

        let mut profile = profile_of(&marks["inlined"]);
        assert_eq!(symbolize(&symbolizer(&dir), &mut profile), [], "{flags}");
        let expected = [
            ("innermost", "/a.c", line_of(C, "mark(\"inlined\")")),
            ("middle", "/a.c", line_of(C, "    innermost();")),
            ("main", "/a.c", line_of(C, "    middle();")),
        ];
        check(&frames(&profile, 0), &expected);
    }
}

/// Shows that the test above can tell the two lines apart.
#[test]
fn the_return_address_itself_stands_on_the_next_line() {
    let dir = Dir::new();
    dir.file("a.c", C);
    dir.tool("gcc -g -O0 a.c mark.o -o a");
    let mut mark = marks(dir.path("a"))["plain"].clone();
    mark.offset += 1;
    let mut profile = profile_of(&mark);
    symbolize(&symbolizer(&dir), &mut profile);
    check(&frames(&profile, 0), &[("main", "/a.c", line_of(C, "sink = 3"))]);
}

const CPP: &str = r#"
#include <vector>
extern "C" void mark(const char *);
volatile int sink;

namespace kv {
template <typename T> struct Table {
    std::vector<T> rows;
    inline __attribute__((always_inline)) void insert(T row) {
        rows.push_back(row);
        mark("insert");
        sink = 1;
    }
};

__attribute__((noinline)) int fill(Table<int> &table, const char *) {
    table.insert(7);
    sink = 2;
    auto twice = [&](int by) __attribute__((noinline)) {
        mark("lambda");
        sink = by;
    };
    twice(2);
    return sink;
}
}

int main() {
    kv::Table<int> table;
    return kv::fill(table, "") - 2;
}
"#;

#[test]
fn cpp_names_are_demangled() {
    let dir = Dir::new();
    dir.file("a.cc", CPP);
    dir.tool("g++ -g -O2 a.cc mark.o -o a");
    let marks = marks(dir.path("a"));
    let mut profile = profile_of(&marks["insert"]);
    assert_eq!(symbolize(&symbolizer(&dir), &mut profile), []);
    let fill = "kv::fill(kv::Table<int>&, char const*)";
    let expected = [
        ("kv::Table<int>::insert(int)", "/a.cc", line_of(CPP, "mark(\"insert\")")),
        (fill, "/a.cc", line_of(CPP, "table.insert(7)")),
    ];
    check(&frames(&profile, 0), &expected);

    let mut profile = profile_of(&marks["lambda"]);
    symbolize(&symbolizer(&dir), &mut profile);
    let lambda = &frames(&profile, 0)[0];
    assert!(lambda.function.starts_with(fill) && lambda.function.contains("lambda"), "{lambda:?}");
    assert_eq!(lambda.line, Some(line_of(CPP, "mark(\"lambda\")")));
}

const RUST: &str = r#"
use std::ffi::{CStr, c_char};
use std::hint::black_box;

unsafe extern "C" {
    fn mark(name: *const c_char);
}

fn tell(name: &CStr) {
    unsafe { mark(name.as_ptr()) };
    black_box(0);
}

mod store {
    pub struct Table<T>(pub Vec<T>);

    impl<T> Table<T> {
        #[inline(always)]
        pub fn insert(&mut self, row: T) {
            self.0.push(row);
            unsafe { crate::mark(c"insert".as_ptr()) };
            std::hint::black_box(1);
        }
    }

    impl<T> Drop for Table<T> {
        #[inline(never)]
        fn drop(&mut self) {
            unsafe { crate::mark(c"drop".as_ptr()) };
            std::hint::black_box(2);
        }
    }
}

#[inline(never)]
fn fill(table: &mut store::Table<u32>) {
    table.insert(7);
    black_box(3);
    let twice = |by: u32| {
        unsafe { mark(c"closure".as_ptr()) };
        black_box(by);
    };
    twice(2);
}

fn main() {
    let mut table = store::Table(Vec::new());
    fill(&mut table);
    tell(c"plain");
}
"#;

/// Compiles the Rust fixture; gives its functions' frames by mark.
#[track_caller]
fn check_rust(flags: &str, mark: &str, expected: &[(&str, &str, u32)]) {
    let dir = Dir::new();
    dir.file("kv.rs", RUST);
    dir.tool(&format!("rustc --edition 2024 {flags} -C link-arg=mark.o kv.rs -o kv"));
    let mut profile = profile_of(&marks(dir.path("kv"))[mark]);
    assert_eq!(symbolize(&symbolizer(&dir), &mut profile), [], "{flags}");
    check(&frames(&profile, 0), expected);
}

#[test]
fn rust_legacy_names_lose_their_hash() {
    let line = |text| line_of(RUST, text);
    let flags = "-g -O -Z unstable-options -C symbol-mangling-version=legacy";
    let insert =
        [("kv::store::Table<T>::insert", "kv.rs", line("c\"insert\"")), ("kv::fill", "kv.rs", line("table.insert(7)"))];
    check_rust(flags, "insert", &insert);
    let dropped = [("<kv::store::Table<T> as core::ops::drop::Drop>::drop", "kv.rs", line("c\"drop\""))];
    check_rust(flags, "drop", &dropped);
}

#[test]
fn rust_v0_names_keep_their_types() {
    let line = |text| line_of(RUST, text);
    let flags = "-g -O -C symbol-mangling-version=v0";
    let insert = [
        ("<kv::store::Table<u32>>::insert", "kv.rs", line("c\"insert\"")),
        ("kv::fill", "kv.rs", line("table.insert(7)")),
    ];
    check_rust(flags, "insert", &insert);
    let dropped = [("<kv::store::Table<u32> as core::ops::drop::Drop>::drop", "kv.rs", line("c\"drop\""))];
    check_rust(flags, "drop", &dropped);
}

/// Line tables name an inlined function without its path; nothing else in the file knows it.
#[test]
fn line_tables_are_nearly_enough_for_rust() {
    let line = |text| line_of(RUST, text);
    let flags = "-C debuginfo=line-tables-only -O -C symbol-mangling-version=v0";
    let insert = [("insert<u32>", "kv.rs", line("c\"insert\"")), ("kv::fill", "kv.rs", line("table.insert(7)"))];
    check_rust(flags, "insert", &insert);
}

#[test]
fn rust_closures_are_named_after_their_function() {
    let flags = "-g -C opt-level=0 -C symbol-mangling-version=v0";
    check_rust(flags, "closure", &[("kv::fill::{closure#0}", "kv.rs", line_of(RUST, "c\"closure\""))]);
}

#[test]
fn split_debug_information_is_found_packed_and_unpacked() {
    let line = |text| line_of(RUST, text);
    let insert = [
        ("<kv::store::Table<u32>>::insert", "kv.rs", line("c\"insert\"")),
        ("kv::fill", "kv.rs", line("table.insert(7)")),
    ];
    for split in ["packed", "unpacked"] {
        let flags = format!("-g -O -C symbol-mangling-version=v0 -C split-debuginfo={split}");
        check_rust(&flags, "insert", &insert);
    }
}
