//! The short report at the end of `heaptide run`: about twenty lines, and what to do next.

use heaptide_profile::{End, Profile};

use super::header::{draw_if_empty, draw_warnings, end, sentence, title};
use super::page::{Ink, Line, Page};
use super::{tables, timeline};
use crate::units::{bytes, duration, duration_ms, share, things};
use crate::{Sort, TextOptions, escape};

/// Rows of the one table.
const TOP: usize = 5;

/// The short report of a profile whose recording lies at `file`.
///
/// Of the options it heeds width, colour and classification. The line with the command to copy is not cut if `file` is
/// longer than the page is wide.
#[must_use]
pub fn short(profile: &Profile, options: &TextOptions<'_>, file: &str) -> String {
    let mut page = Page::new(options.width, options.colour);
    let program = &profile.program;
    let facts = sentence(&[Some(format!("pid {}", program.pid)), duration(program.duration_s), Some(end(program.end))]);
    page.line(Line::new().add(Ink::Title, title(program)).add(Ink::Dim, format!(" · {facts}")));
    draw_warnings(&mut page, profile);
    if !draw_if_empty(&mut page, profile) {
        draw_totals(&mut page, profile);
        timeline::draw_brief(&mut page, profile);
        draw_top(&mut page, profile, options);
    }
    page.gap();
    page.uncut(Line::new().add(Ink::Dim, "more  ").add(Ink::Bold, format!("heaptide report {}", quoted(file))));
    page.finish()
}

fn draw_totals(page: &mut Page, profile: &Profile) {
    let totals = &profile.totals;
    let temporary = totals.temporary_allocations.and_then(|temporary| share(temporary, totals.allocations));
    let rows = [
        (
            "allocated",
            totals.allocated_bytes,
            sentence(&[
                Some(format!(" in {}", things(totals.allocations, "block"))),
                temporary.map(|share| format!("{share} temporary")),
            ]),
        ),
        (
            "at peak",
            totals.peak_live_bytes,
            duration_ms(totals.peak_at_ms).map_or(String::new(), |at| format!(" after {at}")),
        ),
        (
            live_label(profile.program.end),
            totals.live_bytes,
            format!(" in {}", things(totals.live_allocations, "block")),
        ),
        ("recorder", profile.recorder.own_bytes, " of memory on top".to_owned()),
    ];
    page.gap();
    for (label, value, note) in rows {
        let line = Line::indented(2).add(Ink::Dim, label).to(12).right(Ink::Bold, &bytes(value), 11);
        page.line(line.add(Ink::Plain, note));
    }
    page.gap();
}

/// The table that says most: what a service holds when it is stopped, and what a program that ended held at most.
fn draw_top(page: &mut Page, profile: &Profile, options: &TextOptions<'_>) {
    let sort = match profile.program.end {
        End::Exited { .. } => Sort::Peak,
        End::Running | End::Signalled { .. } | End::Lost => Sort::Live,
    };
    page.gap();
    page.line(Line::new().add(Ink::Title, sort.title(profile.program.end)));
    tables::draw_brief(page, profile, sort, &TextOptions { top: TOP, ..*options });
}

fn live_label(end: End) -> &'static str {
    match end {
        End::Running => "now",
        End::Exited { .. } => "at exit",
        End::Signalled { .. } | End::Lost => "at the end",
    }
}

/// `file` as a shell reads it.
fn quoted(file: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    let file = escape(file);
    if !file.is_empty() && file.chars().all(is_plain) { file } else { format!("'{}'", file.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_can_be_copied_into_a_shell() {
        assert_eq!(quoted("/tmp/kvd.4711.heaptide"), "/tmp/kvd.4711.heaptide");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
