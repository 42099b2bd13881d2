//! A recorded program runs as it would alone: its output, arguments, environment, signals and status pass through.

mod support;

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use rustix::process::{Pid, WaitOptions, waitpid};
use support::{HOLDER, Place, Talking, send};

/// Says `ready`, its parent's process id and its own, `int` for every SIGINT, and how many there were for a SIGTERM;
/// answers lines.
const COUNTER: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static volatile sig_atomic_t ints;
static void on_int(int signal) { ints++; (void)!write(1, "int\n", 4); }
static void on_term(int signal) {
    char line[] = "ints 0\n";
    line[5] += ints;
    (void)!write(1, line, 7);
    _exit(0);
}
int main(void) {
    char line[64];
    struct sigaction action = { .sa_handler = on_int, .sa_flags = SA_RESTART };
    sigaction(SIGINT, &action, 0);
    action.sa_handler = on_term;
    sigaction(SIGTERM, &action, 0);
    int length = snprintf(line, sizeof line, "ready %d %d\n", (int)getppid(), (int)getpid());
    (void)!write(1, line, length);
    while (read(0, line, sizeof line) > 0) (void)!write(1, "here\n", 5);
    return 0;
}
"#;

/// The two process ids of `ready`.
fn pids(line: &str) -> (i32, i32) {
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("ready"), "{line}");
    let mut pid = || words.next().unwrap().parse().unwrap();
    (pid(), pid())
}

/// A command line in a terminal of its own, of 80 columns.
fn in_terminal(place: &Place, line: &str) -> Command {
    let heaptide = place.heaptide(["--version"]);
    let mut script = Command::new("script");
    script.args(["-qec", &format!("stty cols 80 rows 24; exec {line}"), "/dev/null"]);
    script.current_dir(place.dir());
    for (name, value) in heaptide.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.env("TERM", "xterm");
    script
}

const OWN: &str = env!("CARGO_BIN_EXE_heaptide");

#[test]
fn status_and_output_pass_through() {
    let place = Place::new();
    let ran = place.run(["run", "--", "sh", "-c", "echo out; echo err >&2; exit 42"]);
    assert_eq!((ran.code(), ran.stdout.as_str()), (Some(42), "out\n"));
    assert!(ran.stderr.starts_with("err\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("heaptide report "), "{}", ran.stderr);
    let quiet = place.run(["run", "--quiet", "--", "sh", "-c", "echo err >&2"]);
    assert_eq!(quiet.stderr, "err\n");
}

#[test]
fn input_and_arguments_pass_through() {
    let place = Place::new();
    let mut cat = Talking::start(&mut place.heaptide(["run", "-q", "cat"]));
    cat.say("hello");
    assert_eq!(cat.hear(), "hello");
    assert_eq!(cat.hear_out(), "");
    assert_eq!(cat.wait().code(), Some(0));

    let odd = std::ffi::OsString::from_vec(b"\xff \n*".to_vec());
    let mut command = place.heaptide(["run", "-q", "printf", "%s|%s"]);
    let output = command.arg("--help").arg(&odd).output().unwrap();
    assert_eq!(output.stdout, b"--help|\xff \n*");
}

#[test]
fn the_signal_that_ends_the_program_ends_the_recorder() {
    let place = Place::new();
    for (name, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("RTMIN", 34)] {
        let file = format!("{name}.heaptide");
        let ran = place.run(["run", "-q", "-o", &file, "--", "sh", "-c", &format!("kill -s {name} $$")]);
        assert_eq!(ran.status.signal(), Some(number), "{name}: {}", ran.stderr);
        let program = &place.json(&file)["program"];
        assert_eq!((&program["end"], &program["signal"]), (&"signalled".into(), &number.into()));
    }
}

#[test]
fn signals_are_passed_on() {
    let place = Place::new();
    let program = place.compile("counter", COUNTER, &[]);
    let mut run = Talking::start(place.heaptide(["run", "-q"]).arg(program));
    let (parent, _) = pids(&run.hear());
    assert_eq!(parent, run.pid());
    send(run.pid(), "INT");
    assert_eq!(run.hear(), "int");
    send(run.pid(), "TERM");
    assert_eq!(run.hear(), "ints 1");
    assert_eq!(run.wait().code(), Some(0));
}

#[test]
fn a_key_in_the_terminal_reaches_the_program_once() {
    let place = Place::new();
    place.compile("counter", COUNTER, &[]);
    let mut run = Talking::start(&mut in_terminal(&place, &format!("{OWN} run --quiet ./counter")));
    let (heaptide, _) = pids(&run.hear());
    run.say_raw("\x03");
    // The terminal shows the key in front.
    assert!(run.hear().ends_with("int"));
    // A second SIGINT would be passed on in front of this.
    send(heaptide, "TERM");
    let last = run.hear_out();
    assert!(last.contains("ints 1"), "{last:?}");
    assert!(!last.contains("int\r"), "{last:?}");
    assert_eq!(place.recordings().len(), 1);
}

#[test]
fn ctrl_c_that_ends_the_program_leaves_a_recording() {
    let place = Place::new();
    place.compile("holder", HOLDER, &[]);
    let mut run = Talking::start(&mut in_terminal(&place, &format!("{OWN} run -o x.heaptide ./holder")));
    assert!(run.hear().starts_with("ready"));
    run.say_raw("\x03");
    let said = run.hear_out();
    assert!(said.contains("SIGINT"), "{said}");
    assert_eq!(run.wait().code(), Some(130), "{said}");
    assert_eq!(place.json("x.heaptide")["program"]["signal"], 2);
}

#[test]
fn a_job_stops_and_goes_on() {
    let place = Place::new();
    let program = place.compile("counter", COUNTER, &[]);
    // A job is a process group of its own, in a session with others.
    let mut run = Talking::start(place.heaptide(["run", "-q"]).arg(program).process_group(0));
    let (_, child) = pids(&run.hear());
    send(run.pid(), "TSTP");
    let (_, status) = waitpid(Pid::from_raw(run.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped(), "{status:?}");
    let state = || {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next()
    };
    while state() != Some('T') {
        std::thread::yield_now();
    }
    send(run.pid(), "CONT");
    run.say("?");
    assert_eq!(run.hear(), "here");
    assert_eq!(run.hear_out(), "");
    assert_eq!(run.wait().code(), Some(0));
}

#[test]
fn a_library_that_is_preloaded_already_stays() {
    let place = Place::new();
    let source = "#include <unistd.h>\n__attribute__((constructor)) static void here(void) { (void)!write(1, \"other\\n\", 6); }";
    let other = place.compile("other.so", source, &["-shared", "-fPIC"]);
    place.compile("holder", HOLDER, &[]);
    let mut run =
        Talking::start(place.heaptide(["run", "-q", "-o", "x.heaptide", "./holder"]).env("LD_PRELOAD", other));
    let mut said = run.hear();
    while said == "other" {
        said = run.hear();
    }
    assert!(said.starts_with("ready"), "{said}");
    run.say("10 100");
    assert_eq!(run.hear(), "held");
    run.hear_out();
    assert_eq!(run.wait().code(), Some(0));
    assert!(place.json("x.heaptide")["totals"]["live_allocations"].as_u64().unwrap() >= 10);
}

#[test]
fn recordings_are_private_and_named_after_the_program() {
    let place = Place::new();
    place.compile("holder", HOLDER, &[]);
    place.run(["run", "-q", "./holder"]).succeeds();
    let [name] = &place.recordings()[..] else { panic!("{:?}", place.recordings()) };
    let pid = name.strip_prefix("holder.").unwrap().strip_suffix(".heaptide").unwrap();
    assert_eq!(place.json(name)["program"]["pid"].to_string(), pid);
    assert_eq!(fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777, 0o600);
    let listing = place.run(["report"]).stdout;
    assert!(listing.contains(&format!("heaptide report {name}")), "{listing}");
    assert!(listing.contains(&format!("holder, pid {pid}")), "{listing}");
}

#[test]
fn every_block_is_counted_at_its_function() {
    let place = Place::new();
    place.compile("holder", HOLDER, &["-g", "-O1"]);
    let mut run = Talking::start(&mut place.heaptide(["run", "-q", "-o", "x.heaptide", "./holder"]));
    run.hear();
    run.say("250 1000");
    assert_eq!(run.hear(), "held");
    let ledger = ledger_of(&place, run.pid());
    let is_sampled = |moment: &serde_json::Value| moment.as_u64().is_some();
    while !place.json(&ledger)["timeline"]["rss_bytes"].as_array().unwrap().iter().any(is_sampled) {}
    run.hear_out();
    assert_eq!(run.wait().code(), Some(0));
    let report = place.json("x.heaptide");
    assert_eq!((&report["program"]["end"], &report["program"]["status"]), (&"exited".into(), &0.into()));
    let held: Vec<&serde_json::Value> = report["call_paths"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|path| path["frames"].as_array().unwrap().iter().any(|frame| frame["function"] == "hold"))
        .collect();
    let sum = |key: &str| held.iter().map(|path| path[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("live_allocations"), sum("live_bytes"), sum("frees")), (250, 250_000, 0));
    let timeline = &report["timeline"];
    assert!(!timeline["t_s"].as_array().unwrap().is_empty());
    let last_rss = timeline["rss_bytes"].as_array().unwrap().iter().filter_map(|rss| rss.as_u64()).next_back();
    assert!(last_rss.is_some_and(|rss| rss > 100_000), "{timeline}");

    let text = place.run(["report", "x.heaptide", "--by", "line", "--sort", "live", "--top", "1"]).stdout;
    assert!(text.contains("holder.c:5"), "{text}");
    let filtered = place.run(["report", "x.heaptide", "--filter", "no_such_function"]).stdout;
    assert!(!filtered.contains("holder.c:5"), "{filtered}");
}

#[test]
fn samples_are_marked_as_such() {
    let place = Place::new();
    place.compile("holder", HOLDER, &[]);
    place.run(["run", "-q", "--sample=64k", "-o", "x.heaptide", "./holder"]).succeeds();
    let recorder = &place.json("x.heaptide")["recorder"];
    assert_eq!((&recorder["mode"], &recorder["sample_interval_bytes"]), (&"sampled".into(), &65536.into()));
}

#[test]
fn a_program_that_executes_another_is_followed_to_the_last() {
    let place = Place::new();
    place.compile("holder", HOLDER, &[]);
    let line = "exec sh -c 'exec sh -c \"exec ./holder\"'";
    place.run(["run", "-q", "-o", "x.heaptide", "sh", "-c", line]).succeeds();
    let exe = place.json("x.heaptide")["program"]["exe"].as_str().unwrap().to_owned();
    assert!(exe.ends_with("/holder"), "{exe}");
}

#[test]
fn a_program_that_executes_what_cannot_be_recorded_is_told_of() {
    let place = Place::new();
    // It must still be there when the observer looks.
    let source =
        "#include <unistd.h>\nint main(void) { char c; (void)!write(1, \"ready\\n\", 6); return (int)read(0, &c, 1); }";
    place.compile("static", source, &["-static"]);
    let mut command = place.heaptide(["run", "-o", "x.heaptide", "--interval", "1", "sh", "-c", "exec ./static"]);
    let mut run = Talking::start(command.stderr(Stdio::piped()));
    assert_eq!(run.hear(), "ready");
    // The timeline of what is left grows for as long as it is watched: two more samples have looked at it.
    let ledger = ledger_of(&place, run.pid());
    let samples = || place.json(&ledger)["timeline"]["t_s"].as_array().unwrap().len();
    let before = samples();
    while samples() < before + 2 {}
    run.hear_out();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut run.child.stderr.take().unwrap(), &mut said).unwrap();
    assert!(said.contains("static, which did not load the recorder"), "{said}");
    assert_eq!(run.wait().code(), Some(0));
}

/// The ledger that `heaptide report` lists for the observer `pid`.
fn ledger_of(place: &Place, observer: i32) -> String {
    let listing = place.run(["report"]).stdout;
    let session = format!("-{observer}-");
    let line = listing.lines().find(|line| line.contains(&session) && line.ends_with(".ledger"));
    line.unwrap_or_else(|| panic!("none of {observer} in {listing}"))
        .trim()
        .strip_prefix("heaptide report ")
        .unwrap()
        .to_owned()
}

#[test]
fn children_are_recorded_when_followed() {
    let place = Place::new();
    place.compile("holder", HOLDER, &[]);
    let line = "./holder </dev/null; ./holder </dev/null; exit 3";
    let ran = place.run(["run", "--follow", "--", "sh", "-c", line]);
    assert_eq!(ran.code(), Some(3), "{}", ran.stderr);
    let recordings = place.recordings();
    let holders: Vec<&String> = recordings.iter().filter(|name| name.starts_with("holder.")).collect();
    assert_eq!((holders.len(), recordings.len()), (2, 3), "{recordings:?}");
    for name in holders {
        assert!(ran.stderr.contains(name.as_str()), "{}", ran.stderr);
        assert!(place.json(name)["totals"]["allocations"].as_u64().unwrap() > 0);
    }
    let own = "void *_rjem_malloc(unsigned long n) { return (void *)n; }\nint main(void) { return 0; }";
    place.compile("own", own, &[]);
    let ran = place.run(["run", "--follow", "--", "sh", "-c", "./own; true"]);
    assert!(ran.stderr.contains("/own: jemalloc is linked into it"), "{}", ran.stderr);
    fs::create_dir(place.path("alone")).unwrap();
    let alone = place.run(["run", "-q", "-o", "alone/x.heaptide", "--", "sh", "-c", line]);
    assert_eq!(alone.code(), Some(3));
    assert_eq!(fs::read_dir(place.path("alone")).unwrap().count(), 1);
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let place = Place::new();
    place.run(["run", "-q", "-o", "x.heaptide", "sh", "-c", "true"]).succeeds();
    let in_colour = |command: &mut Command| {
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().contains("\x1b[")
    };
    let line = format!("{OWN} report x.heaptide");
    assert!(in_colour(&mut in_terminal(&place, &line)));
    assert!(!in_colour(in_terminal(&place, &line).env("NO_COLOR", "1")));
    assert!(!in_colour(in_terminal(&place, &line).env("TERM", "dumb")));
    assert!(!in_colour(&mut in_terminal(&place, &format!("{line} --color never"))));
    assert!(!in_colour(&mut place.heaptide(["report", "x.heaptide"])));
    assert!(in_colour(&mut place.heaptide(["report", "x.heaptide", "--color", "always"])));
}

#[test]
fn a_terminal_of_80_columns_is_enough() {
    let place = Place::new();
    place.compile("holder", HOLDER, &["-g"]);
    place.run(["run", "-q", "-o", "x.heaptide", "./holder"]).succeeds();
    for line in ["report x.heaptide", "doctor ./holder", "--help", "run --help", "report --help", "preload-path --help"]
    {
        let mut command = in_terminal(&place, &format!("{OWN} --color never {line}"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().count() > 3, "{text}");
        // The path of a program is not cut.
        let own = place.dir().to_str().unwrap();
        let mut lines = text.lines().filter(|line| !line.contains(own));
        assert_eq!(lines.find(|line| line.trim_end().chars().count() > 80), None);
    }
}

#[test]
fn the_progress_line_is_taken_away() {
    let place = Place::new();
    place.compile("holder", HOLDER, &[]);
    let mut run = Talking::start(&mut in_terminal(&place, &format!("{OWN} run -o x.heaptide ./holder")));
    assert!(run.hear().starts_with("ready"));
    // The line stays within its own line: it is drawn, and then erased, in front of the report.
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("allocations/s") {
        let mut piece = [0; 256];
        let count = std::io::Read::read(&mut run.output, &mut piece).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&piece[..count]);
    }
    run.say_raw("\x04");
    let rest = run.hear_out();
    assert!(rest.contains("\r\x1b[2K"), "{rest:?}");
    let report = rest.rsplit("\x1b[2K").next().unwrap();
    assert!(report.contains("heaptide report x.heaptide") && !report.contains("allocations/s"), "{rest:?}");
}

#[test]
fn without_room_in_shared_memory_and_without_the_right_to_execute() {
    let place = Place::new();
    // A name space of its own, where mounting hurts nobody.
    let script = "set -e
        mount -t tmpfs -o size=64m tmpfs /dev/shm
        \"$HEAPTIDE\" run --verbose -o x.heaptide -- true
        mkdir noexec; mount -t tmpfs -o noexec tmpfs noexec; mount -t tmpfs -o noexec,size=1g tmpfs /dev/shm; cd noexec
        \"$HEAPTIDE\" run --verbose -o x.heaptide -- ../holder
        \"$HEAPTIDE\" report --quiet --format json x.heaptide; ls -A";
    place.compile("holder", HOLDER, &[]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", script]).current_dir(place.dir()).stdin(Stdio::null());
    let output = command.env("HEAPTIDE", OWN).env("XDG_CACHE_HOME", place.path("cache")).output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    let sessions: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("heaptide: recording in ")).collect();
    let [beside, noexec] = sessions[..] else { panic!("{told}") };
    assert!(beside.starts_with(&format!("{}/heaptide-", place.dir().display())), "{beside}");
    assert!(noexec.starts_with(&format!("{}/noexec/heaptide-", place.dir().display())), "{noexec}");
    assert!(said.contains("\"live_allocations\"") && said.contains("ready "), "{said}");
    assert!(said.ends_with("}\nx.heaptide\n"), "the session is gone: {said}");
}
