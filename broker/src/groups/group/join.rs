//! Joins: who may come in, under which id, and whether that needs a new generation.

use leat_protocol::{ErrorCode, Str};

use super::member::member_bytes;
use super::{Group, Join, Joined, JoinedMember, Member, Reply, Save, State, Turn, pending_bytes};

/// A new member can't send heartbeats while it waits, for it does not know its id. One whose client went away is
/// taken out after this, in ms.
const NEW_MEMBER_WAIT_MS: u64 = 5 * 60 * 1000;

impl<T> Group<T> {
    pub(super) fn join(&mut self, join: Join, token: T, turn: &mut Turn<'_, T>) {
        if !self.has_room(&join, turn) {
            if self.remove_answered(&join.member, turn) {
                self.rebalance_or_complete(turn);
            }
            return refuse(Str::default(), ErrorCode::GROUP_MAX_SIZE_REACHED, token, turn);
        }
        if !self.supports(&join) {
            return refuse(join.member, ErrorCode::INCONSISTENT_GROUP_PROTOCOL, token, turn);
        }
        match (&join.instance, join.member.is_empty()) {
            (Some(instance), true) => match self.instances.get(instance).cloned() {
                Some(old) => self.replace(&old, join, token, turn),
                None => {
                    let id = new_id(instance, &join);
                    self.add(id, join, token, turn);
                }
            },
            (None, true) => {
                let id = new_id(&join.client_id, &join);
                match join.asks_for_id {
                    true => self.expect(id, &join, token, turn),
                    false => self.add(id, join, token, turn),
                }
            }
            (_, false) => self.join_again(join, token, turn),
        }
    }

    /// Members count when they have joined; so where a limit was lowered, the last to come back stay out.
    fn has_room(&self, join: &Join, turn: &Turn<'_, T>) -> bool {
        let known = self.members.get(&join.member);
        let counted = match self.state {
            State::Empty => true,
            State::Preparing => {
                known.is_some_and(|member| member.joining.is_some()) || self.joining < turn.settings.size_max
            }
            State::Completing | State::Stable => known.is_some() || self.members.len() < turn.settings.size_max,
        };
        let texts = [&*join.member, &*join.client_id, &*join.client_host, join.instance.as_deref().unwrap_or_default()];
        let before = known.map_or(0, |member| member.bytes(&join.member));
        let after = self.bytes - before + member_bytes(&texts, &join.protocols);
        counted && after <= turn.settings.group_bytes_max
    }

    /// The id is given, and its client is expected to come back with it.
    fn expect(&mut self, id: Str, join: &Join, token: T, turn: &mut Turn<'_, T>) {
        let lapses = turn.now.up_ms + join.session_timeout_ms;
        self.bytes += pending_bytes(&id);
        self.pending.insert(id.clone(), lapses);
        self.wake_by(lapses);
        refuse(id, ErrorCode::MEMBER_ID_REQUIRED, token, turn);
    }

    fn add(&mut self, id: Str, join: Join, token: T, turn: &mut Turn<'_, T>) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        if let Some(initial) = &mut self.initial {
            initial.came = true;
        }
        let expires = turn.now.up_ms + NEW_MEMBER_WAIT_MS;
        let member = Member {
            instance: join.instance,
            client_id: join.client_id,
            client_host: join.client_host,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols,
            assignment: Default::default(),
            expires_up_ms: Some(expires),
            is_new: true,
            owes_sync: false,
            joining: Some(token),
            syncing: None,
        };
        self.insert(id, member);
        self.wake_by(expires);
        self.rebalance_or_complete(turn);
    }

    /// A join under an id that was given before.
    fn join_again(&mut self, join: Join, token: T, turn: &mut Turn<'_, T>) {
        let id = join.member.clone();
        if self.pending.contains_key(&id) && join.instance.is_none() {
            return self.add(id, join, token, turn);
        }
        if let Err(code) = self.check_member(&id, join.instance.as_ref()) {
            return refuse(id, code, token, turn);
        }
        let unchanged = self.members.get(&id).is_some_and(|member| member.protocols == join.protocols);
        match self.state {
            // Its first answer may have been lost.
            State::Completing if unchanged => {
                let joined = self.joined(&id, self.is_leader(&id));
                turn.effects.answers.push((token, Reply::Join(Box::new(joined))));
            }
            // It asks what it is part of. Only a leader can know of a change that no member's subscription shows.
            State::Stable if unchanged && !self.is_leader(&id) => {
                let joined = self.joined(&id, false);
                turn.effects.answers.push((token, Reply::Join(Box::new(joined))));
            }
            State::Empty => refuse(id, ErrorCode::UNKNOWN_MEMBER_ID, token, turn),
            State::Preparing | State::Completing | State::Stable => {
                self.update(&id, join, token, turn);
                self.rebalance_or_complete(turn);
            }
        }
    }

    /// A static member comes back without its id: it takes its old place under a new one.
    fn replace(&mut self, old: &Str, join: Join, token: T, turn: &mut Turn<'_, T>) {
        let leader = self.leader.clone().unwrap_or_default();
        let Some(mut member) = self.remove(old) else { return };
        // Whoever still waits under the old id is a duplicate.
        if let Some(waiting) = member.joining.take() {
            refuse(old.clone(), ErrorCode::FENCED_INSTANCE_ID, waiting, turn);
        }
        if let Some(waiting) = member.syncing.take() {
            turn.effects.answers.push((waiting, fenced()));
        }
        let id = new_id(join.instance.as_deref().unwrap_or_default(), &join);
        let expires = turn.now.up_ms + join.session_timeout_ms;
        member.expires_up_ms = Some(expires);
        member.is_new = false;
        member.owes_sync = false;
        self.insert(id.clone(), member);
        self.wake_by(expires);
        if leader == *old {
            self.leader = Some(id.clone());
        }
        let can_skip_assignment = join.can_skip_assignment;
        self.update(&id, join, token, turn);
        match self.state {
            // Nothing that the assignment rests on has changed, so nobody else is disturbed.
            State::Stable if self.protocol == self.elected_protocol() => {
                // An older client that saw itself named would assign, and nobody would hear of it: it is told the id of before.
                let told_leader = (!can_skip_assignment).then_some(leader);
                turn.effects.saves.push(Save::Replaced { member: id, told_leader });
            }
            // The leader may be assigning to the old id just now.
            State::Completing => self.prepare(turn),
            State::Stable | State::Preparing | State::Empty => self.rebalance_or_complete(turn),
        }
    }

    /// The member that came back is in the log.
    pub(super) fn replaced(&mut self, id: &Str, told_leader: Option<Str>, turn: &mut Turn<'_, T>) {
        if self.state != State::Stable {
            // Its join counts for the rebalance that has begun since.
            return;
        }
        let skips = told_leader.is_none() && self.is_leader(id);
        let joined = Joined { skip_assignment: skips, ..self.joined(id, skips) };
        let joined = match told_leader {
            Some(leader) => Joined { leader, ..joined },
            None => joined,
        };
        self.answer_join(id, joined, turn);
    }

    /// Takes over what a member says now.
    fn update(&mut self, id: &Str, join: Join, token: T, turn: &mut Turn<'_, T>) {
        let Some(mut member) = self.members.remove(id) else { return };
        self.bytes -= member.bytes(id);
        for protocol in &member.protocols {
            if let Some(count) = self.supported.get_mut(&protocol.name) {
                *count -= 1;
            }
        }
        member.protocols = join.protocols;
        for protocol in &member.protocols {
            *self.supported.entry(protocol.name.clone()).or_default() += 1;
        }
        self.supported.retain(|_, count| *count > 0);
        member.rebalance_timeout_ms = join.rebalance_timeout_ms;
        member.session_timeout_ms = join.session_timeout_ms;
        let earlier = member.joining.replace(token);
        self.joining += usize::from(earlier.is_none());
        self.bytes += member.bytes(id);
        self.members.insert(id.clone(), member);
        if let Some(earlier) = earlier {
            // From a connection that the client gave up.
            refuse(id.clone(), ErrorCode::REBALANCE_IN_PROGRESS, earlier, turn);
        }
    }

    /// Whether the member could be assigned together with the others.
    fn supports(&self, join: &Join) -> bool {
        if self.state == State::Empty {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        self.protocol_type.as_ref() == Some(&join.protocol_type)
            && join
                .protocols
                .iter()
                .any(|protocol| self.supported.get(&protocol.name).copied().unwrap_or(0) == self.members.len())
    }

    /// What a member is told of this generation.
    pub(super) fn joined(&self, id: &Str, with_members: bool) -> Joined {
        let members = self.members.iter().filter(|_| with_members).map(|(id, member)| JoinedMember {
            id: id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(self.protocol.as_ref()),
        });
        Joined {
            error: ErrorCode::NONE,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member: id.clone(),
            members: members.collect(),
        }
    }

    /// Answers a member that waits for the join to end.
    pub(super) fn answer_join(&mut self, id: &Str, joined: Joined, turn: &mut Turn<'_, T>) {
        if let Some(token) = self.members.get_mut(id).and_then(|member| member.joining.take()) {
            self.joining -= 1;
            turn.effects.answers.push((token, Reply::Join(Box::new(joined))));
        }
    }

    /// Takes a member out; who waits for it may join anew. False where there is none.
    pub(super) fn remove_answered(&mut self, id: &Str, turn: &mut Turn<'_, T>) -> bool {
        self.forget_pending(id);
        let Some(member) = self.remove(id) else { return false };
        if let Some(token) = member.joining {
            refuse(Str::default(), ErrorCode::UNKNOWN_MEMBER_ID, token, turn);
        }
        if let Some(token) = member.syncing {
            let refused = super::Synced::refused(ErrorCode::UNKNOWN_MEMBER_ID);
            turn.effects.answers.push((token, Reply::Sync(refused)));
        }
        true
    }
}

fn new_id(stem: &str, join: &Join) -> Str {
    format!("{stem}-{}", join.draw).into()
}

fn fenced() -> Reply {
    Reply::Sync(super::Synced::refused(ErrorCode::FENCED_INSTANCE_ID))
}

fn refuse<T>(member: Str, code: ErrorCode, token: T, turn: &mut Turn<'_, T>) {
    turn.effects.answers.push((token, Reply::Join(Box::new(Joined::refused(member, code)))));
}
