//! The numbers that tables are about.

use heaptide_profile::{End, Profile};

use crate::Sort;
use crate::tally::Tally;
use crate::units::{bytes, count, duration_ms, share, things};

/// The tables of a report that asks for none in particular.
pub(crate) const USUAL: [Sort; 4] = [Sort::Live, Sort::Peak, Sort::Allocated, Sort::Temporary];

/// Headings of a table's number columns.
pub(crate) struct Headings {
    pub(crate) value: &'static str,
    pub(crate) other: &'static str,
}

impl Sort {
    /// What the table is called.
    pub(crate) fn title(self, end: End) -> &'static str {
        match (self, end) {
            (Sort::Live, End::Running) => "Live now",
            (Sort::Live, End::Exited { .. }) => "Live at exit",
            (Sort::Live, End::Signalled { .. } | End::Lost) => "Live at the end",
            (Sort::Peak, _) => "Live at peak",
            (Sort::Allocated | Sort::Allocations, _) => "Allocated",
            (Sort::Temporary, _) => "Temporary",
            (Sort::Reallocations, _) => "Reallocated",
        }
    }

    pub(crate) fn headings(self, end: End) -> Headings {
        let (value, other) = match self {
            Sort::Live | Sort::Allocated => ("Bytes", "Blocks"),
            Sort::Peak if end == End::Running => ("Bytes", "Now"),
            Sort::Peak => ("Bytes", "At end"),
            Sort::Allocations => ("Blocks", "Bytes"),
            Sort::Temporary => ("Blocks", "Of made"),
            Sort::Reallocations => ("Calls", "Copied"),
        };
        Headings { value, other }
    }

    /// The number that rows are sorted by; 0 where it is not known.
    pub(crate) fn value(self, tally: &Tally) -> u64 {
        match self {
            Sort::Live => tally.live_bytes(),
            Sort::Peak => tally.live_bytes_at_peak,
            Sort::Allocated => tally.allocated_bytes,
            Sort::Allocations => tally.allocations,
            Sort::Temporary => tally.temporary_allocations.unwrap_or(0),
            Sort::Reallocations => tally.reallocations,
        }
    }

    /// The bytes whose sampling error is the value's.
    pub(crate) fn sampled_bytes(self, tally: &Tally) -> u64 {
        match self {
            Sort::Live => tally.live_bytes(),
            Sort::Peak => tally.live_bytes_at_peak,
            _ => tally.allocated_bytes,
        }
    }

    /// The number, as it is shown.
    pub(crate) fn show(self, value: u64) -> String {
        match self {
            Sort::Live | Sort::Peak | Sort::Allocated => bytes(value),
            Sort::Allocations | Sort::Temporary | Sort::Reallocations => count(value),
        }
    }

    /// The second number, as it is shown.
    pub(crate) fn show_other(self, tally: &Tally) -> String {
        match self {
            Sort::Live => count(tally.live_allocations()),
            Sort::Peak => bytes(tally.live_bytes()),
            Sort::Allocated => count(tally.allocations),
            Sort::Allocations => bytes(tally.allocated_bytes),
            Sort::Temporary => share(self.value(tally), tally.allocations).unwrap_or_default(),
            Sort::Reallocations => bytes(tally.copied_bytes),
        }
    }

    /// The number for the whole program; `None` where it is not known.
    pub(crate) fn whole(self, profile: &Profile) -> Option<u64> {
        let totals = &profile.totals;
        match self {
            Sort::Live => Some(totals.live_bytes),
            Sort::Peak => Some(totals.peak_live_bytes),
            Sort::Allocated => Some(totals.allocated_bytes),
            Sort::Allocations => Some(totals.allocations),
            Sort::Temporary => totals.temporary_allocations,
            Sort::Reallocations => Some(totals.reallocations),
        }
    }

    /// The whole program's numbers in words.
    pub(crate) fn summary(self, profile: &Profile) -> String {
        let totals = &profile.totals;
        match self {
            Sort::Live => format!("{} in {}", bytes(totals.live_bytes), things(totals.live_allocations, "block")),
            Sort::Peak => {
                let when = duration_ms(totals.peak_at_ms).map_or(String::new(), |at| format!(" after {at}"));
                format!("{}{when}", bytes(totals.peak_live_bytes))
            }
            Sort::Allocated | Sort::Allocations => {
                format!("{} in {}", bytes(totals.allocated_bytes), things(totals.allocations, "block"))
            }
            Sort::Temporary => match totals.temporary_allocations {
                Some(temporary) => {
                    let of_all =
                        share(temporary, totals.allocations).map_or(String::new(), |share| format!(", {share} of all"));
                    format!("{}{of_all}", things(temporary, "block"))
                }
                None => "not known".to_owned(),
            },
            Sort::Reallocations => things(totals.reallocations, "call"),
        }
    }

    /// What an empty table says.
    pub(crate) fn nothing(self) -> &'static str {
        match self {
            Sort::Live => "Nothing: every block was given back.",
            Sort::Peak => "Nothing was alive when the peak was looked for.",
            Sort::Allocated | Sort::Allocations => "Nothing.",
            Sort::Temporary => "None: no block was freed before its thread's next allocation.",
            Sort::Reallocations => "None: no block was reallocated.",
        }
    }
}
