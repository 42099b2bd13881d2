//! Numbers that look random and are the same on every run.

/// SplitMix64: one multiplication chain a number, any seed is good.
pub struct Random(u64);

impl Random {
    /// A sequence that `seed` determines.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `low..high`; `low` where the range is empty.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        let width = high.saturating_sub(low) as u64;
        if width == 0 { low } else { low + (self.bits() % width) as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn one_seed_gives_one_sequence_within_its_range() {
        let mut first = Random::new(7);
        let mut second = Random::new(7);
        for _ in 0..1000 {
            let number = first.between(16, 513);
            assert!((16..513).contains(&number));
            assert_eq!(number, second.between(16, 513));
        }
        assert_eq!(first.between(5, 5), 5);
    }
}
