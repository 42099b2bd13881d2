//! The counters of all threads, summed by call path and size class.

use std::collections::HashMap;

use heaptide_ledger::lifetime::upper_ms_of_bucket;
use heaptide_ledger::read::{Reader, SiteView};
use heaptide_ledger::{SITES_LIMIT, header_word, size_class};

use super::call_tree::CallTree;
use super::thread_sites::ThreadSites;
use super::threads::ThreadTable;
use super::whole_blocks;
use crate::model::{Mode, NodeId, Site, Thread, ThreadSite, Totals};
use crate::problem::Problem;

/// Where the bytes at the peak are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtPeak {
    /// The program has never held more than now.
    Now,
    /// From what the threads kept of the last peak that was noticed.
    Snapshot,
}

/// In place of a size class: not known.
const UNKNOWN_CLASS: u32 = u32::MAX;

/// Sums of one site. Counts of blocks are in the ledger's unit.
#[derive(Default)]
struct Sums {
    node: Option<NodeId>,
    class: u32,
    allocations: u64,
    allocated_bytes: u64,
    frees: u64,
    freed_bytes: u64,
    temporary_or_samples: u64,
    live_bytes_at_peak: i64,
    grown_frees: u64,
    reallocations: u64,
    reallocated_away: u64,
    copied_bytes: u64,
    first_reallocations: u64,
    /// Bucket and blocks, in the order of buckets. Few sites use more than a few of them.
    lifetimes: Vec<(usize, u64)>,
}

/// All sites, and the threads that counted there.
pub(super) struct SiteTable {
    sums: Vec<Sums>,
    threads: Vec<Thread>,
    thread_sites: Vec<ThreadSite>,
}

/// Finds the place of a site's sums.
struct Places<'a> {
    table: heaptide_ledger::read::TableView<'a>,
    tree: &'a CallTree,
    /// By the ledger's site: place + 1, or 0.
    by_site: Vec<u32>,
    by_key: HashMap<(Option<NodeId>, u32), u32>,
    unknown: u64,
}

impl Places<'_> {
    fn place(&mut self, site: u32, sums: &mut Vec<Sums>) -> usize {
        let known = self.by_site.get(site as usize).copied().unwrap_or(0);
        if known != 0 {
            return known as usize - 1;
        }
        let row = self.table.word(u64::from(site), 0).unwrap_or(0);
        let (node, class) = if site == 0 || row == 0 {
            self.unknown += 1;
            (None, UNKNOWN_CLASS)
        } else {
            (self.tree.node(row >> 32), row as u32)
        };
        let place = *self.by_key.entry((node, class)).or_insert_with(|| {
            sums.push(Sums { node, class, ..Sums::default() });
            sums.len() as u32 - 1
        });
        if let Some(known) = self.by_site.get_mut(site as usize) {
            *known = place + 1;
        }
        place as usize
    }
}

impl SiteTable {
    pub(super) fn read(
        reader: &Reader<'_>,
        mode: Mode,
        tree: &CallTree,
        threads: ThreadTable<'_>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let table = reader.table(header_word!(sites), 1);
        let rows = table.len().min(SITES_LIMIT + 1) as usize;
        let mut places =
            Places { table, tree, by_site: vec![0; rows], by_key: HashMap::with_capacity(rows), unknown: 0 };
        let mut sums: Vec<Sums> = Vec::new();
        let mut thread_sites = ThreadSites::new(tree.nodes.len(), mode);
        let peak_epoch = reader.header(header_word!(peak_epoch));
        let mut budget = reader.budget();
        for (block, thread) in &threads.blocks {
            thread_sites.begin(*thread);
            block.sites_within(&mut budget, |view| {
                if is_idle(&view) {
                    return;
                }
                let place = places.place(view.site, &mut sums);
                let sum = &mut sums[place];
                sum.add(&view, peak_epoch);
                if let Some(node) = sum.node {
                    thread_sites.add(node, &view);
                }
            });
        }
        let problem = "their call path is not there; they are counted without it";
        Problem::note(problems, places.unknown, "sites", problem);
        SiteTable { sums, threads: threads.threads, thread_sites: thread_sites.into_rows() }
    }

    /// Samples taken, in sampled mode.
    pub(super) fn samples(&self) -> u64 {
        self.sum(|sums| sums.temporary_or_samples)
    }

    pub(super) fn totals(&self, mode: Mode) -> Totals {
        let blocks = |field: fn(&Sums) -> u64| whole_blocks(mode, self.sum(field));
        let allocations = self.sum(|sums| sums.allocations);
        let allocated_bytes = self.sum(|sums| sums.allocated_bytes);
        let frees = self.sum(|sums| sums.frees);
        let freed_bytes = self.sum(|sums| sums.freed_bytes);
        Totals {
            allocations: whole_blocks(mode, allocations),
            allocated_bytes,
            frees: whole_blocks(mode, frees),
            freed_bytes,
            reallocations: blocks(|sums| sums.reallocations),
            live_allocations: whole_blocks(mode, allocations.saturating_sub(frees)),
            live_bytes: allocated_bytes.saturating_sub(freed_bytes),
            temporary_allocations: (mode == Mode::Exact).then(|| self.sum(|sums| sums.temporary_or_samples)),
            ..Totals::default()
        }
    }

    fn sum(&self, field: fn(&Sums) -> u64) -> u64 {
        self.sums.iter().map(field).fold(0, u64::saturating_add)
    }

    pub(super) fn into_rows(self, mode: Mode, at_peak: AtPeak) -> (Vec<Site>, Vec<Thread>, Vec<ThreadSite>) {
        let sites = self.sums.into_iter().map(|sums| sums.into_site(mode, at_peak)).collect();
        (sites, self.threads, self.thread_sites)
    }
}

fn is_idle(view: &SiteView<'_>) -> bool {
    (view.allocations() | view.frees() | view.allocated_bytes() | view.freed_bytes()) == 0
}

impl Sums {
    fn add(&mut self, view: &SiteView<'_>, peak_epoch: u64) {
        macro_rules! add {
            ($($field:ident),*) => {
                $(self.$field = self.$field.saturating_add(view.$field());)*
            };
        }
        add!(
            allocations,
            allocated_bytes,
            frees,
            freed_bytes,
            temporary_or_samples,
            grown_frees,
            reallocations,
            reallocated_away,
            copied_bytes,
            first_reallocations
        );
        // Counters that have not changed since the peak hold what they held then.
        let at_peak = if view.peak_epoch() == peak_epoch {
            view.live_bytes_at_peak()
        } else {
            view.allocated_bytes().wrapping_sub(view.freed_bytes())
        };
        self.live_bytes_at_peak = self.live_bytes_at_peak.saturating_add(at_peak as i64);
        view.lifetimes(|bucket, blocks| match self.lifetimes.binary_search_by_key(&bucket, |entry| entry.0) {
            Ok(at) => {
                let sum = &mut self.lifetimes[at].1;
                *sum = sum.saturating_add(blocks);
            }
            Err(at) => self.lifetimes.insert(at, (bucket, blocks)),
        });
    }

    fn into_site(self, mode: Mode, at_peak: AtPeak) -> Site {
        let blocks = |units| whole_blocks(mode, units);
        let (size_min, size_max) = match self.class {
            UNKNOWN_CLASS => (0, u64::MAX),
            class => size_class::sizes_of(class),
        };
        // Buckets begin at one millisecond; the other blocks that ended without becoming larger lived less.
        let aged = (self.lifetimes.iter()).fold(0, |sum: u64, entry| sum.saturating_add(entry.1));
        let brief = self.frees.saturating_sub(self.reallocated_away).saturating_sub(aged);
        Site {
            node: self.node,
            size_min,
            size_max,
            allocations: blocks(self.allocations),
            allocated_bytes: self.allocated_bytes,
            frees: blocks(self.frees),
            freed_bytes: self.freed_bytes,
            live_bytes_at_peak: match at_peak {
                AtPeak::Now => self.allocated_bytes.saturating_sub(self.freed_bytes),
                AtPeak::Snapshot => self.live_bytes_at_peak.max(0) as u64,
            },
            temporary_allocations: (mode == Mode::Exact).then_some(self.temporary_or_samples),
            reallocations: blocks(self.reallocations),
            reallocated_away: blocks(self.reallocated_away),
            copied_bytes: self.copied_bytes,
            first_reallocations: blocks(self.first_reallocations),
            grown_frees: blocks(self.grown_frees),
            lifetimes: [(0, brief)]
                .into_iter()
                .chain(self.lifetimes.iter().map(|(bucket, units)| (upper_ms_of_bucket(*bucket), *units)))
                .map(|(upper_ms, units)| (upper_ms, blocks(units)))
                .filter(|(_, blocks)| *blocks > 0)
                .collect(),
            samples: match mode {
                Mode::Exact => None,
                Mode::Sampled { .. } => Some(self.temporary_or_samples),
            },
        }
    }
}
