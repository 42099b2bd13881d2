//! The run over time: live and resident bytes.

use heaptide_profile::Profile;

use super::chart::{Series, column_at};
use super::page::{Ink, Line, Page};
use super::width::width;
use crate::units::{bytes, duration_ms};

/// Where charts begin, behind the labels of their height.
const CHART_AT: usize = 13;

/// Lines of the chart of live bytes, and of resident bytes.
const LIVE_ROWS: usize = 4;
const RESIDENT_ROWS: usize = 2;

/// Draws both charts with their axis; nothing if the run was too short for two samples.
pub(crate) fn draw(page: &mut Page, profile: &Profile) {
    let timeline = &profile.timeline;
    if timeline.t_ms.len() < 2 {
        return;
    }
    let duration_ms = duration(profile);
    let columns = page.width() - CHART_AT;
    page.gap();
    let range = range(timeline.live_bytes.iter().copied(), Some(profile.totals.peak_live_bytes));
    page.words(Line::new().add(Ink::Title, "Live over time  "), Ink::Plain, &range.unwrap_or_default());
    draw_chart(page, &live(profile, duration_ms, columns), LIVE_ROWS, Ink::Accent);
    draw_axis(page, profile, CHART_AT, columns);
    draw_resident(page, profile, duration_ms, columns);
}

fn draw_resident(page: &mut Page, profile: &Profile, duration_ms: u64, columns: usize) {
    let timeline = &profile.timeline;
    let samples = timeline.t_ms.iter().zip(&timeline.rss_bytes).filter_map(|(&t_ms, value)| Some((t_ms, (*value)?)));
    let resident = Series::new(samples, duration_ms, columns);
    let range = range(timeline.rss_bytes.iter().flatten().copied(), profile.totals.peak_rss_bytes);
    let Some(mut range) = range.filter(|_| resident.highest() > Some(0)) else {
        return;
    };
    if let Some(limit) = timeline.cgroup_limit_bytes {
        range.push_str(&format!(", limit {}", bytes(limit)));
    }
    page.gap();
    page.words(Line::new().add(Ink::Title, "Resident over time  "), Ink::Plain, &range);
    draw_chart(page, &resident, RESIDENT_ROWS, Ink::Dim);
}

/// Draws live bytes in one line, with the axis below.
pub(crate) fn draw_brief(page: &mut Page, profile: &Profile) {
    if profile.timeline.t_ms.len() < 2 {
        return;
    }
    let columns = page.width() - 2;
    for row in live(profile, duration(profile), columns).draw(1) {
        page.line(Line::indented(2).add(Ink::Accent, row));
    }
    draw_axis(page, profile, 2, columns);
}

fn draw_chart(page: &mut Page, series: &Series, rows: usize, ink: Ink) {
    let highest = bytes(series.highest().unwrap_or(0));
    for (at, row) in series.draw(rows).into_iter().enumerate() {
        let label = match at {
            0 => highest.as_str(),
            at if at + 1 == rows => "0",
            _ => "",
        };
        let edge = if at == 0 { "┤" } else { "│" };
        let line = Line::new().right(Ink::Dim, label, CHART_AT - 2).to(CHART_AT - 1);
        page.line(line.add(Ink::Dim, edge).add(ink, row));
    }
}

/// The start, the peak and the end, each where it was.
fn draw_axis(page: &mut Page, profile: &Profile, chart_at: usize, columns: usize) {
    let duration_ms = duration(profile);
    let start = "0 s".to_owned();
    let end = duration_ms_text(duration_ms);
    let peak_column = column_at(profile.totals.peak_at_ms, duration_ms, columns);
    let peak =
        format!("peak {} after {}", bytes(profile.totals.peak_live_bytes), duration_ms_text(profile.totals.peak_at_ms));
    let room = columns.saturating_sub(width(&end) + 2);
    // The words stand at the side of the mark that has room for them.
    let (from, words) = if peak_column + width(&peak) + 2 <= room {
        (peak_column, format!("▲ {peak}"))
    } else {
        (peak_column.saturating_sub(width(&peak) + 1), format!("{peak} ▲"))
    };
    let mut line = Line::indented(chart_at);
    if from >= width(&start) + 2 {
        line = line.add(Ink::Dim, start);
    }
    line = line.to(chart_at + from).add(Ink::Bold, words);
    if line.columns() + 2 + width(&end) <= chart_at + columns {
        let gap = chart_at + columns - line.columns();
        line = line.right(Ink::Dim, &end, gap);
    }
    page.line(line);
}

fn duration_ms_text(ms: u64) -> String {
    duration_ms(ms).unwrap_or_else(|| "?".to_owned())
}

fn live(profile: &Profile, duration_ms: u64, columns: usize) -> Series {
    let timeline = &profile.timeline;
    let samples = timeline.t_ms.iter().copied().zip(timeline.live_bytes.iter().copied());
    let mut live = Series::new(samples, duration_ms, columns);
    live.raise(profile.totals.peak_at_ms, duration_ms, profile.totals.peak_live_bytes);
    live
}

/// Lowest, highest and last value in words.
fn range(values: impl Iterator<Item = u64> + Clone, highest: Option<u64>) -> Option<String> {
    let (lowest, last) = (values.clone().min()?, values.clone().last()?);
    let highest = values.max().max(highest)?;
    Some(format!("lowest {}, highest {}, last {}", bytes(lowest), bytes(highest), bytes(last)))
}

/// Length of the run: no sample lies outside of it.
fn duration(profile: &Profile) -> u64 {
    let recorded = (profile.program.duration_s * 1000.0) as u64;
    profile.timeline.t_ms.iter().copied().max().unwrap_or(0).max(recorded)
}
