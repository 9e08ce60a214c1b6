//! Proposals: numbered, checked against the producers and stepped in one go, and only while this replica leads.

use bytes::{Bytes, BytesMut};
use leat_protocol::ErrorCode;
use leat_protocol::records::entry::{self, EntryKind};
use leat_protocol::records::{self, BatchHeader};
use raft::eraftpb::{Entry, Message, MessageType};

use super::{Acks, Answer, Effects, Replica};
use crate::producers::Verdict;

impl<T> Replica<T> {
    pub(super) fn propose(
        &mut self,
        mut batch: BytesMut,
        header: &BatchHeader,
        acks: Acks,
        token: T,
        effects: &mut Effects<T>,
    ) {
        let Some(base_offset) = self.lead(effects) else {
            effects.answers.push((token, Answer::NotLeader));
            return;
        };
        if let Some((wanted, in_sync)) = self.missing_in_sync().filter(|_| acks == Acks::All) {
            let reason = format!("{wanted} in-sync replicas are asked for, there are {in_sync}");
            effects.answers.push((token, Answer::Refused(ErrorCode::NOT_ENOUGH_REPLICAS, reason)));
            return;
        }
        match self.producers.check(header) {
            Verdict::Append => {}
            Verdict::Duplicate { base_offset, timestamp, pending } => {
                let answer = Answer::Duplicate { base_offset, timestamp };
                match pending {
                    Some(index) => self.wait(index, acks, token, answer),
                    None => effects.answers.push((token, answer)),
                }
                return;
            }
            Verdict::Reject(rejection) => {
                effects.answers.push((token, Answer::Refused(rejection.error_code(), rejection.to_string())));
                return;
            }
        }
        records::set_base_offset(&mut batch, base_offset);
        records::set_leader_epoch(&mut batch, self.term());
        let end_offset = base_offset + i64::from(header.last_offset_delta) + 1;
        let Some(index) = self.append(batch.freeze()) else {
            effects.answers.push((token, Answer::NotLeader));
            return;
        };
        self.leading = Some(end_offset);
        // A repeat is answered with the offset given here, not with the one that the client wrote.
        self.producers.append(index, &BatchHeader { base_offset, ..*header });
        self.producers_upto = index;
        self.wait(index, acks, token, Answer::Appended { base_offset, index });
    }

    pub(super) fn control(&mut self, kind: EntryKind, payload: &[u8], token: T, effects: &mut Effects<T>) {
        let index = match self.lead(effects) {
            Some(end_offset) => self.append(entry::frame(kind, end_offset, self.term(), payload)),
            None => None,
        };
        match index {
            Some(index) => {
                let base_offset = self.leading.unwrap_or_default();
                self.on_applied.push(index, token, Answer::Appended { base_offset, index });
            }
            None => effects.answers.push((token, Answer::NotLeader)),
        }
    }

    /// The next offset, if this replica leads. The only voter of a group campaigns when it is first asked to write.
    pub(super) fn lead(&mut self, effects: &mut Effects<T>) -> Option<i64> {
        if self.leading.is_none() {
            if !self.is_leader() && self.decides_alone() {
                self.campaign();
            }
            self.flush(effects);
        }
        self.leading
    }

    /// How many replicas have to be in sync and how many are, where those are too few.
    fn missing_in_sync(&self) -> Option<(usize, usize)> {
        let counted = |half: &[u64]| {
            // More than there are replicas counts as all of them (KIP-966).
            let wanted = self.settings.insync_min.min(half.len());
            (wanted, self.in_sync().filter(|replica| half.contains(replica)).count())
        };
        self.halves().map(counted).find(|(wanted, in_sync)| wanted > in_sync)
    }

    pub(super) fn wait(&mut self, index: u64, acks: Acks, token: T, answer: Answer) {
        match acks {
            Acks::Leader => self.on_written.push(index, token, answer),
            Acks::All => self.on_commit.push(index, token, answer),
        }
    }

    /// Steps one proposal; the index that raft gave it, or `None` where it dropped it.
    pub(super) fn append(&mut self, data: Bytes) -> Option<u64> {
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.node.raft.id;
        message.entries = vec![Entry { data, ..Entry::default() }].into();
        self.node.raft.step(message).ok()?;
        Some(self.node.raft.raft_log.last_index())
    }

    pub(super) fn term(&self) -> i32 {
        i32::try_from(self.node.raft.term).unwrap_or(i32::MAX)
    }
}
