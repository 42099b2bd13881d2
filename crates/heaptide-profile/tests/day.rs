//! A recording of a day stays small.
//!
//! Time is simulated: a service of 8 threads and 5,000 call paths allocates and frees for 24 hours, and the observer's
//! own sampling looks at its ledger at the pace that it would have, from a sample every 100 ms on.

use std::array;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;

use heaptide_ledger::read::Reader;
use heaptide_ledger::sampler::{NodeSum, Pace, Sampler, Vitals, moment, set_clock};
use heaptide_ledger::series::{TIMELINE_ROWS, TRACK_ROWS, TRACKS};
use heaptide_ledger::synthetic::{Thread, Writer};
use heaptide_ledger::{ROOT, header_word};
use heaptide_profile::file::{decode, encode};
use heaptide_profile::{End, Frame, LocationSymbols, Profile, StringId, from_ledger};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const INTERVAL_MS: u64 = 100;
/// What a sample of all call paths is said to cost: they come every four minutes, at 1 % of the time. How many there were
/// makes no difference to what is kept, but would to the time that this takes.
const TRACKS_COST_US: u64 = 2_400_000;

const CALL_PATHS: u64 = 5_000;
const SITES: u64 = 8_000;
const THREADS: usize = 8;

/// The most that such a recording may take.
const MOST_BYTES: usize = 20 << 20;

/// xorshift64*
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    /// A time up to `most_ms`, of every magnitude.
    fn time(&mut self, most_ms: u64) -> u64 {
        let magnitude = self.below(1 + u64::from(most_ms.checked_ilog2().unwrap_or(0)));
        self.below(2 << magnitude).min(most_ms)
    }
}

/// A site, the size of its blocks, and how many of them are alive.
struct Held {
    site: u64,
    size: u64,
    blocks: u64,
}

struct Service<'a> {
    ledger: Writer<'a>,
    dice: Dice,
    threads: [Thread; THREADS],
    sites: Vec<Held>,
}

impl<'a> Service<'a> {
    fn new(ledger: Writer<'a>) -> Self {
        let mut dice = Dice(1);
        let modules: Vec<u64> = (0..20)
            .map(|m| ledger.module((m + 1) << 24, format!("/usr/lib/lib{m}.so").as_bytes(), &[m as u8; 20]))
            .collect();
        let mut nodes = vec![ROOT];
        for _ in 0..CALL_PATHS {
            let location = ledger.location(modules[dice.below(20) as usize], dice.below(1 << 20));
            // Long paths and short ones, with many callees and with few.
            let recent = (nodes.len() as u64).min(2000);
            let parent = nodes[nodes.len() - 1 - dice.below(recent) as usize];
            nodes.push(ledger.node(parent, location));
        }
        let sites = (0..SITES)
            .map(|_| {
                let size = 8 << dice.below(12);
                let node = nodes[1 + dice.below(CALL_PATHS) as usize];
                Held { site: ledger.site(node, size), size, blocks: 0 }
            })
            .collect();
        let threads = array::from_fn(|at| ledger.thread(100 + at as u64, "tokio-runtime-w"));
        Service { ledger, dice, threads, sites }
    }

    /// What happens in one interval: some blocks come, some that are up to a day old go.
    fn works(&mut self, now_ms: u64) {
        for _ in 0..2 {
            let thread = self.threads[self.dice.below(THREADS as u64) as usize];
            // Some are used far more often than others.
            let rarity = 1 + self.dice.below(SITES);
            let held = &mut self.sites[self.dice.below(rarity) as usize];
            let blocks = 1 + self.dice.below(100);
            self.ledger.allocate(thread, held.site, held.size, blocks);
            held.blocks += blocks;
            let freed = self.dice.below(held.blocks + 1);
            self.ledger.free(thread, held.site, held.size, freed, self.dice.time(now_ms));
            held.blocks -= freed;
        }
    }

    /// Writes what is alive at the end into the heap map, up to 20 blocks of each site, of every age.
    fn leaves_blocks(&mut self, now_ms: u64) {
        let mut address = 1 << 30;
        for held in &self.sites {
            for _ in 0..held.blocks.min(20) {
                let age_ms = self.dice.time(now_ms);
                self.ledger.live_block(address, held.site, held.size, now_ms - age_ms);
                address += 64;
            }
        }
    }
}

/// Names of the length that Rust and C++ have, two for each place in the code.
fn symbolize(profile: &mut Profile) {
    let mut dice = Dice(2);
    let strings = &mut profile.strings;
    let mut string = |text: String| {
        strings.push(text);
        StringId(strings.len() as u32 - 1)
    };
    let files: Vec<_> = (0..1000).map(|f| string(format!("/home/build/service/crates/part{f}/src/lib.rs"))).collect();
    let mut frame = |inlined| {
        let (part, kind, hash) = (dice.below(1000), dice.below(1 << 30), dice.below(1 << 30));
        Frame {
            function: string(format!("service::part{part}::Kind{kind:x}<alloc::vec::Vec<u8>>::poll_{hash:x}")),
            file: Some(files[part as usize]),
            line: Some(dice.below(5000) as u32 + 1),
            inlined,
        }
    };
    profile.symbols =
        profile.locations.iter().map(|_| LocationSymbols { frames: vec![frame(true), frame(false)] }).collect();
}

#[test]
fn a_day_of_a_service_is_kept_in_20_mib() {
    let words: Vec<AtomicU64> = (0..1 << 23).map(|_| AtomicU64::new(0)).collect();
    let mut service = Service::new(Writer::new(&words));
    let series = service.ledger.series();
    let reader = Reader::new(&words).unwrap();
    let vitals = |dice: &mut Dice| Vitals {
        rss_bytes: dice.below(1 << 30) << 12,
        pss_bytes: dice.below(1 << 30) << 10,
        threads: 8 + dice.below(20),
        open_files: dice.below(1000),
    };

    let (mut timeline, mut tracks) = (Pace::every(INTERVAL_MS), Pace::every(INTERVAL_MS));
    let mut sampler = Sampler::new();
    let mut sums = vec![NodeSum::default(); reader.header(header_word!(nodes.len)) as usize];
    let mut halvings = 0;
    for now_ms in (0..=DAY_MS).step_by(INTERVAL_MS as usize) {
        set_clock(&reader, now_ms);
        service.works(now_ms);
        if now_ms >= timeline.next_ms() {
            let halved = series.push(moment(&reader, now_ms, vitals(&mut service.dice)));
            timeline.sampled(now_ms, 0);
            if halved {
                halvings += 1;
                timeline.halve_resolution();
            }
        }
        if now_ms >= tracks.next_ms() {
            sampler.sample_tracks(&reader, &mut sums, &series, now_ms);
            tracks.sampled(now_ms, TRACKS_COST_US);
        }
    }
    service.leaves_blocks(DAY_MS);

    let (mut profile, problems) = from_ledger(&reader, End::Running);
    assert_eq!(problems, []);
    symbolize(&mut profile);
    let recording = encode(&profile).unwrap();
    println!("{} bytes, of a timeline halved {halvings} times", recording.len());
    assert!(recording.len() <= MOST_BYTES, "{} bytes", recording.len());

    // All of it is in there.
    let (read, problems) = decode(&recording).unwrap();
    assert_eq!(problems, []);
    assert_eq!(read, profile);
    assert_eq!(read.program.duration_s, DAY_MS as f64 / 1000.0);
    // 864,001 samples in steps of 100 ms halve a list of 1024 ten times.
    assert_eq!(halvings, 10);
    assert!((TIMELINE_ROWS / 2..=TIMELINE_ROWS).contains(&read.timeline.t_ms.len()));
    let last_ms = *read.timeline.t_ms.last().unwrap();
    assert!(DAY_MS - last_ms < INTERVAL_MS << halvings, "{last_ms}");
    assert_eq!(read.tracks.len(), TRACKS);
    assert!(read.tracks.iter().all(|track| track.t_ms.len() <= TRACK_ROWS));
    let points: usize = read.tracks.iter().map(|track| track.t_ms.len()).sum();
    assert!(points > TRACKS * TRACK_ROWS / 8, "{points}");
    let call_paths: BTreeSet<_> = read.sites.iter().filter_map(|site| site.node).collect();
    assert!(call_paths.len() > 3_000, "{}", call_paths.len());
    assert!(read.sites.iter().map(|site| site.lifetimes.len()).sum::<usize>() > 100_000);
    assert!(read.survivors.len() > 3_000);
}
