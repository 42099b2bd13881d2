//! Every distinct frame of a profile, classified, with the name that is shown.

use std::collections::HashMap;

use heaptide_profile::{LocationId, Profile};

use super::name;
use crate::escape;
use crate::lookup::{FrameRef, frames};
use crate::{Classify, FrameClass, FrameText, Origin};

/// A row of a [`FrameTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FrameId(u32);

impl FrameId {
    /// The row's place in its table.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A frame as it is shown.
pub(crate) struct Frame<'p> {
    /// As the profile has it.
    pub(crate) raw: FrameRef<'p>,
    /// Whose code it is.
    pub(crate) origin: Origin,
    /// Its crate, escaped.
    pub(crate) krate: Option<String>,
    /// Shortened and escaped function; `libfoo.so+0x1234` without symbols.
    pub(crate) label: String,
}

impl Frame<'_> {
    /// `src/store.rs:214` and, for narrow places, `store.rs:214`, escaped; none where there is no file.
    pub(crate) fn places(&self) -> Vec<String> {
        let Some(file) = self.raw.file else {
            return Vec::new();
        };
        let line = self.raw.line.map_or(String::new(), |line| format!(":{line}"));
        [name::file(file), name::module(file)].map(|file| format!("{}{line}", escape(file))).to_vec()
    }

    /// File name of the module, escaped, if the frame has no symbols.
    pub(crate) fn stripped_module(&self) -> Option<String> {
        if self.raw.function.is_some() {
            return None;
        }
        self.raw.module.map(|module| escape(name::module(module)))
    }
}

/// All frames, and which of them stand at each location.
pub(crate) struct FrameTable<'p> {
    rows: Vec<Frame<'p>>,
    /// Frames of all locations, outermost first.
    at_locations: Vec<FrameId>,
    /// Where each location's frames begin; one more entry ends the last.
    starts: Vec<usize>,
}

impl<'p> FrameTable<'p> {
    pub(crate) fn of(profile: &'p Profile, classify: &Classify<'_>) -> Self {
        let mut table = Self { rows: Vec::new(), at_locations: Vec::new(), starts: vec![0] };
        let mut known: HashMap<FrameRef<'p>, FrameId> = HashMap::new();
        let mut classes: HashMap<FrameText<'p>, FrameClass> = HashMap::new();
        for location in (0..).map(LocationId).take(profile.locations.len()) {
            for raw in frames(profile, location).rev() {
                let raw = FrameRef { inlined: false, ..raw };
                let id = *known.entry(raw).or_insert_with(|| {
                    let text = FrameText { function: raw.function, file: raw.file, module: raw.module };
                    let class = classes.entry(text).or_insert_with(|| classify(&text));
                    table.rows.push(Frame {
                        raw,
                        origin: class.origin,
                        krate: class.krate.as_deref().map(escape),
                        label: label(&raw),
                    });
                    // Locations are numbered by u32, but a hostile profile may have more frames than that.
                    FrameId(u32::try_from(table.rows.len() - 1).unwrap_or(u32::MAX))
                });
                table.at_locations.push(id);
            }
            table.starts.push(table.at_locations.len());
        }
        table
    }

    pub(crate) fn get(&self, id: FrameId) -> &Frame<'p> {
        &self.rows[id.index()]
    }

    /// Every frame.
    pub(crate) fn ids(&self) -> impl Iterator<Item = FrameId> + use<> {
        (0..self.rows.len() as u32).map(FrameId)
    }

    /// The frames at a location, outermost first; none for a location that does not exist.
    pub(crate) fn at(&self, location: LocationId) -> &[FrameId] {
        match self.starts.get(location.index()..location.index() + 2) {
            Some(&[start, end]) => &self.at_locations[start..end],
            _ => &[],
        }
    }
}

fn label(raw: &FrameRef<'_>) -> String {
    match (raw.function, raw.module, raw.offset) {
        (Some(function), ..) => escape(&name::function(function)),
        (None, Some(module), Some(offset)) => {
            format!("{}+0x{offset:x}", escape(name::module(module)))
        }
        (None, Some(module), None) => escape(name::module(module)),
        (None, None, Some(offset)) => format!("code made at run time, 0x{offset:x}"),
        (None, None, None) => "function not known".to_owned(),
    }
}
