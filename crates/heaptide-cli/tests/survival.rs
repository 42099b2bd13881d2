//! Whoever is killed, the other goes on, and what was recorded can be read.

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{EndedByPid, HOLDER, Place, Ran, Talking, send};

/// A recorded holder of 100 blocks of 1000 bytes.
struct Held {
    place: Place,
    run: Talking,
    program: EndedByPid,
}

impl Held {
    fn new() -> Held {
        let place = Place::new();
        place.compile("holder", HOLDER, &["-g", "-O1"]);
        let mut run = Talking::start(&mut place.heaptide(["run", "-q", "-o", "x.heaptide", "./holder"]));
        let ready = run.hear();
        let program = EndedByPid(ready.strip_prefix("ready ").unwrap().parse().unwrap());
        run.say("100 1000");
        assert_eq!(run.hear(), "held");
        Held { place, run, program }
    }

    /// What `heaptide report` says of the ledger, and where that is.
    fn listed(&self) -> (String, PathBuf) {
        let listing = self.place.run(["report"]);
        listing.succeeds();
        let head = format!("  holder, pid {}, ", self.program.0);
        let mut lines = listing.stdout.lines().skip_while(|line| !line.starts_with(&head));
        let state = lines.next().unwrap_or_else(|| panic!("{}", listing.stdout)).to_owned();
        let path = lines.next().unwrap().trim().strip_prefix("heaptide report ").unwrap();
        (state, PathBuf::from(path))
    }
}

/// Live blocks and bytes of the holder in a recording or ledger, and how the program ended.
fn read(place: &Place, file: &Path) -> (u64, u64, String) {
    let report = place.json(file.to_str().unwrap());
    let paths = report["call_paths"].as_array().unwrap();
    let held =
        paths.iter().filter(|path| path["frames"].as_array().unwrap().iter().any(|frame| frame["function"] == "hold"));
    let (blocks, bytes) = held.fold((0, 0), |(blocks, bytes), path| {
        (blocks + path["live_allocations"].as_u64().unwrap(), bytes + path["live_bytes"].as_u64().unwrap())
    });
    (blocks, bytes, report["program"]["end"].as_str().unwrap().to_owned())
}

/// A ledger whose session's directory goes with the test.
struct Ledger(PathBuf);

impl Drop for Ledger {
    fn drop(&mut self) {
        let session = self.0.parent().unwrap();
        assert!(session.file_name().unwrap().to_str().unwrap().starts_with("heaptide-"));
        let _ = fs::remove_dir_all(session);
    }
}

/// Until process `pid`, of which somebody else is the parent, is gone.
fn until_gone(pid: i32) {
    while Path::new("/proc").join(pid.to_string()).join("exe").read_link().is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_program_is_reported() {
    let mut held = Held::new();
    send(held.program.0, "KILL");
    assert_eq!(held.run.wait().signal(), Some(9));
    let report = held.place.json("x.heaptide");
    assert_eq!((&report["program"]["end"], &report["program"]["signal"]), (&"signalled".into(), &9.into()));
    assert!(report["totals"]["live_bytes"].as_u64().unwrap() >= 100_000);
}

#[test]
fn the_program_goes_on_without_its_observer() {
    let mut held = Held::new();
    let (state, path) = held.listed();
    let ledger = Ledger(path);
    assert!(state.ends_with("being recorded"), "{state}");
    assert_eq!(read(&held.place, &ledger.0), (100, 100_000, "running".to_owned()));

    send(held.run.pid(), "KILL");
    assert_eq!(held.run.child.wait().unwrap().signal(), Some(9));
    held.run.say("50 1000");
    assert_eq!(held.run.hear(), "held");
    let (state, _) = held.listed();
    assert!(state.ends_with("running, without an observer"), "{state}");
    assert_eq!(read(&held.place, &ledger.0), (150, 150_000, "running".to_owned()));

    assert_eq!(held.run.hear_out(), "");
    until_gone(held.program.0);
    assert_eq!(read(&held.place, &ledger.0), (150, 150_000, "exited".to_owned()));
    assert_eq!(held.place.recordings(), [""; 0]);
}

#[test]
fn both_killed_leave_a_ledger() {
    let mut held = Held::new();
    send(held.run.pid(), "KILL");
    send(held.program.0, "KILL");
    held.run.child.wait().unwrap();
    until_gone(held.program.0);
    let (state, path) = held.listed();
    let ledger = Ledger(path);
    assert!(state.ends_with("left behind"), "{state}");
    assert_eq!(read(&held.place, &ledger.0), (100, 100_000, "lost".to_owned()));
    let listing = held.place.run(["report"]).stdout;
    let session = ledger.0.parent().unwrap().to_str().unwrap();
    assert!(listing.contains(&format!("rm -r {session} ")), "{listing}");
    let text = Ran::of(held.place.heaptide(["report"]).arg(&ledger.0).output().unwrap());
    text.succeeds();
    assert!(text.stdout.contains("hold"), "{}", text.stdout);
}

#[test]
fn nothing_is_left_of_a_session_that_ended() {
    let place = Place::new();
    let ran = place.run(["run", "--verbose", "-o", "x.heaptide", "--", "sh", "-c", "true"]);
    ran.succeeds();
    let session = ran.stderr.lines().find_map(|line| line.strip_prefix("heaptide: recording in ")).unwrap();
    assert!(!Path::new(session).exists());
}

#[test]
fn a_program_without_an_observer_leaves_its_ledger() {
    let place = Place::new();
    let program = place.compile("holder", HOLDER, &["-g", "-O1"]);
    let library = place.run(["preload-path"]);
    library.succeeds();
    assert_eq!(library.stdout, place.run(["preload-path"]).stdout, "it stays where it is");
    let mut command = Command::new(program);
    command.current_dir(place.dir()).env("LD_PRELOAD", library.stdout.trim_end());
    let mut run = Talking::start(command.env("HEAPTIDE_OPTIONS", "out:%e.x.heaptide"));
    run.hear();
    run.say("100 1000");
    assert_eq!(run.hear(), "held");
    let ledger = place.path("holder.x.heaptide");
    assert_eq!(read(&place, &ledger), (100, 100_000, "running".to_owned()));
    run.hear_out();
    assert_eq!(run.wait().code(), Some(0));
    assert_eq!(read(&place, &ledger), (100, 100_000, "exited".to_owned()));
    let report = place.run(["report", "-q", "holder.x.heaptide"]);
    report.succeeds();
    assert!(report.stdout.contains(", ended by itself\n"), "{}", report.stdout);
}

#[test]
fn the_library_is_put_where_it_is_wanted() {
    let place = Place::new();
    let ran = place.run(["preload-path", "-o", "lib.so"]);
    ran.succeeds();
    assert_eq!(ran.stdout.trim_end(), place.path("lib.so").to_str().unwrap());
    assert!(fs::read(place.path("lib.so")).unwrap().starts_with(b"\x7fELF"));
    place.run(["preload-path", "-o", "lib.so"]).fails(1, &["lib.so exists already", "--force"]);
    fs::create_dir(place.path("with space")).unwrap();
    place.run(["preload-path", "-o", "with space/lib.so"]).fails(1, &["LD_PRELOAD cannot name"]);
    let mut homeless = place.heaptide(["preload-path"]);
    homeless.env_remove("XDG_DATA_HOME").env_remove("HOME");
    Ran::of(homeless.output().unwrap()).fails(1, &["no home directory", "hint: -o FILE"]);
}
