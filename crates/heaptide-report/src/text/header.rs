//! The head of the report: what ran, and how well it was recorded.

use heaptide_profile::{End, Mode, Profile, Program};

use super::name;
use super::page::{Ink, Line, Page};
use super::width::cut_middle;
use crate::escape;
use crate::units::{bytes, date, duration, share, things};

/// Where facts begin, behind their labels.
const FACTS_AT: usize = 11;

/// Lines that the command may take.
const COMMAND_LINES: usize = 3;

/// Arguments shown; a page has no room for more.
const MOST_ARGS: usize = 64;

pub(crate) fn draw(page: &mut Page, profile: &Profile) {
    let program = &profile.program;
    let recorder = &profile.recorder;
    page.line(Line::new().add(Ink::Title, title(program)).add(Ink::Dim, " · heap report"));
    page.gap();
    let room = page.width() - FACTS_AT;
    if !program.exe.is_empty() {
        page.words(label("command"), Ink::Plain, &cut_middle(&command(program), room * COMMAND_LINES));
    }
    let mut process = format!("pid {}", program.pid);
    if let Some(started) = date(program.started_unix_ms) {
        process.push_str(&format!(", started {started}"));
    }
    fact(page, "process", &process);
    fact(page, "ran", &sentence(&[duration(program.duration_s), Some(end(program.end))]));
    let mode = match recorder.mode {
        Mode::Exact => "every allocation recorded".to_owned(),
        Mode::Sampled { interval_bytes } => {
            format!("sampled, one block in {} on average", bytes(interval_bytes))
        }
    };
    fact(page, "mode", &format!("{mode}; {}", things(recorder.events, "call")));
    let peak = profile.totals.peak_live_bytes;
    let of_peak =
        share(recorder.own_bytes, peak).map_or(String::new(), |share| format!(", {share} of the program's peak"));
    fact(page, "overhead", &format!("{} of memory{of_peak}", bytes(recorder.own_bytes)));
    draw_warnings(page, profile);
}

/// Says why, if the program made no memory. Whether it did so.
pub(crate) fn draw_if_empty(page: &mut Page, profile: &Profile) -> bool {
    if profile.totals.allocations > 0 || profile.sites.iter().any(|site| site.allocations > 0) {
        return false;
    }
    page.gap();
    page.line(Line::new().add(Ink::Title, "The program made no heap memory that could be seen."));
    page.words(
        Line::new(),
        Ink::Plain,
        "If it should have: it may bring its own allocator (jemalloc, mimalloc or tcmalloc inside of the executable), be \
         linked statically, or run with raised privileges. Then its calls do not pass the recorder.",
    );
    page.gap();
    page.line(
        Line::new()
            .add(Ink::Dim, "next  ")
            .add(Ink::Bold, "heaptide doctor")
            .add(Ink::Plain, " with the same command says which it is."),
    );
    true
}

/// The program's name: as it was called, which may be another than its file's.
pub(crate) fn title(program: &Program) -> String {
    let called = program.args.first().map_or("", |name| name.trim_start_matches('-'));
    let called = if called.is_empty() { &program.exe } else { called };
    match escape(name::module(called)) {
        name if name.is_empty() => "unknown program".to_owned(),
        name => name,
    }
}

/// How the program ended, in words.
pub(crate) fn end(end: End) -> String {
    match end {
        End::Exited { status: None } => "ended by itself".to_owned(),
        End::Exited { status: Some(0) } => "ended by itself, status 0".to_owned(),
        End::Exited { status: Some(status) } => format!("ended by itself with status {status}"),
        End::Signalled { signal } => match signal_name(signal) {
            Some(name) => format!("ended by signal {signal} ({name})"),
            None => format!("ended by signal {signal}"),
        },
        End::Running => "still running".to_owned(),
        End::Lost => "its end was not seen".to_owned(),
    }
}

/// The parts that are known, with commas.
pub(crate) fn sentence(parts: &[Option<String>]) -> String {
    parts.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Draws what was lost, and what that means.
pub(crate) fn draw_warnings(page: &mut Page, profile: &Profile) {
    let recorder = &profile.recorder;
    let mut warnings = Vec::new();
    if recorder.lost_events > 0 {
        let calls = things(recorder.lost_events, "call");
        warnings.push(format!("{calls} could not be recorded: the numbers below are too low by what they did."));
    }
    warnings.extend(recorder.limits.iter().take(8).map(|limit| format!("limit reached: {}", escape(limit))));
    if recorder.unmatched_frees > 0 {
        let frees = things(recorder.unmatched_frees, "free");
        warnings.push(format!("{frees} of blocks whose allocation was not seen: they are not counted below."));
    }
    if recorder.truncated_stacks > 0 {
        let calls = things(recorder.truncated_stacks, "allocation");
        warnings.push(format!("{calls}: call path cut at …(cut), no unwind information there."));
    }
    if !warnings.is_empty() {
        page.gap();
    }
    for warning in warnings {
        page.words(Line::new().add(Ink::Title, "! "), Ink::Plain, &warning);
    }
}

fn fact(page: &mut Page, name: &str, value: &str) {
    page.words(label(name), Ink::Plain, value);
}

fn label(name: &str) -> Line {
    Line::new().add(Ink::Dim, name).to(FACTS_AT)
}

fn command(program: &Program) -> String {
    let args = program.args.iter().skip(1).take(MOST_ARGS);
    let words = std::iter::once(&program.exe).chain(args).map(|word| escape(word));
    words.collect::<Vec<_>>().join(" ")
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}
