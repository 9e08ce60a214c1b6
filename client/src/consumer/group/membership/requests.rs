//! What a member sends.

use leat_protocol::consumer_protocol::{self, ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use leat_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol, LeaveGroupRequest, MemberIdentity, SyncGroupRequest,
    SyncGroupRequestAssignment,
};
use leat_protocol::{Blob, Bytes, Str};

use super::super::assignor::{Counts, Member, by_topic};
use super::{Action, Membership, Phase};
use crate::config::Assignor;

/// The type of protocol that all consumers speak.
pub(super) const CONSUMER: &str = "consumer";

impl Membership {
    pub(super) fn join_request(&mut self) -> JoinGroupRequest {
        let millis = |duration: std::time::Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        let protocol = |assignor: &Assignor| JoinGroupRequestProtocol {
            name: assignor.name().into(),
            metadata: self.subscription(*assignor),
        };
        let protocols = self.settings.assignors.iter().map(protocol).collect();
        JoinGroupRequest {
            group_id: self.settings.group.clone(),
            session_timeout_ms: millis(self.settings.session_timeout),
            rebalance_timeout_ms: millis(self.settings.poll_interval),
            member_id: self.identity.member.clone(),
            group_instance_id: self.identity.instance.clone(),
            protocol_type: CONSUMER.into(),
            protocols,
            reason: Some(self.rejoin.take().unwrap_or_default().into()),
        }
    }

    fn subscription(&self, assignor: Assignor) -> Bytes {
        let remembered = self.remembered.as_ref().filter(|(by, ..)| *by == assignor);
        let generation = remembered.map_or(-1, |(_, _, generation)| *generation);
        let subscription = ConsumerProtocolSubscription {
            topics: self.topics.iter().cloned().collect(),
            user_data: assignor.user_data(remembered.map(|(_, owned, _)| owned.as_slice()), generation),
            owned_partitions: by_topic(&self.owned),
            generation_id: self.identity.generation,
            rack_id: self.settings.rack.clone(),
        };
        bytes(&subscription)
    }

    /// As the leader: assigns, and hands that in.
    pub(super) fn lead(&mut self, counts: Counts, members: &[Member]) {
        let Some(assignor) = self.protocol else { return self.due() };
        let assigned = assignor.assign(&counts, members);
        self.led = Some(counts);
        let row = |(member, partitions): (&Member, &Vec<_>)| SyncGroupRequestAssignment {
            member_id: member.id.clone(),
            assignment: bytes(&ConsumerProtocolAssignment {
                assigned_partitions: by_topic(partitions),
                user_data: None,
            }),
        };
        let assignments = members.iter().zip(&assigned).map(row).collect();
        self.sync(assignments);
    }

    pub(super) fn sync(&mut self, assignments: Vec<SyncGroupRequestAssignment>) {
        self.phase = Phase::Syncing;
        self.todo = Some(Action::Sync(SyncGroupRequest {
            group_id: self.settings.group.clone(),
            generation_id: self.identity.generation,
            member_id: self.identity.member.clone(),
            group_instance_id: self.identity.instance.clone(),
            protocol_type: Some(CONSUMER.into()),
            protocol_name: self.protocol.map(|assignor| assignor.name().into()),
            assignments,
        }));
    }

    pub(super) fn heartbeat_request(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: self.settings.group.clone(),
            generation_id: self.identity.generation,
            member_id: self.identity.member.clone(),
            group_instance_id: self.identity.instance.clone(),
        }
    }

    /// A static member does not leave: it may come back to what it had.
    pub(super) fn leave_request(&self, reason: &'static str) -> Option<LeaveGroupRequest> {
        let member_id = self.identity.member.clone();
        if member_id.is_empty() || self.identity.instance.is_some() {
            return None;
        }
        Some(LeaveGroupRequest {
            group_id: self.settings.group.clone(),
            member_id: Str::new(),
            members: vec![MemberIdentity { member_id, group_instance_id: None, reason: Some(reason.into()) }],
        })
    }
}

/// Only a name of more than 32 KiB can't be encoded, and no broker lets such a topic be.
fn bytes<B: Blob>(blob: &B) -> Bytes {
    consumer_protocol::write(blob, B::VERSIONS.max).unwrap_or_default()
}
