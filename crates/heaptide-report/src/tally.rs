//! Sums of sites.

use heaptide_profile::Site;

/// What a group of sites did together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) allocations: u64,
    pub(crate) allocated_bytes: u64,
    pub(crate) frees: u64,
    pub(crate) freed_bytes: u64,
    pub(crate) live_bytes_at_peak: u64,
    /// `None` if no site knows it.
    pub(crate) temporary_allocations: Option<u64>,
    pub(crate) reallocations: u64,
    pub(crate) copied_bytes: u64,
    /// `None` if no site knows it: the recording is exact.
    pub(crate) samples: Option<u64>,
}

impl Tally {
    pub(crate) fn of(site: &Site) -> Self {
        Self {
            allocations: site.allocations,
            allocated_bytes: site.allocated_bytes,
            frees: site.frees,
            freed_bytes: site.freed_bytes,
            live_bytes_at_peak: site.live_bytes_at_peak,
            temporary_allocations: site.temporary_allocations,
            reallocations: site.reallocations,
            copied_bytes: site.copied_bytes,
            samples: site.samples,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.allocations = self.allocations.saturating_add(other.allocations);
        self.allocated_bytes = self.allocated_bytes.saturating_add(other.allocated_bytes);
        self.frees = self.frees.saturating_add(other.frees);
        self.freed_bytes = self.freed_bytes.saturating_add(other.freed_bytes);
        self.live_bytes_at_peak = self.live_bytes_at_peak.saturating_add(other.live_bytes_at_peak);
        self.temporary_allocations = sum(self.temporary_allocations, other.temporary_allocations);
        self.reallocations = self.reallocations.saturating_add(other.reallocations);
        self.copied_bytes = self.copied_bytes.saturating_add(other.copied_bytes);
        self.samples = sum(self.samples, other.samples);
    }

    /// Blocks made here and not given back.
    pub(crate) fn live_allocations(&self) -> u64 {
        self.allocations.saturating_sub(self.frees)
    }

    /// Their bytes.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.allocated_bytes.saturating_sub(self.freed_bytes)
    }
}

/// Relative standard error of `bytes` that were sampled every `interval_bytes`: what it is for small blocks, an
/// upper bound for blocks larger than the interval. `None` for no bytes.
pub(crate) fn relative_error(interval_bytes: u64, bytes: u64) -> Option<f64> {
    (bytes > 0).then(|| (interval_bytes as f64 / bytes as f64).sqrt())
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (known, None) | (None, known) => known,
    }
}
