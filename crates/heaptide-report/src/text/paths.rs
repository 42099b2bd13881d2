//! Call paths as they are shown: folded to the frames that matter.
//!
//! A path keeps the program's own frames and, at its inner end, the library call that they made. Two call paths that
//! differ only in frames folded away, or in the depth of a direct recursion, are one. A path without frames of the
//! program's own keeps the next best: library frames, then plumbing, then the allocator's.
//!
//! Folding walks the call tree once, callers first, so its cost does not depend on how deep paths are.

use std::collections::HashMap;

use heaptide_profile::{NodeId, Profile};

use super::frames::{FrameId, FrameTable};
use crate::lookup::parent;
use crate::{Frames, Origin};

/// A folded call path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PathId(u32);

impl PathId {
    /// The path of no frames: where call paths begin, and the path of allocations whose call path is not known.
    pub(crate) const ROOT: Self = Self(0);
    /// Where call paths begin whose outer frames are not known.
    const CUT: Self = Self(1);

    /// The path's place in tables that are parallel to [`Paths`].
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a step of a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    /// One frame.
    Call,
    /// The innermost of a function's frames that called itself.
    Recursion,
    /// The library call at the inner end.
    Via,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Step {
    outer: PathId,
    frame: FrameId,
    role: Role,
}

/// All folded call paths.
pub(crate) struct Paths {
    /// The step that ends each path, but for the two that have none.
    steps: Vec<Step>,
    /// The folded path of each node.
    of_nodes: Vec<PathId>,
}

/// A path taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfolded {
    /// The library call that the innermost frame made.
    pub(crate) via: Option<FrameId>,
    /// Frames, innermost first.
    pub(crate) calls: Vec<Call>,
    /// How the path ends.
    pub(crate) outer_end: OuterEnd,
}

/// A frame of an unfolded path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) frame: FrameId,
    pub(crate) recursion: bool,
}

/// How an unfolded path ends at its outer end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OuterEnd {
    /// All frames are there.
    Complete,
    /// There are more frames, not asked for.
    More,
    /// Frames further out were not recorded.
    Cut,
}

impl Paths {
    pub(crate) fn of(profile: &Profile, frames: &FrameTable<'_>, shown: Frames) -> Self {
        let mut folder = Folder { frames, shown, steps: Vec::new(), known: HashMap::new() };
        let mut states: Vec<State> = Vec::with_capacity(profile.nodes.len());
        let mut of_nodes = Vec::with_capacity(profile.nodes.len());
        for (node, row) in (0..).map(NodeId).zip(&profile.nodes) {
            let mut state = match parent(profile, node) {
                Some(parent) => states[parent.index()],
                None if row.truncated => State::at(PathId::CUT),
                None => State::at(PathId::ROOT),
            };
            for &frame in frames.at(row.location) {
                state = folder.go_in(state, frame);
            }
            states.push(state);
            of_nodes.push(match state.via {
                Some(frame) => folder.intern(Step { outer: state.tip, frame, role: Role::Via }),
                None => state.tip,
            });
        }
        Self { steps: folder.steps, of_nodes }
    }

    /// How many paths there are.
    pub(crate) fn len(&self) -> usize {
        self.steps.len() + 2
    }

    /// The path with this place.
    pub(crate) fn ids(&self) -> impl Iterator<Item = PathId> + use<> {
        (0..self.len() as u32).map(PathId)
    }

    /// The folded path of a node.
    pub(crate) fn of_node(&self, node: NodeId) -> PathId {
        self.of_nodes[node.index()]
    }

    /// The path's innermost frame that is not the library's.
    pub(crate) fn head(&self, path: PathId) -> Option<FrameId> {
        let step = self.step(path)?;
        match step.role {
            Role::Via => Some(self.step(step.outer)?.frame),
            Role::Call | Role::Recursion => Some(step.frame),
        }
    }

    /// At most `most` frames of the path, and what it ends with.
    pub(crate) fn unfold(&self, path: PathId, most: usize) -> Unfolded {
        let mut unfolded = Unfolded { via: None, calls: Vec::new(), outer_end: OuterEnd::Complete };
        let mut at = path;
        while let Some(step) = self.step(at) {
            if step.role == Role::Via {
                unfolded.via = Some(step.frame);
            } else if unfolded.calls.len() == most {
                unfolded.outer_end = OuterEnd::More;
                return unfolded;
            } else {
                unfolded.calls.push(Call { frame: step.frame, recursion: step.role == Role::Recursion });
            }
            at = step.outer;
        }
        if at == PathId::CUT {
            unfolded.outer_end = OuterEnd::Cut;
        }
        unfolded
    }

    fn step(&self, path: PathId) -> Option<Step> {
        self.steps.get(path.index().checked_sub(2)?).copied()
    }
}

/// Where folding stands after some frames of a path, from outside in.
#[derive(Clone, Copy)]
struct State {
    root: PathId,
    tip: PathId,
    /// Whose frames the path has: the best that was met.
    origin: Origin,
    /// The outermost library frame inside of the tip.
    via: Option<FrameId>,
}

impl State {
    fn at(root: PathId) -> Self {
        Self { root, tip: root, origin: Origin::Allocator, via: None }
    }
}

struct Folder<'f, 'p> {
    frames: &'f FrameTable<'p>,
    shown: Frames,
    steps: Vec<Step>,
    known: HashMap<Step, PathId>,
}

impl Folder<'_, '_> {
    fn go_in(&mut self, state: State, frame: FrameId) -> State {
        if self.shown == Frames::All {
            return State { tip: self.intern(Step { outer: state.tip, frame, role: Role::Call }), ..state };
        }
        let origin = self.frames.get(frame).origin;
        if origin < state.origin {
            let tip = self.intern(Step { outer: state.root, frame, role: Role::Call });
            State { tip, origin, via: None, ..state }
        } else if origin == state.origin {
            State { tip: self.extend(state.tip, frame), via: None, ..state }
        } else if state.origin == Origin::User && origin == Origin::Library {
            State { via: state.via.or(Some(frame)), ..state }
        } else {
            state
        }
    }

    /// One frame further in, or the same place in a function that called itself.
    fn extend(&mut self, tip: PathId, frame: FrameId) -> PathId {
        let last = tip.index().checked_sub(2).and_then(|at| self.steps.get(at)).copied();
        let step = match last {
            Some(last) if self.frames.get(last.frame).label == self.frames.get(frame).label => {
                let same = self.frames.get(last.frame).raw.function == self.frames.get(frame).raw.function;
                // A closure is shown by the name of its function, but a call of it is no recursion.
                let role = if same { Role::Recursion } else { last.role };
                Step { outer: last.outer, frame, role }
            }
            _ => Step { outer: tip, frame, role: Role::Call },
        };
        self.intern(step)
    }

    fn intern(&mut self, step: Step) -> PathId {
        *self.known.entry(step).or_insert_with(|| {
            self.steps.push(step);
            // There are at most as many steps as frames of nodes, and nodes are numbered by u32.
            PathId(u32::try_from(self.steps.len() + 1).unwrap_or(u32::MAX))
        })
    }
}
