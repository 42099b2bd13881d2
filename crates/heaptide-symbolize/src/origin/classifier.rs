//! What one frame cannot tell, another one of the same crate can.

use std::collections::{BTreeMap, BTreeSet};

use heaptide_profile::Profile;

use super::path::FunctionPath;
use super::{Origin, by_file, classify, known};

/// Knows which crates are dependencies from all frames of a profile, and so also where a frame's file is missing or
/// is that of code inlined into it.
#[derive(Clone, Debug, Default)]
pub struct Classifier {
    dependencies: BTreeSet<String>,
}

impl Classifier {
    /// Looks at all symbols of a profile.
    #[must_use]
    pub fn learn(profile: &Profile) -> Self {
        let mut seen: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for frame in profile.symbols.iter().flat_map(|symbols| &symbols.frames) {
            let Some(function) = profile.strings.get(frame.function.index()) else {
                continue;
            };
            let Some(file) = frame.file.and_then(|file| profile.strings.get(file.index())) else {
                continue;
            };
            let Some(name) = FunctionPath::parse(function, Some(file)).crate_name() else {
                continue;
            };
            let (elsewhere, own) = seen.entry(name).or_default();
            match by_file(file) {
                Some(Origin::Dependency) => *elsewhere += 1,
                Some(_) => {}
                None => *own += 1,
            }
        }
        let dependencies = seen.into_iter().filter(|(_, (elsewhere, own))| elsewhere > own);
        Self { dependencies: dependencies.map(|(name, _)| name.to_owned()).collect() }
    }

    /// As [`classify`], and better for crates of the profile.
    #[must_use]
    pub fn classify(&self, function: &str, file: Option<&str>, module: &str) -> Origin {
        let origin = classify(function, file, module);
        let unsure = file.is_none_or(|file| known::STANDARD_PLACES.iter().any(|place| file.contains(place)));
        if origin == Origin::User && unsure {
            let name = FunctionPath::parse(function, file).crate_name();
            if name.is_some_and(|name| self.dependencies.contains(name)) {
                return Origin::Dependency;
            }
        }
        origin
    }
}
