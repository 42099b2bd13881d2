//! Debug information that is somewhere else, or nowhere.

use std::fs;

use heaptide_symbolize::Cause;

use crate::fixture::{Dir, build_id, check, frames, line_of, marks, profile, profile_of, symbolize, symbolizer};

const C: &str = r#"
void mark(const char *);
volatile int sink;

static __attribute__((noinline)) void hidden(void) {
    mark("hidden");
    sink = 1;
}

__attribute__((noinline)) void exported(void) {
    mark("exported");
    sink = 2;
    hidden();
    sink = 3;
}
"#;

const MAIN: &str = "void exported(void); int main(void) { exported(); return 0; }";

/// Builds `libkv.so` with marks in an exported and a hidden function, and `main` that calls it.
fn library(flags: &str) -> Dir {
    let dir = Dir::new();
    dir.file("kv.c", C);
    dir.file("main.c", MAIN);
    dir.tool("gcc -O1 -fPIC -c mark.c");
    dir.tool(&format!("gcc -O1 -fPIC -shared {flags} kv.c mark.o -o libkv.so"));
    dir.tool("gcc main.c libkv.so -Wl,-rpath,$ORIGIN -o main");
    dir
}

fn hidden_line() -> [(&'static str, &'static str, u32); 1] {
    [("hidden", "/kv.c", line_of(C, "mark(\"hidden\")"))]
}

#[test]
fn shared_libraries_are_modules_of_their_own() {
    let dir = library("-g");
    let mark = marks(dir.path("main"))["hidden"].clone();
    assert_eq!(mark.module, dir.path("libkv.so"));
    let mut profile = profile_of(&mark);
    assert_eq!(symbolize(&symbolizer(&dir), &mut profile), []);
    check(&frames(&profile, 0), &hidden_line());
}

#[test]
fn a_stripped_library_names_only_what_its_symbols_cover() {
    let dir = library("-s");
    let marks = marks(dir.path("main"));
    let (exported, hidden) = (&marks["exported"], &marks["hidden"]);
    let path = exported.module.to_str().unwrap();
    let id = build_id(&exported.module);
    let mut profile = profile(&[(path, id.clone(), exported.offset), (path, id.clone(), hidden.offset)]);
    let problems = symbolize(&symbolizer(&dir), &mut profile);

    let names = |location| frames(&profile, location).into_iter().map(|frame| frame.function).collect::<Vec<_>>();
    assert_eq!(names(0), ["exported"]);
    assert_eq!(names(1), [""; 0], "`hidden` is nobody's");
    assert_eq!(problems.len(), 1);
    let problem = &problems[0];
    assert_eq!((&problem.cause, problem.locations), (&Cause::NoDebugInfo, 2));
    assert_eq!((problem.unnamed, problem.without_line), (1, 2));
    assert!(problem.hint().contains("line-tables-only"), "{}", problem.hint());
    assert_eq!(
        problem.to_string(),
        format!("{path}: no debug information: 1 of 2 locations have no function name, 2 of 2 have no source line")
    );
}

#[test]
fn without_debug_information_the_symbol_table_names_all() {
    let dir = library("-g0");
    let mut profile = profile_of(&marks(dir.path("main"))["hidden"]);
    let problems = symbolize(&symbolizer(&dir), &mut profile);
    let frames = frames(&profile, 0);
    assert_eq!((frames[0].function.as_str(), frames[0].line), ("hidden", None));
    assert_eq!((problems[0].unnamed, problems[0].without_line), (0, 1));
}

#[test]
fn a_debug_file_is_found_by_its_link() {
    for place in ["kv.debug", ".debug/kv.debug"] {
        let dir = library("-g");
        fs::create_dir(dir.path(".debug")).unwrap();
        dir.tool(&format!("objcopy --only-keep-debug libkv.so {place}"));
        dir.tool("strip libkv.so");
        dir.tool(&format!("objcopy --add-gnu-debuglink={place} libkv.so"));
        let mut profile = profile_of(&marks(dir.path("main"))["hidden"]);
        assert_eq!(symbolize(&symbolizer(&dir), &mut profile), [], "{place}");
        check(&frames(&profile, 0), &hidden_line());
    }
}

#[test]
fn a_debug_file_without_build_id_must_have_the_right_checksum() {
    let dir = library("-g -Wl,--build-id=none");
    dir.tool("objcopy --only-keep-debug libkv.so kv.debug");
    dir.tool("strip libkv.so");
    dir.tool("objcopy --add-gnu-debuglink=kv.debug libkv.so");
    let mark = marks(dir.path("main"))["hidden"].clone();
    let mut profile = profile_of(&mark);
    assert_eq!(symbolize(&symbolizer(&dir), &mut profile), []);
    check(&frames(&profile, 0), &hidden_line());

    let mut changed = fs::read(dir.path("kv.debug")).unwrap();
    changed.push(0);
    fs::write(dir.path("kv.debug"), changed).unwrap();
    assert_eq!(symbolize(&symbolizer(&dir), &mut profile)[0].cause, Cause::NoDebugInfo);
    assert_eq!(frames(&profile, 0), []);
}

#[test]
fn a_debug_file_is_found_by_build_id() {
    let dir = library("-g");
    let id: String = build_id(&dir.path("libkv.so")).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    let place = dir.path("debug/.build-id").join(&id[..2]);
    fs::create_dir_all(&place).unwrap();
    let place = place.join(format!("{}.debug", &id[2..]));
    dir.tool(&format!("objcopy --only-keep-debug libkv.so {}", place.display()));
    dir.tool("strip libkv.so");
    let mut profile = profile_of(&marks(dir.path("main"))["hidden"]);
    assert_eq!(symbolize(&symbolizer(&dir), &mut profile), []);
    check(&frames(&profile, 0), &hidden_line());

    // A file of another build in its place is not believed.
    dir.tool(&format!("gcc -g -fPIC -shared main.c -o {}", place.display()));
    assert_eq!(symbolize(&symbolizer(&dir), &mut profile)[0].cause, Cause::NoDebugInfo);
    assert_eq!(frames(&profile, 0), []);
}

#[test]
fn split_debug_information_is_read_and_missed() {
    for dwarf in ["-gdwarf-5", "-gdwarf-4"] {
        let dir = library("-g0");
        dir.tool(&format!("gcc -O1 -fPIC {dwarf} -gsplit-dwarf -c kv.c"));
        dir.tool("gcc -shared kv.o mark.o -o libkv.so");
        let mut profile = profile_of(&marks(dir.path("main"))["hidden"]);
        assert_eq!(symbolize(&symbolizer(&dir), &mut profile), [], "{dwarf}");
        check(&frames(&profile, 0), &hidden_line());

        // The packer of binutils knows version 4 only; version 5 is packed by rustc in another test.
        if dwarf == "-gdwarf-4" {
            dir.tool("dwp -e libkv.so -o libkv.so.dwp");
            fs::remove_file(dir.path("kv.dwo")).unwrap();
            assert_eq!(symbolize(&symbolizer(&dir), &mut profile), [], "packed");
            check(&frames(&profile, 0), &hidden_line());
            fs::remove_file(dir.path("libkv.so.dwp")).unwrap();
        } else {
            fs::remove_file(dir.path("kv.dwo")).unwrap();
        }
        let problems = symbolize(&symbolizer(&dir), &mut profile);
        assert_eq!(problems[0].cause, Cause::SplitDebugInfoMissing, "{dwarf}");
        check(&frames(&profile, 0), &hidden_line());
    }
}
