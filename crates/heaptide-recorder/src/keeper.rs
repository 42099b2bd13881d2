//! The clock and the timeline of a program that no observer watches, kept by one thread of the program's own.
//!
//! It does what the observer does, with the same [`Sampler`], and reads what it needs of `/proc` without allocating. A
//! forked child has no such thread: its ledger has counts and no timeline.

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed},
};

use heaptide_ledger::{
    header_word,
    read::Reader,
    sampler::{CLOCK_MS, NodeSum, Pace, Sampler, Vitals, moment, set_clock},
    series::{Series, UNKNOWN},
};

use crate::{
    global::{Global, OFF, global},
    sys,
};

/// Call paths that can be followed; their sums are touched as they come to exist.
const SUMS: usize = 1 << 20;
/// The share of memory is read this much more rarely than the rest: the kernel walks all pages for it.
const PSS_EVERY: u64 = 16;

/// Keeps the clock until the process ends.
pub fn keep_clock() {
    let global = global();
    if global.active.load(Acquire) == OFF {
        return;
    }
    let started_ns = global.header().started_monotonic_ns.load(Relaxed);
    let now_ms = || sys::clock_ns(libc::CLOCK_MONOTONIC).saturating_sub(started_ns) / 1_000_000;
    let interval_ms = global.interval_ms.load(Relaxed);
    let mut sums = Sums::new();
    let mut sampler = Sampler::new();
    let (mut timeline, mut tracks) = (Pace::every(interval_ms), Pace::every(interval_ms));
    let (mut samples, mut pss_bytes) = (0, UNKNOWN);
    while let Some(reader) = reader(global) {
        let now = now_ms();
        set_clock(&reader, now);
        if let Some(series) = series(&reader) {
            if now >= timeline.next_ms() {
                if samples % PSS_EVERY == 0 {
                    pss_bytes = pss().unwrap_or(UNKNOWN);
                }
                samples += 1;
                let halved = series.push(moment(&reader, now, Vitals { pss_bytes, ..vitals() }));
                timeline.sampled(now, since_us(started_ns, now));
                if halved {
                    timeline.halve_resolution();
                }
            }
            if now >= tracks.next_ms() {
                let begun = now_ms();
                sampler.sample_tracks(&reader, sums.all(global), &series, begun);
                tracks.sampled(begun, since_us(started_ns, begun));
            }
        }
        let next_ms = timeline.next_ms().min(tracks.next_ms());
        sys::sleep_ns(next_ms.saturating_sub(now).clamp(1, CLOCK_MS) * 1_000_000);
    }
}

/// Microseconds since a moment of the recording.
fn since_us(started_ns: u64, then_ms: u64) -> u64 {
    (sys::clock_ns(libc::CLOCK_MONOTONIC).saturating_sub(started_ns) / 1000).saturating_sub(then_ms * 1000)
}

fn reader(global: &'static Global) -> Option<Reader<'static>> {
    let words = global.ledger_populated.load(Acquire) as usize / size_of::<AtomicU64>();
    // SAFETY: the ledger has this many bytes behind its mapping, which is never unmapped.
    let words = unsafe { core::slice::from_raw_parts(global.base.load(Relaxed) as *const AtomicU64, words) };
    Reader::new(words).ok()
}

fn series(reader: &Reader<'static>) -> Option<Series<'static>> {
    let start = reader.unit(reader.header(header_word!(series)))?;
    Series::over(reader.words().get(start..)?)
}

/// Memory for the sums by call path.
struct Sums {
    memory: Option<*mut u8>,
    counted: u64,
}

impl Sums {
    fn new() -> Sums {
        Sums { memory: sys::map_private(SUMS * size_of::<NodeSum>()), counted: 0 }
    }

    fn all(&mut self, global: &Global) -> &mut [NodeSum] {
        let header = global.header();
        let touched = header.nodes.len.load(Relaxed).min(SUMS as u64);
        header.private_bytes.fetch_add((touched - self.counted) * size_of::<NodeSum>() as u64, Relaxed);
        self.counted = touched;
        match self.memory {
            // SAFETY: zeroed memory for that many sums, this thread's alone; all zero is an empty sum.
            Some(memory) => unsafe { core::slice::from_raw_parts_mut(memory.cast(), touched as usize) },
            None => &mut [],
        }
    }
}

fn vitals() -> Vitals {
    let mut text = [0; 1024];
    let rss_bytes = file(b"/proc/self/statm\0", &mut text).and_then(|text| number(text.split(is_space).nth(1)?));
    let threads = file(b"/proc/self/stat\0", &mut text).and_then(|text| {
        // The program's name, which may hold anything, ends with the last parenthesis; the 18th field behind it.
        let after = text.iter().rposition(|byte| *byte == b')')? + 2;
        number(text.get(after..)?.split(is_space).nth(17)?)
    });
    Vitals {
        rss_bytes: rss_bytes.map_or(UNKNOWN, |pages| pages * 4096),
        pss_bytes: UNKNOWN,
        // Without this one.
        threads: threads.map_or(UNKNOWN, |threads| threads.saturating_sub(1)),
        open_files: sys::entries(b"/proc/self/fd\0").map_or(UNKNOWN, |files| files.saturating_sub(1)),
    }
}

fn pss() -> Option<u64> {
    let mut text = [0; 1024];
    let text = file(b"/proc/self/smaps_rollup\0", &mut text)?;
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Pss:"))?;
    Some(number(line.split(is_space).find(|word| !word.is_empty())?)? * 1024)
}

fn is_space(byte: &u8) -> bool {
    *byte == b' '
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        sum.checked_mul(10)?.checked_add(u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?))
    })
}

/// The beginning of a file.
fn file<'a>(path: &[u8], into: &'a mut [u8]) -> Option<&'a [u8]> {
    let fd = sys::open(path, libc::O_RDONLY, 0).ok()?;
    let len = sys::read(fd, into);
    sys::close(fd);
    Some(&into[..len])
}
