//! Syncs: the leader's assignment goes into the log, and then to everybody.

use std::collections::HashMap;

use bytes::Bytes;
use leat_protocol::{ErrorCode, Str};

use super::{Group, Reply, Save, State, Sync, Synced, Turn};

impl<T> Group<T> {
    pub(super) fn sync(&mut self, sync: Sync, token: T, turn: &mut Turn<'_, T>) {
        let id = sync.caller.member.clone();
        let refused = match self.check_sync(&sync) {
            Err(code) => Some(code),
            Ok(()) if self.state == State::Preparing => Some(ErrorCode::REBALANCE_IN_PROGRESS),
            Ok(()) => None,
        };
        let Some(member) = self.members.get_mut(&id).filter(|_| refused.is_none()) else {
            let code = refused.unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID);
            return turn.effects.answers.push((token, Reply::Sync(Synced::refused(code))));
        };
        member.owes_sync = false;
        if self.state == State::Stable {
            let synced = self.synced(self.members[&id].assignment.clone());
            turn.effects.answers.push((token, Reply::Sync(synced)));
        } else {
            if let Some(earlier) = member.syncing.replace(token) {
                // From a connection that the client gave up.
                let refused = Synced::refused(ErrorCode::REBALANCE_IN_PROGRESS);
                turn.effects.answers.push((earlier, Reply::Sync(refused)));
            }
            // A leader that asks again waits for what is on its way already.
            if self.is_leader(&id) && self.proposed.is_none() {
                self.propose(sync.assignments, turn);
            }
        }
        if self.members.values().all(|member| !member.owes_sync) {
            self.sync_ends_up_ms = None;
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ErrorCode> {
        let caller = &sync.caller;
        if self.state == State::Empty {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.check_member(&caller.member, caller.instance.as_ref())?;
        if caller.generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        // Older clients say neither.
        let differs = |said: &Option<Str>, known: &Option<Str>| said.is_some() && said != known;
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        Ok(())
    }

    /// Takes the leader's assignments to the log. Who is not mentioned is assigned nothing.
    fn propose(&mut self, assignments: Vec<(Str, Bytes)>, turn: &mut Turn<'_, T>) {
        let assigned: usize = assignments.iter().map(|(_, assignment)| assignment.len()).sum();
        if self.bytes + assigned > turn.settings.group_bytes_max {
            self.assign(Vec::new(), ErrorCode::UNKNOWN_SERVER_ERROR, turn);
            return self.prepare(turn);
        }
        self.proposed = Some(assignments);
        turn.effects.saves.push(Save::Assigned { generation: self.generation });
    }

    pub(super) fn saved(&mut self, save: Save, turn: &mut Turn<'_, T>) {
        match save {
            // Of an earlier generation, it means nothing any more.
            Save::Assigned { generation } => {
                if self.state == State::Completing
                    && generation == self.generation
                    && let Some(assignments) = self.proposed.take()
                {
                    self.enter(State::Stable, turn.now);
                    self.assign(assignments, ErrorCode::NONE, turn);
                }
            }
            Save::Replaced { member, told_leader } => self.replaced(&member, told_leader, turn),
            Save::Emptied => {}
        }
    }

    /// Gives everybody an assignment, or an error, and answers who waits for it.
    pub(super) fn assign(&mut self, assignments: Vec<(Str, Bytes)>, error: ErrorCode, turn: &mut Turn<'_, T>) {
        let mut assignments: HashMap<Str, Bytes> = assignments.into_iter().collect();
        self.proposed = None;
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in &ids {
            let assignment = assignments.remove(id).unwrap_or_default();
            let Some(member) = self.members.get_mut(id) else { continue };
            self.bytes = self.bytes - member.assignment.len() + assignment.len();
            member.assignment = assignment.clone();
            let Some(token) = member.syncing.take() else { continue };
            let synced = if error.is_err() { Synced::refused(error) } else { self.synced(assignment) };
            turn.effects.answers.push((token, Reply::Sync(synced)));
            self.expect_heartbeat(id, turn.now);
        }
    }

    /// Nobody is expected to sync any more.
    pub(super) fn end_syncs(&mut self) {
        self.members.values_mut().for_each(|member| member.owes_sync = false);
        self.sync_ends_up_ms = None;
    }

    fn synced(&self, assignment: Bytes) -> Synced {
        Synced {
            error: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }
}
