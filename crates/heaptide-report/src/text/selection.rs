//! The part of a profile that a report is about: the sites whose call path passes the filter.

use heaptide_profile::{NodeId, Profile};
use regex::Regex;

use super::frames::{Frame, FrameTable};
use crate::lookup::{parent, site_node};
use crate::tally::Tally;

/// Sums of the selected sites.
pub(crate) struct Selection {
    /// What was done at each call path itself: parallel to the profile's nodes.
    pub(crate) at_nodes: Vec<Tally>,
    /// What was done where the call path is not known.
    pub(crate) elsewhere: Tally,
    /// All of it.
    pub(crate) sum: Tally,
}

impl Selection {
    pub(crate) fn of(profile: &Profile, frames: &FrameTable<'_>, filter: Option<&Regex>) -> Self {
        let selected = filter.map(|filter| selected_nodes(profile, frames, filter));
        let mut selection = Self {
            at_nodes: vec![Tally::default(); profile.nodes.len()],
            elsewhere: Tally::default(),
            sum: Tally::default(),
        };
        for site in &profile.sites {
            let node = site_node(profile, site);
            let is_selected = match (&selected, node) {
                (None, _) => true,
                (Some(selected), Some(node)) => selected[node.index()],
                (Some(_), None) => false,
            };
            if !is_selected {
                continue;
            }
            let tally = Tally::of(site);
            selection.sum.add(&tally);
            match node {
                Some(node) => selection.at_nodes[node.index()].add(&tally),
                None => selection.elsewhere.add(&tally),
            }
        }
        selection
    }
}

/// For each call path, whether one of its frames matches.
fn selected_nodes(profile: &Profile, frames: &FrameTable<'_>, filter: &Regex) -> Vec<bool> {
    let matching: Vec<bool> = frames.ids().map(|id| matches(frames.get(id), filter)).collect();
    let mut selected: Vec<bool> = Vec::with_capacity(profile.nodes.len());
    for (node, row) in (0..).map(NodeId).zip(&profile.nodes) {
        let outside = parent(profile, node).is_some_and(|parent| selected[parent.index()]);
        selected.push(outside || frames.at(row.location).iter().any(|id| matching[id.index()]));
    }
    selected
}

fn matches(frame: &Frame<'_>, filter: &Regex) -> bool {
    let names = [frame.raw.function, frame.raw.file, frame.raw.module, Some(frame.label.as_str())];
    names.into_iter().flatten().any(|name| filter.is_match(name))
}
