//! A ledger becomes a profile: the counters of all threads are summed, and ids become rows.
//!
//! The ledger may be in use, left behind by a killed program, cut short or damaged. What is not there is left out, and
//! what cannot be is named in a list of problems. A row that was handed out and never filled in is neither: that is
//! how a kill leaves it.
//!
//! The work and the memory are bounded by the size of the ledger, whatever its words say. It never symbolizes.

mod call_tree;
mod series;
mod sites;
mod survivors;
mod text;
mod thread_sites;
mod threads;

use heaptide_ledger::read::Reader;
use heaptide_ledger::weight::COUNT_UNITS;
use heaptide_ledger::{Loss, header_word, state};

use crate::model::{End, Mode, Profile, Program, Recorder, Totals};
use crate::problem::Problem;
use crate::strings::Strings;
use call_tree::CallTree;
use sites::SiteTable;
use text::Texts;
use threads::ThreadTable;

/// Bytes of arguments that are read.
const ARGS_BYTES: usize = 1 << 22;
/// Bytes of a path, a version or a name that are read.
const PATH_BYTES: usize = 1 << 12;

/// The profile that a ledger holds at this moment, and what was damaged in it.
///
/// `end` is how the program ended, which the ledger does not know; see [`unwatched_end`].
///
/// Totals are the sums of the sites, so they agree with the rows to the last block. `peak_live_bytes` is the highest
/// of what threads had handed in, of the timeline and of the live bytes now: threads hand in their sums only now and
/// then, so the first alone may lag behind the other two.
#[must_use]
pub fn from_ledger(reader: &Reader<'_>, end: End) -> (Profile, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut strings = Strings::default();
    let mut texts = Texts::new(*reader);
    let mode = match reader.header(header_word!(sample_interval)) {
        0 => Mode::Exact,
        interval_bytes => Mode::Sampled { interval_bytes },
    };

    check_length(reader, &mut problems);
    let program = program(reader, end, &mut texts, &mut problems);
    let version = texts.string(reader.header(header_word!(recorder_version)), PATH_BYTES);
    let tree = CallTree::read(reader, &mut texts, &mut strings, &mut problems);
    let threads = ThreadTable::read(reader, mode, &mut strings);
    let sites = SiteTable::read(reader, mode, &tree, threads, &mut problems);
    let (timeline, tracks) = series::read(reader, &tree, &mut problems);
    let survivors = survivors::read(reader, mode, &tree);

    let mut totals = sites.totals(mode);
    totals.mapped_bytes =
        Some(reader.header(header_word!(mapped_bytes)).saturating_sub(reader.header(header_word!(unmapped_bytes))));
    totals.peak_rss_bytes = timeline.rss_bytes.iter().copied().flatten().max();
    let peak = known_peak(reader, &timeline);
    let now_ms = reader.header(header_word!(clock_ms));
    let at_peak = if totals.live_bytes >= peak.0 {
        (totals.peak_live_bytes, totals.peak_at_ms) = (totals.live_bytes, now_ms);
        sites::AtPeak::Now
    } else {
        (totals.peak_live_bytes, totals.peak_at_ms) = peak;
        sites::AtPeak::Snapshot
    };
    let recorder = recorder(reader, mode, &totals, sites.samples(), version);
    let (sites, threads, thread_sites) = sites.into_rows(mode, at_peak);

    let profile = Profile {
        program,
        recorder,
        totals,
        strings: strings.into_table(),
        modules: tree.modules,
        locations: tree.locations,
        symbols: Vec::new(),
        nodes: tree.nodes,
        sites,
        threads,
        thread_sites,
        timeline,
        tracks,
        survivors,
    };
    (profile, problems)
}

/// How a program ended that is gone and that nobody waited for: it exited if it came as far as to note so, with a
/// status that the ledger does not know.
#[must_use]
pub fn unwatched_end(reader: &Reader<'_>) -> End {
    match reader.header(header_word!(state)) {
        state::ENDED => End::Exited { status: None },
        _ => End::Lost,
    }
}

/// A count of blocks in whole blocks.
fn whole_blocks(mode: Mode, units: u64) -> u64 {
    match mode {
        Mode::Exact => units,
        Mode::Sampled { .. } => units / COUNT_UNITS + u64::from(units % COUNT_UNITS >= COUNT_UNITS / 2),
    }
}

fn check_length(reader: &Reader<'_>, problems: &mut Vec<Problem>) {
    let there = reader.words().len() as u64 * 8;
    let used = reader.header(header_word!(used_bytes));
    if used > there {
        problems.push(Problem::new(
            "ledger",
            format!("only {there} of its {used} bytes are there; what lay beyond is left out"),
        ));
    }
}

fn program(reader: &Reader<'_>, end: End, texts: &mut Texts<'_>, problems: &mut Vec<Problem>) -> Program {
    let exe = texts.string(reader.header(header_word!(exe)), PATH_BYTES);
    let args = texts.bytes(reader.header(header_word!(args)), ARGS_BYTES);
    if exe.is_none() || args.is_none() {
        problems.push(Problem::new("program", "its path or its arguments are not there"));
    }
    let args = args.unwrap_or_default();
    let args = args.strip_suffix(b"\0").unwrap_or(&args);
    let args = if args.is_empty() {
        Vec::new()
    } else {
        args.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
    };
    Program {
        exe: exe.unwrap_or_default(),
        args,
        pid: reader.header(header_word!(pid)) as u32,
        started_unix_ms: reader.header(header_word!(started_unix_ns)) / 1_000_000,
        duration_s: reader.header(header_word!(clock_ms)) as f64 / 1000.0,
        end,
    }
}

fn recorder(reader: &Reader<'_>, mode: Mode, totals: &Totals, samples: u64, version: Option<String>) -> Recorder {
    let lost = |loss: Loss| reader.header(header_word!(lost) + loss as usize);
    Recorder {
        mode,
        events: match mode {
            // A reallocation is one call, and counts as an allocation and a free.
            Mode::Exact => totals.allocations.saturating_add(totals.frees).saturating_sub(totals.reallocations),
            Mode::Sampled { .. } => samples,
        },
        lost_events: Loss::ALL.into_iter().fold(0, |sum: u64, loss| sum.saturating_add(lost(loss))),
        unmatched_frees: reader.header(header_word!(unmatched_frees)),
        truncated_stacks: reader.header(header_word!(truncated_stacks)),
        own_bytes: reader.header(header_word!(file_bytes)).saturating_add(reader.header(header_word!(private_bytes))),
        version: version.unwrap_or_default(),
        limits: Loss::ALL
            .into_iter()
            .filter(|loss| lost(*loss) > 0)
            .map(|loss| format!("{} (events not recorded: {})", loss.describe(), lost(loss)))
            .collect(),
    }
}

/// Highest live bytes that the recorder or the timeline knows, and when.
fn known_peak(reader: &Reader<'_>, timeline: &crate::model::Timeline) -> (u64, u64) {
    let recorded = (reader.header(header_word!(peak_bytes)), reader.header(header_word!(peak_ms)));
    timeline
        .live_bytes
        .iter()
        .copied()
        .zip(timeline.t_ms.iter().copied())
        .fold(recorded, |best, seen| if seen.0 > best.0 { seen } else { best })
}
