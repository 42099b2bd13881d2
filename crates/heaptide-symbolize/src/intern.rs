//! Strings into the profile's table, each once.

use std::collections::HashMap;

use heaptide_profile::StringId;

/// Adds to [`Profile::strings`](heaptide_profile::Profile::strings) what is not yet there.
pub(crate) struct Interner<'p> {
    strings: &'p mut Vec<String>,
    ids: HashMap<String, StringId>,
}

impl<'p> Interner<'p> {
    pub(crate) fn new(strings: &'p mut Vec<String>) -> Self {
        let ids = strings
            .iter()
            .enumerate()
            .rev()
            .filter_map(|(at, string)| Some((string.clone(), StringId(u32::try_from(at).ok()?))))
            .collect();
        Self { strings, ids }
    }

    /// The row of `string`; `None` when the table cannot take more rows.
    pub(crate) fn id(&mut self, string: &str) -> Option<StringId> {
        if let Some(&id) = self.ids.get(string) {
            return Some(id);
        }
        let id = StringId(u32::try_from(self.strings.len()).ok()?);
        self.strings.push(string.to_owned());
        self.ids.insert(string.to_owned(), id);
        Some(id)
    }
}
