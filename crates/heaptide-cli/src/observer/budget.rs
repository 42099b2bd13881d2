//! Keeps the observer's own share of a processor small, whatever a wake-up costs on this machine.
//!
//! The recorder's clock should tick every millisecond. Where that is too dear, as in some virtual machines, it ticks
//! less often, and lifetimes get that much coarser.

use rustix::time::{ClockId, clock_gettime};

/// Between two looks at what was used.
const WINDOW_NS: u64 = 200_000_000;
/// Nanoseconds of processor time in a window that are too many, and that leave room.
const TOO_MANY_NS: u64 = WINDOW_NS / 125;
const FEW_NS: u64 = WINDOW_NS / 250;
/// The shortest sleep is never made longer than this.
const LONGEST_MS: u64 = 4;

/// How long the observer sleeps at least.
#[derive(Debug)]
pub struct Budget {
    sleep_ms: u64,
    window: Option<(u64, u64)>,
}

impl Budget {
    /// Nothing used yet.
    pub fn new() -> Budget {
        Budget { sleep_ms: 1, window: None }
    }

    /// The shortest sleep that the budget allows, at a moment of the monotonic clock.
    pub fn shortest_sleep_ms(&mut self, now_ns: u64) -> u64 {
        if self.window.is_none_or(|(start_ns, _)| now_ns.saturating_sub(start_ns) >= WINDOW_NS) {
            self.look(now_ns, used_ns());
        }
        self.sleep_ms
    }

    fn look(&mut self, now_ns: u64, used_ns: u64) {
        if let Some((start_ns, used_before_ns)) = self.window {
            let windows = now_ns.saturating_sub(start_ns).div_ceil(WINDOW_NS).max(1);
            match used_ns.saturating_sub(used_before_ns) / windows {
                TOO_MANY_NS.. => self.sleep_ms = (self.sleep_ms + 1).min(LONGEST_MS),
                FEW_NS.. => {}
                _ => self.sleep_ms = (self.sleep_ms - 1).max(1),
            }
        }
        self.window = Some((now_ns, used_ns));
    }
}

fn used_ns() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec.unsigned_abs() * 1_000_000_000 + used.tv_nsec.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dear_wake_ups_become_rare_and_cheap_ones_frequent() {
        let mut budget = Budget::new();
        let (mut now_ns, mut used_ns) = (0, 0);
        let mut after = |budget: &mut Budget, share_of_window| {
            now_ns += WINDOW_NS;
            used_ns += WINDOW_NS / share_of_window;
            budget.look(now_ns, used_ns);
            budget.sleep_ms
        };
        assert_eq!(after(&mut budget, 10), 1, "nothing to compare with yet");
        assert_eq!((after(&mut budget, 50), after(&mut budget, 50)), (2, 3));
        assert_eq!((after(&mut budget, 50), after(&mut budget, 50)), (4, 4));
        assert_eq!(after(&mut budget, 200), 4, "within the budget, and no room");
        assert_eq!((after(&mut budget, 1000), after(&mut budget, 1000)), (3, 2));
        assert_eq!((after(&mut budget, 1000), after(&mut budget, 1000)), (1, 1));
    }
}
