//! How far the members of a group are, as its leader knows it.

use super::Replica;

/// A group's log and who has how much of it, in entries counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) last: u64,
    pub(crate) committed: u64,
    /// The last entry before those of the leader's term.
    pub(crate) inherited: u64,
    pub(crate) members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) replica_id: u64,
    pub(crate) votes: bool,
    /// The last entry that it is known to have; `None` until it is heard of in the leader's term.
    pub(crate) has: Option<u64>,
}

impl Standing {
    /// The entries that a member lacks; at least those of the leader's term, where it was not heard of in it.
    pub(crate) fn lag(&self, member: &Member) -> u64 {
        self.last.saturating_sub(member.has.unwrap_or(self.inherited))
    }
}

impl<T> Replica<T> {
    /// `None` where this replica does not lead.
    pub(crate) fn standing(&self) -> Option<Standing> {
        let raft = &self.node.raft;
        if self.leader() != raft.id {
            return None;
        }
        let log = &raft.raft_log;
        let (last, committed) = (log.last_index(), log.committed);
        let inherited = self.node.store().epochs().last().map_or(0, |epoch| epoch.first_index.saturating_sub(1));
        let members = raft.prs().iter().map(|(&replica_id, progress)| {
            let has = if replica_id == raft.id { last } else { progress.matched };
            let votes = raft.prs().conf().voters().contains(replica_id);
            Member { replica_id, votes, has: (has > 0 || last == 0).then_some(has) }
        });
        let mut members: Vec<Member> = members.collect();
        members.sort_by_key(|member| member.replica_id);
        Some(Standing { last, committed, inherited, members })
    }
}
