//! A recorded program ends as it does alone and says the same, whatever it does to itself, and its counts are told.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

use heaptide_ledger::{header_word, state};
use heaptide_profile::Profile;
use heaptide_programs::{Truth, list, program};
use heaptide_tests::{Place, Ran, header, ledgers, own_calls, preload, read, record};

/// What code of the program itself asked for and gave back.
fn own(profile: &Profile, name: &str) -> Truth {
    let exe = name.rsplit('/').next().unwrap_or(name);
    let counts = own_calls(profile, &[exe, "plugin-alpha.so", "plugin-bravo.so"]);
    Truth {
        allocations: counts.allocations,
        bytes: counts.bytes,
        frees: counts.frees,
        freed_bytes: counts.freed_bytes,
        live_blocks: counts.allocations - counts.frees,
        live_bytes: counts.bytes - counts.freed_bytes,
    }
}

fn alone(name: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program(name)).args(arguments).stdin(Stdio::null()).output();
    output.expect("a compiled program starts")
}

/// Text in which the numbers, which may depend on time and chance, are all alike.
fn without_numbers(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::new();
    for letter in text.chars().map(|letter| if letter.is_ascii_digit() { '#' } else { letter }) {
        if letter != '#' || !plain.ends_with('#') {
            plain.push(letter);
        }
    }
    plain
}

/// What differs from the program alone.
fn differences(name: &str, alone: &Output, ran: &Ran) -> Vec<String> {
    let mut differences = Vec::new();
    if alone.status != ran.status {
        differences.push(format!("{name}: {} and not {}\n{}", ran.status, alone.status, ran.stderr));
    }
    let (said, says) = (without_numbers(&alone.stdout), without_numbers(&ran.stdout));
    if said != says {
        differences.push(format!("{name}: says {says} and not {said}"));
    }
    if !ran.stderr.is_empty() {
        differences.push(format!("{name}: complains: {}", ran.stderr));
    }
    differences
}

fn check_counts(name: &str, ran: &Ran, wrong: &mut Vec<String>) {
    let profile = ran.profile();
    if (profile.recorder.lost_events, profile.recorder.unmatched_frees) != (0, 0) {
        wrong.push(format!("{name}: {:?}", profile.recorder));
    }
    let Some(truth) = Truth::parse(&ran.stdout) else {
        return;
    };
    let counted = own(&profile, name);
    if counted != truth {
        wrong.push(format!("{name}: recorded {counted:?}\n    told {truth:?}"));
    }
}

/// The programs that need nothing of their own.
fn programs() -> Vec<String> {
    let others = ["robust/exec-chain", "robust/killed", "robust/own-malloc", "robust/short-threads"];
    let programs: Vec<String> =
        list().into_iter().filter(|name| name.starts_with("robust/") && !others.contains(&name.as_str())).collect();
    assert!(programs.len() >= 30, "{programs:?}");
    programs
}

fn check_all(options: &str, check: impl Fn(&str, &Ran, &mut Vec<String>)) {
    let place = Place::new();
    let mut wrong = Vec::new();
    for name in programs() {
        let ran = record(&place, &name, options).run();
        wrong.extend(differences(&name, &alone(&name, &[]), &ran));
        check(&name, &ran, &mut wrong);
        fs::remove_file(&ran.ledger).expect("it is there");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_program_ends_as_it_does_alone_and_its_counts_are_told() {
    check_all("", check_counts);
}

/// With nobody outside, the library keeps its own clock and timeline.
#[test]
fn without_an_observer() {
    check_all("observer:0,interval:1", check_counts);
}

#[test]
fn sampled() {
    check_all("sample:4k", |name, ran, wrong| {
        let recorder = ran.profile().recorder;
        if recorder.lost_events != 0 {
            wrong.push(format!("{name}: {recorder:?}"));
        }
    });
}

/// One that is killed by any system call but the few that a heap needs lives.
#[test]
fn a_program_that_allows_few_system_calls_is_not_killed_by_ours() {
    let place = Place::new();
    let name = "robust/few-system-calls";
    let ran = record(&place, name, "").arg("kill").run();
    let mut wrong = differences(name, &alone(name, &["kill"]), &ran);
    check_counts(name, &ran, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_allocator_of_the_programs_own_is_left_alone() {
    let place = Place::new();
    let name = "robust/own-malloc";
    let ran = record(&place, name, "").run();
    assert_eq!(differences(name, &alone(name, &[]), &ran), Vec::<String>::new());
    assert_eq!(ran.profile().totals.allocations, 0);
}

/// What is kept of threads does not grow with their number.
#[test]
fn a_hundred_thousand_threads() {
    let place = Place::new();
    let name = "robust/short-threads";
    let ran = record(&place, name, "").run().succeeded();
    let mut wrong = Vec::new();
    check_counts(name, &ran, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(Truth::parse(&ran.stdout).map(|truth| truth.allocations), Some(200_000));
    let used = header(&ran.ledger, header_word!(used_bytes));
    assert!(used < 8 << 20, "{used} bytes of ledger");
    assert!(ran.profile().threads.len() <= 2_048, "{} threads", ran.profile().threads.len());
}

/// The truth lines of a chain of programs, one for each.
fn truths(stdout: &[u8]) -> Vec<Truth> {
    let text = String::from_utf8_lossy(stdout);
    text.lines().filter_map(|line| Truth::parse(line.as_bytes())).collect()
}

fn check_chain(ran: &Ran, ledgers: &[std::path::PathBuf]) {
    let truths = truths(&ran.stdout);
    assert_eq!((truths.len(), ledgers.len()), (6, 6), "{ledgers:?}");
    for (link, (truth, ledger)) in truths.iter().zip(ledgers).enumerate() {
        let counted = own(&read(ledger), "exec-chain");
        if link == 2 {
            // Its first thread goes on allocating while the second executes.
            assert!(counted.allocations >= truth.allocations && counted.frees >= truth.frees, "{counted:?} {truth:?}");
            assert!(counted.live_blocks - truth.live_blocks <= 1, "{counted:?} {truth:?}");
        } else {
            assert_eq!(counted, *truth, "link {link}");
        }
    }
}

#[test]
fn programs_executed_in_one_process_have_a_ledger_each() {
    let place = Place::new();
    let ran = record(&place, "robust/exec-chain", "").run().succeeded();
    check_chain(&ran, &ledgers(place.dir()));
}

#[test]
fn an_executed_program_supersedes_the_one_before() {
    let place = Place::new();
    let options = format!("dir:{},observer:1", place.dir().display());
    let ran = record(&place, "robust/exec-chain", "").env("HEAPTIDE_OPTIONS", options).run().succeeded();
    let ledgers = ledgers(place.dir());
    check_chain(&ran, &ledgers);
    let states: Vec<u64> = ledgers.iter().map(|ledger| header(ledger, header_word!(state))).collect();
    assert_eq!(states, [vec![state::SUPERSEDED; 5], vec![state::ENDED]].concat());
    let pids: Vec<u32> = ledgers.iter().map(|ledger| read(ledger).program.pid).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}

#[test]
fn the_ledger_says_whether_the_program_came_to_its_end() {
    let place = Place::new();
    for (name, expected) in [
        ("robust/atexit", state::ENDED),
        ("robust/immediate-exit", state::RECORDING),
        ("robust/abort", state::RECORDING),
    ] {
        let ran = record(&place, name, "").run();
        assert_eq!(header(&ran.ledger, header_word!(state)), expected, "{name}");
        assert_eq!(ran.status.signal().is_some(), name == "robust/abort");
    }
}

/// Two recorders in one process both see all of it.
#[test]
fn two_recorders_at_once() {
    let place = Place::new();
    let second = place.path("libheaptide-second.so");
    fs::copy(preload(), &second).expect("it can be copied");
    for name in
        ["exact/c-all-calls", "exact/c-threads", "exact/rust-single", "robust/exceptions", "robust/fork-threads"]
    {
        let both = format!("{}:{}", preload().display(), second.display());
        let ran = record(&place, name, "").env("LD_PRELOAD", both).run();
        assert_eq!(differences(name, &alone(name, &[]), &ran), Vec::<String>::new());
        let both = [read(&ran.ledger), read(&ran.ledger.with_extension("ledger.1"))];
        assert_eq!(both[0].totals.allocations, both[1].totals.allocations, "{name}");
        assert_eq!(both[0].totals.allocated_bytes, both[1].totals.allocated_bytes, "{name}");
        assert_eq!(both[0].totals.live_bytes, both[1].totals.live_bytes, "{name}");
        assert!(both.iter().all(|profile| profile.recorder.lost_events == 0 && profile.recorder.unmatched_frees == 0));
        // To the one behind, the one in front is who calls.
        let truth = Truth::parse(&ran.stdout).expect("it says what it did");
        let in_front = both.iter().filter(|profile| own(profile, name) == truth).count();
        assert_eq!(in_front, 1, "{name}");
    }
}

/// Another library that stands in the way of the same functions, before and behind the recorder.
#[test]
fn another_interposer() {
    let place = Place::new();
    let interposer = program("robust/counting-interposer").display().to_string();
    let ours = preload().display().to_string();
    for name in ["exact/c-strdup", "exact/c-call-paths", "robust/atexit", "robust/constructors", "robust/dlopen-storm"]
    {
        for order in [format!("{ours}:{interposer}"), format!("{interposer}:{ours}")] {
            let ran = record(&place, name, "").env("LD_PRELOAD", &order).run().succeeded();
            let profile = ran.profile();
            let totals = profile.totals;
            let expected = format!("interposer allocations={} frees={}\n", totals.allocations, totals.frees);
            assert_eq!(ran.stderr, expected, "{name} under {order}");
            assert_eq!(profile.recorder.unmatched_frees, 0, "{name} under {order}");
            let truth = Truth::parse(&ran.stdout).expect("it says what it did");
            if !name.contains("dlopen") {
                assert_eq!(
                    (totals.allocations, totals.live_bytes),
                    (truth.allocations, truth.live_bytes),
                    "{name} under {order}"
                );
            }
        }
    }
}
