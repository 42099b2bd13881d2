//! Rows that name rows which are not there are made to say that they do not know.
//!
//! After it, every index of a profile can be followed, and every call path ends.

use crate::model::{Location, LocationId, LocationSymbols, NodeId, Profile, StringId, Timeline, Track};
use crate::problem::Problem;

/// Stands where a string is not there.
const UNKNOWN_STRING: &str = "?";

/// Makes every index of `profile` valid and notes where it had to.
pub(super) fn mend(profile: &mut Profile, problems: &mut Vec<Problem>) {
    mend_symbols(profile, problems);
    mend_strings(profile, problems);
    mend_call_tree(profile, problems);
    mend_rows(profile, problems);
    mend_series(profile, problems);
}

fn mend_symbols(profile: &mut Profile, problems: &mut Vec<Problem>) {
    let rows = profile.symbols.len();
    if rows != 0 && rows != profile.locations.len() {
        profile.symbols.clear();
        let cause = "they belong to other code locations; left out";
        Problem::note(problems, rows as u64, "symbols", cause);
    }
}

fn mend_strings(profile: &mut Profile, problems: &mut Vec<Problem>) {
    let there = profile.strings.len();
    let unknown = StringId(there as u32);
    let mut missing = 0;
    let mut mend = |id: &mut StringId| {
        if id.index() >= there {
            *id = unknown;
            missing += 1;
        }
    };
    for module in &mut profile.modules {
        mend(&mut module.path);
    }
    for frame in profile.symbols.iter_mut().flat_map(|s| &mut s.frames) {
        mend(&mut frame.function);
        if let Some(file) = &mut frame.file {
            mend(file);
        }
    }
    for thread in &mut profile.threads {
        mend(&mut thread.name);
    }
    if missing > 0 {
        profile.strings.push(UNKNOWN_STRING.to_owned());
    }
    Problem::note(problems, missing, "strings", "named and not there");
}

fn mend_call_tree(profile: &mut Profile, problems: &mut Vec<Problem>) {
    let mut homeless = 0;
    for location in &mut profile.locations {
        if location.module.is_some_and(|id| id.index() >= profile.modules.len()) {
            location.module = None;
            homeless += 1;
        }
    }
    Problem::note(problems, homeless, "modules", "named and not there");

    let there = profile.locations.len();
    let (mut placeless, mut orphans) = (0, 0);
    for (index, node) in profile.nodes.iter_mut().enumerate() {
        if node.location.index() >= there {
            node.location = LocationId(there as u32);
            placeless += 1;
        }
        if node.parent.is_some_and(|parent| parent.index() >= index) {
            (node.parent, node.truncated) = (None, true);
            orphans += 1;
        }
    }
    if placeless > 0 {
        profile.locations.push(Location { module: None, offset: 0 });
        if !profile.symbols.is_empty() {
            profile.symbols.push(LocationSymbols::default());
        }
    }
    Problem::note(problems, placeless, "locations", "named and not there");
    let cause = "callers that do not stand before their callees; cut there";
    Problem::note(problems, orphans, "nodes", cause);
}

fn mend_rows(profile: &mut Profile, problems: &mut Vec<Problem>) {
    let nodes = profile.nodes.len();
    let threads = profile.threads.len();
    let mut missing = 0;
    let mut mend = |node: &mut Option<NodeId>| {
        if node.is_some_and(|id| id.index() >= nodes) {
            *node = None;
            missing += 1;
        }
    };
    for site in &mut profile.sites {
        mend(&mut site.node);
    }
    for survivors in &mut profile.survivors {
        mend(&mut survivors.node);
    }
    let before = profile.thread_sites.len() + profile.tracks.len();
    profile.thread_sites.retain(|row| row.node.index() < nodes && row.thread.index() < threads);
    profile.tracks.retain(|track| track.node.index() < nodes);
    missing += (before - profile.thread_sites.len() - profile.tracks.len()) as u64;
    Problem::note(problems, missing, "nodes", "named and not there");
}

fn mend_series(profile: &mut Profile, problems: &mut Vec<Problem>) {
    let uneven =
        u64::from(level_timeline(&mut profile.timeline)) + profile.tracks.iter_mut().map(level_track).sum::<u64>();
    Problem::note(problems, uneven, "series", "columns differ in length");
}

/// Cuts all columns to the shortest one. Whether there was anything to cut.
macro_rules! level {
    ($($column:expr),* $(,)?) => {{
        let lengths = [$($column.len()),*];
        let shortest = lengths.into_iter().min().unwrap_or(0);
        $($column.truncate(shortest);)*
        lengths.into_iter().any(|len| len != shortest)
    }};
}

fn level_timeline(t: &mut Timeline) -> bool {
    level!(
        t.t_ms,
        t.live_bytes,
        t.live_allocations,
        t.allocations,
        t.allocated_bytes,
        t.mapped_bytes,
        t.rss_bytes,
        t.pss_bytes,
        t.threads,
        t.open_files,
    )
}

fn level_track(track: &mut Track) -> u64 {
    u64::from(level!(track.t_ms, track.live_bytes, track.live_allocations, track.allocations,))
}
