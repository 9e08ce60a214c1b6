//! Exponential waiting times with jitter, as in KIP-580.

use std::time::Duration;

use rand::RngExt as _;

/// How long to wait before the n-th attempt of something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { first: first.min(most), most }
    }

    /// The wait after `failures` failures in a row, give or take a fifth, so that clients that failed together do not
    /// come back together.
    pub(crate) fn after(&self, failures: u32) -> Duration {
        if failures == 0 {
            return Duration::ZERO;
        }
        let doubled = self.first.saturating_mul(1_u32.checked_shl(failures.min(31) - 1).unwrap_or(u32::MAX));
        doubled.min(self.most).mul_f64(rand::rng().random_range(0.8..=1.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_with_a_fifth_of_jitter() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(1000));
        assert_eq!(backoff.after(0), Duration::ZERO);
        for (failures, expected) in [(1, 100), (2, 200), (4, 800), (5, 1000), (1000, 1000)] {
            let wait = backoff.after(failures).as_millis();
            assert!((expected * 8 / 10..=expected * 12 / 10).contains(&wait), "{failures}: {wait}");
        }
    }
}
