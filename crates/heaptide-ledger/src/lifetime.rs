//! Lifetime histograms: two buckets per doubling, from one millisecond to 49 days and beyond.
//!
//! Only blocks that lived at least one millisecond are counted in a bucket. How many lived less is what remains of
//! the frees that were not reallocations.

//!
//! Most sites' lifetimes lie close together, so a histogram is one cache line first: a window of [`WINDOW`] buckets
//! with 32-bit counts around the first that was seen. What falls outside, or would not fit, goes to a whole histogram
//! that exists once it is needed.

use core::sync::atomic::AtomicU64;

/// Buckets of a whole histogram; it is that many words.
pub const BUCKETS: usize = 64;
/// Buckets of the window.
pub const WINDOW: usize = 14;
/// How many buckets of the window lie below the first lifetime seen.
const BELOW: usize = 7;

/// The lifetimes of one thread's frees at one site: a cache line.
#[repr(C)]
pub struct Lifetimes {
    /// `unit of the whole histogram << 32 | first bucket of the window + 1`; the low half is 0 before the first.
    pub window: AtomicU64,
    /// Counts of the window's buckets, two in a word, the lower first.
    pub counts: [AtomicU64; WINDOW / 2],
}

const _: () = assert!(size_of::<Lifetimes>() == 64);

/// The low half of [`Lifetimes::window`] for a first lifetime in this bucket.
#[must_use]
pub const fn window_around(bucket: usize) -> u64 {
    bucket.saturating_sub(BELOW) as u64 + 1
}

/// The bucket's place in a window: index of its word, and shift in the word. `None` if it is outside.
#[must_use]
#[inline]
pub const fn place_in_window(window: u64, bucket: usize) -> Option<(usize, u32)> {
    let first = (window & 0xffff_ffff) as usize;
    if first == 0 || bucket + 1 < first || bucket + 1 >= first + WINDOW {
        return None;
    }
    let place = bucket + 1 - first;
    Some((place / 2, (place % 2) as u32 * 32))
}

/// The bucket of a lifetime of at least 1 ms.
#[must_use]
#[inline]
pub const fn bucket_of_ms(ms: u64) -> usize {
    let ms = if ms == 0 {
        1
    } else if ms > u32::MAX as u64 {
        u32::MAX as u64
    } else {
        ms
    };
    let exponent = 63 - ms.leading_zeros();
    let half = if exponent == 0 { 0 } else { ms >> (exponent - 1) & 1 };
    exponent as usize * 2 + half as usize
}

/// The longest lifetime of a bucket, in milliseconds.
#[must_use]
pub const fn upper_ms_of_bucket(bucket: usize) -> u64 {
    let exponent = (bucket / 2) as u32;
    if exponent == 0 {
        return 1;
    }
    let half = (bucket % 2) as u64;
    (1 << exponent) + ((half + 1) << (exponent - 1)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_their_bounds_say() {
        for ms in (1..100_000).chain([u64::from(u32::MAX), u64::MAX]) {
            let bucket = bucket_of_ms(ms);
            assert!(bucket < BUCKETS);
            let capped = ms.min(u64::from(u32::MAX));
            assert!(capped <= upper_ms_of_bucket(bucket), "{ms} in {bucket}");
            assert!(bucket < 2 || capped > upper_ms_of_bucket(if bucket == 2 { 0 } else { bucket - 1 }));
        }
    }
}
