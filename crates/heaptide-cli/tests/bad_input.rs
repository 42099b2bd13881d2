//! Whatever is wrong with what `heaptide` is given, it says so in one line with a cause and a next step, with the exit
//! code of the contract, and leaves everything as it was.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use support::{Place, Ran};

/// An ELF header and nothing behind it.
fn elf(class: u8, data: u8, kind: u16, machine: u16) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, data, 1]);
    let word = |value: u16| {
        if data == 1 { value.to_le_bytes() } else { value.to_be_bytes() }
    };
    header[16..18].copy_from_slice(&word(kind));
    header[18..20].copy_from_slice(&word(machine));
    header
}

const EXECUTABLE: u16 = 2;
const OBJECT: u16 = 1;
const X86_64: u16 = 62;
const I386: u16 = 3;
const AARCH64: u16 = 183;
const S390: u16 = 22;

#[track_caller]
fn check_run(place: &Place, command: &str, code: i32, words: &[&str]) {
    let ran = place.run(["run", "--", command]);
    ran.fails(code, words);
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
    assert_eq!(place.recordings(), [""; 0]);
}

#[test]
fn a_missing_program_is_127() {
    let place = Place::new();
    check_run(
        &place,
        "no-such-program",
        127,
        &["error: cannot run no-such-program", "caused by: no program of that name"],
    );
    check_run(&place, "./no-such-program", 127, &["caused by: no such file"]);
    check_run(&place, "./no/such/program", 127, &["caused by: no such file"]);
    check_run(&place, "", 127, &["caused by: no program"]);
}

#[test]
fn what_cannot_be_executed_is_126() {
    let place = Place::new();
    fs::write(place.path("data"), "#!/bin/sh\n").unwrap();
    check_run(&place, "./data", 126, &["it is not executable"]);
    check_run(&place, place.dir().to_str().unwrap(), 126, &["it is a directory"]);
    place.executable("binary", b"\x00\x01\x02\x03binary\n");
    check_run(&place, "./binary", 126, &["neither an ELF file nor a script"]);
    place.executable("empty", b"");
    check_run(&place, "./empty", 126, &["neither an ELF file nor a script"]);
    place.executable("lost", "#!/no/such/interpreter\n");
    check_run(&place, "./lost", 126, &["interpreter /no/such/interpreter cannot be executed: no such file"]);
    place.executable("nameless", "#!  \n");
    check_run(&place, "./nameless", 126, &["names no interpreter"]);
    let circle = place.path("circle");
    place.executable("circle", format!("#!{}\n", circle.display()));
    check_run(&place, "./circle", 126, &["its interpreter is a script"]);
}

#[test]
fn executables_for_other_machines_are_refused_before_they_start() {
    let place = Place::new();
    let other = if cfg!(target_arch = "x86_64") { AARCH64 } else { X86_64 };
    place.executable("other", elf(2, 1, EXECUTABLE, other));
    check_run(&place, "./other", 126, &["it is made for", "this machine is"]);
    place.executable("big", elf(2, 2, EXECUTABLE, S390));
    check_run(&place, "./big", 126, &["it is made for s390x"]);
    place.executable("cut", &elf(2, 1, EXECUTABLE, other)[..10]);
    check_run(&place, "./cut", 126, &["cannot run"]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn executables_that_the_recorder_cannot_enter_are_refused_before_they_start() {
    let place = Place::new();
    place.executable("small", elf(1, 1, EXECUTABLE, I386));
    check_run(&place, "./small", 125, &["cannot record ./small", "it is a 32-bit program"]);
    place.executable("object", elf(2, 1, OBJECT, X86_64));
    check_run(&place, "./object", 126, &["an object file, not linked yet"]);
    let program = place.compile("static", "int main(void) { return 3; }", &["-static"]);
    check_run(&place, program.to_str().unwrap(), 125, &["it is statically linked", "without -static"]);
}

#[test]
fn scripts_run() {
    let place = Place::new();
    place.executable("with", "#!/bin/sh\necho \"$0 $1\"\nexit 5\n");
    let ran = place.run(["run", "./with", "a b"]);
    assert_eq!((ran.code(), ran.stdout.as_str()), (Some(5), "./with a b\n"), "{}", ran.stderr);
    place.executable("without", "echo \"$1\"\nexit 6\n");
    let ran = place.run(["run", "./without", "--quiet"]);
    assert_eq!((ran.code(), ran.stdout.as_str()), (Some(6), "--quiet\n"), "{}", ran.stderr);
    place.executable("by-env", "#!/usr/bin/env sh\nexit 7\n");
    assert_eq!(place.run(["run", "./by-env"]).code(), Some(7));
}

#[test]
fn an_output_that_exists_is_kept() {
    let place = Place::new();
    fs::write(place.path("old"), "precious").unwrap();
    let ran = place.run(["run", "-o", "old", "--", "sh", "-c", "echo started"]);
    ran.fails(125, &["error: old exists already", "hint: --force"]);
    assert_eq!(ran.stdout, "", "the program was not started");
    assert_eq!(fs::read(place.path("old")).unwrap(), b"precious");
    place.run(["run", "-o", "old", "--force", "true"]).succeeds();
    place.run(["report", "old"]).succeeds();

    place.run(["report", "old", "-o", "report.txt"]).succeeds();
    let first = fs::read(place.path("report.txt")).unwrap();
    place.run(["report", "old", "--format", "json", "-o", "report.txt"]).fails(1, &["report.txt exists already"]);
    assert_eq!(fs::read(place.path("report.txt")).unwrap(), first);
}

#[test]
fn an_output_that_cannot_be_written_is_found_before_the_start() {
    let place = Place::new();
    fs::create_dir(place.path("dir")).unwrap();
    for (output, words) in [
        ("no/such/dir/file", ["cannot write to the directory no/such/dir", "No such file"]),
        ("dir", ["error: dir is a directory", "hint: name a file"]),
        ("/proc/version/file", ["error: /proc/version is not a directory", "hint: -o FILE"]),
        ("/proc/1/file", ["cannot", "hint: "]),
    ] {
        let ran = place.run(["run", "-o", output, "--", "sh", "-c", "echo started"]);
        assert_eq!(ran.stdout, "", "the program was not started");
        ran.fails(125, &words);
    }
}

#[test]
fn usage_errors_are_2() {
    let place = Place::new();
    let check = |args: &[&str], words: &str| {
        let ran = place.run(args);
        assert_eq!(ran.code(), Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    };
    check(&["no-such-command"], "unrecognized subcommand");
    check(&["run", "--no-such-option", "true"], "unexpected argument");
    check(&["run"], "required");
    check(&["run", "--sample=many", "true"], "for example 512k");
    check(&["run", "--sample=0", "true"], "a size from 1 byte");
    check(&["run", "--interval", "0", "true"], "0 is not in");
    check(&["report", "x", "--format", "html"], "invalid value");
    check(&["--color", "sometimes", "report"], "invalid value");
    check(&["completions", "no-such-shell"], "invalid value");
    place.run(["run", "-o", "x", "true"]).succeeds();
    place.run(["report", "x", "--filter", "("]).fails(2, &["--filter", "caused by:", "hint:"]);
}

#[test]
fn files_that_are_no_recordings_are_refused() {
    let place = Place::new();
    fs::write(place.path("text"), "hello").unwrap();
    fs::write(place.path("empty"), "").unwrap();
    let made = std::process::Command::new("mkfifo").arg(place.path("pipe")).status().unwrap();
    assert!(made.success());
    for (file, words) in [
        ("nothing", "No such file"),
        (".", "not a regular file"),
        ("pipe", "not a regular file"),
        ("text", "neither a Heaptide recording nor a ledger"),
        ("empty", "neither a Heaptide recording nor a ledger"),
    ] {
        place.run(["report", file]).fails(1, &[words, "hint: "]);
    }
}

#[test]
fn damaged_recordings_are_read_in_part() {
    let place = Place::new();
    place.run(["run", "-q", "-o", "whole", "sh", "-c", "true"]).succeeds();
    let whole = fs::read(place.path("whole")).unwrap();
    let check = |name: &str, content: &[u8]| {
        fs::write(place.path(name), content).unwrap();
        let ran = place.run(["report", name]);
        assert!(!ran.stderr.contains("defect"), "{}", ran.stderr);
        ran
    };
    let cut = check("cut", &whole[..whole.len() - 70]);
    assert_eq!(cut.code(), Some(4), "{}", cut.stderr);
    assert!(cut.stderr.contains("warning: cut is damaged"), "{}", cut.stderr);
    assert!(cut.stdout.contains("Totals") || cut.stdout.contains("heap"), "{}", cut.stdout);

    let mut flipped = whole.clone();
    let middle = whole.len() / 2;
    flipped[middle] ^= 0x55;
    let flipped = check("flipped", &flipped);
    assert_eq!(flipped.code(), Some(4), "{}", flipped.stderr);

    check("head", &whole[..10]).fails(4, &["cannot read", "caused by:", "hint:"]);
    check("ledger", b"HTLEDGER too short").fails(4, &["ledger", "hint:"]);
}

#[test]
fn newer_formats_are_named() {
    let place = Place::new();
    let mut ledger = vec![0_u8; 8192];
    ledger[..8].copy_from_slice(b"HTLEDGER");
    ledger[8..16].copy_from_slice(&99_u64.to_le_bytes());
    fs::write(place.path("ledger"), ledger).unwrap();
    let ran = place.run(["report", "ledger"]);
    assert!(ran.stderr.contains("99") && ran.stderr.contains("newer"), "{}", ran.stderr);
    assert_ne!(ran.code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    place.run(["run", "-q", "-o", "x.heaptide", "sh", "-c", "true"]).succeeds();
    for args in
        [&["report", "x.heaptide", "--all-frames"][..], &["man"], &["completions", "bash"], &["doctor"], &["report"]]
    {
        let mut child = place.heaptide(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!((ran.code(), ran.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let place = Place::new();
    place.run(["run", "-q", "-o", "x", "sh", "-c", "true"]).succeeds();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = Ran::of(place.heaptide(["report", "x"]).stdout(full).output().unwrap());
    ran.fails(1, &["cannot write to stdout", "No space left"]);
}

#[test]
fn nobody_listening_on_stderr_is_no_failure() {
    let place = Place::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = place.heaptide(["run", "sh", "-c", "exit 9"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(9));
}

#[test]
fn an_executable_that_cannot_be_read_still_runs() {
    let place = Place::new();
    let program = place.compile("quiet", "int main(void) { return 4; }", &[]);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o111)).unwrap();
    assert_eq!(place.run(["run", "-q", "./quiet"]).code(), Some(4));
}

/// Beyond a limit on file sizes the kernel sends a signal that would end `heaptide` without a word.
#[test]
fn a_limit_on_file_sizes_is_an_error_and_not_the_end() {
    let place = Place::new();
    let mut command = place.heaptide(["run", "-o", "x.heaptide", "--", "/bin/true"]);
    // SAFETY: `setrlimit` may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: 50 << 10, rlim_max: 50 << 10 };
            (libc::setrlimit(libc::RLIMIT_FSIZE, &limit) == 0).then_some(()).ok_or_else(std::io::Error::last_os_error)
        });
    }
    Ran::of(command.output().unwrap()).fails(125, &["File too large"]);
    assert_eq!(place.recordings(), [""; 0]);
}
