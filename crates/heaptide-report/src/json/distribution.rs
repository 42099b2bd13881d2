//! Percentiles of how long blocks lived and how large they were.

use std::collections::BTreeMap;

use heaptide_profile::Site;
use serde::Serialize;

/// How long freed blocks lived. Each value is the upper bound of its class: `0.001` is "less than a millisecond".
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Lifetimes {
    p50_s: f64,
    p99_s: f64,
}

impl Lifetimes {
    /// `None` if no block was freed.
    pub(super) fn of(sites: &[&Site]) -> Option<Self> {
        let mut blocks_by_ms: BTreeMap<u64, u64> = BTreeMap::new();
        for site in sites {
            let mut listed = 0_u64;
            for &(up_to_ms, blocks) in &site.lifetimes {
                listed = listed.saturating_add(blocks);
                add(&mut blocks_by_ms, up_to_ms.max(1), blocks);
            }
            // Only blocks that lived for a tick of the clock are listed.
            let shorter = site.frees.saturating_sub(site.reallocated_away).saturating_sub(listed);
            add(&mut blocks_by_ms, 1, shorter);
        }
        let at = |percent| Some(quantile(&blocks_by_ms, percent)? as f64 / 1000.0);
        Some(Self { p50_s: at(50)?, p99_s: at(99)? })
    }
}

/// How large the blocks were, in bytes. Each value is the mean of its class: exact where a class holds one size.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Sizes {
    p50: u64,
    p95: u64,
    max: u64,
}

impl Sizes {
    /// `None` if no block was made.
    pub(super) fn of(sites: &[&Site]) -> Option<Self> {
        let mut blocks_by_size: BTreeMap<u64, u64> = BTreeMap::new();
        for site in sites {
            if let Some(mean) = site.allocated_bytes.checked_div(site.allocations) {
                add(&mut blocks_by_size, mean, site.allocations);
            }
        }
        Some(Self {
            p50: quantile(&blocks_by_size, 50)?,
            p95: quantile(&blocks_by_size, 95)?,
            max: quantile(&blocks_by_size, 100)?,
        })
    }
}

fn add(blocks_by_value: &mut BTreeMap<u64, u64>, value: u64, blocks: u64) {
    if blocks > 0 {
        let sum = blocks_by_value.entry(value).or_default();
        *sum = sum.saturating_add(blocks);
    }
}

/// The smallest value that at least `percent` of the blocks do not exceed.
fn quantile(blocks_by_value: &BTreeMap<u64, u64>, percent: u128) -> Option<u64> {
    let all: u128 = blocks_by_value.values().map(|&blocks| u128::from(blocks)).sum();
    let wanted = (all * percent).div_ceil(100);
    let mut seen = 0_u128;
    for (&value, &blocks) in blocks_by_value {
        seen += u128::from(blocks);
        if seen >= wanted {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_not_listed_lived_less_than_a_tick() {
        let check = |frees, reallocated_away, lifetimes: &[(u64, u64)], expected: Option<(f64, f64)>| {
            let site = Site { frees, reallocated_away, lifetimes: lifetimes.to_vec(), ..Site::default() };
            assert_eq!(Lifetimes::of(&[&site]), expected.map(|(p50_s, p99_s)| Lifetimes { p50_s, p99_s }));
        };
        check(0, 0, &[], None);
        check(5, 5, &[], None);
        check(100, 0, &[], Some((0.001, 0.001)));
        check(100, 0, &[(8, 49), (2000, 2)], Some((0.008, 2.0)));
        check(100, 0, &[(8, 49), (2000, 1)], Some((0.001, 0.008)));
        check(120, 100, &[(8, 15)], Some((0.008, 0.008)));
        check(1, 0, &[(8, u64::MAX), (9, u64::MAX)], Some((0.008, 0.009)));
    }

    #[test]
    fn sizes_are_means_of_their_class() {
        let site = |allocations, allocated_bytes| Site { allocations, allocated_bytes, ..Site::default() };
        let check = |sites: &[Site], expected: Option<(u64, u64, u64)>| {
            let sites: Vec<&Site> = sites.iter().collect();
            assert_eq!(Sizes::of(&sites), expected.map(|(p50, p95, max)| Sizes { p50, p95, max }));
        };
        check(&[], None);
        check(&[site(0, 0)], None);
        check(&[site(10, 240)], Some((24, 24, 24)));
        check(&[site(94, 94 * 24), site(5, 5 * 100), site(1, 4096)], Some((24, 100, 4096)));
    }
}
