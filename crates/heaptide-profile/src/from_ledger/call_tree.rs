//! Modules, return addresses and the call tree.
//!
//! Two threads may have interned the same row at the same moment; both rows then become one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use heaptide_ledger::read::Reader;
use heaptide_ledger::{
    FIRST_LOCATION, FOREIGN_CODE_LOCATION, LOCATIONS_LIMIT, MODULE_WORDS, MODULES_LIMIT, NODE_WORDS, NODES_LIMIT, ROOT,
    TRUNCATED_LOCATION, header_word, location,
};

use super::PATH_BYTES;
use super::text::Texts;
use crate::model::{Location, LocationId, Module, ModuleId, Node, NodeId};
use crate::problem::Problem;
use crate::strings::Strings;

/// Bytes of a build id that are read; usual are 8, 16 or 20.
const BUILD_ID_BYTES: usize = 64;

/// In place of a node: nothing is known of this call path.
const UNKNOWN: u32 = u32::MAX;

/// The tables that call paths are made of.
#[derive(Default)]
pub(super) struct CallTree {
    pub(super) modules: Vec<Module>,
    pub(super) locations: Vec<Location>,
    pub(super) nodes: Vec<Node>,
    /// By the ledger's node.
    node_ids: Vec<u32>,
}

impl CallTree {
    pub(super) fn read(
        reader: &Reader<'_>,
        texts: &mut Texts<'_>,
        strings: &mut Strings,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut tree = CallTree::default();
        let module_ids = tree.read_modules(reader, texts, strings, problems);
        let location_ids = tree.read_locations(reader, &module_ids, problems);
        tree.read_nodes(reader, &location_ids, problems);
        tree
    }

    /// The row of a ledger's node.
    pub(super) fn node(&self, node: u64) -> Option<NodeId> {
        let id = usize::try_from(node).ok().and_then(|node| self.node_ids.get(node))?;
        (*id != UNKNOWN).then_some(NodeId(*id))
    }

    fn read_modules(
        &mut self,
        reader: &Reader<'_>,
        texts: &mut Texts<'_>,
        strings: &mut Strings,
        problems: &mut Vec<Problem>,
    ) -> Vec<Option<ModuleId>> {
        let table = reader.table(header_word!(modules), MODULE_WORDS);
        let rows = table.len().min(MODULES_LIMIT + 1);
        let mut nameless = 0;
        let mut ids = vec![None; rows as usize];
        for row in 1..rows {
            let word = |index| table.word(row, index).unwrap_or(0);
            if word(0) == 0 {
                continue;
            }
            let path = texts.string(word(2), PATH_BYTES);
            nameless += u64::from(path.is_none());
            ids[row as usize] = Some(ModuleId(self.modules.len() as u32));
            self.modules.push(Module {
                path: strings.id(&path.unwrap_or_default()),
                build_id: texts.bytes(word(3), BUILD_ID_BYTES).filter(|id| !id.is_empty()),
                base: word(0),
            });
        }
        Problem::note(problems, nameless, "modules", "paths are not there");
        ids
    }

    fn read_locations(
        &mut self,
        reader: &Reader<'_>,
        modules: &[Option<ModuleId>],
        problems: &mut Vec<Problem>,
    ) -> Vec<Option<LocationId>> {
        let table = reader.table(header_word!(locations), 1);
        let rows = table.len().min(LOCATIONS_LIMIT + 1);
        let mut known = HashMap::new();
        let mut homeless = 0;
        let mut ids = vec![None; rows.max(FIRST_LOCATION) as usize];
        for row in FOREIGN_CODE_LOCATION..rows.max(FIRST_LOCATION) {
            let location = if row == FOREIGN_CODE_LOCATION {
                Location { module: None, offset: 0 }
            } else {
                let word = table.word(row, 0).unwrap_or(0);
                if word == 0 {
                    continue;
                }
                let (module, offset) = location::unpack(word);
                let id = modules.get(module as usize).copied().flatten();
                homeless += u64::from(module != 0 && id.is_none());
                Location { module: id, offset }
            };
            let id = *known.entry(location).or_insert_with(|| {
                self.locations.push(location);
                LocationId(self.locations.len() as u32 - 1)
            });
            ids[row as usize] = Some(id);
        }
        Problem::note(problems, homeless, "code locations", "their module is not there");
        ids
    }

    fn read_nodes(&mut self, reader: &Reader<'_>, locations: &[Option<LocationId>], problems: &mut Vec<Problem>) {
        let table = reader.table(header_word!(nodes), NODE_WORDS);
        let rows = table.len().min(NODES_LIMIT + 1);
        let mut known = HashMap::with_capacity(rows as usize);
        let mut unknown_place = None;
        let (mut orphans, mut placeless) = (0, 0);
        self.node_ids = vec![UNKNOWN; rows as usize];
        for row in 1..rows {
            let word = table.word(row, 0).unwrap_or(0);
            let (parent, place) = (word >> 32, word & 0xffff_ffff);
            // A path is cut where the node says so, which then is no frame of its own.
            if word == 0 || place == TRUNCATED_LOCATION {
                continue;
            }
            let parent_id = if parent < row { self.node(parent) } else { None };
            let truncated = parent != ROOT && parent_id.is_none();
            orphans += u64::from(truncated && !is_cut(&table, parent, row));
            let location = match locations.get(place as usize).copied().flatten() {
                Some(location) => location,
                None => {
                    placeless += 1;
                    *unknown_place.get_or_insert_with(|| {
                        self.locations.push(Location { module: None, offset: 0 });
                        LocationId(self.locations.len() as u32 - 1)
                    })
                }
            };
            let node = Node { parent: parent_id, location, truncated };
            let id = match known.entry((parent_id, location, truncated)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    let id = NodeId(self.nodes.len() as u32);
                    self.nodes.push(node);
                    *new.insert(id)
                }
            };
            self.node_ids[row as usize] = id.0;
        }
        let problem = "their caller is not there; the call path is cut";
        Problem::note(problems, orphans, "call tree", problem);
        let problem = "their code location is not there";
        Problem::note(problems, placeless, "call tree", problem);
    }
}

/// Whether the parent stands for frames that are not known.
fn is_cut(table: &heaptide_ledger::read::TableView<'_>, parent: u64, child: u64) -> bool {
    parent < child && table.word(parent, 0).is_some_and(|word| word & 0xffff_ffff == TRUNCATED_LOCATION)
}
