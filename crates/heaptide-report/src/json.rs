//! The JSON report, for scripts. Its keys are a contract: they are added to, and renamed only with a new
//! [`SCHEMA_VERSION`].
//!
//! A number that is not known is `null` or its key is absent, never 0. Rows are written as they are computed: beside
//! the profile, only a sum for each call path is held.

mod call_path;
mod distribution;

use std::io;

use heaptide_profile::{End, Mode, Profile, Program, Recorder, Thread, Timeline, Totals};
use serde::Serialize;

use crate::lookup::string;
use crate::units::rfc3339;
use call_path::CallPaths;

/// Version of the JSON report's keys.
pub const SCHEMA_VERSION: u32 = 1;

/// Writes the JSON report: one object on one line.
///
/// # Errors
///
/// Whatever `out` fails with.
///
/// ```
/// let mut bytes = Vec::new();
/// heaptide_report::json(&heaptide_profile::Profile::default(), &mut bytes)?;
/// assert!(bytes.starts_with(b"{\"schema_version\":1,"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn json(profile: &Profile, mut out: impl io::Write) -> io::Result<()> {
    serde_json::to_writer(&mut out, &ReportRow::of(profile))?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct ReportRow<'p> {
    schema_version: u32,
    program: ProgramRow<'p>,
    recorder: RecorderRow<'p>,
    totals: TotalsRow,
    call_paths: CallPaths<'p>,
    timeline: TimelineRow<'p>,
    threads: Vec<ThreadRow<'p>>,
    /// What the detectors found.
    findings: [(); 0],
    /// What they could not tell.
    not_enough_data: [(); 0],
}

impl<'p> ReportRow<'p> {
    fn of(profile: &'p Profile) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            program: ProgramRow::of(&profile.program),
            recorder: RecorderRow::of(&profile.recorder),
            totals: TotalsRow::of(&profile.totals, profile.recorder.mode),
            call_paths: CallPaths::of(profile),
            timeline: TimelineRow::of(&profile.timeline),
            threads: profile.threads.iter().map(|thread| ThreadRow::of(profile, thread)).collect(),
            findings: [],
            not_enough_data: [],
        }
    }
}

#[derive(Serialize)]
struct ProgramRow<'p> {
    exe: &'p str,
    args: &'p [String],
    pid: u32,
    /// RFC 3339, in UTC.
    started: Option<String>,
    duration_s: f64,
    end: &'static str,
    /// Of a program that exited; null where nobody waited for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Option<i32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
}

impl<'p> ProgramRow<'p> {
    fn of(program: &'p Program) -> Self {
        let (end, status, signal) = match program.end {
            End::Exited { status } => ("exited", Some(status), None),
            End::Signalled { signal } => ("signalled", None, Some(signal)),
            End::Running => ("running", None, None),
            End::Lost => ("lost", None, None),
        };
        Self {
            exe: &program.exe,
            args: &program.args,
            pid: program.pid,
            started: rfc3339(program.started_unix_ms),
            duration_s: program.duration_s,
            end,
            status,
            signal,
        }
    }
}

/// A number that only exact recordings know.
fn when_exact(mode: Mode, number: u64) -> Option<u64> {
    matches!(mode, Mode::Exact).then_some(number)
}

#[derive(Serialize)]
struct RecorderRow<'p> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_interval_bytes: Option<u64>,
    events: u64,
    lost_events: u64,
    /// `null` when sampled, as are the keys about reallocations: not seen, which is not none.
    unmatched_frees: Option<u64>,
    truncated_stacks: u64,
    own_bytes: u64,
    version: &'p str,
    limits: &'p [String],
}

impl<'p> RecorderRow<'p> {
    fn of(recorder: &'p Recorder) -> Self {
        let (mode, sample_interval_bytes) = match recorder.mode {
            Mode::Exact => ("exact", None),
            Mode::Sampled { interval_bytes } => ("sampled", Some(interval_bytes)),
        };
        Self {
            mode,
            sample_interval_bytes,
            events: recorder.events,
            lost_events: recorder.lost_events,
            unmatched_frees: when_exact(recorder.mode, recorder.unmatched_frees),
            truncated_stacks: recorder.truncated_stacks,
            own_bytes: recorder.own_bytes,
            version: &recorder.version,
            limits: &recorder.limits,
        }
    }
}

#[derive(Serialize)]
struct TotalsRow {
    allocations: u64,
    allocated_bytes: u64,
    frees: u64,
    freed_bytes: u64,
    reallocations: Option<u64>,
    live_allocations: u64,
    live_bytes: u64,
    peak_live_bytes: u64,
    peak_at_s: f64,
    temporary_allocations: Option<u64>,
    peak_rss_bytes: Option<u64>,
    mapped_bytes: Option<u64>,
}

impl TotalsRow {
    fn of(totals: &Totals, mode: Mode) -> Self {
        Self {
            allocations: totals.allocations,
            allocated_bytes: totals.allocated_bytes,
            frees: totals.frees,
            freed_bytes: totals.freed_bytes,
            reallocations: when_exact(mode, totals.reallocations),
            live_allocations: totals.live_allocations,
            live_bytes: totals.live_bytes,
            peak_live_bytes: totals.peak_live_bytes,
            peak_at_s: seconds(totals.peak_at_ms),
            temporary_allocations: totals.temporary_allocations,
            peak_rss_bytes: totals.peak_rss_bytes,
            mapped_bytes: totals.mapped_bytes,
        }
    }
}

#[derive(Serialize)]
struct TimelineRow<'p> {
    t_s: Vec<f64>,
    live_bytes: &'p [u64],
    live_allocations: &'p [u64],
    allocations: &'p [u64],
    allocated_bytes: &'p [u64],
    rss_bytes: &'p [Option<u64>],
    pss_bytes: &'p [Option<u64>],
    mapped_bytes: &'p [u64],
    threads: &'p [Option<u64>],
    open_files: &'p [Option<u64>],
    cgroup_limit_bytes: Option<u64>,
}

impl<'p> TimelineRow<'p> {
    fn of(timeline: &'p Timeline) -> Self {
        Self {
            t_s: timeline.t_ms.iter().copied().map(seconds).collect(),
            live_bytes: &timeline.live_bytes,
            live_allocations: &timeline.live_allocations,
            allocations: &timeline.allocations,
            allocated_bytes: &timeline.allocated_bytes,
            rss_bytes: &timeline.rss_bytes,
            pss_bytes: &timeline.pss_bytes,
            mapped_bytes: &timeline.mapped_bytes,
            threads: &timeline.threads,
            open_files: &timeline.open_files,
            cgroup_limit_bytes: timeline.cgroup_limit_bytes,
        }
    }
}

#[derive(Serialize)]
struct ThreadRow<'p> {
    /// `null` for a row that sums several threads.
    tid: Option<u32>,
    name: Option<&'p str>,
    started_s: f64,
    ended_s: Option<f64>,
    allocations: u64,
    allocated_bytes: u64,
    frees: u64,
    freed_bytes: u64,
}

impl<'p> ThreadRow<'p> {
    fn of(profile: &'p Profile, thread: &Thread) -> Self {
        Self {
            tid: thread.tid,
            name: string(profile, thread.name),
            started_s: seconds(thread.started_ms),
            ended_s: thread.ended_ms.map(seconds),
            allocations: thread.allocations,
            allocated_bytes: thread.allocated_bytes,
            frees: thread.frees,
            freed_bytes: thread.freed_bytes,
        }
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
