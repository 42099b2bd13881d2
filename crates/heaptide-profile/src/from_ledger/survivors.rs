//! How old the live blocks are, from the heap map.

use std::collections::{BTreeMap, HashMap};

use heaptide_ledger::cell::{CELLS_PER_LEAF, Cell, LARGE};
use heaptide_ledger::clock::ms_of_tick;
use heaptide_ledger::lifetime::{bucket_of_ms, upper_ms_of_bucket};
use heaptide_ledger::read::Reader;
use heaptide_ledger::weight::COUNT_UNITS;
use heaptide_ledger::{SITES_LIMIT, header_word};

use super::call_tree::CallTree;
use super::whole_blocks;
use crate::model::{Mode, NodeId, Survivors};

const CELLS: usize = CELLS_PER_LEAF as usize;

/// Blocks in the ledger's unit, and bytes.
type Sums = (u64, u64);

/// Blocks and bytes by call path and age, in the order of call paths. In sampled mode a block stands for as many as
/// its weight says.
pub(super) fn read(reader: &Reader<'_>, mode: Mode, tree: &CallTree) -> Vec<Survivors> {
    let now_ms = reader.header(header_word!(clock_ms));
    let mut by_site: HashMap<(u32, u64), Sums> = HashMap::new();
    let mut run = ((0, 0), (0, 0));
    live_blocks(reader, |cell, size| {
        let age_ms = now_ms.saturating_sub(ms_of_tick(cell.birth));
        let upper_ms = match age_ms {
            0 => 0,
            age_ms => upper_ms_of_bucket(bucket_of_ms(age_ms)),
        };
        // Blocks of one site and age mostly lie together.
        if run.0 != (cell.site, upper_ms) {
            add(by_site.entry(run.0).or_default(), run.1);
            run = ((cell.site, upper_ms), (0, 0));
        }
        add(&mut run.1, weighted(mode, size));
    });
    add(by_site.entry(run.0).or_default(), run.1);

    let sites = reader.table(header_word!(sites), 1);
    let mut by_node: BTreeMap<Option<NodeId>, BTreeMap<u64, Sums>> = BTreeMap::new();
    for ((site, upper_ms), sums) in by_site {
        if sums.0 == 0 {
            continue;
        }
        let site = u64::from(site);
        let row = sites.word(site, 0).filter(|_| site <= SITES_LIMIT);
        let node = row.and_then(|row| tree.node(row >> 32));
        let ages = by_node.entry(node).or_default();
        add(ages.entry(upper_ms).or_default(), sums);
    }
    by_node
        .into_iter()
        .map(|(node, ages)| Survivors {
            node,
            ages: ages
                .into_iter()
                .map(|(upper_ms, (units, bytes))| (upper_ms, whole_blocks(mode, units), bytes))
                .collect(),
        })
        .collect()
}

fn add(sums: &mut Sums, more: Sums) {
    sums.0 = sums.0.saturating_add(more.0);
    sums.1 = sums.1.saturating_add(more.1);
}

fn weighted(mode: Mode, size: u64) -> Sums {
    match mode {
        Mode::Exact => (1, size),
        Mode::Sampled { interval_bytes } => {
            // As the recorder weighs them.
            let size = size.max(1) as f64;
            let chance = -(-size / interval_bytes as f64).exp_m1();
            let blocks = (COUNT_UNITS as f64 / chance).round();
            (blocks as u64, (size / chance).round() as u64)
        }
    }
}

/// Calls `visit` with every cell where a block begins, and the block's size. Visits no more cells than the file has
/// room for.
fn live_blocks(reader: &Reader<'_>, mut visit: impl FnMut(Cell, u64)) {
    let table = reader.table(header_word!(leaves), 1);
    let mut leaves: HashMap<u64, usize> = HashMap::new();
    for row in 1..table.len() {
        let word = table.word(row, 0).unwrap_or(0);
        if let Some(start) = reader.unit(word & 0xffff_ffff) {
            leaves.entry(word >> 32).or_insert(start);
        }
    }
    let mut order: Vec<_> = leaves.iter().map(|(key, start)| (*key, *start)).collect();
    order.sort_unstable();
    order.truncate(reader.words().len() / CELLS + 1);
    let word = |start: usize, cell: usize| reader.word(start + cell).unwrap_or(0);
    let is_large = |cell: Cell| cell.site != 0 && cell.size == LARGE;

    for (key, start) in order {
        // The size of a large block stands in the cell after the block's, which may be the next leaf's first.
        let spills = key
            .checked_sub(1)
            .and_then(|before| leaves.get(&before))
            .is_some_and(|before| is_large(Cell::unpack(word(*before, CELLS - 1))));
        let mut place = usize::from(spills);
        while place < CELLS {
            let cell = Cell::unpack(word(start, place));
            place += 1;
            if cell.site == 0 {
                continue;
            }
            let mut size = cell.size;
            if is_large(cell) {
                size = if place < CELLS {
                    word(start, place)
                } else {
                    leaves.get(&(key + 1)).map_or(0, |next| word(*next, 0))
                };
                size = size.max(LARGE);
                place += 1;
            }
            visit(cell, size);
        }
    }
}
