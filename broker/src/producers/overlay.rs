//! The order in which pending batches were appended; the batches themselves are with their producers.

use std::collections::VecDeque;

/// A batch in the log that is not committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) index: u64,
    pub(super) producer_id: i64,
}

/// Pending batches by rising index. Bounded by what the replica lets be appended and uncommitted.
#[derive(Debug, Default)]
pub(super) struct Overlay(VecDeque<Pending>);

impl Overlay {
    pub(super) fn push(&mut self, pending: Pending) {
        if let Some(last) = self.0.back() {
            assert!(last.index < pending.index, "entry {} appended after {}", pending.index, last.index);
        }
        self.0.push_back(pending);
    }

    /// Takes the first, if it is at `index` or below.
    pub(super) fn pop_front_through(&mut self, index: u64) -> Option<Pending> {
        self.0.pop_front_if(|pending| pending.index <= index)
    }

    /// Takes the last, if it is at `index` or above.
    pub(super) fn pop_back_from(&mut self, index: u64) -> Option<Pending> {
        self.0.pop_back_if(|pending| pending.index >= index)
    }
}
