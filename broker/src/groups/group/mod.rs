//! One classic group as a state machine: who its members are, and how they agree on an assignment. No I/O, no clock.
//!
//! ```text
//!   Empty --first join--> Preparing --all have joined, or time is up--> Completing --leader's sync is saved--> Stable
//!     ^                      |   ^                                          |                                    |
//!     +----- nobody left ----+   +---- a member comes, goes or changes -----+------------------------------------+
//! ```
//!
//! The rules are those of Apache Kafka 4.3.1's classic groups. What it asks to have saved is committed in order, or the whole
//! group is loaded again from the log, so that no save has to be taken back.

mod event;
mod join;
mod member;
#[cfg(test)]
mod model_tests;
mod rebalance;
mod restore;
mod session;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use leat_protocol::{ErrorCode, Str};

pub(crate) use self::event::{Caller, Effects, Event, Join, Joined, JoinedMember, Protocol, Reply, Save, Sync, Synced};
pub(crate) use self::member::Member;

use super::Settings;
use crate::coordinator::Now;

/// The protocol type of consumers, whose subscriptions the coordinator can read.
const CONSUMER: &str = "consumer";

/// Where a group is on its way to an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    /// Waits for its members to join.
    Preparing,
    /// Waits for the leader's assignment.
    Completing,
    Stable,
}

impl State {
    /// Kafka's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Preparing => "PreparingRebalance",
            State::Completing => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// A group. `T` is who waits for an answer.
#[derive(Debug)]
pub(crate) struct Group<T> {
    state: State,
    /// When it came into its state; `None` where an old record does not say.
    state_wall_ms: Option<i64>,
    generation: i32,
    /// `None` for one that only has offsets.
    protocol_type: Option<Str>,
    protocol: Option<Str>,
    leader: Option<Str>,
    members: BTreeMap<Str, Member<T>>,
    /// Ids of static members, by instance.
    instances: HashMap<Str, Str>,
    /// Ids that were given and not used yet, and when they lapse.
    pending: BTreeMap<Str, u64>,
    /// How many members have each protocol.
    supported: BTreeMap<Str, usize>,
    /// What consumers read; `None` where it can't be known.
    subscribed: Option<BTreeSet<Str>>,
    /// The leader's assignments on their way into the log.
    proposed: Option<Vec<(Str, Bytes)>>,
    /// How many members wait for the join to end.
    joining: usize,
    /// Set while the first members of an empty group are waited for.
    initial: Option<Initial>,
    join_ends_up_ms: Option<u64>,
    sync_ends_up_ms: Option<u64>,
    /// Not later than the first thing that time will do.
    wake_up_ms: u64,
    /// Memory that members and pending members take, near enough.
    bytes: usize,
}

/// The wait for the first members.
#[derive(Debug)]
struct Initial {
    delay_ms: u64,
    remaining_ms: u64,
    /// Somebody came since the wait was last drawn out.
    came: bool,
}

/// What a step may see and do.
struct Turn<'a, T> {
    now: Now,
    settings: &'a Settings,
    effects: &'a mut Effects<T>,
}

impl<T> Group<T> {
    pub(crate) fn new(now: Now) -> Group<T> {
        Group {
            state: State::Empty,
            state_wall_ms: Some(now.wall_ms),
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: HashMap::new(),
            pending: BTreeMap::new(),
            supported: BTreeMap::new(),
            subscribed: None,
            proposed: None,
            joining: 0,
            initial: None,
            join_ends_up_ms: None,
            sync_ends_up_ms: None,
            wake_up_ms: u64::MAX,
            bytes: 0,
        }
    }

    /// Takes one event and says what follows from it.
    pub(crate) fn step(&mut self, event: Event<T>, now: Now, settings: &Settings, effects: &mut Effects<T>) {
        let turn = &mut Turn { now, settings, effects };
        match event {
            Event::Join { join, token } => self.join(*join, token, turn),
            Event::Sync { sync, token } => self.sync(sync, token, turn),
            Event::Heartbeat { caller, token } => {
                let code = self.heartbeat(&caller, now);
                turn.effects.answers.push((token, Reply::Heartbeat(code)));
            }
            Event::Leave { members, token } => {
                let codes = self.leave(&members, turn);
                turn.effects.answers.push((token, Reply::Leave(Ok(codes))));
            }
            Event::Saved(save) => self.saved(save, turn),
            Event::Tick => self.tick(turn),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn state_wall_ms(&self) -> Option<i64> {
        self.state_wall_ms
    }

    pub(crate) fn protocol_type(&self) -> Option<&Str> {
        self.protocol_type.as_ref()
    }

    pub(crate) fn protocol(&self) -> Option<&Str> {
        self.protocol.as_ref()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&Str, &Member<T>)> {
        self.members.iter()
    }

    /// Nobody is in it, nor about to be.
    pub(crate) fn is_unused(&self) -> bool {
        self.state == State::Empty && self.pending.is_empty()
    }

    /// When to step a [`Event::Tick`], at the latest.
    pub(crate) fn wake_up_ms(&self) -> u64 {
        self.wake_up_ms
    }

    /// Memory that its members take, near enough.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a member reads the topic, as far as can be known.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    fn enter(&mut self, state: State, now: Now) {
        self.state = state;
        self.state_wall_ms = Some(now.wall_ms);
    }

    fn wake_by(&mut self, up_ms: u64) {
        self.wake_up_ms = self.wake_up_ms.min(up_ms);
    }

    fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    /// The longest that one of the members asks for.
    fn rebalance_timeout_ms(&self) -> u64 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0)
    }

    /// Whether a member may speak for itself, and for the instance it names.
    fn check_member(&self, member: &Str, instance: Option<&Str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(known) if known != member => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    fn insert(&mut self, id: Str, member: Member<T>) {
        if self.members.is_empty() {
            self.leader = Some(id.clone());
        }
        for protocol in &member.protocols {
            *self.supported.entry(protocol.name.clone()).or_default() += 1;
        }
        self.forget_pending(&id);
        self.bytes += member.bytes(&id);
        self.joining += usize::from(member.joining.is_some());
        if let Some(instance) = &member.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.members.insert(id, member);
    }

    /// Takes a member out. Whoever waits for it is the caller's to answer.
    fn remove(&mut self, id: &Str) -> Option<Member<T>> {
        let member = self.members.remove(id)?;
        for protocol in &member.protocols {
            if let Some(count) = self.supported.get_mut(&protocol.name) {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(&protocol.name);
                }
            }
        }
        self.bytes -= member.bytes(id);
        self.joining -= usize::from(member.joining.is_some());
        if let Some(instance) = &member.instance {
            self.instances.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    fn forget_pending(&mut self, id: &Str) -> bool {
        let known = self.pending.remove(id).is_some();
        if known {
            self.bytes -= pending_bytes(id);
        }
        known
    }
}

/// Memory that an id takes that was given and is not used yet.
fn pending_bytes(id: &str) -> usize {
    id.len() + 64
}
