//! The table of threads: who allocates, and who frees.

use std::cmp::Reverse;

use heaptide_profile::{Profile, Thread};

use super::columns::{Cells, Columns};
use super::page::{Ink, Line, Page};
use crate::lookup::string;
use crate::units::{bytes, count, share, things};
use crate::{Sort, TextOptions, escape};

/// Draws it in blocks if `options` sort by blocks, and in bytes otherwise.
pub(crate) fn draw(page: &mut Page, profile: &Profile, options: &TextOptions<'_>) {
    page.gap();
    let threads = things(profile.threads.len() as u64, "thread");
    page.line(Line::new().add(Ink::Title, "Threads").add(Ink::Plain, format!("  {threads}")));
    if profile.threads.is_empty() {
        return page.words(Line::indented(2), Ink::Dim, "What each thread did was not recorded.");
    }
    if options.filter.is_some() {
        page.words(Line::indented(2), Ink::Dim, "The filter is about call paths; threads are shown whole.");
    }
    let measure = Measure::of(options.sort, profile);
    let mut threads: Vec<&Thread> = profile.threads.iter().collect();
    threads.sort_by_key(|thread| Reverse((measure.made)(thread)));
    let (shown, rest) = threads.split_at(threads.len().min(options.top));
    let rows: Vec<Cells> =
        shown.iter().map(|thread| measure.cells((measure.made)(thread), (measure.freed)(thread))).collect();
    let sum = |of: fn(&Thread) -> u64| rest.iter().fold(0_u64, |sum, thread| sum.saturating_add(of(thread)));
    let rest_cells = measure.cells(sum(measure.made), sum(measure.freed));
    let heading =
        Cells { value: measure.name.into(), error: String::new(), share: "Share".into(), other: "Freed".into() };
    let columns = Columns::fit(page.width(), rows.iter().chain([&rest_cells, &heading]));
    page.line(columns.numbers(&heading, Ink::Dim, Ink::Dim).add(Ink::Dim, "Thread"));
    for (thread, cells) in shown.iter().zip(&rows) {
        let name = escape(string(profile, thread.name).unwrap_or_default());
        let name = if name.is_empty() { "no name".to_owned() } else { name };
        let tid = thread.tid.map_or(String::new(), |tid| format!(" ({tid})"));
        let mark = if thread.ended_ms.is_some() { format!("{tid} ended") } else { tid };
        page.line(columns.named(columns.numbers(cells, Ink::Bold, Ink::Plain), Ink::Bold, &name, &mark, &[]));
    }
    if !rest.is_empty() {
        let more = things(rest.len() as u64, "more thread");
        page.line(columns.numbers(&rest_cells, Ink::Dim, Ink::Dim).add(Ink::Dim, more));
    }
}

/// What is counted of a thread, and how it is shown.
struct Measure {
    name: &'static str,
    made: fn(&Thread) -> u64,
    freed: fn(&Thread) -> u64,
    show: fn(u64) -> String,
    whole: u64,
}

impl Measure {
    fn of(sort: Option<Sort>, profile: &Profile) -> Self {
        match sort {
            Some(Sort::Allocations | Sort::Temporary | Sort::Reallocations) => Self {
                name: "Blocks",
                made: |thread| thread.allocations,
                freed: |thread| thread.frees,
                show: count,
                whole: profile.totals.allocations,
            },
            Some(Sort::Live | Sort::Peak | Sort::Allocated) | None => Self {
                name: "Allocated",
                made: |thread| thread.allocated_bytes,
                freed: |thread| thread.freed_bytes,
                show: bytes,
                whole: profile.totals.allocated_bytes,
            },
        }
    }

    fn cells(&self, made: u64, freed: u64) -> Cells {
        Cells {
            value: (self.show)(made),
            error: String::new(),
            share: share(made, self.whole).unwrap_or_default(),
            other: (self.show)(freed),
        }
    }
}
