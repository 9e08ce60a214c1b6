//! Rest: a group in which nothing happens exchanges nothing, and who leads is found out by the liveness of nodes.
//!
//! A leader whose followers all have its last entry sends each a last heartbeat and stops to tick; a follower that gets one
//! while it has that entry stops too. Any message and any proposal wakes, and so does the end of a node.

use bytes::Bytes;
use raft::StateRole;
use raft::eraftpb::{Message, MessageType};

use super::{Effects, Replica};

/// Between the campaigns of two that follow a leader which is lost.
const TURN_TICKS: usize = 3;

/// The context of a heartbeat after which no more come.
const LAST: &[u8] = b"rest";

impl<T> Replica<T> {
    /// Whether time matters to this replica. One that is alone or at rest needs no ticks.
    pub(crate) fn wants_ticks(&self) -> bool {
        !self.is_alone() && !self.asleep
    }

    pub(super) fn wake(&mut self) {
        self.asleep = false;
    }

    /// Takes note of the replicas whose nodes are down: nobody waits for them.
    pub(super) fn set_down(&mut self, down: Vec<u64>) {
        let back = self.down.iter().any(|replica| !down.contains(replica));
        if self.is_leader() {
            for &replica in down.iter().filter(|replica| !self.down.contains(replica)) {
                self.node.report_unreachable(replica);
            }
        }
        self.down = down;
        if back {
            self.wake();
        }
    }

    /// The leader's node has ended. The first in line campaigns at once; the others grant it their vote, and campaign a little
    /// later one after another: a first that lacks entries is elected by nobody.
    pub(super) fn leader_lost(&mut self, rank: usize, effects: &mut Effects<T>) {
        self.wake();
        if self.is_leader() {
            return;
        }
        self.draw_patience();
        let raft = &mut self.node.raft;
        // Nobody is bound to the leader that was, from here on.
        let turn = raft.randomized_election_timeout().saturating_sub(rank * TURN_TICKS);
        raft.election_elapsed = turn.max(raft.election_timeout());
        if rank == 0 {
            self.campaign();
        }
        self.flush(effects);
    }

    /// Ends the exchange where this replica leads and nothing is under way.
    pub(super) fn rest(&mut self, effects: &mut Effects<T>) {
        if !self.is_leader() || !self.is_quiet() {
            return;
        }
        let raft = &self.node.raft;
        for (&to, _) in raft.prs().iter().filter(|&(&to, _)| to != raft.id && !self.down.contains(&to)) {
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgHeartbeat);
            (message.from, message.to, message.term) = (raft.id, to, raft.term);
            message.commit = raft.raft_log.committed;
            message.context = Bytes::from_static(LAST);
            effects.messages.push(message);
        }
        self.asleep = true;
    }

    fn is_quiet(&self) -> bool {
        let raft = &self.node.raft;
        let last = raft.raft_log.last_index();
        let has_all = |(id, progress): (&u64, &raft::Progress)| {
            *id == raft.id || self.down.contains(id) || progress.matched == last
        };
        self.settled
            && self.unpersisted.is_empty()
            && raft.raft_log.committed == last
            && raft.raft_log.applied == last
            && raft.lead_transferee.is_none()
            && self.node.store().membership().voters_outgoing.is_empty()
            && raft.prs().iter().all(has_all)
    }

    /// After a leader's heartbeat was stepped: rests if it was the last one and nothing is missing here.
    pub(super) fn rest_after(&mut self, heartbeat: &Heartbeat, effects: &mut Effects<T>) {
        let raft = &self.node.raft;
        let same = raft.state == StateRole::Follower && raft.term == heartbeat.term && raft.leader_id == heartbeat.from;
        let last = raft.raft_log.last_index();
        let whole = raft.raft_log.applied == last && last == heartbeat.commit && self.unpersisted.is_empty();
        if same && whole {
            // An answer would wake the leader.
            effects.messages.retain(|message| message.get_msg_type() != MessageType::MsgHeartbeatResponse);
            self.asleep = true;
        }
    }
}

/// A leader's last heartbeat.
pub(super) struct Heartbeat {
    from: u64,
    term: u64,
    commit: u64,
}

impl Heartbeat {
    /// `None` where more will come.
    pub(super) fn last(message: &Message) -> Option<Heartbeat> {
        let is_last = message.get_msg_type() == MessageType::MsgHeartbeat && message.context == LAST;
        is_last.then_some(Heartbeat { from: message.from, term: message.term, commit: message.commit })
    }
}
