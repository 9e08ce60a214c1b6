//! The way from a group's members to those that it should have: one step at a time, each a committed entry, and only the
//! leader takes one.
//!
//! ```text
//!   add what is missing as learners -> all follow closely -> both old and new decide (joint) -> the new decide
//! ```
//!
//! A leader that is to go hands over while both decide: raft knows no leader that is not a member. What is wanted may change at
//! any time; a joint configuration is left first then, whatever it was for.

use protobuf::Message as _;
use raft::ProgressState;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, Entry, EntryType, Message, MessageType,
};

use super::{Applied, Effects, Replica, membership};

/// Entries that a learner may lack when it becomes a voter.
const BEHIND_MAX: u64 = 64;

/// Who a group's members should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) voters: Vec<u64>,
    /// Who follows without a vote.
    pub(crate) learners: Vec<u64>,
}

impl<T> Replica<T> {
    /// The last change of members by its index and term, once the group has exactly these and nothing is under way. Only a
    /// leader says so.
    pub(crate) fn has_members(&self, wanted: &Wanted) -> Option<(u64, u64)> {
        let members = self.node.store().membership();
        let same = |are: &[u64], wanted: &[u64]| are.len() == wanted.len() && wanted.iter().all(|id| are.contains(id));
        let reached = same(&members.voters, &wanted.voters) && same(&members.learners, &wanted.learners);
        let reached = reached && members.voters_outgoing.is_empty();
        let leads = self.is_leader() && self.settled && !self.node.raft.has_pending_conf();
        // Where the change is no longer in the log, another entry after it shows as much.
        let of = |index| Some((index, self.node.raft.raft_log.term(index).ok()?));
        let entry = of(self.node.store().membership_index()).or_else(|| of(self.applied()));
        entry.filter(|_| reached && leads)
    }

    /// Goes one step towards these members, where this replica leads and no step is under way.
    pub(super) fn steer(&mut self, wanted: &Wanted, effects: &mut Effects<T>) {
        if self.has_members(wanted).is_some() {
            return;
        }
        // Nobody else wakes an only voter.
        if self.lead(effects).is_none() || !self.settled || self.node.raft.has_pending_conf() {
            return;
        }
        self.wake();
        let members = self.node.store().membership();
        let is_joint = !members.voters_outgoing.is_empty();
        if is_joint && !members.voters.contains(&self.node.raft.id) {
            if let Some(to) = self.successor(|_| true) {
                self.node.transfer_leader(to);
            }
        } else if let Some(change) = if is_joint { Some(ConfChangeV2::default()) } else { self.next_change(wanted) } {
            self.propose_change(&change);
        }
        self.flush(effects);
    }

    /// The next change outside of a joint configuration; `None` while learners are behind, or where there is none.
    fn next_change(&self, wanted: &Wanted) -> Option<ConfChangeV2> {
        let members = self.node.store().membership();
        let is_member = |id: &u64| members.voters.contains(id) || members.learners.contains(id);
        let is_wanted = |id: &u64| wanted.voters.contains(id) || wanted.learners.contains(id);
        if let Some(stranger) = members.learners.iter().find(|id| !is_wanted(id)) {
            return Some(change([(*stranger, ConfChangeType::RemoveNode)]));
        }
        if let Some(missing) = wanted.voters.iter().chain(&wanted.learners).find(|id| !is_member(id)) {
            return Some(change([(*missing, ConfChangeType::AddLearnerNode)]));
        }
        let added = || members.learners.iter().filter(|id| wanted.voters.contains(id));
        if !added().all(|id| self.follows(*id)) {
            return None;
        }
        let added = added().map(|id| (*id, ConfChangeType::AddNode));
        let removed = members.voters.iter().filter(|id| !wanted.voters.contains(id)).map(|id| {
            match wanted.learners.contains(id) {
                true => (*id, ConfChangeType::AddLearnerNode),
                false => (*id, ConfChangeType::RemoveNode),
            }
        });
        let mut joint = change(added.chain(removed));
        joint.set_transition(ConfChangeTransition::Explicit);
        (!joint.changes.is_empty()).then_some(joint)
    }

    /// Whether a replica follows closely and its node is up.
    fn follows(&self, id: u64) -> bool {
        let raft = &self.node.raft;
        let committed = raft.raft_log.committed;
        // One that is only probed may have everything: so it is where nothing was sent since it was away.
        let behind_max = |state| if state == ProgressState::Replicate { BEHIND_MAX } else { 0 };
        let close = raft
            .prs()
            .get(id)
            .is_some_and(|progress| committed.saturating_sub(progress.matched) <= behind_max(progress.state));
        close && !self.down.contains(&id)
    }

    /// The other voter that stays and has most of the log, of those that may lead.
    pub(crate) fn successor(&self, may_lead: impl Fn(u64) -> bool) -> Option<u64> {
        let voters = self.node.store().membership().voters.iter().copied();
        let matched = |id: &u64| self.node.raft.prs().get(*id).map_or(0, |progress| progress.matched);
        voters.filter(|&id| id != self.node.raft.id && self.follows(id) && may_lead(id)).max_by_key(matched)
    }

    fn propose_change(&mut self, change: &ConfChangeV2) {
        let Ok(data) = change.write_to_bytes() else { return };
        let mut entry = Entry { data: data.into(), ..Entry::default() };
        entry.set_entry_type(EntryType::EntryConfChangeV2);
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.node.raft.id;
        message.entries = vec![entry].into();
        // One that is dropped is proposed again.
        let _ = self.node.raft.step(message);
    }

    /// Takes up a committed change.
    pub(super) fn apply_membership(&mut self, entry: &Entry, effects: &mut Effects<T>) {
        let mut change = ConfChangeV2::default();
        if entry.get_entry_type() != EntryType::EntryConfChangeV2 || change.merge_from_bytes(&entry.data).is_err() {
            return;
        }
        // raft refuses a change that does not fit, the same on every replica.
        let Ok(members) = self.node.apply_conf_change(&change) else { return };
        tracing::info!(replica = self.node.raft.id, index = entry.index, ?members, "members of a group");
        effects.applied.push(Applied::Membership { index: entry.index, members: membership::encode(&members) });
        self.node.mut_store().set_membership(entry.index, members);
        self.wake();
        if self.is_leader() && !self.node.raft.promotable() {
            self.resign();
        }
    }

    /// Ends a leadership that another leader's change has ended: those who stay hear of it, and one of them leads.
    fn resign(&mut self) {
        self.hand_over();
        let raft = &mut self.node.raft;
        raft.become_follower(raft.term, 0);
    }

    /// Sends the others all that there is and has one of them campaign. It need not have everything: who elects it sees to that.
    pub(super) fn hand_over(&mut self) {
        if !self.is_leader() {
            return;
        }
        let next = self.successor(|_| true);
        let raft = &mut self.node.raft;
        raft.bcast_append();
        if let Some(next) = next {
            raft.send_timeout_now(next);
        }
    }

    /// Whether the others have left, and what they had acknowledged is not yet known to be committed here.
    pub(super) fn is_left_alone(&self) -> bool {
        let log = &self.node.raft.raft_log;
        self.decides_alone() && !self.is_leader() && log.committed < log.last_index()
    }
}

fn change(changes: impl IntoIterator<Item = (u64, ConfChangeType)>) -> ConfChangeV2 {
    let single = |(node_id, kind)| {
        let mut single = ConfChangeSingle { node_id, ..ConfChangeSingle::default() };
        single.set_change_type(kind);
        single
    };
    let changes: Vec<ConfChangeSingle> = changes.into_iter().map(single).collect();
    ConfChangeV2 { changes: changes.into(), ..ConfChangeV2::default() }
}
