//! A replica that entries can't serve, since its leader's log begins later: it is seeded with the log itself.

use raft::StateRole;
use raft::eraftpb::{Message, MessageType};

use super::{Effects, Replica};

impl<T> Replica<T> {
    /// The first entry that peers can be sent.
    pub(crate) fn first_index(&self) -> u64 {
        self.node.store().first()
    }

    /// Whether entries from `first_index` on would continue what is committed here.
    pub(crate) fn continues_at(&self, first_index: u64) -> bool {
        self.node.raft.raft_log.committed + 1 >= first_index
    }

    /// Whether a committed log up to an entry may take the place of this one: nothing that this replica has acknowledged and
    /// that may be committed is lost. What it holds beyond that entry must be of an older term than the entry.
    pub(crate) fn may_become(&self, applied: u64, term: u64) -> bool {
        let log = &self.node.raft.raft_log;
        let beyond = log.last_index() > applied && log.last_term() >= term;
        self.node.raft.state == StateRole::Follower && log.committed < applied && !beyond
    }

    /// Answers the leader as after an append that ended with the last committed entry.
    pub(super) fn seeded(&mut self, effects: &mut Effects<T>) {
        let raft = &self.node.raft;
        if raft.state != StateRole::Follower || raft.leader_id == 0 || self.synced < raft.raft_log.committed {
            return;
        }
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgAppendResponse);
        (message.from, message.to, message.term) = (raft.id, raft.leader_id, raft.term);
        (message.index, message.commit) = (raft.raft_log.committed, raft.raft_log.committed);
        effects.messages.push(message);
    }
}
