//! Sums over the whole program.

use heaptide_profile::{Profile, Totals};

use super::page::{Ink, Line, Page};
use crate::Sort;
use crate::units::{bytes, count, duration_ms, share};

pub(crate) fn draw(page: &mut Page, profile: &Profile) {
    let totals = &profile.totals;
    let live = Sort::Live.title(profile.program.end).to_lowercase();
    let rows = [
        Row::new(
            "allocated",
            Some(totals.allocated_bytes),
            Some(totals.allocations),
            rate(totals, profile.program.duration_s),
        ),
        Row::new("freed", Some(totals.freed_bytes), Some(totals.frees), None),
        Row::new("temporary", None, totals.temporary_allocations, temporary(totals)),
        Row::new("reallocated", None, some(totals.reallocations), Some("calls".to_owned())),
        Row::new(
            "live at peak",
            Some(totals.peak_live_bytes),
            None,
            duration_ms(totals.peak_at_ms).map(|at| format!("after {at}")),
        ),
        Row::new(&live, Some(totals.live_bytes), Some(totals.live_allocations), None),
        Row::new("peak resident", totals.peak_rss_bytes, None, None),
        Row::new("mapped", totals.mapped_bytes.and_then(some), None, Some("by mmap".to_owned())),
    ];
    page.gap();
    let heading = Line::new().add(Ink::Title, "Totals").right(Ink::Dim, "Bytes", 22).right(Ink::Dim, "Blocks", 17);
    page.line(heading);
    for row in rows.iter().filter(|row| row.bytes.is_some() || row.blocks.is_some()) {
        let bytes = row.bytes.map(bytes).unwrap_or_default();
        let blocks = row.blocks.map(count).unwrap_or_default();
        let line =
            Line::new().add(Ink::Plain, row.label).to(16).right(Ink::Bold, &bytes, 12).right(Ink::Bold, &blocks, 17);
        page.line(line.add(Ink::Dim, row.note.as_deref().map_or(String::new(), |note| format!("  {note}"))));
    }
}

struct Row<'a> {
    label: &'a str,
    bytes: Option<u64>,
    blocks: Option<u64>,
    note: Option<String>,
}

impl<'a> Row<'a> {
    fn new(label: &'a str, bytes: Option<u64>, blocks: Option<u64>, note: Option<String>) -> Self {
        Self { label, bytes, blocks, note }
    }
}

fn some(n: u64) -> Option<u64> {
    (n > 0).then_some(n)
}

fn rate(totals: &Totals, duration_s: f64) -> Option<String> {
    // Shorter runs have no rate worth the name.
    let is_run = duration_s.is_finite() && duration_s >= 1.0;
    is_run.then(|| format!("{}/s", bytes((totals.allocated_bytes as f64 / duration_s) as u64)))
}

fn temporary(totals: &Totals) -> Option<String> {
    share(totals.temporary_allocations?, totals.allocations).map(|share| format!("{share} of all"))
}
