//! Words that no recorder wrote: `from_ledger` neither panics nor hangs, and its profile can be followed.

mod support;

use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use heaptide_ledger::read::Reader;
use heaptide_ledger::series::{Moment, TrackPoint};
use heaptide_ledger::synthetic::Writer;
use heaptide_ledger::{HEADER_BYTES, Header, MAGIC, ROOT, VERSION, header_word};
use heaptide_profile::{End, from_ledger};
use proptest::prelude::*;
use support::assert_followable;

const HEADER_WORDS: usize = HEADER_BYTES as usize / 8;

static SOUND_WORDS: LazyLock<Vec<u64>> = LazyLock::new(sound_words);

/// A small ledger with something in every table, cut where its used part ends.
fn sound_words() -> Vec<u64> {
    let words: Vec<AtomicU64> = (0..1 << 18).map(|_| AtomicU64::new(0)).collect();
    let w = Writer::new(&words);
    w.set(header_word!(clock_ms), 5000);
    w.set(header_word!(exe), w.text(b"/bin/server"));
    w.set(header_word!(args), w.text(b"server\0-v\0"));
    let module = w.module(0x1000, b"/bin/server", &[1, 2, 3, 4]);
    let thread = w.thread(1, "main");
    let mut node = ROOT;
    for offset in 1..20 {
        node = w.node(node, w.location(module, offset));
        let site = w.site(node, offset * 100);
        w.allocate(thread, site, offset * 100, 3);
        w.free(thread, site, offset * 100, 2, offset);
        w.live_block(0x10000 + offset * 4096, site, offset * 100, offset);
    }
    w.past_thread([7; 16]);
    let series = w.series();
    series.follow(0, node);
    for t_ms in 0..5 {
        series.push(Moment {
            t_ms,
            live_bytes: 1,
            live_allocations: 1,
            allocations: 1,
            allocated_bytes: 1,
            mapped_bytes: 1,
            rss_bytes: 1,
            pss_bytes: 1,
            threads: 1,
            open_files: 1,
        });
        let point = TrackPoint { t_ms, live_bytes: 1, live_allocations: 1, allocations: 1 };
        series.push_track(0, point);
    }
    let used = w.get(header_word!(used_bytes)) as usize / 8;
    words[..used].iter().map(|word| word.load(Relaxed)).collect()
}

/// Reads the words as a ledger, if they still begin as one.
fn check(words: &[u64]) {
    let words: Vec<AtomicU64> = words.iter().copied().map(AtomicU64::new).collect();
    if let Ok(reader) = Reader::new(&words) {
        let (profile, _) = from_ledger(&reader, End::Lost);
        assert_followable(&profile);
    }
}

/// Words as they come, and words that name places, chosen by their own bits.
fn shaped(word: u64) -> u64 {
    match word % 4 {
        0 => word,
        1 => word >> 52,
        2 => word >> 58 << 32 | word >> 20 & 0xfff,
        _ => 1 << (word >> 58),
    }
}

proptest! {
    #[test]
    fn random_words_are_survived(words in prop::collection::vec(any::<u64>(), HEADER_WORDS..3000)) {
        let mut words: Vec<u64> = words.into_iter().map(shaped).collect();
        words[header_word!(magic)] = MAGIC;
        words[header_word!(version)] = VERSION;
        check(&words);
    }

    #[test]
    fn changed_words_are_survived(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>(), any::<bool>()), 1..30),
    ) {
        let mut words = SOUND_WORDS.clone();
        for (at, word, in_header) in changes {
            let len = if in_header { HEADER_WORDS } else { words.len() };
            words[at.index(len)] = shaped(word);
        }
        check(&words);
    }
}

#[test]
fn every_cut_is_survived_and_noticed() {
    let words = &*SOUND_WORDS;
    // The series fill most of it.
    let cuts = (0..20_000).step_by(7).chain((20_000..words.len()).step_by(30_011));
    for len in cuts {
        check(&words[..len]);
    }
    let cut: Vec<AtomicU64> = words[..5000].iter().copied().map(AtomicU64::new).collect();
    let (_, problems) = from_ledger(&Reader::new(&cut).unwrap(), End::Lost);
    assert!(problems.iter().any(|problem| problem.part == "ledger"));
}

#[test]
fn every_changed_header_bit_is_survived() {
    let words = &*SOUND_WORDS;
    for at in 0..size_of::<Header>() / 8 {
        for bit in [0, 7, 40] {
            let mut changed = words.clone();
            changed[at] ^= 1 << bit;
            check(&changed);
        }
    }
}
