//! Which call paths matter: by what they hold, by how it rises, by how often they allocate.

use crate::series::TRACKS;

/// Tracks for the call paths that hold most.
const LARGEST: usize = 64;
/// Tracks for the call paths whose live bytes rise most.
const RISING: usize = 32;
/// Tracks for the call paths that allocate most often.
const BUSIEST: usize = 32;
/// How many times more the least of the wanted must be than what counts as negligible.
const CLEARLY: u64 = 4;

/// Ranks of the largest group.
pub(super) const GROUP_RANKS: usize = LARGEST;

const _: () = assert!(LARGEST + RISING + BUSIEST == TRACKS);

/// Sums of one call path, now and over the last epochs. Words that are all zero are its default, so fresh pages will
/// do. Nothing in it has a meaning outside this module.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeSum {
    pub(super) live_bytes: u64,
    pub(super) live_units: u64,
    pub(super) units: u64,
    /// Lowest live bytes of this epoch, plus one; 0 before the first look.
    floor: u64,
    /// The same of the epoch before.
    last_floor: u64,
    /// Rises of the floor, older ones counting half as much with every epoch.
    rise: u64,
    /// `units` when the epoch began.
    epoch_units: u64,
    /// Units of the epoch before.
    rate: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Epoch {
    GoesOn,
    Ends,
}

impl NodeSum {
    /// Notes the sums of this call.
    pub(super) fn look(&mut self, epoch: Epoch) {
        // A free that was seen before its allocation.
        self.live_bytes = (self.live_bytes as i64).max(0) as u64;
        self.live_units = (self.live_units as i64).max(0) as u64;
        let floor = self.live_bytes + 1;
        self.floor = if self.floor == 0 { floor } else { self.floor.min(floor) };
        if epoch == Epoch::Ends {
            self.rise /= 2;
            // What a call path holds from its first epoch on has not risen.
            if self.last_floor != 0 {
                self.rise = self
                    .rise
                    .saturating_add(self.floor.saturating_sub(self.last_floor))
                    .saturating_sub(self.last_floor.saturating_sub(self.floor));
            }
            self.last_floor = self.floor;
            self.floor = 0;
            self.rate = self.units.saturating_sub(self.epoch_units);
            self.epoch_units = self.units;
        }
    }

    /// How often it allocates, in this epoch or the last.
    fn busyness(&self) -> u64 {
        self.rate.max(self.units.saturating_sub(self.epoch_units))
    }
}

/// A call path that should be followed.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) node: u64,
    /// Whether it stands in the upper half of its group.
    pub(super) is_high: bool,
}

/// The call paths that should be followed, by group.
pub(super) struct Wanted {
    largest: Top<LARGEST>,
    rising: Top<RISING>,
    busiest: Top<BUSIEST>,
}

impl Wanted {
    pub(super) fn new() -> Self {
        Wanted { largest: Top::new(), rising: Top::new(), busiest: Top::new() }
    }

    pub(super) fn offer(&mut self, node: usize, sum: &NodeSum) {
        self.largest.offer(sum.live_bytes, node as u64);
        self.rising.offer(sum.rise, node as u64);
        self.busiest.offer(sum.busyness(), node as u64);
    }

    pub(super) fn has(&self, node: u64) -> bool {
        self.largest.has(node) || self.rising.has(node) || self.busiest.has(node)
    }

    /// Those of this rank, in the order in which they are given tracks.
    pub(super) fn at_rank(&self, rank: usize) -> [Option<Candidate>; 3] {
        [self.rising.at(rank), self.busiest.at(rank), self.largest.at(rank)]
    }

    /// Whether it is far below the least of every group.
    pub(super) fn is_negligible(&self, sum: &NodeSum) -> bool {
        self.largest.is_far_above(sum.live_bytes)
            && self.rising.is_far_above(sum.rise)
            && self.busiest.is_far_above(sum.busyness())
    }
}

/// The highest scores above 0, descending.
struct Top<const N: usize> {
    rows: [(u64, u64); N],
    len: usize,
}

impl<const N: usize> Top<N> {
    fn new() -> Self {
        Top { rows: [(0, 0); N], len: 0 }
    }

    /// Among equals, who comes first stands first.
    fn offer(&mut self, score: u64, node: u64) {
        if score == 0 || self.len == N && score <= self.rows[N - 1].0 {
            return;
        }
        let place = self.rows[..self.len].partition_point(|row| row.0 >= score);
        self.len = (self.len + 1).min(N);
        self.rows[place..self.len].rotate_right(1);
        self.rows[place] = (score, node);
    }

    fn has(&self, node: u64) -> bool {
        self.rows[..self.len].iter().any(|row| row.1 == node)
    }

    fn at(&self, rank: usize) -> Option<Candidate> {
        let row = self.rows[..self.len].get(rank)?;
        Some(Candidate { node: row.1, is_high: rank < N / 2 })
    }

    fn is_far_above(&self, score: u64) -> bool {
        let least = self.rows[..self.len].last().map_or(0, |row| row.0);
        score == 0 || score.saturating_mul(CLEARLY) < least
    }
}
