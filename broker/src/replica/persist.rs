//! What the disk reports, and what follows from it: raft hears of synced entries, answers go out, memory is given back.

use super::{Effects, Replica};

impl<T> Replica<T> {
    pub(super) fn on_written(&mut self, ready: u64, effects: &mut Effects<T>) {
        if !self.is_behind_with_syncs() {
            self.wrote(ready, effects);
        }
    }

    fn wrote(&mut self, ready: u64, effects: &mut Effects<T>) {
        let Some(last) = self.last_index_of(ready) else { return };
        let own = self.written.entry(self.node.raft.id).or_default();
        *own = last.max(*own);
        self.tell_written(ready, effects);
        self.on_written.reach(last, &mut effects.answers);
        self.advance_high_watermark(effects);
        self.release();
    }

    pub(super) fn on_synced(&mut self, ready: u64, effects: &mut Effects<T>) {
        self.wrote(ready, effects);
        if let Some(last) = self.last_index_of(ready) {
            self.synced = self.synced.max(last);
        }
        self.persisted_upto(ready, effects);
        self.flush(effects);
    }

    pub(super) fn last_index_of(&self, ready: u64) -> Option<u64> {
        let upto = self.unpersisted.partition_point(|unpersisted| unpersisted.number <= ready);
        self.unpersisted.range(..upto).rev().map(|unpersisted| unpersisted.last_index).find(|&last| last > 0)
    }

    /// Reports every ready up to `number` as persisted, and those behind it that had nothing to write.
    pub(super) fn persisted_upto(&mut self, number: u64, effects: &mut Effects<T>) {
        let mut reached = 0;
        while let Some(mut done) =
            self.unpersisted.pop_front_if(|unpersisted| unpersisted.number <= number || !unpersisted.writes)
        {
            reached = done.number;
            self.unsynced_bytes -= done.bytes;
            effects.messages.append(&mut done.messages);
        }
        if reached > 0 {
            self.node.on_persist_ready(reached);
        }
    }

    pub(super) fn advance_high_watermark(&mut self, effects: &mut Effects<T>) {
        let log = &self.node.raft.raft_log;
        let mut index = log.committed.min(self.node.store().last());
        if self.settings.relaxed && self.is_leader() {
            index = index.max(self.written_by_majority());
        }
        // A new leader reports nothing before an entry of its own term is committed.
        self.settled = self.is_leader() && log.term(log.committed).is_ok_and(|term| term == self.node.raft.term);
        if self.settled || !self.is_leader() || self.decides_alone() {
            self.high_watermark = self.high_watermark.max(self.node.store().end_offset_at(index));
        }
        self.on_commit.reach(index.min(self.on_enough_replicas()), &mut effects.answers);
    }

    /// The highest index that as many voters hold as `min.insync.replicas` asks for, where that is more than a majority.
    fn on_enough_replicas(&self) -> u64 {
        let synced = |voter: &u64| self.node.raft.prs().get(*voter).map_or(0, |progress| progress.matched);
        let holds = |voter: &u64| if self.settings.relaxed { self.written_by(*voter) } else { synced(voter) };
        let upto = |voters: &[u64]| {
            let wanted = self.settings.insync_min.min(voters.len());
            if wanted <= voters.len() / 2 + 1 { u64::MAX } else { held_by(wanted, voters.iter().map(holds)) }
        };
        self.halves().map(upto).min().unwrap_or(u64::MAX)
    }

    /// The voters, and, on the way from some to others, those of before: each half decides by itself.
    pub(super) fn halves(&self) -> impl Iterator<Item = &[u64]> {
        let members = self.node.store().membership();
        [&members.voters[..], &members.voters_outgoing[..]].into_iter().filter(|half| !half.is_empty())
    }

    /// Lets go of payloads that nobody is likely to ask for: of what every follower has, and of what is beyond the budget.
    pub(super) fn release(&mut self) {
        let (applied, alone) = (self.applied(), self.is_alone());
        let written = self.written.get(&self.node.raft.id).copied().unwrap_or_default();
        let mut upto = if alone { written } else { self.synced.min(applied) };
        if self.settings.applies_records {
            upto = upto.min(self.synced).min(applied);
        }
        let budget = self.settings.tail_bytes_max;
        let everywhere = if self.is_leader() && !alone { self.replicated() } else { u64::MAX };
        self.node.mut_store().release(upto.min(everywhere), applied, 0);
        self.node.mut_store().release(upto, applied, budget);
    }

    /// The last entry that every follower has which is up.
    fn replicated(&self) -> u64 {
        let raft = &self.node.raft;
        let up = raft.prs().iter().filter(|(id, _)| !self.down.contains(id));
        up.map(|(_, progress)| progress.matched).min().unwrap_or(0)
    }
}

/// The highest index that `count` of the voters have.
pub(super) fn held_by(count: usize, indexes: impl Iterator<Item = u64>) -> u64 {
    let mut indexes: Vec<u64> = indexes.collect();
    indexes.sort_unstable();
    indexes.len().checked_sub(count).map_or(0, |at| indexes[at])
}
