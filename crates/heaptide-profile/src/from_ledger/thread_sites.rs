//! Which thread did what at which call path, for the pairs that moved most bytes.

use std::cmp::Reverse;

use heaptide_ledger::read::SiteView;

use super::whole_blocks;
use crate::model::{Mode, NodeId, ThreadId, ThreadSite};

/// Most rows that are kept.
const ROWS: usize = 4096;

/// Sums of one thread at one call path. Counts of blocks are in the ledger's unit.
#[derive(Clone, Copy, Default)]
struct Sums {
    allocations: u64,
    allocated_bytes: u64,
    frees: u64,
    freed_bytes: u64,
}

/// Rows in the making, thread by thread.
pub(super) struct ThreadSites {
    mode: Mode,
    thread: Option<ThreadId>,
    /// Of the present thread, by node.
    sums: Vec<Sums>,
    /// Nodes with sums.
    touched: Vec<NodeId>,
    rows: Vec<ThreadSite>,
}

impl ThreadSites {
    pub(super) fn new(nodes: usize, mode: Mode) -> Self {
        ThreadSites { mode, thread: None, sums: vec![Sums::default(); nodes], touched: Vec::new(), rows: Vec::new() }
    }

    /// What follows was done by this thread. The blocks of one thread come one after the other.
    pub(super) fn begin(&mut self, thread: ThreadId) {
        if self.thread != Some(thread) {
            self.finish();
            self.thread = Some(thread);
        }
    }

    pub(super) fn add(&mut self, node: NodeId, view: &SiteView<'_>) {
        let sums = &mut self.sums[node.index()];
        if (sums.allocations | sums.allocated_bytes | sums.frees | sums.freed_bytes) == 0 {
            self.touched.push(node);
        }
        sums.allocations = sums.allocations.saturating_add(view.allocations());
        sums.allocated_bytes = sums.allocated_bytes.saturating_add(view.allocated_bytes());
        sums.frees = sums.frees.saturating_add(view.frees());
        sums.freed_bytes = sums.freed_bytes.saturating_add(view.freed_bytes());
    }

    /// The rows, by thread and then by call path.
    pub(super) fn into_rows(mut self) -> Vec<ThreadSite> {
        self.finish();
        self.keep_largest();
        self.rows.sort_unstable_by_key(|row| (row.thread, row.node));
        self.rows
    }

    fn finish(&mut self) {
        let Some(thread) = self.thread else {
            return;
        };
        for node in self.touched.drain(..) {
            let sums = std::mem::take(&mut self.sums[node.index()]);
            self.rows.push(ThreadSite {
                thread,
                node,
                allocations: whole_blocks(self.mode, sums.allocations),
                allocated_bytes: sums.allocated_bytes,
                frees: whole_blocks(self.mode, sums.frees),
                freed_bytes: sums.freed_bytes,
            });
        }
        if self.rows.len() > 4 * ROWS {
            self.keep_largest();
        }
    }

    fn keep_largest(&mut self) {
        if self.rows.len() > ROWS {
            self.rows.select_nth_unstable_by_key(ROWS, |row| {
                let moved = row.allocated_bytes.saturating_add(row.freed_bytes);
                (Reverse(moved), row.thread, row.node)
            });
            self.rows.truncate(ROWS);
        }
    }
}
