//! Programs whose counters are set by hand, sampled call by call.

use super::*;
use crate::ROOT;
use crate::counter_word;
use crate::series::SERIES_WORDS;
use crate::synthetic::{Thread, Writer};
use core::sync::atomic::AtomicU64;
use std::vec::Vec;

fn words(len: usize) -> Vec<AtomicU64> {
    (0..len).map(|_| AtomicU64::new(0)).collect()
}

/// A program whose call path `k` has site `k`, sampled call by call.
struct Program<'a> {
    writer: Writer<'a>,
    reader: Reader<'a>,
    thread: Thread,
    series: Series<'a>,
    sampler: Sampler,
    scratch: Vec<NodeSum>,
    now_ms: u64,
}

impl<'a> Program<'a> {
    fn new(words: &'a [AtomicU64], nodes: u64) -> Self {
        let writer = Writer::new(words);
        let thread = writer.thread(1, "main");
        for _ in 0..nodes {
            let node = writer.node(ROOT, 3);
            assert_eq!(writer.site(node, 100), node);
        }
        Program {
            writer,
            reader: Reader::new(words).unwrap(),
            thread,
            series: writer.series(),
            sampler: Sampler::new(),
            scratch: std::vec![NodeSum::default(); nodes as usize + 1],
            now_ms: 0,
        }
    }

    fn allocate(&self, node: u64, size: u64, blocks: u64) {
        self.writer.allocate(self.thread, node, size, blocks);
    }

    fn free(&self, node: u64, size: u64, blocks: u64) {
        self.writer.free(self.thread, node, size, blocks, 0);
    }

    fn sample(&mut self) {
        self.now_ms += 1000;
        self.sampler.sample_tracks(&self.reader, &mut self.scratch, &self.series, self.now_ms);
    }

    fn points(&self, node: u64) -> Vec<TrackPoint> {
        let mut points = Vec::new();
        for index in 0..TRACKS {
            if self.series.track_node(index) == node {
                self.series.points(index, |point| points.push(point));
            }
        }
        points
    }

    fn followed(&self) -> usize {
        (0..TRACKS).filter(|index| self.series.track_node(*index) != 0).count()
    }
}

#[test]
fn the_clock_never_goes_back() {
    let words = words(1 << 18);
    let program = Program::new(&words, 1);
    for now_ms in [300_000, 5, 300_001] {
        set_clock(&program.reader, now_ms);
    }
    assert_eq!(program.reader.header(header_word!(clock_ms)), 300_001);
    assert_eq!(program.reader.header(header_word!(birth_tick)), tick_of_ms(300_001));
}

#[test]
fn a_moment_is_the_sum_of_the_threads() {
    let words = words(1 << 15);
    let writer = Writer::new(&words);
    let (first, second) = (writer.thread(1, "a"), writer.thread(2, "b"));
    writer.allocate(first, 1, 100, 512);
    writer.free(second, 1, 100, 256, 0);
    writer.set(header_word!(mapped_bytes), 9);
    let reader = Reader::new(&words).unwrap();
    let vitals = Vitals { rss_bytes: 7, ..Vitals::default() };
    let expected = Moment {
        t_ms: 5,
        live_bytes: 25_600,
        live_allocations: 256,
        allocations: 512,
        allocated_bytes: 51_200,
        mapped_bytes: 9,
        rss_bytes: 7,
        pss_bytes: UNKNOWN,
        threads: UNKNOWN,
        open_files: UNKNOWN,
    };
    assert_eq!(moment(&reader, 5, vitals), expected);

    writer.set(header_word!(sample_interval), 1000);
    let sampled = moment(&reader, 5, vitals);
    assert_eq!((sampled.allocations, sampled.live_allocations), (2, 1));

    writer.free(second, 1, 100, 10_000, 0);
    let behind = moment(&reader, 5, vitals);
    assert_eq!((behind.live_bytes, behind.live_allocations), (0, 0));
}

#[test]
fn a_track_sums_threads_and_sites() {
    let words = words(1 << 18);
    let mut program = Program::new(&words, 2);
    let other = program.writer.thread(2, "other");
    let second_site = program.writer.site(2, 5000);
    program.allocate(2, 100, 10);
    program.writer.allocate(other, second_site, 5000, 1);
    program.writer.free(other, 2, 100, 4, 0);
    program.sample();
    let expected = TrackPoint { t_ms: 1000, live_bytes: 5600, live_allocations: 7, allocations: 11 };
    assert_eq!(program.points(2), [expected]);
    assert_eq!(program.points(1), []);
}

#[test]
fn a_slow_leak_is_followed_while_it_is_small() {
    let words = words(1 << 19);
    let mut program = Program::new(&words, 400);
    let leak = 333;
    for node in 1..=400 {
        if node != leak {
            program.allocate(node, 1_000_000 + node, 1);
        }
    }
    let mut calls = 0;
    while program.points(leak).is_empty() {
        // Caches breathe, hot paths churn, and one path leaks 100 bytes a call.
        for node in 1..=100 {
            program.allocate(node, 1000, 50);
            program.free(node, 1000, 50 - (calls + node) % 3);
            program.free(node, 1000, (calls + node) % 3);
        }
        program.allocate(leak, 100, 1);
        program.sample();
        calls += 1;
        assert!(calls < 20, "not followed");
    }
    assert!(program.points(leak)[0].live_bytes < 2000);

    // It keeps its track, and its history.
    for _ in 0..1000 {
        program.allocate(leak, 100, 1);
        program.sample();
    }
    let points = program.points(leak);
    assert!(points.len() >= 128, "{}", points.len());
    assert!(points.windows(2).all(|w| w[0].live_bytes < w[1].live_bytes));
    assert!(points[0].live_bytes < 2000);
    let (span, first_half) = (points.len(), points[points.len() / 2].t_ms);
    // The points lie evenly in time, but for one halving.
    assert!((300_000..800_000).contains(&first_half), "{span} {first_half}");
}

#[test]
fn tracks_change_hands_only_for_what_matters_more() {
    let words = words(1 << 19);
    let mut program = Program::new(&words, 400);
    for node in 1..=200 {
        program.allocate(node, 1000, 1);
    }
    for _ in 0..200 {
        program.sample();
    }
    let before = program.followed();
    assert!((TRACKS / 2..TRACKS).contains(&before), "{before}");
    let followed: Vec<_> = (0..TRACKS).map(|k| program.series.track_node(k)).collect();

    // Others of the same kind change nothing.
    for node in 201..=210 {
        program.allocate(node, 1000, 1);
    }
    for _ in 0..200 {
        program.sample();
    }
    for (index, node) in followed.iter().enumerate().filter(|(_, node)| **node != 0) {
        assert_eq!(program.series.track_node(index), *node);
    }

    // A hundred that hold and allocate much more take over; the first ones stay until they must go.
    for node in 211..=310 {
        program.allocate(node, 100_000, 10 + node);
    }
    for _ in 0..200 {
        for node in 211..=310 {
            program.allocate(node, 1, 1);
            program.free(node, 1, 1);
        }
        program.sample();
    }
    // The largest of them are the last ones.
    for node in 250..=310 {
        assert!(!program.points(node).is_empty(), "{node}");
    }
    assert_eq!(program.followed(), TRACKS);
}

#[test]
fn the_same_words_and_times_give_the_same_series() {
    let run = || {
        let words = words(1 << 19);
        let mut program = Program::new(&words, 300);
        for call in 0..100 {
            for node in 1..=300 {
                program.allocate(node, node * 7 % 64, call % (node % 5 + 1));
            }
            program.sample();
        }
        (0..TRACKS)
            .map(|k| (program.series.track_node(k), program.points(program.series.track_node(k))))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn counters_that_make_no_sense_are_survived() {
    let words = words(1 << 18);
    let mut program = Program::new(&words, 20);
    program.scratch.truncate(10);
    for node in 1..=20 {
        program.allocate(node, 100, node);
    }
    let at = program.writer.counters(program.thread, 3);
    program.writer.set(at + counter_word!(freed_bytes), u64::MAX);
    program.writer.set(at + counter_word!(frees), u64::MAX / 2);
    program.allocate(77_000, 1, 1);
    program.series.follow(9, u64::MAX);
    program.sample();
    assert_eq!(program.points(9).len(), 1);
    assert_eq!(program.points(10), []);

    let header = self::words(SERIES_WORDS);
    let series = Series::over(&header).unwrap();
    let cut = Reader::new(&words[..600]).unwrap();
    Sampler::new().sample_tracks(&cut, &mut [], &series, 1);
    assert_eq!(series.track_node(0), 0);
}

#[test]
fn sampling_takes_no_more_than_a_hundredth() {
    let mut pace = Pace::every(10);
    assert_eq!(pace.next_ms(), 0);
    pace.sampled(1000, 50);
    assert_eq!(pace.next_ms(), 1010);
    pace.sampled(1010, 2501);
    assert_eq!(pace.next_ms(), 1010 + 251);
    pace.halve_resolution();
    pace.sampled(2000, 0);
    assert_eq!(pace.next_ms(), 2020);
}
