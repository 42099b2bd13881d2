//! Sampling of a ledger on a clock: its time, the whole program, and the call paths that matter.
//!
//! The observer and the sampling thread of a program without one run the same code. Whoever does is the only one who
//! writes the clock and the series.
//!
//! It never allocates, reads no clock and knows no operating system: the time, what the kernel says of the process and
//! the memory for sums come in. Given the same words and times it does the same.

mod ranking;
#[cfg(test)]
mod tests;

use core::sync::atomic::Ordering::Relaxed;

use crate::clock::tick_of_ms;
use crate::header_word;
use crate::layout::{SITES_LIMIT, ThreadBlock};
use crate::read::Reader;
use crate::series::{Moment, Series, TRACKS, TrackPoint, UNKNOWN};
use crate::weight::COUNT_UNITS;
pub use ranking::NodeSum;
use ranking::{Candidate, Epoch, GROUP_RANKS, Wanted};

/// Calls in the first epoch.
const FIRST_EPOCH_CALLS: u64 = 4;
/// Calls in the longest epoch.
const LONGEST_EPOCH_CALLS: u64 = 64;
/// Calls for which a track must have been unwanted before it is given away.
const PATIENCE: u8 = 8;

/// What the kernel says of the process. Unknown numbers are [`UNKNOWN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// Resident memory.
    pub rss_bytes: u64,
    /// Proportional share of it.
    pub pss_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub open_files: u64,
}

impl Default for Vitals {
    fn default() -> Self {
        Vitals { rss_bytes: UNKNOWN, pss_bytes: UNKNOWN, threads: UNKNOWN, open_files: UNKNOWN }
    }
}

/// When the next sample is due, so that sampling takes no more than 1 % of the time.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    interval_ms: u64,
    next_ms: u64,
}

impl Pace {
    /// A sample every so many milliseconds, the first one at once.
    #[must_use]
    pub const fn every(interval_ms: u64) -> Self {
        Pace { interval_ms, next_ms: 0 }
    }

    /// When the next sample is due.
    #[must_use]
    pub const fn next_ms(&self) -> u64 {
        self.next_ms
    }

    /// Notes a sample that began at `now_ms` and took `cost_us` microseconds.
    pub fn sampled(&mut self, now_ms: u64, cost_us: u64) {
        self.next_ms = now_ms.saturating_add(self.interval_ms.max(cost_us.div_ceil(10)));
    }

    /// Doubles the interval, after the series has dropped every second sample.
    pub fn halve_resolution(&mut self) {
        self.interval_ms = self.interval_ms.saturating_mul(2);
    }
}

/// Longest time between two calls of [`set_clock`]. While the program allocates and frees it looks at the time itself,
/// so this only bounds how old the time is after a silence.
pub const CLOCK_MS: u64 = 50;

/// Sets the ledger's clock, which never goes back.
pub fn set_clock(reader: &Reader<'_>, now_ms: u64) {
    if now_ms <= reader.header(header_word!(clock_ms)) {
        return;
    }
    for (word, value) in [(header_word!(clock_ms), now_ms), (header_word!(birth_tick), tick_of_ms(now_ms))] {
        if let Some(word) = reader.words().get(word) {
            word.store(value, Relaxed);
        }
    }
}

/// A moment of the whole program: the sums of its threads. Live numbers are never below 0, even where a free was seen
/// before its allocation.
#[must_use]
pub fn moment(reader: &Reader<'_>, now_ms: u64, vitals: Vitals) -> Moment {
    macro_rules! total {
        ($thread:ident, $field:ident) => {
            $thread.word(core::mem::offset_of!(ThreadBlock, totals.$field) / 8)
        };
    }
    let (mut units, mut freed_units, mut bytes, mut freed_bytes) = (0_u64, 0_u64, 0_u64, 0_u64);
    for thread in reader.threads() {
        units = units.wrapping_add(total!(thread, allocations));
        bytes = bytes.wrapping_add(total!(thread, allocated_bytes));
        freed_units = freed_units.wrapping_add(total!(thread, frees));
        freed_bytes = freed_bytes.wrapping_add(total!(thread, freed_bytes));
    }
    let blocks = Blocks::of(reader);
    Moment {
        t_ms: now_ms,
        live_bytes: bytes.saturating_sub(freed_bytes),
        live_allocations: blocks.whole(units.saturating_sub(freed_units)),
        allocations: blocks.whole(units),
        allocated_bytes: bytes,
        mapped_bytes: reader
            .header(header_word!(mapped_bytes))
            .saturating_sub(reader.header(header_word!(unmapped_bytes))),
        rss_bytes: vitals.rss_bytes,
        pss_bytes: vitals.pss_bytes,
        threads: vitals.threads,
        open_files: vitals.open_files,
    }
}

/// Keeps a ledger's tracks.
#[derive(Clone, Debug)]
pub struct Sampler {
    calls: u64,
    epoch_end: u64,
    tracks: [TrackState; TRACKS],
}

#[derive(Clone, Copy, Debug)]
struct TrackState {
    /// Calls between two points.
    stride: u64,
    /// Calls since it was last wanted.
    unwanted: u8,
}

impl Default for Sampler {
    fn default() -> Self {
        Sampler::new()
    }
}

impl Sampler {
    /// A sampler for a ledger that it has not seen before.
    #[must_use]
    pub const fn new() -> Self {
        Sampler { calls: 0, epoch_end: FIRST_EPOCH_CALLS, tracks: [TrackState { stride: 1, unwanted: 0 }; TRACKS] }
    }

    /// Sums the sites of all threads by call path, decides which call paths are followed, and adds a point to their
    /// tracks.
    ///
    /// `scratch` keeps sums by node from call to call; nodes beyond its end are not followed. It costs about two cache
    /// lines per site and thread: see [`Pace`].
    ///
    /// Half of the tracks are for call paths that hold most. A quarter is for those whose lowest live bytes rise from
    /// epoch to epoch, so that a slow leak is followed while it is still small beside what the program always holds. A
    /// quarter is for those that allocate most often. A track is given to another call path only when its own has been
    /// in none of these groups for a while, and is negligible beside the other or the other stands high in its group.
    pub fn sample_tracks(&mut self, reader: &Reader<'_>, scratch: &mut [NodeSum], series: &Series<'_>, now_ms: u64) {
        sum_nodes(reader, scratch);
        self.calls += 1;
        let ends_epoch = self.calls == self.epoch_end;
        if ends_epoch {
            self.epoch_end += self.calls.clamp(FIRST_EPOCH_CALLS, LONGEST_EPOCH_CALLS);
        }
        let mut wanted = Wanted::new();
        for (node, sum) in scratch.iter_mut().enumerate() {
            if sum.units != 0 {
                sum.look(if ends_epoch { Epoch::Ends } else { Epoch::GoesOn });
                wanted.offer(node, sum);
            }
        }
        self.assign(series, &wanted, scratch);
        self.push_points(reader, series, scratch, now_ms);
    }

    fn assign(&mut self, series: &Series<'_>, wanted: &Wanted, scratch: &[NodeSum]) {
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let node = series.track_node(index);
            if node == 0 || wanted.has(node) {
                track.unwanted = 0;
            } else {
                track.unwanted = track.unwanted.saturating_add(1);
            }
        }
        for rank in 0..GROUP_RANKS {
            for candidate in wanted.at_rank(rank).into_iter().flatten() {
                if (0..TRACKS).any(|index| series.track_node(index) == candidate.node) {
                    continue;
                }
                if let Some(index) = self.place_for(series, wanted, scratch, candidate) {
                    series.follow(index, candidate.node);
                    self.tracks[index] = TrackState { stride: 1, unwanted: 0 };
                }
            }
        }
    }

    fn place_for(
        &self,
        series: &Series<'_>,
        wanted: &Wanted,
        scratch: &[NodeSum],
        candidate: Candidate,
    ) -> Option<usize> {
        let free = (0..TRACKS).find(|index| series.track_node(*index) == 0);
        free.or_else(|| {
            (0..TRACKS)
                .filter(|index| {
                    let held = usize::try_from(series.track_node(*index)).ok().and_then(|node| scratch.get(node));
                    self.tracks[*index].unwanted >= PATIENCE
                        && (candidate.is_high || held.is_none_or(|sum| wanted.is_negligible(sum)))
                })
                // The first of those that have been unwanted longest.
                .min_by_key(|index| u8::MAX - self.tracks[*index].unwanted)
        })
    }

    fn push_points(&mut self, reader: &Reader<'_>, series: &Series<'_>, scratch: &[NodeSum], now_ms: u64) {
        let blocks = Blocks::of(reader);
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let node = series.track_node(index);
            let sum = usize::try_from(node).ok().filter(|node| *node != 0).and_then(|node| scratch.get(node));
            let Some(sum) = sum.filter(|_| self.calls.is_multiple_of(track.stride)) else {
                continue;
            };
            let was_halved = series.push_track(
                index,
                TrackPoint {
                    t_ms: now_ms,
                    live_bytes: sum.live_bytes,
                    live_allocations: blocks.whole(sum.live_units),
                    allocations: blocks.whole(sum.units),
                },
            );
            if was_halved {
                track.stride = track.stride.saturating_mul(2);
            }
        }
    }
}

/// The unit of counts of blocks.
#[derive(Clone, Copy)]
struct Blocks {
    units: u64,
}

impl Blocks {
    fn of(reader: &Reader<'_>) -> Self {
        Blocks {
            units: match reader.header(header_word!(sample_interval)) {
                0 => 1,
                _ => COUNT_UNITS,
            },
        }
    }

    fn whole(self, units: u64) -> u64 {
        units / self.units
    }
}

fn sum_nodes(reader: &Reader<'_>, scratch: &mut [NodeSum]) {
    for sum in &mut *scratch {
        // Pages of call paths that never allocated are not touched.
        if sum.units != 0 {
            (sum.live_bytes, sum.live_units, sum.units) = (0, 0, 0);
        }
    }
    let sites = reader.table(header_word!(sites), 1);
    let mut budget = reader.budget();
    for thread in reader.threads() {
        thread.sites_within(&mut budget, |view| {
            let (units, freed_units) = (view.allocations(), view.frees());
            if (units | freed_units) == 0 || u64::from(view.site) > SITES_LIMIT {
                return;
            }
            let node = sites.word(u64::from(view.site), 0).unwrap_or(0) >> 32;
            let Some(sum) = scratch.get_mut(node as usize).filter(|_| node != 0) else {
                return;
            };
            let bytes = view.allocated_bytes().wrapping_sub(view.freed_bytes());
            sum.live_bytes = sum.live_bytes.wrapping_add(bytes);
            sum.live_units = sum.live_units.wrapping_add(units).wrapping_sub(freed_units);
            sum.units = sum.units.wrapping_add(units);
        });
    }
}
