//! A group to the log and back.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use leat_protocol::Str;
use leat_protocol::wire::{Error, ErrorKind, Reader};

use super::{Group, Member, Protocol, Save, State};
use crate::coordinator::Now;
use crate::groups::records::{GroupValue, MemberValue};

impl<T> Group<T> {
    /// What a save puts into the log.
    pub(crate) fn value(&self, save: &Save) -> GroupValue {
        let proposed: Option<HashMap<&Str, &Bytes>> = match (save, &self.proposed) {
            (Save::Assigned { .. }, Some(proposed)) => Some(proposed.iter().map(|(id, own)| (id, own)).collect()),
            _ => None,
        };
        let assigned = |id: &Str, member: &Member<T>| match &proposed {
            Some(proposed) => proposed.get(id).copied().cloned().unwrap_or_default(),
            None => member.assignment.clone(),
        };
        let members = self.members.iter().map(|(id, member)| MemberValue {
            id: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: i32::try_from(member.rebalance_timeout_ms).unwrap_or(i32::MAX),
            session_timeout_ms: i32::try_from(member.session_timeout_ms).unwrap_or(i32::MAX),
            subscription: member.metadata(self.protocol.as_ref()),
            assignment: assigned(id, member),
        });
        GroupValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_ms: self.state_wall_ms.unwrap_or(-1),
            members: members.collect(),
        }
    }

    /// The group as it was saved. Its members' sessions begin when it is [begun](Group::begin).
    pub(crate) fn restore(value: GroupValue, now: Now) -> Group<T> {
        let mut group = Group::new(now);
        for member in value.members {
            let name = value.protocol.clone().unwrap_or_default();
            let restored = Member {
                instance: member.instance,
                client_id: member.client_id,
                client_host: member.client_host,
                rebalance_timeout_ms: u64::try_from(member.rebalance_timeout_ms).unwrap_or(0),
                session_timeout_ms: u64::try_from(member.session_timeout_ms).unwrap_or(0),
                protocols: vec![Protocol { name, metadata: member.subscription }],
                assignment: member.assignment,
                expires_up_ms: None,
                is_new: false,
                owes_sync: false,
                joining: None,
                syncing: None,
            };
            group.insert(member.id, restored);
        }
        group.generation = value.generation;
        group.protocol_type = Some(value.protocol_type).filter(|kind| !kind.is_empty());
        group.protocol = value.protocol;
        group.leader = value.leader.filter(|id| group.members.contains_key(id)).or(group.leader);
        group.state = if group.members.is_empty() { State::Empty } else { State::Stable };
        group.state_wall_ms = Some(value.state_ms).filter(|ms| *ms >= 0);
        group.read_subscriptions();
        group
    }

    /// Every member has a whole session to be heard of.
    pub(crate) fn begin(&mut self, now: Now) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        ids.iter().for_each(|id| self.expect_heartbeat(id, now));
    }

    /// Finds out what the members read.
    pub(super) fn read_subscriptions(&mut self) {
        self.subscribed = None;
        if !self.uses_consumer_protocol() {
            return;
        }
        let mut topics = BTreeSet::new();
        let read = self.members.values().try_for_each(|member| {
            topics.extend(subscription(&member.metadata(self.protocol.as_ref()))?);
            Ok::<(), Error>(())
        });
        self.subscribed = read.is_ok().then_some(topics);
    }
}

/// The topics of a consumer's subscription. Every version begins as version 0.
fn subscription(metadata: &Bytes) -> Result<Vec<Str>, Error> {
    let mut reader = Reader::new(metadata.clone());
    reader.i16()?;
    let count = reader.len(false)?.ok_or(ErrorKind::Null)?;
    let mut topics = reader.vec(count, 2)?;
    for _ in 0..count {
        let len = reader.string_len(false)?.ok_or(ErrorKind::Null)?;
        topics.push(Str::from(reader.string(len)?.to_string()));
    }
    Ok(topics)
}
