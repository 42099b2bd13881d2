//! Sums by function, line, module or crate.
//!
//! Each group has two sums. *Own* is what was allocated with the group's frame as the innermost one shown; own sums
//! add up to the whole. *Total* is what was allocated below the group's frames, whatever was called in between; a path
//! that passes through a group several times counts once.

use std::collections::HashMap;

use heaptide_profile::{NodeId, Profile};

use super::frames::{Frame, FrameId, FrameTable};
use super::name;
use super::paths::{PathId, Paths};
use super::selection::Selection;
use crate::lookup::parent;
use crate::tally::Tally;
use crate::{By, Frames, Origin, escape};

/// A row: a function, line, module or crate.
pub(crate) struct Group {
    /// Its name.
    pub(crate) label: String,
    /// Where it is, from the longest way to say it to the shortest; of several places the first that was met.
    pub(crate) places: Vec<String>,
    /// Its module's file name, where it has no symbols.
    pub(crate) stripped_module: Option<String>,
    /// What its own innermost frames allocated.
    pub(crate) own: Tally,
    /// What was allocated on paths through it.
    pub(crate) total: Tally,
}

/// All groups that allocated anything, in no order.
pub(crate) fn groups(
    profile: &Profile,
    frames: &FrameTable<'_>,
    selection: &Selection,
    by: By,
    shown: Frames,
) -> Vec<Group> {
    let mut grouping = Grouping { groups: Vec::new(), of_frames: Vec::new() };
    grouping.group_frames(frames, by);
    let paths = Paths::of(profile, frames, shown);
    for (node, tally) in (0..).map(NodeId).zip(&selection.at_nodes) {
        match paths.head(paths.of_node(node)) {
            Some(head) => grouping.groups[grouping.of_frames[head.index()]].own.add(tally),
            None => grouping.add_unknown(tally),
        }
    }
    grouping.add_unknown(&selection.elsewhere);
    grouping.add_totals(profile, frames, selection, shown);
    grouping.groups.retain(|group| group.total.allocations > 0 || group.own.allocations > 0);
    grouping.groups
}

struct Grouping {
    groups: Vec<Group>,
    /// The group of each frame.
    of_frames: Vec<usize>,
}

impl Grouping {
    fn group_frames(&mut self, frames: &FrameTable<'_>, by: By) {
        let mut known: HashMap<String, usize> = HashMap::new();
        for id in frames.ids() {
            let frame = frames.get(id);
            let group = *known.entry(key(frame, by)).or_insert_with(|| {
                self.groups.push(describe(frame, by));
                self.groups.len() - 1
            });
            self.of_frames.push(group);
        }
    }

    /// Counts allocations of a path without frames.
    fn add_unknown(&mut self, tally: &Tally) {
        if tally.allocations == 0 {
            return;
        }
        let label = "call path not known";
        if self.groups.last().is_none_or(|group| group.label != label) {
            let label = label.to_owned();
            self.groups.push(Group {
                label,
                places: Vec::new(),
                stripped_module: None,
                own: Tally::default(),
                total: Tally::default(),
            });
        }
        if let Some(group) = self.groups.last_mut() {
            group.own.add(tally);
            group.total.add(tally);
        }
    }

    /// A group's total is the sum over the outermost of its nodes, each with everything inside of it.
    fn add_totals(&mut self, profile: &Profile, frames: &FrameTable<'_>, selection: &Selection, shown: Frames) {
        let tree = Tree::of(profile, selection);
        // How often each group occurs between the thread's entry and where the walk stands.
        let mut open = vec![0_usize; self.groups.len()];
        let counts = |id: &&FrameId| shown == Frames::All || frames.get(**id).origin <= Origin::Library;
        tree.walk(|visit, node| {
            let here = frames.at(profile.nodes[node.index()].location).iter().filter(counts);
            for frame in here {
                let group = self.of_frames[frame.index()];
                match visit {
                    Visit::Enter => {
                        if open[group] == 0 {
                            self.groups[group].total.add(&tree.sums[node.index()]);
                        }
                        open[group] += 1;
                    }
                    Visit::Leave => open[group] -= 1,
                }
            }
        });
        // Frames that are folded away still are somebody's innermost.
        for group in &mut self.groups {
            if group.total.allocations < group.own.allocations {
                group.total = group.own;
            }
        }
    }
}

fn key(frame: &Frame<'_>, by: By) -> String {
    match by {
        By::Line => match (frame.raw.file, frame.raw.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            _ => frame.label.clone(),
        },
        By::Module => frame.raw.module.unwrap_or_default().to_owned(),
        By::Crate => crate_label(frame),
        By::CallPath | By::Function | By::Thread => frame.label.clone(),
    }
}

fn describe(frame: &Frame<'_>, by: By) -> Group {
    let (label, places) = match by {
        By::Line => (frame.label.clone(), frame.places()),
        By::Module => match frame.raw.module {
            Some(module) => (escape(name::module(module)), vec![escape(module)]),
            None => ("code made at run time".to_owned(), Vec::new()),
        },
        By::Crate => (crate_label(frame), Vec::new()),
        By::CallPath | By::Function | By::Thread => {
            (frame.label.clone(), frame.raw.file.map(|file| escape(name::file(file))).into_iter().collect())
        }
    };
    let stripped_module = match by {
        By::Module | By::Crate => None,
        _ => frame.stripped_module(),
    };
    Group { label, places, stripped_module, own: Tally::default(), total: Tally::default() }
}

/// The crate; for code that has none, its module's file.
fn crate_label(frame: &Frame<'_>) -> String {
    match (&frame.krate, frame.raw.module) {
        (Some(krate), _) => krate.clone(),
        (None, Some(module)) => escape(name::module(module)),
        (None, None) => "code made at run time".to_owned(),
    }
}

/// The call tree from outside in.
struct Tree {
    /// What was allocated at each node and inside of it.
    sums: Vec<Tally>,
    roots: Vec<NodeId>,
    first_inside: Vec<Option<NodeId>>,
    next_beside: Vec<Option<NodeId>>,
}

#[derive(Clone, Copy)]
enum Visit {
    Enter,
    Leave,
}

impl Tree {
    fn of(profile: &Profile, selection: &Selection) -> Self {
        let count = profile.nodes.len();
        let mut tree = Self {
            sums: selection.at_nodes.clone(),
            roots: Vec::new(),
            first_inside: vec![None; count],
            next_beside: vec![None; count],
        };
        for at in (0..count).rev() {
            // `at` counts rows, which are numbered by u32.
            let node = NodeId(at as u32);
            match parent(profile, node) {
                Some(parent) => {
                    let sum = tree.sums[at];
                    tree.sums[parent.index()].add(&sum);
                    tree.next_beside[at] = tree.first_inside[parent.index()].replace(node);
                }
                None => tree.roots.push(node),
            }
        }
        tree
    }

    /// Visits every node before and after those inside of it. No recursion: call trees can be deep.
    fn walk(&self, mut visit: impl FnMut(Visit, NodeId)) {
        for &root in &self.roots {
            let mut open = Vec::new();
            let mut next = Some(root);
            loop {
                if let Some(node) = next {
                    visit(Visit::Enter, node);
                    open.push(node);
                    next = self.first_inside[node.index()];
                } else if let Some(node) = open.pop() {
                    visit(Visit::Leave, node);
                    next = if open.is_empty() { None } else { self.next_beside[node.index()] };
                    if next.is_none() && open.is_empty() {
                        break;
                    }
                } else {
                    break;
                }
            }
        }
    }
}

/// Paths that allocated anything, with what they did.
pub(crate) fn path_sums(paths: &Paths, selection: &Selection) -> Vec<(PathId, Tally)> {
    let mut sums = vec![Tally::default(); paths.len()];
    for (node, tally) in (0..).map(NodeId).zip(&selection.at_nodes) {
        sums[paths.of_node(node).index()].add(tally);
    }
    sums[PathId::ROOT.index()].add(&selection.elsewhere);
    paths.ids().zip(sums).filter(|(_, tally)| tally.allocations > 0).collect()
}
