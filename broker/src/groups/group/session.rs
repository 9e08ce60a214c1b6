//! What members do between rebalances: heartbeats, commits, leaving, and being silent for too long.

use leat_protocol::{ErrorCode, Str};

use super::{Caller, Group, State, Turn};
use crate::coordinator::Now;

impl<T> Group<T> {
    pub(super) fn heartbeat(&mut self, caller: &Caller, now: Now) -> ErrorCode {
        if let Err(code) = self.check_caller(caller) {
            return code;
        }
        self.expect_heartbeat(&caller.member, now);
        match self.state {
            State::Empty => ErrorCode::UNKNOWN_MEMBER_ID,
            State::Preparing => ErrorCode::REBALANCE_IN_PROGRESS,
            State::Completing | State::Stable => ErrorCode::NONE,
        }
    }

    fn check_caller(&self, caller: &Caller) -> Result<(), ErrorCode> {
        self.check_member(&caller.member, caller.instance.as_ref())?;
        if caller.generation == self.generation { Ok(()) } else { Err(ErrorCode::ILLEGAL_GENERATION) }
    }

    /// Whether the caller may commit offsets. A commit of a member counts as a heartbeat.
    pub(crate) fn check_commit(&mut self, caller: &Caller, now: Now) -> Result<(), ErrorCode> {
        if caller.generation < 0 && self.state == State::Empty {
            // An administrator, or a consumer that assigns itself.
            return Ok(());
        }
        if caller.generation < 0 && caller.member.is_empty() && caller.instance.is_none() {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.check_caller(caller)?;
        match self.state {
            // It has heard of the generation, so it can wait for its assignment.
            State::Completing => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            State::Empty | State::Preparing | State::Stable => {
                self.expect_heartbeat(&caller.member, now);
                Ok(())
            }
        }
    }

    pub(super) fn expect_heartbeat(&mut self, id: &Str, now: Now) {
        if let Some(member) = self.members.get_mut(id) {
            let expires = now.up_ms + member.session_timeout_ms;
            member.expires_up_ms = Some(expires);
            self.wake_by(expires);
        }
    }

    pub(super) fn leave(&mut self, members: &[(Str, Option<Str>)], turn: &mut Turn<'_, T>) -> Vec<ErrorCode> {
        let codes: Vec<ErrorCode> = members
            .iter()
            .map(|(id, instance)| self.leave_one(id, instance.as_ref(), turn).err().unwrap_or(ErrorCode::NONE))
            .collect();
        if self.state != State::Empty && codes.iter().any(|code| !code.is_err()) {
            self.rebalance_or_complete(turn);
        }
        codes
    }

    fn leave_one(&mut self, id: &Str, instance: Option<&Str>, turn: &mut Turn<'_, T>) -> Result<(), ErrorCode> {
        if id.is_empty() {
            // An administrator knows members by their instance.
            let known = instance.and_then(|instance| self.instances.get(instance)).cloned();
            let known = known.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            self.remove_answered(&known, turn);
            return Ok(());
        }
        if self.forget_pending(id) {
            return Ok(());
        }
        self.check_member(id, instance)?;
        self.remove_answered(id, turn);
        Ok(())
    }

    /// Does what is due, then finds out when the next is.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_, T>) {
        let now_ms = turn.now.up_ms;
        self.lapse(now_ms, turn);
        self.expire(now_ms, turn);
        if self.join_ends_up_ms.is_some_and(|ends| ends <= now_ms) {
            self.end_initial_wait(turn);
        }
        if self.sync_ends_up_ms.is_some_and(|ends| ends <= now_ms) {
            self.end_sync_wait(turn);
        }
        let expiries = self.members.values().filter_map(|member| member.expires_up_ms);
        let others = [self.join_ends_up_ms, self.sync_ends_up_ms].into_iter().flatten();
        self.wake_up_ms = expiries.chain(self.pending.values().copied()).chain(others).min().unwrap_or(u64::MAX);
    }

    /// Forgets ids whose clients never came back with them.
    fn lapse(&mut self, now_ms: u64, turn: &mut Turn<'_, T>) {
        let lapsed: Vec<Str> =
            self.pending.iter().filter(|(_, lapses)| **lapses <= now_ms).map(|(id, _)| id.clone()).collect();
        for id in &lapsed {
            self.forget_pending(id);
        }
        if !lapsed.is_empty() && self.state == State::Preparing {
            self.complete_if_all_joined(turn);
        }
    }

    /// Takes out members that have been silent for their session time-out.
    fn expire(&mut self, now_ms: u64, turn: &mut Turn<'_, T>) {
        let silent: Vec<Str> = self
            .members
            .iter()
            .filter(|(_, member)| member.expires_up_ms.is_some_and(|expires| expires <= now_ms))
            .map(|(id, _)| id.clone())
            .collect();
        let mut gone = false;
        for id in &silent {
            let Some(member) = self.members.get_mut(id) else { continue };
            if !member.is_new && (member.joining.is_some() || member.syncing.is_some()) {
                // It waits for others. When it is answered, its session begins again.
                member.expires_up_ms = None;
            } else {
                gone |= self.remove_answered(id, turn);
            }
        }
        match self.state {
            _ if !gone => {}
            State::Stable | State::Completing => self.prepare(turn),
            State::Preparing => self.complete_if_all_joined(turn),
            State::Empty => {}
        }
    }

    /// Takes out members that were told of the generation and never asked for their assignment.
    fn end_sync_wait(&mut self, turn: &mut Turn<'_, T>) {
        self.sync_ends_up_ms = None;
        let owing: Vec<Str> =
            self.members.iter().filter(|(_, member)| member.owes_sync).map(|(id, _)| id.clone()).collect();
        for id in &owing {
            self.remove_answered(id, turn);
        }
        if !owing.is_empty() && matches!(self.state, State::Completing | State::Stable) {
            self.prepare(turn);
        }
    }
}
