//! The columns of a table: numbers at the left, aligned at their right, then names.

use super::frames::Frame;
use super::name::fit_function;
use super::page::{Ink, Line};
use super::width::{cut_middle, width};

/// Names get at least this room: the last number goes before names get tight.
const NAMES: usize = 34;

/// And this: the share and the error go before names cannot be read.
const NAMES_TIGHT: usize = 16;

/// In less room than this, names stand without places.
const PLACES: usize = 24;

/// Columns between two columns.
const GAP: usize = 2;

/// The numbers of a row, as they are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    pub(crate) value: String,
    /// Empty in exact recordings.
    pub(crate) error: String,
    pub(crate) share: String,
    pub(crate) other: String,
}

/// How wide the numbers of a table are.
pub(crate) struct Columns {
    value: usize,
    error: usize,
    share: usize,
    other: usize,
    /// Columns of the page.
    page: usize,
}

impl Columns {
    /// Columns that hold all `rows`, the heading among them.
    pub(crate) fn fit<'c>(page: usize, rows: impl Iterator<Item = &'c Cells>) -> Self {
        let mut columns = Self { value: 9, error: 0, share: 6, other: 9, page };
        for row in rows {
            columns.value = columns.value.max(width(&row.value));
            columns.error = columns.error.max(width(&row.error));
            columns.share = columns.share.max(width(&row.share));
            columns.other = columns.other.max(width(&row.other));
        }
        if columns.names_at() + NAMES > page {
            columns.other = 0;
        }
        if columns.names_at() + NAMES_TIGHT > page {
            columns.share = 0;
        }
        if columns.names_at() + NAMES_TIGHT > page {
            columns.error = 0;
        }
        columns
    }

    /// Where names begin.
    pub(crate) fn names_at(&self) -> usize {
        [self.value, self.error, self.share, self.other]
            .into_iter()
            .filter(|&wide| wide > 0)
            .map(|wide| wide + GAP)
            .sum::<usize>()
            + 1
    }

    /// A line with the numbers, up to where names begin.
    pub(crate) fn numbers(&self, cells: &Cells, value: Ink, others: Ink) -> Line {
        let mut line = Line::indented(1);
        for (text, wide, ink) in [
            (&cells.value, self.value, value),
            (&cells.error, self.error, others),
            (&cells.share, self.share, others),
            (&cells.other, self.other, others),
        ] {
            if wide > 0 {
                let end = line.columns() + wide + GAP;
                line = line.right(ink, text, wide).to(end);
            }
        }
        line
    }

    /// `line`, then a name and mark, and at the page's edge the place: the longest of `places` that leaves the name its
    /// room.
    pub(crate) fn named(&self, line: Line, ink: Ink, label: &str, mark: &str, places: &[String]) -> Line {
        let room = self.page.saturating_sub(line.columns() + width(mark));
        let places = if room < PLACES { &[] } else { places };
        let fits = |place: &&String| width(label) + GAP + width(place) <= room;
        let place = places.iter().find(fits).or(places.last()).map(|place| cut_middle(place, room / 2));
        let place_room = place.as_deref().map_or(0, |place| width(place) + GAP);
        let line = line.add(ink, fit_function(label, room.saturating_sub(place_room))).add(Ink::Dim, mark);
        match place {
            Some(place) => {
                let gap = self.page.saturating_sub(line.columns());
                line.right(Ink::Dim, &place, gap)
            }
            None => line,
        }
    }

    /// [`Columns::named`] of a frame.
    pub(crate) fn frame(&self, line: Line, ink: Ink, frame: &Frame<'_>, mark: &str) -> Line {
        self.named(line, ink, &frame.label, mark, &frame.places())
    }
}
