//! What the doctor sees in real executables, and that `run` says the same when it matters.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::Place;

const MAIN: &str = "int main(void) { return 0; }";

#[track_caller]
fn check(place: &Place, program: &Path, code: i32, words: &[&str]) {
    let ran = place.run(["doctor".as_ref(), program.as_os_str()]);
    assert_eq!(ran.code(), Some(code), "{}{}", ran.stdout, ran.stderr);
    let page: Vec<&str> = ran.stdout.split_whitespace().collect();
    let page = page.join(" ");
    for words in words {
        assert!(page.contains(words), "no {words:?} in: {}", ran.stdout);
    }
}

fn tool(name: &str, args: &[&Path]) {
    let output = Command::new(name).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_machine_alone() {
    let place = Place::new();
    let ran = place.run(["doctor"]);
    ran.succeeds();
    assert!(ran.stdout.contains("glibc 2.") && ran.stdout.contains("/dev/shm"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("program"), "{}", ran.stdout);
}

#[test]
fn a_usual_program() {
    let place = Place::new();
    let program = place.compile("usual", MAIN, &["-g"]);
    check(
        &place,
        &program,
        0,
        &[
            "dynamically linked with glibc",
            "allocator: the C library's",
            "unwind tables are there",
            "functions and lines, from the program's own debug info",
            "It can be recorded, every allocation",
        ],
    );
}

#[test]
fn where_names_come_from() {
    let place = Place::new();
    let program = place.compile("plain", MAIN, &[]);
    check(&place, &program, 0, &["names: functions only"]);
    let stripped = place.compile("stripped", MAIN, &["-s"]);
    check(&place, &stripped, 0, &["it is stripped", "build it with -g"]);

    let split = place.compile("split", MAIN, &["-g", "-gsplit-dwarf"]);
    check(&place, &split, 0, &["split debug info in .dwo files"]);
    fs::write(place.path("split.dwp"), "").unwrap();
    check(&place, &split, 0, &["split debug info in", "split.dwp"]);

    let program = place.compile("linked", MAIN, &["-g", "-Wl,--build-id=none"]);
    let debug = place.path("linked.debug");
    tool("objcopy", &["--only-keep-debug".as_ref(), &program, &debug]);
    tool("strip", &[&program]);
    let link = format!("--add-gnu-debuglink={}", debug.display());
    tool("objcopy", &[link.as_ref(), &program]);
    check(&place, &program, 0, &["functions and lines, from", "linked.debug"]);
}

#[test]
fn static_programs_cannot_be_recorded() {
    let place = Place::new();
    for flag in ["-static", "-static-pie"] {
        let program = place.compile("static", MAIN, &[flag]);
        check(&place, &program, 1, &["statically linked", "link it without -static", "It cannot be recorded."]);
    }
    let rust = place.compile(
        "rust",
        "const char made_by[] = \"/rustc/abc/library\"; int main(void) { return !made_by[0]; }",
        &["-static"],
    );
    check(&place, &rust, 1, &["statically linked", "crt-static"]);
}

#[test]
fn other_c_libraries_cannot_be_recorded() {
    let place = Place::new();
    let musl = place.compile("musl", MAIN, &["-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"]);
    check(&place, &musl, 1, &["linked with musl", "build it against glibc"]);
    place.run(["run".as_ref(), musl.as_os_str()]).fails(125, &["linked with musl", "hint: build it against glibc"]);
    let other = place.compile("other", MAIN, &["-Wl,--dynamic-linker=/system/bin/linker64"]);
    check(&place, &other, 1, &["/system/bin/linker64 is not glibc's"]);
}

#[test]
fn programs_that_gain_rights_cannot_be_recorded() {
    let place = Place::new();
    let program = if rustix::process::geteuid().is_root() {
        let program = place.compile("risen", MAIN, &[]);
        std::os::unix::fs::chown(&program, Some(65534), None).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
        program
    } else {
        "/usr/bin/su".into()
    };
    check(&place, &program, 1, &["it is setuid", "ignores LD_PRELOAD", "record a plain copy"]);
    place.run(["run".as_ref(), program.as_os_str()]).fails(125, &["it is setuid"]);
}

#[test]
fn allocators_inside_are_named() {
    let place = Place::new();
    let cases = [
        ("jemalloc", "void *_rjem_malloc(unsigned long n) { return (void *)n; }", "_rjem_malloc"),
        ("mimalloc", "void *mi_malloc(unsigned long n) { return (void *)n; }", "mi_malloc"),
        ("tcmalloc", "void *tc_malloc(unsigned long n) { return (void *)n; }", "tc_malloc"),
    ];
    for (name, source, symbol) in cases {
        let program = place.compile(name, &format!("{source}\n{MAIN}"), &[]);
        let words = format!("{name} is linked into it ({symbol})");
        check(&place, &program, 0, &[&words, "most of its memory will not be seen"]);
        // `run` says so before the program starts and again with the report.
        let ran = place.run(["run".as_ref(), program.as_os_str()]);
        ran.succeeds();
        assert_eq!(ran.stderr.matches(&words).count(), 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("hint: link it without that allocator"), "{}", ran.stderr);
    }
    let rust = "const char made_by[] = \"/rustc/abc/library\";\nvoid *mi_malloc(unsigned long n) { return (void *)(n + made_by[n]); }";
    let program = place.compile("rust", &format!("{rust}\n{MAIN}"), &[]);
    check(&place, &program, 0, &["mimalloc is linked into it", "leave the #[global_allocator] out"]);
}

#[test]
fn stripped_allocators_are_known_by_their_messages() {
    let place = Place::new();
    let source = "#include <stdio.h>\nint main(int n, char **v) { if (n > 5) puts(\"<jemalloc>: Error in calloc()\"); return 0; }";
    let program = place.compile("stripped", source, &["-s"]);
    check(&place, &program, 0, &["jemalloc is linked into it (the text"]);
    let program = place.compile("unstripped", source, &[]);
    check(&place, &program, 0, &["allocator: the C library's"]);
}

#[test]
fn a_malloc_of_its_own_is_found() {
    let place = Place::new();
    let source = "
        static char heap[1 << 20]; static unsigned long used;
        void *malloc(unsigned long n) { used += (n + 15) & ~15ul; return heap + used - ((n + 15) & ~15ul); }
        void free(void *p) { (void)p; }
        int main(void) { return malloc(10) == 0; }";
    let exported = place.compile("exported", source, &["-rdynamic", "-fno-builtin"]);
    check(&place, &exported, 0, &["it brings its own malloc, an allocator of its own (malloc)"]);
}

#[test]
fn go_programs_are_known() {
    let place = Place::new();
    let source = format!("__asm__(\".section .note.go.buildid,\\\"a\\\",@note\\n.long 0\\n.text\");\n{MAIN}");
    let program = place.compile("go", &source, &[]);
    check(&place, &program, 0, &["it is a Go program", "net/http/pprof"]);
    let program = place.compile("static-go", &source, &["-static"]);
    check(&place, &program, 1, &["it is a static Go program"]);
}

#[test]
fn scripts_stand_for_their_interpreters() {
    let place = Place::new();
    let script = place.executable("script", "#!/usr/bin/env sh\ntrue\n");
    check(&place, &script, 0, &["it is a script; what is recorded is its interpreter", "/sh"]);
}

#[test]
fn other_things_get_an_answer() {
    let place = Place::new();
    place.run(["doctor", "./nothing"]).fails(1, &["no such file", "hint:"]);
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut header = fs::read("/proc/self/exe").unwrap()[..64].to_vec();
    header.extend_from_slice(&noise);
    let program = place.executable("noise", header);
    let ran = place.run(["doctor".as_ref(), program.as_os_str()]);
    assert!(matches!(ran.code(), Some(0 | 1)) && !ran.stderr.contains("defect"), "{}", ran.stderr);
}

#[test]
fn colours_are_for_terminals() {
    let place = Place::new();
    assert!(!place.run(["doctor"]).stdout.contains('\x1b'));
    assert!(place.run(["doctor", "--color", "always"]).stdout.contains('\x1b'));
    assert!(!place.run(["doctor", "--color", "never"]).stdout.contains('\x1b'));
}
