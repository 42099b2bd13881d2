//! Every allocation is credited to the functions that led to it, in their order, whether the stack was remembered or not.

use std::collections::BTreeMap;
use std::process::Command;

use heaptide_programs::{PathTruth, list, path_truths};
use heaptide_tests::{Paths, Place, Ran, matches, paths, record, record_command, workload};

/// A program's own modules.
fn own_modules(name: &str) -> Vec<&str> {
    let exe = name.rsplit('/').next().unwrap_or(name);
    vec![exe, "plugin-alpha.so", "plugin-bravo.so"]
}

/// What is wrong with the recorded paths; empty where all told paths were found. Paths that share their functions and size class
/// are one path to the recorder.
fn wrong_paths(recorded: &Paths, told: &[PathTruth], own: &[&str]) -> Vec<String> {
    let class = |size: u64| {
        let smallest =
            |size: &u64| heaptide_ledger::size_class::sizes_of(heaptide_ledger::size_class::class_of(*size)).0;
        smallest(&size)
    };
    let mut sums: BTreeMap<(&[String], u64), (u64, u64)> = BTreeMap::new();
    for path in told {
        let sum = sums.entry((&path.functions, class(path.size))).or_default();
        sum.0 += path.allocations;
        sum.1 += path.allocations * path.size;
    }
    let mut wrong = Vec::new();
    for ((functions, size), expected) in sums {
        let found = recorded
            .iter()
            .filter(|((frames, class), _)| *class == size && matches(frames, functions, own))
            .fold((0, 0), |sum, (_, counts)| (sum.0 + counts.allocations, sum.1 + counts.bytes));
        if found != expected {
            wrong.push(format!("{functions:?} of {size} bytes or more: {found:?}, told {expected:?}"));
        }
    }
    wrong
}

#[test]
fn every_path_that_a_program_tells_of_is_found() {
    let place = Place::new();
    let (mut wrong, mut told_paths) = (Vec::new(), 0);
    for name in list() {
        let source = ["c", "cpp", "rs"].iter().find_map(|extension| {
            let programs = concat!(env!("CARGO_MANIFEST_DIR"), "/../programs");
            std::fs::read_to_string(format!("{programs}/{name}.{extension}")).ok()
        });
        if !source.expect("a listed program has a source").contains("path ")
            && name != "robust/alloca-frames-unoptimised"
        {
            continue;
        }
        let ran = record(&place, &name, "").run().succeeded();
        let told = path_truths(&ran.stdout);
        told_paths += told.len();
        let recorded = paths(&ran.symbolized());
        wrong.extend(
            wrong_paths(&recorded, &told, &own_modules(&name)).into_iter().map(|path| format!("{name}: {path}")),
        );
    }
    assert!(told_paths >= 40, "only {told_paths} paths were told");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Lines are those of the calls, not of what follows them.
#[test]
fn a_frame_has_the_line_of_its_call() {
    let place = Place::new();
    let ran = record(&place, "exact/c-call-paths", "").run().succeeded();
    let profile = ran.symbolized();
    let lines: Vec<_> = path_truths(&ran.stdout).into_iter().filter_map(|path| Some((path.size, path.line?))).collect();
    assert_eq!(lines.len(), 2);
    for (size, line) in lines {
        let site = profile
            .sites
            .iter()
            .find(|site| site.allocated_bytes == size && site.allocations == 1)
            .expect("a block of that size");
        let node = profile.nodes[site.node.expect("its path is known").index()];
        let frames = &profile.symbols[node.location.index()].frames;
        let frame = frames.iter().find(|frame| profile.strings[frame.function.index()] == "neighbouring_lines");
        assert_eq!(frame.expect("the function of the call").line.map(u64::from), Some(line));
    }
}

fn no_mismatch(ran: &Ran, name: &str, wrong: &mut Vec<String>) {
    match ran.memo_mismatches() {
        0 => {}
        mismatches => wrong.push(format!("{name}: {mismatches}")),
    }
}

/// Programs that a whole walk at every event makes too slow run shorter.
fn shorter(name: &str, place: &Place) -> Vec<String> {
    match name {
        "robust/killed" => vec![place.path("counts").display().to_string(), "2000".to_owned()],
        "robust/short-threads" => vec!["2000".to_owned()],
        "robust/deep-recursion" => vec!["20000".to_owned()],
        _ => Vec::new(),
    }
}

#[test]
fn a_remembered_stack_is_the_stack() {
    let place = Place::new();
    let mut wrong = Vec::new();
    for name in list() {
        let mut recording = record(&place, &name, "verify:1");
        recording.command.args(shorter(&name, &place));
        no_mismatch(&recording.run(), &name, &mut wrong);
    }
    assert!(wrong.is_empty(), "call paths that differ from the stack:\n{}", wrong.join("\n"));
}

#[test]
fn a_remembered_stack_is_the_stack_in_the_workloads() {
    let place = Place::new();
    let mut wrong = Vec::new();
    let runs: [(&str, &[&str]); 3] = [
        ("binary-trees", &["--depth", "10", "--rounds", "3", "--threads", "2"]),
        ("json-parse", &["--megabytes", "1", "--rounds", "1"]),
        ("kv-service", &["--requests", "3000", "--connections", "10"]),
    ];
    for (name, arguments) in runs {
        let mut command = Command::new(workload(name));
        command.args(arguments);
        let ran = record_command(&place, command, "verify:1").run().succeeded();
        let profile = ran.profile();
        assert!(profile.totals.allocations > 5_000, "{name}: {:?}", profile.totals);
        assert_eq!((profile.recorder.lost_events, profile.recorder.unmatched_frees), (0, 0), "{name}");
        no_mismatch(&ran, name, &mut wrong);
    }
    assert!(wrong.is_empty(), "call paths that differ from the stack:\n{}", wrong.join("\n"));
}

/// The whole tree, return address by return address, with every count, is the same with and without the memory.
#[test]
fn the_tree_does_not_depend_on_what_is_remembered() {
    let place = Place::new();
    let names = [
        "exact/c-all-calls",
        "exact/c-call-paths",
        "exact/c-libc-buffers",
        "exact/c-strdup",
        "exact/cpp-containers",
        "exact/cpp-new",
        "robust/alloca-frames",
        "robust/alloca-frames-unoptimised",
        "robust/atexit",
        "robust/constructors",
        "robust/contexts",
        "robust/fibres",
        "robust/longjmp",
        "robust/realigned-frames",
        "robust/signal-alternate-stack",
        "robust/signal-raised",
    ];
    for name in names {
        let tree = |options| paths(&record(&place, name, options).run().succeeded().profile());
        let (with, without) = (tree("memo:1"), tree("memo:0"));
        let differ: Vec<_> = with.iter().filter(|(path, counts)| without.get(path) != Some(counts)).collect();
        assert!(with.len() == without.len() && differ.is_empty(), "{name}: {differ:#?}");
        assert!(!with.is_empty(), "{name}");
    }
}
