//! What a reader must know to trust the tables: the filter, sampling, missing symbols.

use std::collections::BTreeSet;

use heaptide_profile::{Mode, Profile};

use super::page::{Ink, Line, Page};
use super::selection::Selection;
use super::tables::TOO_FEW_SAMPLES;
use super::width::cut_middle;
use crate::escape;
use crate::units::{bytes, share};

/// Modules named in the hint about missing symbols.
const NAMED_MODULES: usize = 3;

/// Draws the filter, and how much passes it.
pub(crate) fn draw_filter(page: &mut Page, profile: &Profile, selection: &Selection, filter: &str) {
    let part = |part, whole| {
        let share = share(part, whole).map_or(String::new(), |share| format!(" ({share})"));
        format!("{} of {}{share}", bytes(part), bytes(whole))
    };
    page.gap();
    let lead = Line::new().add(Ink::Title, "Filter").to(8);
    page.line(lead.add(Ink::Bold, cut_middle(&escape(filter), page.width() - 8)));
    let totals = &profile.totals;
    let live = part(selection.sum.live_bytes(), totals.live_bytes);
    let allocated = part(selection.sum.allocated_bytes, totals.allocated_bytes);
    page.words(Line::indented(8), Ink::Plain, &format!("matches {live} live, {allocated} allocated"));
}

/// Draws what there is to say below the tables.
pub(crate) fn draw(page: &mut Page, profile: &Profile, stripped: &BTreeSet<String>) {
    if let Mode::Sampled { interval_bytes } = profile.recorder.mode {
        page.gap();
        let words = format!(
            "Sampled: one block in {} allocated was recorded, on average, and counted for the others. ± is the standard \
             error; \"too few\" means fewer than {TOO_FEW_SAMPLES} samples: do not rely on that row.",
            bytes(interval_bytes)
        );
        page.words(Line::new(), Ink::Dim, &words);
    }
    if !stripped.is_empty() {
        page.gap();
        let mut names: Vec<&str> = stripped.iter().take(NAMED_MODULES).map(String::as_str).collect();
        let more = format!("{} more", stripped.len().saturating_sub(NAMED_MODULES));
        if stripped.len() > NAMED_MODULES {
            names.push(&more);
        }
        let words = format!(
            "No symbols for {}. For function names install its debug package, or build it without strip.",
            names.join(", ")
        );
        page.words(Line::new(), Ink::Dim, &words);
    }
}
