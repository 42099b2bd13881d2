//! A table of strings, each once.

use std::collections::HashMap;

use crate::model::StringId;

/// Strings and where they stand in the table.
#[derive(Default)]
pub(crate) struct Strings {
    table: Vec<String>,
    known: HashMap<String, StringId>,
}

impl Strings {
    /// The place of a string in the table, where it is put if it is new.
    pub(crate) fn id(&mut self, string: &str) -> StringId {
        if let Some(id) = self.known.get(string) {
            return *id;
        }
        let id = StringId(self.table.len() as u32);
        self.table.push(string.to_owned());
        self.known.insert(string.to_owned(), id);
        id
    }

    /// The table.
    pub(crate) fn into_table(self) -> Vec<String> {
        self.table
    }
}
