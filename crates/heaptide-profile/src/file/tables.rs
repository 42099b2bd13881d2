//! The form in which tables are kept: one list per field, which packs far better than rows do.

use serde::{Deserialize, Serialize};

use crate::model::{
    Frame, Location, LocationId, LocationSymbols, ModuleId, Node, NodeId, Program, Recorder, Site, StringId, Survivors,
    ThreadId, ThreadSite, Totals,
};

/// Columns of one table are not equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its columns differ in length")]
pub(super) struct Uneven;

/// What stands in no table.
#[derive(Deserialize)]
pub(super) struct Summary {
    pub(super) program: Program,
    pub(super) recorder: Recorder,
    pub(super) totals: Totals,
}

/// [`Summary`] without owning it.
#[derive(Serialize)]
pub(super) struct SummaryOf<'a> {
    pub(super) program: &'a Program,
    pub(super) recorder: &'a Recorder,
    pub(super) totals: &'a Totals,
}

macro_rules! columns {
    ($name:ident of $row:ident { $($field:ident: $type:ty),* $(,)? }) => {
        #[derive(Serialize, Deserialize)]
        pub(super) struct $name {
            $($field: Vec<$type>,)*
        }

        impl $name {
            pub(super) fn of(rows: &[$row]) -> Self {
                $name {
                    $($field: rows.iter().map(|row| row.$field.clone()).collect(),)*
                }
            }

            pub(super) fn into_rows(self) -> Result<Vec<$row>, Uneven> {
                let lengths = [$(self.$field.len()),*];
                if lengths.iter().any(|len| *len != lengths[0]) {
                    return Err(Uneven);
                }
                let mut rows = Vec::with_capacity(lengths[0]);
                $(let mut $field = self.$field.into_iter();)*
                while let ($(Some($field),)*) = ($($field.next(),)*) {
                    rows.push($row { $($field),* });
                }
                Ok(rows)
            }
        }
    };
}

columns!(LocationColumns of Location {
    module: Option<ModuleId>,
    offset: u64,
});

columns!(NodeColumns of Node {
    parent: Option<NodeId>,
    location: LocationId,
    truncated: bool,
});

columns!(SiteColumns of Site {
    node: Option<NodeId>,
    size_min: u64,
    size_max: u64,
    allocations: u64,
    allocated_bytes: u64,
    frees: u64,
    freed_bytes: u64,
    live_bytes_at_peak: u64,
    temporary_allocations: Option<u64>,
    reallocations: u64,
    reallocated_away: u64,
    copied_bytes: u64,
    first_reallocations: u64,
    grown_frees: u64,
    lifetimes: Vec<(u64, u64)>,
    samples: Option<u64>,
});

columns!(ThreadSiteColumns of ThreadSite {
    thread: ThreadId,
    node: NodeId,
    allocations: u64,
    allocated_bytes: u64,
    frees: u64,
    freed_bytes: u64,
});

columns!(SurvivorColumns of Survivors {
    node: Option<NodeId>,
    ages: Vec<(u64, u64, u64)>,
});

columns!(FrameColumns of Frame {
    function: StringId,
    file: Option<StringId>,
    line: Option<u32>,
    inlined: bool,
});

/// Symbols: the frames of all locations, one after the other.
#[derive(Serialize, Deserialize)]
pub(super) struct SymbolColumns {
    frames_of_location: Vec<u32>,
    frames: FrameColumns,
}

impl SymbolColumns {
    pub(super) fn of(symbols: &[LocationSymbols]) -> Self {
        let frames: Vec<Frame> = symbols.iter().flat_map(|location| location.frames.iter().copied()).collect();
        SymbolColumns {
            frames_of_location: symbols.iter().map(|location| location.frames.len() as u32).collect(),
            frames: FrameColumns::of(&frames),
        }
    }

    pub(super) fn into_rows(self) -> Result<Vec<LocationSymbols>, Uneven> {
        let frames = self.frames.into_rows()?;
        let named: u64 = self.frames_of_location.iter().map(|n| u64::from(*n)).sum();
        if named != frames.len() as u64 {
            return Err(Uneven);
        }
        let mut frames = frames.into_iter();
        let of_location = |count: &u32| LocationSymbols { frames: frames.by_ref().take(*count as usize).collect() };
        Ok(self.frames_of_location.iter().map(of_location).collect())
    }
}
