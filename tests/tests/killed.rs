//! A program that is killed at any moment leaves a ledger that opens and is right.

use std::fs;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heaptide_programs::program;
use heaptide_tests::{PathCounts, Place, Running, own_calls, read, record};

const KILLS: u32 = 200;
const MOST_WAIT: Duration = Duration::from_millis(60);

/// The generator of the moments: xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit
    }
}

/// What the threads wrote down before and after their calls, summed.
fn told(counts: &[u8]) -> (PathCounts, PathCounts) {
    let words: Vec<u64> =
        counts.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes"))).collect();
    let sum = |place: usize| words.chunks_exact(8).map(|thread| thread[place]).sum();
    let counts = |first: usize| PathCounts {
        allocations: sum(first),
        bytes: sum(first + 1),
        frees: sum(first + 2),
        freed_bytes: sum(first + 3),
    };
    (counts(0), counts(4))
}

fn between(least: u64, recorded: u64, most: u64, what: &str) -> Result<(), String> {
    if least <= recorded && recorded <= most {
        Ok(())
    } else {
        Err(format!("{what}: {recorded} is not in {least}..={most}"))
    }
}

/// One program, killed after `wait`. Its blocks that were counted.
fn kill_after(wait: Duration) -> Result<u64, String> {
    let place = Place::new();
    let file = place.path("counts");
    let mut recording = record(&place, "robust/killed", "").arg(&file);
    let ledger = recording.ledger().to_owned();
    let mut killed = Running::new(recording.command.spawn().expect("it starts"));
    let mut ready = [0; 6];
    let stdout = killed.child().stdout.as_mut().expect("it is a pipe");
    stdout.read_exact(&mut ready).expect("it says that its threads run");
    // Not to synchronise: any moment will do.
    std::thread::sleep(wait);
    drop(killed);

    let (before, after) = told(&fs::read(file).expect("it wrote down its counts"));
    let profile = read(&ledger);
    let recorded = own_calls(&profile, &["killed"]);
    between(after.allocations, recorded.allocations, before.allocations, "allocations")?;
    between(after.bytes, recorded.bytes, before.bytes, "bytes")?;
    between(after.frees, recorded.frees, before.frees, "frees")?;
    between(after.freed_bytes, recorded.freed_bytes, before.freed_bytes, "freed bytes")?;
    match (profile.recorder.lost_events, profile.recorder.unmatched_frees) {
        (0, 0) => Ok(recorded.allocations),
        _ => Err(format!("{:?}", profile.recorder)),
    }
}

#[test]
fn killed_at_random_moments() {
    program("robust/killed");
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_nanos() as u64 | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut counted = 0;
    for kill in 0..KILLS {
        let wait = Duration::from_nanos(random.below(MOST_WAIT.as_nanos() as u64));
        match kill_after(wait) {
            Ok(allocations) => counted += allocations,
            Err(wrong) => panic!("kill {kill} after {wait:?}, seed {seed}: {wrong}"),
        }
    }
    assert!(counted > u64::from(KILLS) * 1000, "they did little: {counted} allocations in all");
}
