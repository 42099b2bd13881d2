//! One program image under observation: its ledger, its clock, its timeline.

use std::path::{Path, PathBuf};
use std::time::Instant;

use heaptide_ledger::header_word;
use heaptide_ledger::read::Reader;
use heaptide_ledger::sampler::{CLOCK_MS, NodeSum, Pace, Sampler, moment, set_clock};
use heaptide_ledger::series::{SERIES_WORDS, Series};

use super::cgroup;
use super::ledger::Ledger;
use super::process;
use super::vitals::VitalsReader;

/// The first second is sampled this much finer, so that short programs have a timeline too.
const FINER_AT_FIRST: u64 = 5;
const FIRST_MS: u64 = 1000;
/// Call paths that can be followed over time; later ones are only counted.
const FOLLOWED_NODES: u64 = 1 << 21;
/// [`Pace`] keeps to 1 % of the time. Two of them, ticks and signals share that.
const COST_FACTOR: u64 = 3;

/// A program image and what its observer knows.
#[derive(Debug)]
pub struct Watched {
    /// Process id.
    pub pid: u32,
    /// Which of the programs that the process executed, from 0.
    pub image: u32,
    /// Its ledger.
    pub ledger: Ledger,
    /// The highest resident memory that the kernel told of.
    pub peak_rss_bytes: Option<u64>,
    /// A program that the process executed and that has no ledger, because it cannot be recorded.
    pub unrecorded_image: Option<PathBuf>,
    vitals: VitalsReader,
    executable: Option<PathBuf>,
    sampler: Sampler,
    sums: Vec<NodeSum>,
    interval_ms: u64,
    timeline: Pace,
    tracks: Pace,
    is_fine: bool,
}

impl Watched {
    /// Begins to observe.
    pub fn new(ledger: Ledger, pid: u32, image: u32, interval_ms: u64) -> Watched {
        ledger.set_header(header_word!(cgroup_limit_bytes), cgroup::memory_limit_bytes(pid).unwrap_or(0));
        let fine = Pace::every((interval_ms / FINER_AT_FIRST).max(1));
        Watched {
            pid,
            image,
            ledger,
            peak_rss_bytes: None,
            unrecorded_image: None,
            vitals: VitalsReader::of(pid),
            executable: None,
            sampler: Sampler::new(),
            sums: Vec::new(),
            interval_ms,
            timeline: fine,
            tracks: fine,
            is_fine: true,
        }
    }

    /// Advances the clock and takes the samples that are due. Returns in how many milliseconds to do so again.
    pub fn tick(&mut self, now_ns: u64) -> u64 {
        let now_ms = self.ledger.ms_at(now_ns);
        let Some(reader) = self.ledger.reader() else {
            return 1;
        };
        set_clock(&reader, now_ms);
        if self.is_fine && now_ms >= FIRST_MS {
            self.is_fine = false;
            (self.timeline, self.tracks) = (Pace::every(self.interval_ms), Pace::every(self.interval_ms));
        }
        if now_ms >= self.timeline.next_ms() {
            let cost_us = self.sample_timeline(now_ms);
            self.timeline.sampled(now_ms, cost_us * COST_FACTOR);
        }
        if now_ms >= self.tracks.next_ms() {
            let cost_us = self.sample_tracks(now_ms);
            self.tracks.sampled(now_ms, cost_us * COST_FACTOR);
        }
        (self.timeline.next_ms().min(self.tracks.next_ms())).saturating_sub(now_ms).clamp(1, CLOCK_MS)
    }

    /// The samples that show how it ended.
    pub fn last_sample(&mut self, now_ns: u64) {
        let now_ms = self.ledger.ms_at(now_ns);
        self.ledger.catch_up();
        if let Some(reader) = self.ledger.reader() {
            set_clock(&reader, now_ms);
        }
        self.sample_timeline(now_ms);
        self.sample_tracks(now_ms);
    }

    /// Live bytes and allocations now.
    pub fn progress(&self) -> (u64, u64) {
        let now = self.ledger.reader().map(|reader| moment(&reader, 0, Default::default()));
        now.map_or((0, 0), |now| (now.live_bytes, now.allocations))
    }

    /// Whether its process is gone.
    pub fn has_ended(&self) -> bool {
        !process::is_alive(self.pid)
    }

    /// Returns the microseconds that it took.
    fn sample_timeline(&mut self, now_ms: u64) -> u64 {
        let start = Instant::now();
        self.ledger.catch_up();
        let (vitals, peak_rss_bytes) = self.vitals.read();
        self.peak_rss_bytes = self.peak_rss_bytes.max(peak_rss_bytes);
        self.look_for_unrecorded_image();
        if let Some(reader) = self.ledger.reader()
            && let Some(series) = series(&reader)
            && series.push(moment(&reader, now_ms, vitals))
        {
            self.interval_ms = self.interval_ms.saturating_mul(2);
            self.timeline.halve_resolution();
        }
        micros(start)
    }

    /// Returns the microseconds that it took.
    fn sample_tracks(&mut self, now_ms: u64) -> u64 {
        let start = Instant::now();
        if let Some(reader) = self.ledger.reader()
            && let Some(series) = series(&reader)
        {
            let nodes = reader.header(header_word!(nodes.len)).min(FOLLOWED_NODES);
            if nodes > self.sums.len() as u64 {
                self.sums.resize(nodes.next_power_of_two() as usize, NodeSum::default());
            }
            self.sampler.sample_tracks(&reader, &mut self.sums, &series, now_ms);
        }
        micros(start)
    }

    /// A program that cannot load the recorder leaves the old ledger as it is.
    fn look_for_unrecorded_image(&mut self) {
        let now = executable_of(self.pid);
        if now.is_none() || now == self.executable {
            return;
        }
        self.executable = now;
        // The name alone may have changed, by another root directory for example.
        let is_gone = !self.ledger.is_superseded() && !self.has_mapped_ledger();
        self.unrecorded_image = self.executable.clone().filter(|_| is_gone);
    }

    fn has_mapped_ledger(&self) -> bool {
        let maps = std::fs::read(format!("/proc/{}/maps", self.pid)).unwrap_or_default();
        let name = self.ledger.path().file_name().unwrap_or_default();
        memchr::memmem::find(&maps, name.as_encoded_bytes()).is_some()
    }
}

fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX / COST_FACTOR)
}

fn executable_of(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(Path::new("/proc").join(pid.to_string()).join("exe")).ok()
}

fn series<'a>(reader: &Reader<'a>) -> Option<Series<'a>> {
    let start = reader.unit(reader.header(header_word!(series)))?;
    Series::over(reader.words().get(start..)?.get(..SERIES_WORDS)?)
}
