//! What relaxed topics (`flush.messages` above 1) are answered by: entries that a majority has *written*. raft itself, and all that
//! follows a commit, only hears of what is on stable storage.
//!
//! A follower's answer to an append waits for its sync. Marked, it goes out once more, as soon as the entries are written; it is
//! for the leader of its term alone and never reaches raft. As long as no machine of a majority loses power, the next leader has
//! all that was written on a majority: whoever votes compares logs with what it has received.

use bytes::Bytes;
use raft::eraftpb::{Message, MessageType};
use raft::{ProgressState, StateRole};

use super::persist::held_by;
use super::{Effects, Replica};

/// The context of an answer that says written, and not synced.
pub(super) const WRITTEN: &[u8] = b"written";

/// Bytes of relaxed writes in a group of several after which a sync is asked for: raft holds them in memory until then.
const PUT_OFF_BYTES_MAX: u64 = 4 << 20;

/// Bytes that are not synced at which written counts no more: a disk that is slower than the clients sets their pace.
const UNSYNCED_BYTES_MAX: u64 = 24 << 20;

pub(super) fn says_written(message: &Message) -> bool {
    message.get_msg_type() == MessageType::MsgAppendResponse && message.context == WRITTEN
}

impl<T> Replica<T> {
    /// Whether the sync of this write may be put off: records of a relaxed topic. What else there is takes effect with its commit.
    pub(super) fn may_put_off(&mut self, only_records: bool, bytes: u64) -> bool {
        let put_off = self.settings.relaxed && only_records;
        self.put_off_bytes = if put_off { self.put_off_bytes + bytes } else { 0 };
        if !self.is_alone() && self.put_off_bytes > PUT_OFF_BYTES_MAX {
            self.put_off_bytes = 0;
            return false;
        }
        put_off
    }

    /// Whether so much is not synced that what is written has to wait.
    pub(super) fn is_behind_with_syncs(&self) -> bool {
        self.settings.relaxed && !self.is_alone() && self.unsynced_bytes > UNSYNCED_BYTES_MAX
    }

    /// Tells the leader of what is written since it was told last, with the answers behind it for which nothing is to be written.
    pub(super) fn tell_written(&mut self, ready: u64, effects: &mut Effects<T>) {
        if !self.settings.relaxed || self.is_leader() {
            return;
        }
        let mut upto = self.unpersisted.partition_point(|unpersisted| unpersisted.number <= ready);
        while self.unpersisted.get(upto).is_some_and(|unpersisted| !unpersisted.writes) {
            upto += 1;
        }
        let mut newest = None;
        for unpersisted in self.unpersisted.range_mut(..upto).rev() {
            if std::mem::replace(&mut unpersisted.told, true) {
                break;
            }
            let agrees =
                |message: &&Message| message.get_msg_type() == MessageType::MsgAppendResponse && !message.reject;
            newest = newest.or_else(|| unpersisted.messages.iter().rev().find(agrees).cloned());
        }
        if let Some(mut message) = newest {
            message.context = Bytes::from_static(WRITTEN);
            effects.messages.push(message);
        }
    }

    /// A follower has written the entries up to this one of the leader's log.
    pub(super) fn heard_written(&mut self, message: &Message, effects: &mut Effects<T>) {
        let raft = &mut self.node.raft;
        let led = raft.state == StateRole::Leader && raft.term == message.term;
        let Some(progress) = raft.mut_prs().get_mut(message.from).filter(|_| led && self.settings.relaxed) else {
            return;
        };
        let written = self.written.entry(message.from).or_default();
        *written = message.index.max(*written);
        // To raft this is under way until it is synced; who is sent more goes by what is written.
        match progress.state {
            ProgressState::Probe => {
                progress.become_replicate();
                progress.next_idx = message.index + 1;
            }
            ProgressState::Replicate => progress.ins.free_to(message.index),
            ProgressState::Snapshot => {}
        }
        progress.recent_active = true;
        self.send_more(message.from);
        self.flush(effects);
    }

    /// Sends a follower what it lacks, as far as may be under way.
    fn send_more(&mut self, to: u64) {
        let raft = &mut self.node.raft;
        let last = raft.raft_log.last_index();
        let lacks = |raft: &raft::Raft<_>| {
            raft.prs().get(to).filter(|progress| !progress.is_paused()).map(|progress| progress.next_idx)
        };
        let mut next = lacks(raft).filter(|next| *next <= last);
        while let Some(before) = next {
            raft.send_append(to);
            // It does not move on where entries have to be read first.
            next = lacks(raft).filter(|next| *next <= last && *next > before);
        }
    }

    /// Of others it is known only as far as they said so to this leader.
    pub(super) fn forget_written(&mut self) {
        let own = self.node.raft.id;
        self.written.retain(|replica, _| *replica == own);
    }

    pub(super) fn written_by(&self, replica: u64) -> u64 {
        self.written.get(&replica).copied().unwrap_or_default()
    }

    /// The highest index that a majority of the voters has written.
    pub(super) fn written_by_majority(&self) -> u64 {
        let upto = |voters: &[u64]| held_by(voters.len() / 2 + 1, voters.iter().map(|voter| self.written_by(*voter)));
        self.halves().map(upto).min().unwrap_or(0)
    }
}
