//! Entries on their way through: from raft into the store, and, once committed, into the state.

use bytes::Bytes;
use leat_protocol::records::BatchHeader;
use leat_protocol::records::entry::EntryKind;
use leat_storage::Ballot;
use raft::eraftpb::{Entry, HardState};

use super::store::Kind;
use super::{Applied, Effects, Replica, frame, trim_offset};

impl<T> Replica<T> {
    /// Puts new entries into the store and frames them. Returns where the log is cut first, if it is.
    pub(super) fn take_in(&mut self, entries: &[Entry]) -> (Option<u64>, Vec<Bytes>) {
        let Some(first) = entries.first() else { return (None, Vec::new()) };
        let store = self.node.mut_store();
        let truncate_from = (first.index <= store.last()).then_some(first.index);
        if let Some(index) = truncate_from {
            store.truncate_from(index);
            self.producers.truncate(index);
            self.producers_upto = self.producers_upto.min(index - 1);
            self.synced = self.synced.min(index - 1);
            if let Some(written) = self.written.get_mut(&self.node.raft.id) {
                *written = index - 1;
            }
            // What the disk has yet to report of the entries that are cut says nothing of those that take their place.
            for unpersisted in &mut self.unpersisted {
                unpersisted.last_index = unpersisted.last_index.min(index - 1);
            }
        }
        let mut frames = Vec::with_capacity(entries.len());
        for entry in entries {
            let store = self.node.mut_store();
            // Our own entries were framed by us and a peer's were checked before raft saw them.
            let Ok((frame, held)) = frame::to_log(entry, store.end_offset()) else {
                unreachable!("entry {} was checked before it was stepped", entry.index)
            };
            if entry.index > self.producers_upto {
                if held.kind == Kind::Data
                    && let Ok(header) = BatchHeader::parse(&frame)
                {
                    self.producers.append(entry.index, &header);
                }
                self.producers_upto = entry.index;
            }
            store.push(entry.term, held);
            frames.push(frame);
        }
        (truncate_from, frames)
    }

    pub(super) fn changed_ballot(&self, hard_state: &HardState) -> Option<Ballot> {
        let before = self.node.store().hard_state();
        let changed = before.term != hard_state.term || before.vote != hard_state.vote;
        changed.then_some(Ballot { term: hard_state.term, vote: hard_state.vote })
    }

    pub(super) fn apply(&mut self, committed: &[Entry], effects: &mut Effects<T>) {
        for entry in committed {
            // One by one, so that replicas that hear of commits in other steps forget the same producers.
            self.producers.commit(entry.index);
            self.producers.expire(self.settings.producer_expiration_ms);
            let Some(held) = self.node.store().held(entry.index) else { continue };
            match held.kind {
                Kind::Data if self.settings.applies_records => {
                    let batch = held.data.clone().unwrap_or_default();
                    effects.applied.push(Applied::Records { index: entry.index, batch });
                }
                Kind::Data | Kind::Control(EntryKind::NoOp) => {}
                Kind::Control(EntryKind::Trim) => {
                    let frame = held.data.clone().unwrap_or_default();
                    if let Some(offset) = trim_offset(&frame) {
                        effects.applied.push(Applied::Trim { offset });
                    }
                }
                Kind::Control(EntryKind::Membership) => self.apply_membership(entry, effects),
                // Read from the log by the pipelines that they are for.
                Kind::Control(EntryKind::Tick | EntryKind::Advance | EntryKind::Pipeline | EntryKind::Base) => {}
                Kind::Control(kind) => {
                    tracing::warn!(?kind, index = entry.index, "an entry of a later release is kept and not applied");
                }
            }
        }
        let Some(last) = committed.last() else { return };
        self.node.advance_apply_to(last.index);
        self.on_applied.reach(last.index, &mut effects.answers);
        self.release();
    }

    pub(super) fn settle_leadership(&mut self, effects: &mut Effects<T>) {
        match (self.is_leader(), self.leading) {
            (true, None) => {
                self.leading = Some(self.node.store().end_offset());
                self.forget_written();
            }
            (false, Some(_)) => {
                self.leading = None;
                self.on_written.fail(&mut effects.answers);
                self.on_commit.fail(&mut effects.answers);
                self.on_applied.fail(&mut effects.answers);
            }
            _ => {}
        }
    }
}
