//! One object for each call path that allocated.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use heaptide_profile::{Mode, NodeId, Profile, Site};
use serde::{Serialize, Serializer};

use super::distribution::{Lifetimes, Sizes};
use crate::lookup::{FrameRef, frames, outwards, parent, site_node};
use crate::tally::{Tally, relative_error};

/// Frames written of one call path: a runaway recursion must not make the report quadratic.
const MOST_FRAMES: usize = 256;

/// The list `call_paths`: most live bytes first, then by id.
pub(super) struct CallPaths<'p> {
    profile: &'p Profile,
    extents: Vec<Extent>,
    paths: Vec<(Option<NodeId>, Vec<&'p Site>, Tally)>,
}

/// How far out a call path goes.
#[derive(Clone, Copy, Default)]
struct Extent {
    frames: usize,
    truncated: bool,
}

impl Extent {
    /// Of every call path: each is its caller's and one location more.
    fn of_all(profile: &Profile) -> Vec<Self> {
        let mut extents: Vec<Self> = Vec::with_capacity(profile.nodes.len());
        for (node, row) in (0..).map(NodeId).zip(&profile.nodes) {
            let outside = parent(profile, node).map_or(Self::default(), |parent| extents[parent.index()]);
            extents.push(Self {
                frames: outside.frames + frames(profile, row.location).count(),
                truncated: outside.truncated || row.truncated,
            });
        }
        extents
    }
}

impl<'p> CallPaths<'p> {
    pub(super) fn of(profile: &'p Profile) -> Self {
        let mut by_node: BTreeMap<Option<NodeId>, Vec<&Site>> = BTreeMap::new();
        for site in &profile.sites {
            by_node.entry(site_node(profile, site)).or_default().push(site);
        }
        let mut paths: Vec<_> = by_node
            .into_iter()
            .map(|(node, sites)| {
                let mut tally = Tally::default();
                for site in &sites {
                    tally.add(&Tally::of(site));
                }
                (node, sites, tally)
            })
            .filter(|(_, _, tally)| tally.allocations > 0)
            .collect();
        paths.sort_by_key(|(node, _, tally)| (Reverse(tally.live_bytes()), *node));
        Self { profile, extents: Extent::of_all(profile), paths }
    }
}

impl Serialize for CallPaths<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.paths.iter().map(|(node, sites, tally)| {
            let unknown = Extent { frames: 0, truncated: true };
            let extent = node.map_or(unknown, |node| self.extents[node.index()]);
            Row::of(self.profile, *node, extent, sites, tally)
        }))
    }
}

#[derive(Serialize)]
struct Row<'p> {
    /// `null` for allocations whose call path is not known.
    id: Option<NodeId>,
    frames: FrameRows<'p>,
    /// Whether frames further out were not recorded.
    truncated: bool,
    /// Outermost frames left out here because there are too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    frames_omitted: Option<usize>,
    allocations: u64,
    allocated_bytes: u64,
    frees: u64,
    freed_bytes: u64,
    live_allocations: u64,
    live_bytes: u64,
    live_bytes_at_peak: u64,
    temporary_allocations: Option<u64>,
    reallocations: Option<u64>,
    reallocated_away: Option<u64>,
    first_reallocations: Option<u64>,
    copied_bytes: Option<u64>,
    grown_frees: Option<u64>,
    /// `null` if no block was freed.
    lifetime: Option<Lifetimes>,
    sizes: Option<Sizes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relative_error: Option<RelativeError>,
}

impl<'p> Row<'p> {
    fn of(profile: &'p Profile, node: Option<NodeId>, extent: Extent, sites: &[&Site], tally: &Tally) -> Self {
        let exact = |number| super::when_exact(profile.recorder.mode, number);
        let sum = |of: fn(&Site) -> u64| sites.iter().fold(0_u64, |sum, site| sum.saturating_add(of(site)));
        Self {
            id: node,
            frames: FrameRows { profile, node },
            truncated: extent.truncated,
            frames_omitted: extent.frames.checked_sub(MOST_FRAMES).filter(|&omitted| omitted > 0),
            allocations: tally.allocations,
            allocated_bytes: tally.allocated_bytes,
            frees: tally.frees,
            freed_bytes: tally.freed_bytes,
            live_allocations: tally.live_allocations(),
            live_bytes: tally.live_bytes(),
            live_bytes_at_peak: tally.live_bytes_at_peak,
            temporary_allocations: tally.temporary_allocations,
            reallocations: exact(tally.reallocations),
            reallocated_away: exact(sum(|site| site.reallocated_away)),
            first_reallocations: exact(sum(|site| site.first_reallocations)),
            copied_bytes: exact(tally.copied_bytes),
            grown_frees: exact(sum(|site| site.grown_frees)),
            lifetime: Lifetimes::of(sites),
            sizes: Sizes::of(sites),
            samples: tally.samples,
            relative_error: match profile.recorder.mode {
                Mode::Exact => None,
                Mode::Sampled { interval_bytes } => Some(RelativeError {
                    allocated_bytes: relative_error(interval_bytes, tally.allocated_bytes),
                    live_bytes: relative_error(interval_bytes, tally.live_bytes()),
                    live_bytes_at_peak: relative_error(interval_bytes, tally.live_bytes_at_peak),
                }),
            },
        }
    }
}

/// Relative standard errors of sampled numbers: 0.1 is ten percent.
#[derive(Serialize)]
struct RelativeError {
    allocated_bytes: Option<f64>,
    live_bytes: Option<f64>,
    live_bytes_at_peak: Option<f64>,
}

/// The frames of a call path, innermost first.
struct FrameRows<'p> {
    profile: &'p Profile,
    node: Option<NodeId>,
}

impl Serialize for FrameRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nodes = self.node.into_iter().flat_map(|node| outwards(self.profile, node));
        let rows =
            nodes.flat_map(|node| frames(self.profile, self.profile.nodes[node.index()].location).map(FrameRow::of));
        serializer.collect_seq(rows.take(MOST_FRAMES))
    }
}

#[derive(Serialize)]
struct FrameRow<'p> {
    function: Option<&'p str>,
    file: Option<&'p str>,
    line: Option<u32>,
    module: Option<&'p str>,
    /// Return address in the module, as a hexadecimal number; only where the function is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<String>,
    inlined: bool,
}

impl<'p> FrameRow<'p> {
    fn of(frame: FrameRef<'p>) -> Self {
        Self {
            function: frame.function,
            file: frame.file,
            line: frame.line,
            module: frame.module,
            offset: frame.offset.map(|offset| format!("0x{offset:x}")),
            inlined: frame.inlined,
        }
    }
}
