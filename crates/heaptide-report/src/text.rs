//! The text reports: what a person reads in a terminal, possibly at night and in a hurry.
//!
//! The report goes from the whole to the part: what ran and how well it was recorded, sums, the run over time, then
//! tables of who holds and makes memory. Only what is shown is escaped and shortened; sums are over everything.

mod chart;
mod columns;
mod frames;
mod groups;
mod header;
mod metric;
mod name;
mod notes;
mod page;
mod paths;
mod selection;
mod short;
mod tables;
mod threads;
mod timeline;
mod totals;
mod width;

use heaptide_profile::Profile;

use crate::{By, TextOptions};
use frames::FrameTable;
use page::Page;
use selection::Selection;
pub use short::short;

/// The full report.
#[must_use]
pub fn text(profile: &Profile, options: &TextOptions<'_>) -> String {
    let mut page = Page::new(options.width, options.colour);
    header::draw(&mut page, profile);
    if header::draw_if_empty(&mut page, profile) {
        return page.finish();
    }
    totals::draw(&mut page, profile);
    timeline::draw(&mut page, profile);
    let frames = FrameTable::of(profile, options.classify);
    let selection = Selection::of(profile, &frames, options.filter);
    if let Some(filter) = options.filter {
        notes::draw_filter(&mut page, profile, &selection, filter.as_str());
    }
    match options.by {
        By::Thread => threads::draw(&mut page, profile, options),
        _ => tables::draw(&mut page, profile, &frames, &selection, options),
    }
    page.finish()
}
