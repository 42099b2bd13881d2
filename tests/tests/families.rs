//! Which processes of a family are recorded, and that the others are not bothered.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use heaptide_ledger::{header_word, state};
use heaptide_programs::{Truth, program};
use heaptide_tests::{Place, Ran, bare, header, ledgers, own_calls, preload, read, record, record_command, tool};

/// A shell that is recorded in `folder`, with `options`, from the moment it executes `script`.
fn shell(place: &Place, script: &str, libraries: &str, options: &str) -> (Ran, PathBuf) {
    let folder = place.path("ledgers");
    fs::create_dir(&folder).expect("it can be made");
    let begin = "export LD_PRELOAD=\"$LIBRARIES\" HEAPTIDE_OPTIONS=\"dir:$FOLDER,observer:1,root:$$,$MORE\"; exec sh -c \"$SCRIPT\"";
    let mut command = bare(tool("sh", "dash"));
    command.args(["-c", begin]);
    let mut recording = record_command(place, command, "");
    recording.command.env_remove("LD_PRELOAD").env_remove("HEAPTIDE_OPTIONS");
    let recording = recording
        .env("LIBRARIES", libraries)
        .env("FOLDER", &folder)
        .env("MORE", options)
        .env("SCRIPT", format!("unset LIBRARIES FOLDER MORE SCRIPT; {script}"));
    (recording.run().succeeded(), folder)
}

/// Lines of an environment that name the library or its options.
fn of_ours(environment: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(environment);
    assert!(text.contains("PATH="), "no environment: {text}");
    let ours = |line: &&str| line.starts_with("HEAPTIDE_OPTIONS") || line.contains("libheaptide");
    text.lines().filter(ours).map(str::to_owned).collect()
}

#[test]
fn children_are_not_recorded_and_find_no_trace_of_us() {
    let place = Place::new();
    let child = program("exact/c-strdup").display().to_string();
    let script = format!("{child} > child; env > environment; sh -c 'sh -c env' > grandchild");
    let (ran, folder) =
        shell(&place, &format!("cd {}; {script}", place.dir().display()), &preload().display().to_string(), "");
    assert_eq!(ran.stderr, "");
    let alone = Command::new(child).output().expect("it starts");
    assert_eq!(fs::read(place.path("child")).expect("it wrote it"), alone.stdout);
    for name in ["environment", "grandchild"] {
        let environment = fs::read(place.path(name)).expect("it wrote it");
        assert_eq!(of_ours(&environment), Vec::<String>::new(), "{name}");
    }
    // One of the shell alone.
    let ledgers = ledgers(&folder);
    assert_eq!(ledgers.len(), 1, "{ledgers:?}");
    assert!(read(&ledgers[0]).totals.allocations > 0);
}

#[test]
fn other_libraries_stay_loaded_in_children() {
    let interposer = program("robust/counting-interposer").display().to_string();
    let ours = preload().display().to_string();
    for libraries in [format!("{ours}:{interposer}"), format!("{interposer}:{ours}"), format!("{interposer} {ours}")] {
        let place = Place::new();
        let child = program("exact/c-strdup").display().to_string();
        let script = format!("cd {}; sh -c 'sh -c env; {child}' > grandchild", place.dir().display());
        let (ran, folder) = shell(&place, &script, &libraries, "");
        let environment = fs::read(place.path("grandchild")).expect("it wrote it");
        assert_eq!(of_ours(&environment), Vec::<String>::new(), "{libraries}");
        let text = String::from_utf8_lossy(&environment).into_owned();
        let preloaded = text.lines().find_map(|line| line.strip_prefix("LD_PRELOAD=")).expect("it is still set");
        assert_eq!(preloaded.trim_matches([':', ' ']), interposer, "{libraries}");
        assert_eq!(
            ran.stderr,
            "interposer allocations=2001 frees=2000
",
            "{libraries}"
        );
        assert_eq!(ledgers(&folder).len(), 1);
    }
}

#[test]
fn a_whole_family_has_a_ledger_each() {
    let place = Place::new();
    let children = ["exact/c-strdup", "exact/c-all-calls", "robust/atexit"];
    let script: Vec<String> = children.iter().map(|name| program(name).display().to_string()).collect();
    let script = format!("{}; true", script.join("; "));
    let (ran, folder) = shell(&place, &script, &preload().display().to_string(), "follow:1");
    assert_eq!(ran.stderr, "");
    let mut of_process: BTreeMap<u32, Vec<PathBuf>> = BTreeMap::new();
    for ledger in ledgers(&folder) {
        of_process.entry(read(&ledger).program.pid).or_default().push(ledger);
    }
    assert_eq!(of_process.len(), 1 + children.len(), "{of_process:?}");
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let truths: Vec<Truth> = text.lines().filter_map(|line| Truth::parse(line.as_bytes())).collect();
    assert_eq!(truths.len(), children.len());
    for (name, truth) in children.iter().zip(truths) {
        let exe = program(name).display().to_string();
        let ledgers =
            of_process.values().find(|ledgers| ledgers.last().is_some_and(|last| read(last).program.exe == exe));
        let (last, before) =
            ledgers.and_then(|ledgers| ledgers.split_last()).unwrap_or_else(|| panic!("{name} has none"));
        let totals = read(last).totals;
        assert_eq!((totals.allocations, totals.frees), (truth.allocations, truth.frees), "{name}");
        assert_eq!((totals.allocated_bytes, totals.live_bytes), (truth.bytes, truth.live_bytes), "{name}");
        assert_eq!(header(last, header_word!(state)), state::ENDED, "{name}");
        // The shell's child, before it executed the program.
        assert!(before.iter().all(|ledger| header(ledger, header_word!(state)) == state::SUPERSEDED), "{name}");
    }
}

/// Of 60 children, forked while three threads allocate, 20 execute another program after 200 blocks, 20 end by `exit` after as many,
/// and 20 free a block of their parent's, start a thread that makes 100 more, and end by `_exit`.
#[test]
fn forked_children_have_a_ledger_each() {
    let place = Place::new();
    let options = format!("dir:{},observer:1,follow:1", place.dir().display());
    let ran = record(&place, "robust/fork-threads", "").env("HEAPTIDE_OPTIONS", options).run().succeeded();
    let truth = Truth::parse(&ran.stdout).expect("it says what it did");
    let mut kinds: BTreeMap<(u64, u64, u64, u64), u32> = BTreeMap::new();
    let (mut parents, mut others) = (0, 0);
    for ledger in ledgers(place.dir()) {
        let profile = read(&ledger);
        let own = own_calls(&profile, &["fork-threads"]);
        assert_eq!(profile.recorder.lost_events, 0);
        if (own.allocations, own.bytes, own.frees) == (truth.allocations, truth.bytes, truth.frees) {
            parents += 1;
            assert_eq!(profile.recorder.unmatched_frees, 0);
        } else if profile.program.exe.ends_with("fork-threads") {
            let ended = header(&ledger, header_word!(state));
            *kinds.entry((own.allocations, own.frees, profile.recorder.unmatched_frees, ended)).or_default() += 1;
        } else {
            others += 1;
        }
    }
    assert_eq!((parents, others), (1, 20));
    let expected = [
        ((200, 200, 0, state::SUPERSEDED), 20),
        ((200, 200, 0, state::ENDED), 20),
        ((300, 300, 1, state::RECORDING), 20),
    ];
    assert_eq!(kinds, BTreeMap::from(expected));
}
