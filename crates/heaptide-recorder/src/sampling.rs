//! Sampled mode: which blocks are recorded, what they stand for, and how a free learns that it is none of them.
//!
//! Every allocated byte is a sample with the same small chance, so a block of `s` bytes is recorded with probability
//! `1 − exp(−s/m)`, `m` the mean gap. Counting it `1 / (1 − exp(−s/m))` times makes every sum unbiased; the weight is
//! applied to each block by its own size, before anything is summed.

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use heaptide_ledger::weight::COUNT_UNITS;

use crate::{counters::Weight, sys};

const FILTER_BYTES: usize = 1 << 14;

/// A counting filter over the addresses of sampled blocks: a zero says "not sampled" after one load from memory that
/// stays in the cache. All zero is empty.
pub struct SampledBlocks {
    filter: [AtomicU8; FILTER_BYTES],
}

impl SampledBlocks {
    #[inline]
    fn place(&self, address: u64) -> &AtomicU8 {
        let hash = (address >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
        // SAFETY: 14 bits.
        unsafe { self.filter.get_unchecked(hash as usize) }
    }

    /// Whether a block may be one that was recorded.
    #[inline]
    pub fn may_hold(&self, address: u64) -> bool {
        self.place(address).load(Relaxed) != 0
    }

    /// Notes a recorded block.
    pub fn add(&self, address: u64) {
        // A place that is full stays so: it then always says "may be".
        let _ = self.place(address).fetch_update(Relaxed, Relaxed, |count| (count < 255).then(|| count + 1));
    }

    /// Forgets a recorded block.
    pub fn remove(&self, address: u64) {
        let _ =
            self.place(address).fetch_update(Relaxed, Relaxed, |count| (count != 0 && count < 255).then(|| count - 1));
    }
}

/// What a recorded block of `size` bytes stands for.
pub fn weight(size: u64, interval: u64) -> Weight {
    let size = size.max(1);
    let chance = -libm::expm1(-(size as f64) / interval as f64);
    let blocks = libm::round(COUNT_UNITS as f64 / chance) as u64;
    Weight { blocks, bytes: libm::round(size as f64 / chance) as u64 }
}

/// Bytes that pass before the next sampled one: exponential with mean `interval`, rounded down. A block of `s` bytes
/// holds the sampled byte if `s` is more than that, which has the chance `1 − exp(−s/m)` exactly.
pub fn next_gap(interval: u64, seed: &mut u64) -> i64 {
    if *seed == 0 {
        *seed = sys::clock_ns(libc::CLOCK_MONOTONIC) ^ u64::from(sys::tid()) << 32 | 1;
    }
    // xorshift64*
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    let random = seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
    let uniform = (random + 1) as f64 / (1_u64 << 53) as f64;
    (-libm::log(uniform) * interval as f64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_for_what_was_allocated() {
        // The same random numbers each time: the bounds are four standard deviations.
        for (size, interval) in [(1, 64), (40, 64), (64, 64), (48, 4096), (100_000, 4096), (700, 512 << 10)] {
            let blocks = 4_000_000_u64;
            let (mut seed, mut samples) = (7, 0_u64);
            let mut gap = next_gap(interval, &mut seed);
            for _ in 0..blocks {
                gap -= size as i64;
                if gap < 0 {
                    samples += 1;
                    gap = next_gap(interval, &mut seed);
                }
            }
            let each = weight(size, interval);
            let chance = 1.0 - libm::exp(-(size as f64) / interval as f64);
            let deviation = libm::sqrt(blocks as f64 * chance * (1.0 - chance)) / chance;
            let counted = (samples * each.blocks) as f64 / COUNT_UNITS as f64;
            let rounding = samples as f64 / COUNT_UNITS as f64;
            let error = libm::fabs(counted - blocks as f64);
            assert!(error <= 4.0 * deviation + rounding, "{size} at {interval}: {counted} of {blocks}");
            let bytes = (samples * each.bytes) as f64;
            let error = libm::fabs(bytes - (blocks * size) as f64);
            assert!(error <= 4.0 * deviation * size as f64 + samples as f64, "{size} at {interval}: {bytes} bytes");
        }
    }

    #[test]
    fn a_large_block_stands_for_itself() {
        for size in [1 << 20, 1 << 40] {
            let weight = weight(size, 4096);
            assert_eq!((weight.blocks, weight.bytes), (COUNT_UNITS, size));
        }
    }

    #[test]
    fn gaps_are_never_negative() {
        let mut seed = 1;
        for interval in [1, 4096, u64::MAX] {
            assert!((0..10_000).all(|_| next_gap(interval, &mut seed) >= 0));
        }
    }

    #[test]
    fn the_filter_never_denies_a_block() {
        // SAFETY: all zero is an empty filter.
        let blocks: SampledBlocks = unsafe { core::mem::zeroed() };
        let address = |number: u64| 0x5555_0000_0000 + number * 48;
        assert!(!blocks.may_hold(address(0)));
        // Far more than places, so that some are full.
        let many = FILTER_BYTES as u64 * 300;
        (0..many).for_each(|number| blocks.add(address(number)));
        (0..many - 1).for_each(|number| blocks.remove(address(number)));
        assert!(blocks.may_hold(address(many - 1)));
    }
}
