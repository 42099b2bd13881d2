//! The line of the program's own code that holds most memory at the end of a recording.

use std::collections::HashMap;

use heaptide_profile::{Frame, NodeId, Profile};
use heaptide_report::{FrameText, Origin};

use crate::recording;

/// Frames looked at on the way up a call path; a damaged call tree may be endless.
const DEPTH: usize = 1000;

/// A line and what is alive of what it allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Name of the function.
    pub function: String,
    /// `file:line`.
    pub place: String,
    /// Bytes alive.
    pub live_bytes: u64,
    /// Blocks alive.
    pub live_allocations: u64,
}

impl Suspect {
    /// The line that holds most; `None` if no line has a name.
    pub fn of(profile: &Profile) -> Option<Suspect> {
        let mut lines: HashMap<(&str, &str, u32), (u64, u64)> = HashMap::new();
        for site in &profile.sites {
            let Some(line) = site.node.and_then(|node| own_line(profile, node)) else {
                continue;
            };
            let (bytes, blocks) = lines.entry(line).or_default();
            *bytes += site.allocated_bytes.saturating_sub(site.freed_bytes);
            *blocks += site.allocations.saturating_sub(site.frees);
        }
        let most = lines.into_iter().max_by_key(|&(line, live)| (live, std::cmp::Reverse(line)))?;
        let ((function, file, line), (live_bytes, live_allocations)) = most;
        Some(Suspect { function: function.to_owned(), place: format!("{file}:{line}"), live_bytes, live_allocations })
    }
}

/// The innermost frame of the program's own code.
fn own_line(profile: &Profile, node: NodeId) -> Option<(&str, &str, u32)> {
    let parents =
        std::iter::successors(profile.nodes.get(node.index()), |node| profile.nodes.get(node.parent?.index()));
    parents
        .take(DEPTH)
        .filter_map(|node| {
            let module = profile.locations.get(node.location.index())?.module;
            let path = module.and_then(|module| profile.modules.get(module.index()));
            let path = path.and_then(|module| profile.strings.get(module.path.index()));
            Some((profile.symbols.get(node.location.index())?, path.map(String::as_str)))
        })
        .flat_map(|(symbols, module)| symbols.frames.iter().map(move |frame| (frame, module)))
        .find_map(|(frame, module)| line_if_own(profile, frame, module))
}

fn line_if_own<'p>(profile: &'p Profile, frame: &Frame, module: Option<&str>) -> Option<(&'p str, &'p str, u32)> {
    let function = profile.strings.get(frame.function.index())?;
    let file = profile.strings.get(frame.file?.index())?;
    let text = FrameText { function: Some(function), file: Some(file), module };
    (recording::classifier(profile)(&text).origin == Origin::User).then_some((
        function.as_str(),
        file.as_str(),
        frame.line?,
    ))
}
