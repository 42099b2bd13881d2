//! Sampled recordings estimate what programs did, within the error that they state.
//!
//! With the mean gap `m`, a block of `s` bytes is recorded with the probability `p = 1 - exp(-s/m)` and counted `1/p`
//! times. The estimate of all bytes then has the variance `Σ s² (1-p)/p`, at most `Σ s m` as `(1-p)/p ≤ m/s`: a relative
//! standard error of at most `sqrt(m/B)` for `B` bytes, which is what reports state. The number of blocks has the variance
//! `Σ (1-p)/p`.
//!
//! The recorder's random numbers are other ones in every run, so an estimate leaves four standard errors now and then.
//! For small blocks it is `m` times a Poisson number, of 1,000 samples or more in each of these programs; that leaves
//! them with a probability of less than 7.2e-5 (the sum of its tails). Of three runs, two are outside with less than
//! `3 · 7.2e-5² < 1.6e-8`; for one of 11 estimates to be so, `11 · 1.6e-8 < 2e-7`. Larger blocks vary less than stated.

mod support;

use serde_json::Value;
use support::Place;

const INTERVAL: u64 = 64 << 10;
const RUNS: usize = 3;
/// Blocks of the smallest programs, of 64 bytes: 1,024 samples.
const SMALL_BLOCKS: u64 = 1 << 20;
/// Bytes of each size in the program that allocates all sizes.
const MIXED_BYTES: u64 = 64 << 20;
const MIXED_SIZES: [u64; 6] = [16, 256, 4 << 10, 64 << 10, 1 << 20, 4 << 20];

/// Does what its argument says; all its blocks are made by `take`.
const PROGRAM: &str = r#"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
enum { SMALL = 1 << 20 };
static void *kept[SMALL];
__attribute__((noinline)) static void *take(size_t size) { void *block = malloc(size); *(volatile char *)block = 1; return block; }
static void pass(size_t size, long blocks) {
    void *ring[50] = { 0 };
    for (long i = 0; i < blocks; i++) {
        free(ring[i % 50]);
        ring[i % 50] = take(size);
    }
    for (int i = 0; i < 50; i++) free(ring[i]);
}
static void *quarter(void *unused) { pass(64, SMALL / 4); return unused; }
int main(int argc, char **argv) {
    if (!strcmp(argv[1], "small")) {
        for (int i = 0; i < SMALL; i++) kept[i] = take(64);
        for (int i = 0; i < SMALL; i++) free(kept[i]);
    } else if (!strcmp(argv[1], "large")) {
        pass(1 << 20, 2000);
    } else if (!strcmp(argv[1], "mixed")) {
        static const size_t sizes[] = { 16, 256, 4 << 10, 64 << 10, 1 << 20, 4 << 20 };
        for (int i = 0; i < 6; i++) pass(sizes[i], (64 << 20) / sizes[i]);
    } else if (!strcmp(argv[1], "kept")) {
        for (int i = 0; i < SMALL; i++) {
            kept[i] = take(64);
            free(take(64));
        }
    } else {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, quarter, 0);
        for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    }
    return 0;
}
"#;

/// What a program does: `(size, blocks)` it allocates, and the bytes and blocks that it holds at its end.
struct Truth {
    allocated: Vec<(u64, u64)>,
    live: (u64, u64),
}

impl Truth {
    fn bytes(&self) -> f64 {
        self.allocated.iter().map(|(size, blocks)| size * blocks).sum::<u64>() as f64
    }

    fn blocks(&self) -> f64 {
        self.allocated.iter().map(|(_, blocks)| blocks).sum::<u64>() as f64
    }

    /// Standard error of the number of blocks.
    fn blocks_error(&self) -> f64 {
        let variance = |(size, blocks): &(u64, u64)| {
            let chance = -(-(*size as f64) / INTERVAL as f64).exp_m1();
            *blocks as f64 * (1.0 - chance) / chance
        };
        self.allocated.iter().map(variance).sum::<f64>().sqrt()
    }
}

/// The stated standard error of so many bytes.
fn bytes_error(bytes: f64) -> f64 {
    (bytes * INTERVAL as f64).sqrt()
}

/// The sum of a number over the call paths that end in `take`.
fn taken(report: &Value, number: &str) -> f64 {
    let paths = report["call_paths"].as_array().unwrap();
    let taken = paths.iter().filter(|path| path["frames"][0]["function"] == "take");
    taken.map(|path| path[number].as_u64().unwrap()).sum::<u64>() as f64
}

fn check(what: &str, truth: &Truth) {
    let place = Place::new();
    place.compile("program", PROGRAM, &["-g", "-O1", "-pthread"]);
    let mut near = [0; 3];
    for _ in 0..RUNS {
        place.run(["run", "-q", "--sample=64k", "--force", "-o", "x.heaptide", "./program", what]).succeeds();
        let report = place.json("x.heaptide");
        assert_eq!(report["recorder"]["mode"], "sampled");
        assert_eq!(report["recorder"]["sample_interval_bytes"], INTERVAL);
        // Most frees are of blocks that were not recorded; that is no mismatch.
        assert_eq!(report["recorder"]["unmatched_frees"].as_u64().unwrap_or(0), 0);
        assert_eq!(report["recorder"]["lost_events"], 0);
        for path in report["call_paths"].as_array().unwrap() {
            let bytes = path["allocated_bytes"].as_u64().unwrap() as f64;
            let stated = path["relative_error"]["allocated_bytes"].as_f64().unwrap();
            assert!((stated - bytes_error(bytes) / bytes).abs() < 1e-9, "{path}");
        }

        let (bytes, blocks) = (taken(&report, "allocated_bytes"), taken(&report, "allocations"));
        let (live_bytes, live_blocks) = (taken(&report, "live_bytes"), taken(&report, "live_allocations"));
        let off = [
            (bytes - truth.bytes()) / bytes_error(truth.bytes()),
            (blocks - truth.blocks()) / truth.blocks_error(),
            (live_bytes - truth.live.0 as f64) / bytes_error(truth.live.0 as f64).max(1.0),
        ];
        println!("{what}: standard errors off: {off:.2?}");
        for (near, off) in near.iter_mut().zip(off) {
            *near += usize::from(off.abs() <= 4.0);
        }
        if truth.live.0 == 0 {
            assert_eq!((live_bytes, live_blocks), (0.0, 0.0));
        }
    }
    assert!(near.iter().all(|near| *near > RUNS / 2), "{near:?}");

    let text = place.run(["report", "-q", "--sort", "allocated", "x.heaptide"]);
    text.succeeds();
    assert!(text.stdout.contains("sampled, one block in 64.0 KiB"), "{}", text.stdout);
    let row = text.stdout.lines().find(|line| line.contains("take")).unwrap();
    assert!(!text.stdout.contains("allocation was not seen"), "{}", text.stdout);
    assert!(row.contains('±') && row.contains('%'), "{}", text.stdout);
}

#[test]
fn small_blocks() {
    check("small", &Truth { allocated: vec![(64, SMALL_BLOCKS)], live: (0, 0) });
}

#[test]
fn large_blocks() {
    check("large", &Truth { allocated: vec![(1 << 20, 2000)], live: (0, 0) });
}

#[test]
fn blocks_of_all_sizes() {
    let allocated = MIXED_SIZES.iter().map(|size| (*size, MIXED_BYTES / size)).collect();
    check("mixed", &Truth { allocated, live: (0, 0) });
}

#[test]
fn blocks_that_stay_among_others() {
    let live = (SMALL_BLOCKS * 64, SMALL_BLOCKS);
    check("kept", &Truth { allocated: vec![(64, SMALL_BLOCKS * 2)], live });
}

#[test]
fn four_threads() {
    check("threads", &Truth { allocated: vec![(64, SMALL_BLOCKS)], live: (0, 0) });
}
