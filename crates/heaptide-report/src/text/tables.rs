//! The tables: who holds memory, and who makes it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use heaptide_profile::{Mode, Profile};

use super::columns::{Cells, Columns};
use super::frames::{Frame, FrameId, FrameTable};
use super::groups::{Group, groups, path_sums};
use super::metric::USUAL;
use super::notes;
use super::page::{Ink, Line, Page};
use super::paths::{OuterEnd, PathId, Paths, Unfolded};
use super::selection::Selection;
use super::width::{cut_middle, width};
use crate::tally::{Tally, relative_error};
use crate::units::{share, things};
use crate::{By, Frames, Origin, Sort, TextOptions};

/// Callers shown below a row.
const CALLERS: usize = 3;

/// Frames shown below a row where all are asked for: a runaway recursion has no end worth reading.
const ALL_FRAMES: usize = 256;

/// Heading of the column of call paths.
const LEGEND: &str = "Function  →calls  ←called by  ↻recurses";

/// Samples below which a number says nothing.
pub(crate) const TOO_FEW_SAMPLES: u64 = 20;

/// Draws the tables that `options` ask for, and what there is to note about them.
pub(crate) fn draw(
    page: &mut Page,
    profile: &Profile,
    frames: &FrameTable<'_>,
    selection: &Selection,
    options: &TextOptions<'_>,
) {
    let mut tables = Tables { profile, frames, options, stripped: BTreeSet::new() };
    let sorts: &[Sort] = options.sort.as_ref().map_or(&USUAL, std::slice::from_ref);
    match options.by {
        By::CallPath => {
            let paths = Paths::of(profile, frames, options.frames);
            let sums = path_sums(&paths, selection);
            for &sort in sorts {
                tables.draw_paths(page, sort, &paths, sums.clone());
            }
        }
        by => {
            let mut groups = groups(profile, frames, selection, by, options.frames);
            for &sort in sorts {
                tables.draw_groups(page, sort, &mut groups);
            }
        }
    }
    notes::draw(page, profile, &tables.stripped);
}

/// Draws one table without callers: a line a row.
pub(crate) fn draw_brief(page: &mut Page, profile: &Profile, sort: Sort, options: &TextOptions<'_>) {
    let frames = &FrameTable::of(profile, options.classify);
    let mut tables = Tables { profile, frames, options, stripped: BTreeSet::new() };
    let paths = Paths::of(profile, frames, Frames::Folded);
    let mut rows = path_sums(&paths, &Selection::of(profile, frames, None));
    rows.retain(|(_, tally)| sort.value(tally) > 0);
    rows.sort_by_key(|(path, tally)| (Reverse(sort.value(tally)), *path));
    rows.truncate(options.top);
    let cells: Vec<Cells> = rows.iter().map(|(_, tally)| tables.cells(sort, tally)).collect();
    let columns = Columns::fit(page.width(), cells.iter());
    let heads: Vec<Option<FrameId>> = rows.iter().map(|(path, _)| paths.head(*path)).collect();
    for ((path, _), cells) in rows.iter().zip(&cells) {
        let unfolded = paths.unfold(*path, 1);
        // Of rows with the same frame, the library call tells which is which.
        let is_alone = heads.iter().filter(|head| **head == paths.head(*path)).count() == 1;
        let mark = match unfolded.via {
            Some(via) if !is_alone => format!(" → {}", last_segment(&frames.get(via).label)),
            _ => String::new(),
        };
        tables.draw_head(page, &columns, cells, &unfolded, &mark);
    }
}

struct Tables<'a> {
    profile: &'a Profile,
    frames: &'a FrameTable<'a>,
    options: &'a TextOptions<'a>,
    /// Modules without symbols that were shown.
    stripped: BTreeSet<String>,
}

impl<'a> Tables<'a> {
    fn draw_paths(&mut self, page: &mut Page, sort: Sort, paths: &Paths, mut rows: Vec<(PathId, Tally)>) {
        self.draw_title(page, sort);
        rows.retain(|(_, tally)| sort.value(tally) > 0);
        if rows.is_empty() {
            return self.draw_nothing(page, sort);
        }
        rows.sort_by_key(|(path, tally)| (Reverse(sort.value(tally)), *path));
        let (shown, rest) = rows.split_at(rows.len().min(self.options.top));
        let cells: Vec<Cells> = shown.iter().map(|(_, tally)| self.cells(sort, tally)).collect();
        let rest_cells = self.cells(sort, &sum(rest.iter().map(|(_, tally)| tally)));
        let headings = sort.headings(self.profile.program.end);
        let heading = self.heading(headings.value, headings.other);
        let columns = Columns::fit(page.width(), cells.iter().chain([&rest_cells, &heading]));
        let room = page.width().saturating_sub(columns.names_at());
        let name = if width(LEGEND) <= room { LEGEND } else { "Function" };
        page.line(columns.numbers(&heading, Ink::Dim, Ink::Dim).add(Ink::Dim, name));
        let most = if self.options.frames == Frames::All { ALL_FRAMES } else { 1 + CALLERS };
        for ((path, _), cells) in shown.iter().zip(&cells) {
            let unfolded = paths.unfold(*path, most);
            self.draw_head(page, &columns, cells, &unfolded, "");
            self.draw_callers(page, &columns, &unfolded);
        }
        draw_rest(page, &columns, &rest_cells, rest.len(), "call path");
    }

    /// The line with the numbers; `mark` stands behind the function.
    fn draw_head(&mut self, page: &mut Page, columns: &Columns, cells: &Cells, path: &Unfolded, mark: &str) {
        let numbers = columns.numbers(cells, Ink::Bold, Ink::Plain);
        page.line(match path.calls.first() {
            Some(head) => {
                let mark = format!("{}{mark}", recursion_mark(head.recursion));
                columns.frame(numbers, Ink::Bold, self.frame(head.frame), &mark)
            }
            None => numbers.add(Ink::Dim, "call path not known"),
        });
    }

    fn draw_callers(&mut self, page: &mut Page, columns: &Columns, path: &Unfolded) {
        let arrow = |arrow| Line::indented(columns.names_at()).add(Ink::Accent, arrow);
        if let Some(via) = path.via {
            // Where in the library says little, and its name needs the room.
            page.line(columns.named(arrow("→ "), Ink::Dim, &self.frame(via).label, "", &[]));
        }
        let callers = path.calls.get(1..).unwrap_or_default();
        for (at, caller) in callers.iter().enumerate() {
            let mut mark = recursion_mark(caller.recursion).to_owned();
            if path.outer_end == OuterEnd::More && at + 1 == callers.len() {
                mark.push_str(" …");
            }
            let frame = self.frame(caller.frame);
            let ink = if frame.origin == Origin::User { Ink::Plain } else { Ink::Dim };
            page.line(columns.frame(arrow("← "), ink, frame, &mark));
        }
        if path.outer_end == OuterEnd::Cut {
            page.line(arrow("← ").add(Ink::Dim, "…(cut)"));
        }
    }

    fn draw_groups(&mut self, page: &mut Page, sort: Sort, groups: &mut [Group]) {
        self.draw_title(page, sort);
        let key = |group: &Group| (Reverse(sort.value(&group.own)), Reverse(sort.value(&group.total)));
        groups.sort_by(|a, b| (key(a), &a.label, &a.places).cmp(&(key(b), &b.label, &b.places)));
        let rows = groups.iter().filter(|group| sort.value(&group.own) > 0 || sort.value(&group.total) > 0);
        let rows: Vec<&Group> = rows.collect();
        if rows.is_empty() {
            return self.draw_nothing(page, sort);
        }
        let (shown, rest) = rows.split_at(rows.len().min(self.options.top));
        let cells: Vec<Cells> = shown
            .iter()
            .map(|group| Cells { other: sort.show(sort.value(&group.total)), ..self.cells(sort, &group.own) })
            .collect();
        let rest_cells = Cells { other: String::new(), ..self.cells(sort, &sum(rest.iter().map(|group| &group.own))) };
        let heading = self.heading("Own", "Total");
        let columns = Columns::fit(page.width(), cells.iter().chain([&rest_cells, &heading]));
        let name = match self.options.by {
            By::Module => "module",
            By::Crate => "crate",
            By::Line => "line",
            By::CallPath | By::Function | By::Thread => "function",
        };
        let title = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        page.line(columns.numbers(&heading, Ink::Dim, Ink::Dim).add(Ink::Dim, title));
        for (group, cells) in shown.iter().zip(&cells) {
            self.stripped.extend(group.stripped_module.clone());
            let numbers = columns.numbers(cells, Ink::Bold, Ink::Plain);
            page.line(columns.named(numbers, Ink::Bold, &group.label, "", &group.places));
        }
        draw_rest(page, &columns, &rest_cells, rest.len(), name);
    }

    fn draw_title(&self, page: &mut Page, sort: Sort) {
        page.gap();
        let title = sort.title(self.profile.program.end);
        page.line(Line::new().add(Ink::Title, title).add(Ink::Plain, format!("  {}", sort.summary(self.profile))));
    }

    fn draw_nothing(&self, page: &mut Page, sort: Sort) {
        let words = match sort.whole(self.profile) {
            None => "It is counted only where every allocation is recorded.",
            Some(whole) if whole > 0 && self.options.filter.is_some() => "Nothing that the filter matches.",
            Some(_) => sort.nothing(),
        };
        page.words(Line::indented(2), Ink::Dim, words);
    }

    fn heading(&self, value: &str, other: &str) -> Cells {
        let error = if self.interval_bytes().is_some() { "±" } else { "" };
        Cells { value: value.to_owned(), error: error.to_owned(), share: "Share".to_owned(), other: other.to_owned() }
    }

    fn cells(&self, sort: Sort, tally: &Tally) -> Cells {
        let value = sort.value(tally);
        let error =
            self.interval_bytes().and_then(|interval_bytes| error(interval_bytes, sort.sampled_bytes(tally), tally));
        let whole = sort.whole(self.profile).unwrap_or(0);
        Cells {
            value: sort.show(value),
            error: error.unwrap_or_default(),
            share: share(value, whole).unwrap_or_default(),
            other: sort.show_other(tally),
        }
    }

    fn interval_bytes(&self) -> Option<u64> {
        match self.profile.recorder.mode {
            Mode::Exact => None,
            Mode::Sampled { interval_bytes } => Some(interval_bytes),
        }
    }

    /// The frame, noted if it should have had symbols.
    fn frame(&mut self, id: FrameId) -> &'a Frame<'a> {
        let frame = self.frames.get(id);
        self.stripped.extend(frame.stripped_module());
        frame
    }
}

fn draw_rest(page: &mut Page, columns: &Columns, cells: &Cells, rows: usize, name: &str) {
    if rows > 0 {
        let more = things(rows as u64, &format!("more {name}"));
        page.line(columns.numbers(cells, Ink::Dim, Ink::Dim).add(Ink::Dim, more));
    }
}

fn sum<'t>(tallies: impl Iterator<Item = &'t Tally>) -> Tally {
    let mut sum = Tally::default();
    tallies.for_each(|tally| sum.add(tally));
    sum
}

/// The standard error of `bytes`, a part of what `tally` allocated; `None` for no bytes.
fn error(interval_bytes: u64, bytes: u64, tally: &Tally) -> Option<String> {
    let error = relative_error(interval_bytes, bytes)?;
    let is_too_few = tally.samples.is_some_and(|samples| {
        let part = bytes as f64 / tally.allocated_bytes.max(1) as f64;
        samples as f64 * part.min(1.0) < TOO_FEW_SAMPLES as f64
    });
    Some(if is_too_few { "too few".to_owned() } else { format!("±{:.0}%", (error * 100.0).min(999.0)) })
}

/// The function's own name, in a few columns.
fn last_segment(label: &str) -> String {
    cut_middle(label.rsplit("::").next().unwrap_or(label), 16)
}

fn recursion_mark(recursion: bool) -> &'static str {
    if recursion { " ↻" } else { "" }
}
