//! Birth ticks: time since the start in 21 bits, for 49 days.
//!
//! A block's birth must fit beside its site and size. The tick is a floating-point number without a sign: it counts
//! single milliseconds for the first 262 seconds, and then resolves 1/262,144 to 1/131,072 of the time since the
//! start: half a second after a day.

/// Number of ticks there are.
pub const TICKS: u64 = 1 << 21;
const MANTISSA_BITS: u32 = 17;

/// The tick of a time since the start. Times beyond the last tick (over 49 days) give the last tick.
#[must_use]
pub const fn tick_of_ms(ms: u64) -> u64 {
    if ms < 1 << (MANTISSA_BITS + 1) {
        return ms;
    }
    let shift = (63 - ms.leading_zeros()) - MANTISSA_BITS;
    let tick = ((shift as u64) << MANTISSA_BITS) + (ms >> shift);
    if tick < TICKS { tick } else { TICKS - 1 }
}

/// The first millisecond of a tick.
#[must_use]
#[inline]
pub const fn ms_of_tick(tick: u64) -> u64 {
    let exponent = tick >> MANTISSA_BITS;
    if exponent < 2 {
        return tick;
    }
    let shift = exponent - 1;
    (tick - (shift << MANTISSA_BITS)) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_monotone_and_resolve_well() {
        let mut last = 0;
        for step in 0..4_000_000_u64 {
            let ms = step * 1000 + step % 7;
            let tick = tick_of_ms(ms);
            assert!(tick >= last && tick < TICKS);
            let back = ms_of_tick(tick);
            if ms < 49 * 86_400_000 {
                assert!(back <= ms && ms - back <= ms >> MANTISSA_BITS, "{ms} -> {back}");
            }
            last = tick;
        }
        for ms in 0..300_000 {
            let back = ms_of_tick(tick_of_ms(ms));
            assert!(back == ms || ms >= 262_144 && ms - back < 2);
        }
    }
}
