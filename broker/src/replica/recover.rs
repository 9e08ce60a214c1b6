//! What a replica knows to be committed when it opens its log, though commit indexes are not synced by themselves.
//!
//! Members take effect when their entry is applied, and a leader proposes a change only once the one before is applied: so of
//! several changes in a log all but the last are committed. A replica that opens its log is then behind by one change at most,
//! and the quorums of two configurations that follow each other overlap.

use leat_protocol::records::entry::EntryKind;

use super::store::Kind;
use super::{Start, membership};

impl Start {
    /// The highest entry that is certainly committed.
    pub(super) fn known_commit(&self) -> u64 {
        let last = self.applied + self.held.len() as u64;
        let changes: Vec<u64> = (self.applied + 1..)
            .zip(&self.held)
            .filter(|(_, held)| held.kind == Kind::Control(EntryKind::Membership))
            .map(|(index, _)| index)
            .collect();
        let before_last_change = changes.len().checked_sub(2).map_or(0, |at| changes[at]);
        // What a group's only voter has on stable storage is on a majority, as long as it is the only one.
        let alone = match membership::decides_alone(&self.membership, self.replica_id) {
            true => changes.first().copied().unwrap_or(last),
            false => 0,
        };
        let (index, term) = self.decided;
        let decided = if index <= last && self.term_of(index) == Some(term) { index } else { 0 };
        self.commit.max(before_last_change).max(alone).max(decided).clamp(self.applied, last)
    }

    /// The term of an entry in the log.
    fn term_of(&self, index: u64) -> Option<u64> {
        if index < self.first_index {
            return None;
        }
        let at = self.epochs.partition_point(|epoch| epoch.first_index <= index);
        Some(self.epochs[at.checked_sub(1)?].term)
    }
}
