//! Rebalances: waiting for the members, and the next generation of those that came.

use std::collections::BTreeMap;

use leat_protocol::{ErrorCode, Str};

use super::{Group, Initial, Save, State, Turn};

impl<T> Group<T> {
    /// Something about the members changed: a new generation is needed, or one that is being made may be complete.
    pub(super) fn rebalance_or_complete(&mut self, turn: &mut Turn<'_, T>) {
        match self.state {
            State::Preparing if self.initial.is_none() => self.complete_if_all_joined(turn),
            State::Preparing => {}
            State::Empty | State::Completing | State::Stable => self.prepare(turn),
        }
    }

    /// Begins to wait for the members.
    pub(super) fn prepare(&mut self, turn: &mut Turn<'_, T>) {
        if self.state == State::Completing {
            self.assign(Vec::new(), ErrorCode::REBALANCE_IN_PROGRESS, turn);
        }
        self.end_syncs();
        let first = self.state == State::Empty;
        self.enter(State::Preparing, turn.now);
        if !first {
            return self.complete_or_wait(turn);
        }
        let delay_ms = turn.settings.initial_rebalance_delay_ms;
        let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms);
        self.initial = Some(Initial { delay_ms, remaining_ms, came: false });
        self.wait_for_joins(delay_ms, turn);
    }

    /// The first members have had their time: the others get as much again while somebody comes.
    pub(super) fn end_initial_wait(&mut self, turn: &mut Turn<'_, T>) {
        let Some(initial) = &mut self.initial else { return self.complete(turn) };
        if !initial.came || initial.remaining_ms == 0 {
            return self.complete(turn);
        }
        initial.came = false;
        let waited_ms = initial.delay_ms;
        initial.delay_ms = turn.settings.initial_rebalance_delay_ms.min(initial.remaining_ms);
        initial.remaining_ms = initial.remaining_ms.saturating_sub(waited_ms);
        let delay_ms = initial.delay_ms;
        self.wait_for_joins(delay_ms, turn);
    }

    pub(super) fn complete_if_all_joined(&mut self, turn: &mut Turn<'_, T>) {
        if self.all_joined() {
            self.complete(turn);
        }
    }

    fn complete_or_wait(&mut self, turn: &mut Turn<'_, T>) {
        match self.all_joined() {
            true => self.complete(turn),
            false => self.wait_for_joins(self.rebalance_timeout_ms(), turn),
        }
    }

    fn all_joined(&self) -> bool {
        self.joining == self.members.len() && self.pending.is_empty()
    }

    fn wait_for_joins(&mut self, wait_ms: u64, turn: &Turn<'_, T>) {
        let ends = turn.now.up_ms + wait_ms;
        self.join_ends_up_ms = Some(ends);
        self.wake_by(ends);
    }

    /// Makes the next generation of those that have joined. A static member may be late: it keeps its place.
    pub(super) fn complete(&mut self, turn: &mut Turn<'_, T>) {
        self.join_ends_up_ms = None;
        self.initial = None;
        let late = |(id, member): (&Str, &super::Member<T>)| {
            (member.joining.is_none() && member.instance.is_none()).then(|| id.clone())
        };
        for id in self.members.iter().filter_map(late).collect::<Vec<_>>() {
            self.remove_answered(&id, turn);
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members, and none has come. Their sessions will end or they will.
            return self.wait_for_joins(self.rebalance_timeout_ms(), turn);
        }
        self.proposed = None;
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol = self.elected_protocol();
        self.read_subscriptions();
        if self.members.is_empty() {
            self.enter(State::Empty, turn.now);
            turn.effects.saves.push(Save::Emptied);
            return;
        }
        self.enter(State::Completing, turn.now);
        self.announce(turn);
    }

    /// Tells every member of its generation, and expects each to sync.
    fn announce(&mut self, turn: &mut Turn<'_, T>) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in &ids {
            let joined = self.joined(id, self.is_leader(id));
            self.answer_join(id, joined, turn);
            self.expect_heartbeat(id, turn.now);
            if let Some(member) = self.members.get_mut(id) {
                member.is_new = false;
                member.owes_sync = true;
            }
        }
        let ends = turn.now.up_ms + self.rebalance_timeout_ms();
        self.sync_ends_up_ms = Some(ends);
        self.wake_by(ends);
    }

    /// The leader leads on if it has come; else one of those that have. False where nobody has.
    fn elect_leader(&mut self) -> bool {
        let has_come = |id: &Str| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if self.leader.as_ref().is_some_and(has_come) {
            return true;
        }
        let come = self.members.iter().find(|(_, member)| member.joining.is_some());
        let Some(id) = come.map(|(id, _)| id.clone()) else { return false };
        self.leader = Some(id);
        true
    }

    /// Each member votes for the protocol that it likes best among those that all have. The most votes win; of as many, the
    /// name that comes first.
    pub(super) fn elected_protocol(&self) -> Option<Str> {
        let everybody = self.members.len();
        let is_candidate = |name: &Str| self.supported.get(name) == Some(&everybody);
        let mut votes: BTreeMap<&Str, usize> = BTreeMap::new();
        for vote in self.members.values().filter_map(|member| member.vote(is_candidate)) {
            *votes.entry(vote).or_default() += 1;
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }
}
