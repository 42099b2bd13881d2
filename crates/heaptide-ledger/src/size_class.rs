//! Classes of block sizes: exact below 16 bytes, then eight per doubling (12.5 % wide).

/// Bits that a class fits in.
pub const BITS: u32 = 9;

/// The class of a size.
#[must_use]
#[inline]
pub const fn class_of(size: u64) -> u32 {
    if size < 16 {
        return size as u32;
    }
    let exponent = 63 - size.leading_zeros();
    16 + (exponent - 4) * 8 + ((size >> (exponent - 3)) as u32 & 7)
}

/// Smallest and largest size of a class.
#[must_use]
pub const fn sizes_of(class: u32) -> (u64, u64) {
    if class < 16 {
        return (class as u64, class as u64);
    }
    let exponent = (class - 16) / 8 + 4;
    if exponent > 62 {
        return (1 << 63, u64::MAX);
    }
    let width = 1_u64 << (exponent - 3);
    let low = (8 + ((class - 16) % 8) as u64) * width;
    (low, low + width - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_their_bounds_say() {
        let large = (4..62).flat_map(|e| [(1_u64 << e) - 1, 1 << e, (1 << e) + 1]);
        for size in (0..100_000).chain(large) {
            let class = class_of(size);
            assert!(class < 1 << BITS);
            let (low, high) = sizes_of(class);
            assert!(low <= size && size <= high, "{size} in {low}..={high}");
        }
    }
}
