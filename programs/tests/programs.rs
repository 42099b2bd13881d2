//! The programs do what they say when nobody records them, and DHAT agrees with what they counted.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use heaptide_programs::{DhatTotals, Truth, dhat_totals, list, path_truths, program};

const SIGABRT: i32 = 6;

/// The program with the arguments that let it end.
fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    if name == "robust/killed" {
        command.arg(counts_of_killed()).arg("1000");
    }
    command.stdin(Stdio::null());
    command
}

fn counts_of_killed() -> PathBuf {
    std::env::temp_dir().join(format!("heaptide-killed-{}", std::process::id()))
}

fn run(name: &str) -> Output {
    let output = command(name).output().expect("a compiled program starts");
    let ended_as_it_should =
        if name == "robust/abort" { output.status.signal() == Some(SIGABRT) } else { output.status.success() };
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(ended_as_it_should, "{name}: {}\n{stdout}", output.status);
    output
}

#[test]
fn every_program_ends_as_it_should_alone() {
    let names = list();
    assert!(names.len() >= 45, "{names:?}");
    for name in names {
        let output = run(&name);
        if let Some(truth) = Truth::parse(&output.stdout) {
            assert_eq!(truth.live_blocks, truth.allocations - truth.frees, "{name}");
            assert_eq!(truth.live_bytes, truth.bytes - truth.freed_bytes, "{name}");
            let told: u64 = path_truths(&output.stdout).iter().map(|path| path.allocations).sum();
            assert!(told <= truth.allocations, "{name}: more on its paths than in all");
        }
    }
    std::fs::remove_file(counts_of_killed()).expect("`killed` wrote its counts");
}

#[test]
fn exact_programs_do_the_same_on_every_run() {
    for name in list().iter().filter(|name| name.starts_with("exact/")) {
        assert_eq!(run(name).stdout, run(name).stdout, "{name}");
    }
}

/// What libc and the language's runtime allocate on top of a program's own calls: blocks and bytes, made and left alive.
#[derive(Default)]
struct OnTop {
    allocations: u64,
    bytes: u64,
    live_blocks: u64,
    live_bytes: u64,
}

/// libstdc++'s reserve for exceptions, which is never freed.
const LIBSTDCXX: OnTop = OnTop { allocations: 1, bytes: 72_704, live_blocks: 1, live_bytes: 72_704 };

fn check_with_dhat(name: &str, on_top: OnTop) {
    let totals: DhatTotals = dhat_totals(&command(name)).expect("DHAT runs it");
    let truth = Truth::parse(&totals.stdout).expect("it says what it did");
    assert_eq!(totals.allocations, truth.allocations + on_top.allocations, "{name}: allocations");
    assert_eq!(totals.allocated_bytes, truth.bytes + on_top.bytes, "{name}: bytes");
    assert_eq!(totals.live_blocks, truth.live_blocks + on_top.live_blocks, "{name}: blocks at exit");
    assert_eq!(totals.live_bytes, truth.live_bytes + on_top.live_bytes, "{name}: bytes at exit");
}

#[test]
fn dhat_agrees_with_what_c_programs_counted() {
    // Four blocks of no bytes, which DHAT counts as one byte each.
    check_with_dhat("exact/c-all-calls", OnTop { bytes: 4, ..OnTop::default() });
    check_with_dhat("exact/c-call-paths", OnTop::default());
    check_with_dhat("exact/c-mappings", OnTop::default());
    check_with_dhat("exact/c-strdup", OnTop::default());
}

#[test]
fn dhat_agrees_with_what_threads_counted_but_for_their_vectors() {
    // One vector of 272 bytes a thread, kept with the stack for the next one.
    let vectors = OnTop { allocations: 4, bytes: 4 * 272, live_blocks: 4, live_bytes: 4 * 272 };
    check_with_dhat("exact/c-threads", vectors);
}

#[test]
fn dhat_agrees_with_what_cpp_programs_counted_but_for_libstdcxx() {
    check_with_dhat("exact/cpp-new", LIBSTDCXX);
    check_with_dhat("exact/cpp-containers", LIBSTDCXX);
}

/// On top of Rust's own calls come libc's for the main thread's guard (seven, of which two read lines of /proc/self/maps) and
/// for each thread (its vector, which stays, its guard, its list of destructors), and one of std's past the global allocator.
#[test]
fn dhat_agrees_with_what_rust_programs_counted_but_for_a_few_blocks_a_thread() {
    for (name, threads) in [("exact/rust-single", 0), ("exact/rust-threads", 6)] {
        let totals = dhat_totals(&command(name)).expect("DHAT runs it");
        let truth = Truth::parse(&totals.stdout).expect("it says what it did");
        let on_top = totals.allocations - truth.allocations;
        assert!(on_top <= 8 * (threads + 1), "{name}: {on_top} blocks on top");
        assert!(totals.allocated_bytes - truth.bytes <= 512 * on_top, "{name}");
        assert_eq!(totals.live_blocks, truth.live_blocks + threads, "{name}: blocks at exit");
    }
}

#[test]
fn dhat_does_not_know_pvalloc() {
    let error = dhat_totals(&command("exact/c-pvalloc")).expect_err("valgrind ends it");
    assert!(error.to_string().contains("call to pvalloc"), "{error}");
}

#[test]
fn the_second_interposer_counts_what_a_program_counted() {
    for name in ["exact/c-strdup", "robust/atexit", "robust/constructors"] {
        let output = command(name).env("LD_PRELOAD", program("robust/counting-interposer")).output();
        let output = output.expect("a compiled program starts");
        let truth = Truth::parse(&output.stdout).expect("it says what it did");
        let expected = format!("interposer allocations={} frees={}\n", truth.allocations, truth.frees);
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected, "{name}");
    }
}
