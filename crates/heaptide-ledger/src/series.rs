//! The program over time, in a space that does not grow: the timeline, and tracks of single call paths.
//!
//! Each is a list of rows with a time of their own. When it is full, every second row is dropped in place; the
//! interval between samples doubles. A kill in the middle of that leaves rows that stand twice, never a wrong one: a
//! reader sorts by time and drops doubles.
//!
//! One writer at a time: the observer, or the sampling thread of a program that runs without one.

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Rows of the timeline.
pub const TIMELINE_ROWS: usize = 1024;
/// Words of a row of the timeline, the time first.
pub const TIMELINE_WORDS: usize = 12;
/// Call paths that are followed.
pub const TRACKS: usize = 128;
/// Rows of a track.
pub const TRACK_ROWS: usize = 256;
/// Words of a row of a track, the time first.
pub const TRACK_WORDS: usize = 4;
/// Word that stands for "not known".
pub const UNKNOWN: u64 = u64::MAX;

const LIST_HEAD_WORDS: usize = 2;
const TIMELINE_LIST_WORDS: usize = LIST_HEAD_WORDS + TIMELINE_ROWS * TIMELINE_WORDS;
const TRACK_LIST_WORDS: usize = LIST_HEAD_WORDS + TRACK_ROWS * TRACK_WORDS;
/// Words of all series of a ledger.
pub const SERIES_WORDS: usize = TIMELINE_LIST_WORDS + TRACKS * TRACK_LIST_WORDS;

/// One sample of the whole program. Unknown numbers are [`UNKNOWN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since the start.
    pub t_ms: u64,
    /// Bytes alive.
    pub live_bytes: u64,
    /// Blocks alive.
    pub live_allocations: u64,
    /// Blocks handed out so far.
    pub allocations: u64,
    /// Bytes handed out so far.
    pub allocated_bytes: u64,
    /// Bytes mapped by the program's own `mmap`.
    pub mapped_bytes: u64,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Proportional share of it.
    pub pss_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub open_files: u64,
}

/// One sample of one call path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackPoint {
    /// Milliseconds since the start.
    pub t_ms: u64,
    /// Bytes alive.
    pub live_bytes: u64,
    /// Blocks alive.
    pub live_allocations: u64,
    /// Blocks handed out so far.
    pub allocations: u64,
}

/// The series of a ledger: [`SERIES_WORDS`] words.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    words: &'a [AtomicU64],
}

/// Rows with a time, in bounded space. Head: rows used, key (a track's node).
#[derive(Clone, Copy)]
struct List<'a> {
    words: &'a [AtomicU64],
    row_words: usize,
}

impl<'a> Series<'a> {
    /// The series in these words; `None` if they are too few.
    #[must_use]
    pub fn over(words: &'a [AtomicU64]) -> Option<Self> {
        (words.len() >= SERIES_WORDS).then_some(Series { words })
    }

    fn timeline(&self) -> List<'a> {
        List { words: &self.words[..TIMELINE_LIST_WORDS], row_words: TIMELINE_WORDS }
    }

    fn track(&self, index: usize) -> List<'a> {
        let start = TIMELINE_LIST_WORDS + index * TRACK_LIST_WORDS;
        List { words: &self.words[start..start + TRACK_LIST_WORDS], row_words: TRACK_WORDS }
    }

    /// Adds a moment to the timeline. Returns whether the timeline was halved to make room: the writer then doubles
    /// its interval.
    pub fn push(&self, m: Moment) -> bool {
        let row = [
            m.live_bytes,
            m.live_allocations,
            m.allocations,
            m.allocated_bytes,
            m.mapped_bytes,
            m.rss_bytes,
            m.pss_bytes,
            m.threads,
            m.open_files,
        ];
        self.timeline().push(m.t_ms, &row)
    }

    /// The timeline's moments in the order of time, each once.
    pub fn moments(&self, mut visit: impl FnMut(Moment)) {
        self.timeline().rows(|t_ms, at| {
            visit(Moment {
                t_ms,
                live_bytes: at(1),
                live_allocations: at(2),
                allocations: at(3),
                allocated_bytes: at(4),
                mapped_bytes: at(5),
                rss_bytes: at(6),
                pss_bytes: at(7),
                threads: at(8),
                open_files: at(9),
            });
        });
    }

    /// The node that track `index` follows; 0 if the track is free.
    #[must_use]
    pub fn track_node(&self, index: usize) -> u64 {
        self.track(index).words[1].load(Acquire)
    }

    /// Gives track `index` to another call path and forgets its rows.
    pub fn follow(&self, index: usize, node: u64) {
        let track = self.track(index);
        track.words[1].store(0, Release);
        track.words[0].store(0, Release);
        track.words[1].store(node, Release);
    }

    /// Adds a point to track `index`. Returns whether it was halved.
    pub fn push_track(&self, index: usize, p: TrackPoint) -> bool {
        self.track(index).push(p.t_ms, &[p.live_bytes, p.live_allocations, p.allocations])
    }

    /// The points of track `index` in the order of time, each once.
    pub fn points(&self, index: usize, mut visit: impl FnMut(TrackPoint)) {
        self.track(index).rows(|t_ms, at| {
            visit(TrackPoint { t_ms, live_bytes: at(1), live_allocations: at(2), allocations: at(3) });
        });
    }
}

impl List<'_> {
    fn capacity(&self) -> usize {
        (self.words.len() - LIST_HEAD_WORDS) / self.row_words
    }

    fn row(&self, index: usize) -> &[AtomicU64] {
        &self.words[LIST_HEAD_WORDS + index * self.row_words..][..self.row_words]
    }

    fn write(&self, index: usize, time_word: u64, values: impl Iterator<Item = u64>) {
        let row = self.row(index);
        row[0].store(0, Release);
        for (word, value) in row[1..].iter().zip(values) {
            word.store(value, Relaxed);
        }
        row[0].store(time_word, Release);
    }

    fn push(&self, t_ms: u64, values: &[u64]) -> bool {
        let mut len = (self.words[0].load(Relaxed) as usize).min(self.capacity());
        let full = len == self.capacity();
        if full {
            for index in 1..len / 2 {
                let from = self.row(index * 2);
                self.write(index, from[0].load(Relaxed), from[1..].iter().map(|word| word.load(Relaxed)));
            }
            len /= 2;
        }
        self.write(len, t_ms + 1, values.iter().copied());
        self.words[0].store(len as u64 + 1, Release);
        full
    }

    /// Rows whose time rises; others are remains of a halving that was cut short.
    fn rows(&self, mut visit: impl FnMut(u64, &dyn Fn(usize) -> u64)) {
        let len = (self.words[0].load(Acquire) as usize).min(self.capacity());
        let mut last = 0;
        for index in 0..len {
            let row = self.row(index);
            let time_word = row[0].load(Acquire);
            if time_word > last {
                last = time_word;
                visit(time_word - 1, &|word| row[word].load(Relaxed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn words() -> Vec<AtomicU64> {
        (0..SERIES_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    fn moment(t_ms: u64) -> Moment {
        Moment {
            t_ms,
            live_bytes: t_ms * 3,
            live_allocations: 1,
            allocations: 2,
            allocated_bytes: t_ms * 5,
            mapped_bytes: UNKNOWN,
            rss_bytes: 4,
            pss_bytes: 5,
            threads: 6,
            open_files: 7,
        }
    }

    #[test]
    fn a_day_fits_and_keeps_its_span() {
        let words = words();
        let series = Series::over(&words).unwrap();
        let (mut t, mut interval) = (0, 10);
        while t < 86_400_000 {
            if series.push(moment(t)) {
                interval *= 2;
            }
            t += interval;
        }
        let mut kept = Vec::new();
        series.moments(|m| kept.push(m));
        assert!(kept.len() >= TIMELINE_ROWS / 2 && kept.len() <= TIMELINE_ROWS);
        assert_eq!(kept[0], moment(0));
        assert!(kept.windows(2).all(|w| w[0].t_ms < w[1].t_ms));
        assert!(kept.iter().all(|m| *m == moment(m.t_ms)));
        assert!(kept.last().unwrap().t_ms > 86_000_000);
    }

    #[test]
    fn a_track_can_change_its_call_path() {
        let words = words();
        let series = Series::over(&words).unwrap();
        series.follow(3, 42);
        for t in 0..1000 {
            series.push_track(3, TrackPoint { t_ms: t, live_bytes: t, live_allocations: 1, allocations: t });
        }
        assert_eq!(series.track_node(3), 42);
        series.follow(3, 43);
        let mut points = 0;
        series.points(3, |_| points += 1);
        assert_eq!((series.track_node(3), points), (43, 0));
    }
}
