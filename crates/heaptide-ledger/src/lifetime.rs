//! Lifetime histograms: two buckets per doubling, from one millisecond to 49 days and beyond.
//!
//! Only blocks that lived at least one millisecond are counted in a bucket. How many lived less is what remains of
//! the frees that were not reallocations.

/// Groups of buckets; each is 8 words that exist once a lifetime falls into them.
pub const GROUPS: usize = 8;
/// Buckets in a group.
pub const BUCKETS_PER_GROUP: usize = 8;

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
    let half = if exponent == 0 {
        0
    } else {
        ms >> (exponent - 1) & 1
    };
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
            assert!(bucket < GROUPS * BUCKETS_PER_GROUP);
            let capped = ms.min(u64::from(u32::MAX));
            assert!(capped <= upper_ms_of_bucket(bucket), "{ms} in {bucket}");
            assert!(
                bucket < 2 || capped > upper_ms_of_bucket(if bucket == 2 { 0 } else { bucket - 1 })
            );
        }
    }
}
