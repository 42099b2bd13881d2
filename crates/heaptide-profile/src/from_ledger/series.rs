//! The timeline and the tracks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use heaptide_ledger::header_word;
use heaptide_ledger::read::Reader;
use heaptide_ledger::series::{Series, TRACKS, UNKNOWN};

use super::call_tree::CallTree;
use crate::model::{Timeline, Track};
use crate::problem::Problem;

pub(super) fn read(reader: &Reader<'_>, tree: &CallTree, problems: &mut Vec<Problem>) -> (Timeline, Vec<Track>) {
    let unit = reader.header(header_word!(series));
    if unit == 0 {
        return (Timeline::default(), Vec::new());
    }
    let Some(series) = reader.unit(unit).and_then(|start| Series::over(&reader.words()[start..])) else {
        problems.push(Problem::new("timeline", "it is not there"));
        return (Timeline::default(), Vec::new());
    };
    (timeline(reader, &series), tracks(&series, tree))
}

fn timeline(reader: &Reader<'_>, series: &Series<'_>) -> Timeline {
    let known = |value| (value != UNKNOWN).then_some(value);
    let limit = reader.header(header_word!(cgroup_limit_bytes));
    let mut timeline = Timeline { cgroup_limit_bytes: (limit != 0).then_some(limit), ..Timeline::default() };
    series.moments(|m| {
        timeline.t_ms.push(m.t_ms);
        timeline.live_bytes.push(m.live_bytes);
        timeline.live_allocations.push(m.live_allocations);
        timeline.allocations.push(m.allocations);
        timeline.allocated_bytes.push(m.allocated_bytes);
        let before = timeline.mapped_bytes.last().copied().unwrap_or(0);
        let mapped = known(m.mapped_bytes).unwrap_or(before);
        timeline.mapped_bytes.push(mapped);
        timeline.rss_bytes.push(known(m.rss_bytes));
        timeline.pss_bytes.push(known(m.pss_bytes));
        timeline.threads.push(known(m.threads));
        timeline.open_files.push(known(m.open_files));
    });
    timeline
}

/// Where two tracks follow nodes that have become one, the longer one stands.
fn tracks(series: &Series<'_>, tree: &CallTree) -> Vec<Track> {
    let mut tracks: Vec<Track> = Vec::new();
    let mut places = HashMap::new();
    for index in 0..TRACKS {
        let Some(node) = tree.node(series.track_node(index)) else {
            continue;
        };
        let mut track = Track {
            node,
            t_ms: Vec::new(),
            live_bytes: Vec::new(),
            live_allocations: Vec::new(),
            allocations: Vec::new(),
        };
        series.points(index, |p| {
            track.t_ms.push(p.t_ms);
            track.live_bytes.push(p.live_bytes);
            track.live_allocations.push(p.live_allocations);
            track.allocations.push(p.allocations);
        });
        if track.t_ms.is_empty() {
            continue;
        }
        match places.entry(node) {
            Entry::Vacant(place) => {
                place.insert(tracks.len());
                tracks.push(track);
            }
            Entry::Occupied(place) => {
                let known = &mut tracks[*place.get()];
                if track.t_ms.len() > known.t_ms.len() {
                    *known = track;
                }
            }
        }
    }
    tracks
}
