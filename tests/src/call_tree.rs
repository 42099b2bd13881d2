//! Call paths by the names of their functions.

use std::collections::BTreeMap;

use heaptide_profile::{ModuleId, NodeId, Profile, Site};

/// What was allocated and freed somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathCounts {
    /// Blocks handed out.
    pub allocations: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks given back.
    pub frees: u64,
    /// Their bytes.
    pub freed_bytes: u64,
}

impl PathCounts {
    fn add(&mut self, site: &Site) {
        self.allocations += site.allocations;
        self.bytes += site.allocated_bytes;
        self.frees += site.frees;
        self.freed_bytes += site.freed_bytes;
    }
}

/// One frame of a call path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathFrame {
    /// Function, or module and offset where it has no name, or `✂` where the path was cut.
    pub function: String,
    /// File name of the module; empty for code that is no file's.
    pub module: String,
}

/// Call paths, outermost frame first, and the smallest size of their blocks' class.
pub type Paths = BTreeMap<(Vec<PathFrame>, u64), PathCounts>;

/// What code of one of the modules called `names` asked the allocator for by itself: not what libc and a language's
/// runtime did in its name.
pub fn own_calls(profile: &Profile, names: &[&str]) -> PathCounts {
    let mut counts = PathCounts::default();
    for site in &profile.sites {
        let module = site.node.and_then(|node| {
            let node = profile.nodes[node.index()];
            profile.locations[node.location.index()].module
        });
        if names.contains(&module_name(profile, module).as_str()) {
            counts.add(site);
        }
    }
    counts
}

/// Whether a site's blocks have no bytes.
pub fn is_zero(site: &Site) -> bool {
    site.size_max == 0
}

/// All call paths. Where nothing is symbolized, frames are modules and offsets.
pub fn paths(profile: &Profile) -> Paths {
    let mut paths = Paths::new();
    for site in &profile.sites {
        let frames = site.node.map_or_else(Vec::new, |node| frames(profile, node));
        paths.entry((frames, site.size_min)).or_default().add(site);
    }
    paths
}

/// Whether a recorded path is the one that a program tells of (see `heaptide_programs::PathTruth`), `own` being the program's
/// own modules. Frames further out than the path told of may be any; further in there may be none but the inlined `take` that
/// tells of a block.
pub fn matches(frames: &[PathFrame], told: &[String], own: &[&str]) -> bool {
    let frames =
        frames.strip_suffix(&[PathFrame { function: "take".to_owned(), module: own[0].to_owned() }]).unwrap_or(frames);
    (0..=frames.len()).any(|outermost| follows(&frames[outermost..], told, own))
}

fn follows(frames: &[PathFrame], told: &[String], own: &[&str]) -> bool {
    let Some((first, rest)) = told.split_first() else {
        return frames.is_empty();
    };
    let is_own = |frame: &PathFrame| own.contains(&frame.module.as_str());
    let (name, times) = match first.split_once('*') {
        Some((name, "")) => (name, 1..=frames.len()),
        Some((name, times)) => {
            let times = times.parse().expect("a number of frames");
            (name, times..=times)
        }
        None => (first.as_str(), 1..=1),
    };
    let own_frames = frames.iter().take_while(|frame| is_own(frame) && frame.function == name).count();
    if own_frames > 0 {
        return times.into_iter().any(|times| times <= own_frames && follows(&frames[times..], rest, own));
    }
    // A name of libc's stands for all that libc does there, its entry being called so or alike; `…` for anything at all.
    let others = frames.iter().take_while(|frame| name == "…" || !is_own(frame)).count();
    (0..=others).rev().any(|others| {
        let named = frames[..others].first().is_some_and(|frame| frame.function.contains(name));
        (named || name == "…") && follows(&frames[others..], rest, own)
    })
}

fn frames(profile: &Profile, innermost: NodeId) -> Vec<PathFrame> {
    let mut frames = Vec::new();
    let mut next = Some(innermost);
    while let Some(id) = next {
        let node = profile.nodes[id.index()];
        let location = profile.locations[node.location.index()];
        let module = module_name(profile, location.module);
        let symbols = profile.symbols.get(node.location.index()).map_or(&[][..], |symbols| &symbols.frames);
        if symbols.is_empty() {
            let function = format!("{module}+{:x}", location.offset);
            frames.push(PathFrame { function, module: module.clone() });
        }
        frames.extend(symbols.iter().map(|frame| PathFrame {
            function: profile.strings[frame.function.index()].clone(),
            module: module.clone(),
        }));
        if node.truncated {
            frames.push(PathFrame { function: "✂".to_owned(), module: String::new() });
        }
        next = node.parent;
    }
    frames.reverse();
    frames
}

fn module_name(profile: &Profile, module: Option<ModuleId>) -> String {
    let path = module.map_or("", |module| &profile.strings[profile.modules[module.index()].path.index()]);
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{PathFrame, matches};

    fn check(recorded: &str, told: &str, expected: bool) {
        let frames: Vec<PathFrame> = recorded
            .split(' ')
            .map(|frame| {
                let (module, function) = frame.split_once(':').unwrap_or(("exe", frame));
                PathFrame { function: function.to_owned(), module: module.to_owned() }
            })
            .collect();
        let told: Vec<String> = told.split(' ').map(str::to_owned).collect();
        assert_eq!(matches(&frames, &told, &["exe"]), expected, "{recorded} / {told:?}");
    }

    #[test]
    fn a_path_is_what_a_program_tells_of_or_is_not() {
        check("libc:start main work", "main work", true);
        check("libc:start main work take", "main work", true);
        check("libc:start main other work", "main work", false);
        check("libc:start main work inner", "main work", false);
        check("libc:start main", "main work", false);
        check("main down down leaf", "main down*2 leaf", true);
        check("main down down leaf", "main down*3 leaf", false);
        check("main down down leaf", "main down* leaf", true);
        check("main leaf", "main down* leaf", false);
        check("main libc:__qsort_r libc:msort compare", "main qsort compare", true);
        check("main qsort compare", "main libc compare", false);
        check("main compare", "main qsort compare", false);
        check("main libc:signal handle", "main … handle", true);
        check("main handle", "main … handle", true);
        check("main handle other", "main … handle", false);
    }
}
