//! The memory of states: counted when they may have outgrown what they are allowed, since to count is to look at every group.

/// What a state is known to take, and what it has been given since.
#[derive(Debug, Default)]
pub(super) struct Budget {
    counted: u64,
    given: u64,
}

/// A byte of an entry takes no more than so many in memory, mostly; a state that grows faster is found a little later.
const GROWTH: u64 = 8;

impl Budget {
    /// Bytes of entries were applied.
    pub(super) fn give(&mut self, bytes: usize) {
        self.given += bytes as u64;
    }

    pub(super) fn counted(&self) -> u64 {
        self.counted
    }

    /// It was counted.
    pub(super) fn set(&mut self, bytes: u64) {
        (self.counted, self.given) = (bytes, 0);
    }

    /// Whether it and `others` may take more than `limit`, so that it has to be counted.
    pub(super) fn may_exceed(&self, limit: u64, others: impl FnOnce() -> u64) -> bool {
        // Near the limit not at every entry.
        let is_worth_it = self.given > limit / 256;
        is_worth_it && self.counted.saturating_add(self.given.saturating_mul(GROWTH)).saturating_add(others()) > limit
    }
}

/// Why a state that is too large does not go on.
pub(super) fn reason(bytes: u64, limit: u64) -> String {
    format!(
        "its state takes {bytes} bytes on this broker, and leat.pipeline.state.bytes is {limit}: it goes on when that is raised"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_counted_when_it_may_be_too_large_and_not_at_each_entry() {
        let mut budget = Budget::default();
        budget.give(10_000);
        assert!(!budget.may_exceed(1_000_000, || 0), "far from it");
        assert!(budget.may_exceed(1_000_000, || 950_000), "others take most of it");
        budget.set(999_000);
        assert!(!budget.may_exceed(1_000_000, || 0), "nothing came");
        budget.give(3_000);
        assert!(!budget.may_exceed(1_000_000, || 0), "it would be counted again and again");
        budget.give(1_000);
        assert!(budget.may_exceed(1_000_000, || 0));
        budget.set(500_000);
        assert!(!budget.may_exceed(1_000_000, || 0), "windows have closed");
    }
}
