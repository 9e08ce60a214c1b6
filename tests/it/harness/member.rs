//! A member of a consumer group, request by request.

use std::thread;
use std::time::Duration;

use leat_protocol::consumer_protocol::{self, ConsumerProtocolSubscription};
use leat_protocol::messages::join_group::JoinGroupRequestProtocol;
use leat_protocol::messages::leave_group::MemberIdentity;
use leat_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use leat_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponsePartitions,
};
use leat_protocol::messages::sync_group::SyncGroupRequestAssignment;
use leat_protocol::messages::{
    FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest, SyncGroupResponse,
};
use leat_protocol::{Bytes, ErrorCode, Str};

use super::{Connection, Target, unique};

/// One that has not joined yet has no id.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) connection: Connection,
    pub(crate) group: Str,
    pub(crate) id: Str,
    pub(crate) instance: Option<Str>,
    pub(crate) generation: i32,
    pub(crate) topics: Vec<Str>,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
}

impl Member {
    /// A member of a group of its own, whose coordinator is there.
    pub(crate) fn alone(target: &Target, stem: &str) -> Self {
        Self::of(target, &unique(stem))
    }

    pub(crate) fn of(target: &Target, group: &str) -> Self {
        let mut connection = target.connect();
        find_coordinator(&mut connection, group);
        Self {
            connection,
            group: group.into(),
            id: Str::default(),
            instance: None,
            generation: -1,
            topics: vec!["some".into()],
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
        }
    }

    /// Another member of the same group.
    pub(crate) fn beside(&self, target: &Target) -> Self {
        Self::of(target, &self.group)
    }

    pub(crate) fn fixed(mut self, instance: &str) -> Self {
        self.instance = Some(instance.into());
        self
    }

    pub(crate) fn join_request(&self) -> JoinGroupRequest {
        let subscription = ConsumerProtocolSubscription { topics: self.topics.clone(), ..Default::default() };
        let metadata = consumer_protocol::write(&subscription, 3).expect("a subscription");
        JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata }],
            reason: None,
        }
    }

    /// Asks for an id.
    pub(crate) fn ask_for_id(&mut self) {
        let request = self.join_request();
        let response = self.connection.call(9, &request);
        assert_eq!(response.error_code, ErrorCode::MEMBER_ID_REQUIRED);
        self.id = response.member_id;
    }

    /// Joins, and does not wait for the answer.
    pub(crate) fn begin_join(&mut self) {
        if self.id.is_empty() && self.instance.is_none() {
            self.ask_for_id();
        }
        let request = self.join_request();
        self.connection.send(9, &request);
    }

    pub(crate) fn end_join(&mut self) -> JoinGroupResponse {
        let response = self.connection.receive::<JoinGroupRequest>(9);
        if !response.error_code.is_err() {
            self.id = response.member_id.clone();
            self.generation = response.generation_id;
        }
        response
    }

    pub(crate) fn join(&mut self) -> JoinGroupResponse {
        self.begin_join();
        let response = self.end_join();
        assert_eq!(response.error_code, ErrorCode::NONE);
        response
    }

    pub(crate) fn begin_sync(&mut self, assignments: &[(&Str, &'static [u8])]) {
        let request = self.sync_request(assignments);
        self.connection.send(5, &request);
    }

    pub(crate) fn end_sync(&mut self) -> SyncGroupResponse {
        self.connection.receive::<SyncGroupRequest>(5)
    }

    pub(crate) fn sync(&mut self, assignments: &[(&Str, &'static [u8])]) -> SyncGroupResponse {
        self.begin_sync(assignments);
        self.end_sync()
    }

    pub(crate) fn sync_request(&self, assignments: &[(&Str, &'static [u8])]) -> SyncGroupRequest {
        let assignments = assignments.iter().map(|(id, assignment)| SyncGroupRequestAssignment {
            member_id: (*id).clone(),
            assignment: Bytes::from_static(assignment),
        });
        SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: assignments.collect(),
        }
    }

    /// Joins an empty group and assigns itself.
    pub(crate) fn settle(&mut self) {
        self.join();
        let id = self.id.clone();
        let synced = self.sync(&[(&id, b"mine")]);
        assert_eq!((synced.error_code, &synced.assignment[..]), (ErrorCode::NONE, &b"mine"[..]));
    }

    pub(crate) fn heartbeat(&mut self) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
        };
        self.connection.call(4, &request).error_code
    }

    pub(crate) fn leave(&mut self) -> ErrorCode {
        let member = MemberIdentity {
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            reason: Some("the test is over".into()),
        };
        let request = LeaveGroupRequest { group_id: self.group.clone(), members: vec![member], ..Default::default() };
        let response = self.connection.call(5, &request);
        if response.error_code.is_err() { response.error_code } else { response.members[0].error_code }
    }

    pub(crate) fn commit_request(&self, topic: &str, offset: i64) -> OffsetCommitRequest {
        let partition = OffsetCommitRequestPartition {
            partition_index: 0,
            committed_offset: offset,
            committed_leader_epoch: -1,
            committed_metadata: Some(Str::default()),
        };
        let topic = OffsetCommitRequestTopic { name: topic.into(), partitions: vec![partition], ..Default::default() };
        OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        }
    }

    /// Commits an offset of a topic's first partition.
    pub(crate) fn commit(&mut self, topic: &str, offset: i64) -> ErrorCode {
        let request = self.commit_request(topic, offset);
        self.connection.call(9, &request).topics[0].partitions[0].error_code
    }

    /// What is committed of a topic's first partition.
    pub(crate) fn committed(&mut self, topic: &str) -> OffsetFetchResponsePartitions {
        let topic = OffsetFetchRequestTopics { name: topic.into(), partition_indexes: vec![0], ..Default::default() };
        let group =
            OffsetFetchRequestGroup { group_id: self.group.clone(), topics: Some(vec![topic]), ..Default::default() };
        let request = OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
        let mut response = self.connection.call(9, &request);
        assert_eq!(response.groups[0].error_code, ErrorCode::NONE);
        response.groups[0].topics[0].partitions.remove(0)
    }
}

/// Waits until a group has a coordinator that has loaded its log.
pub(crate) fn find_coordinator(connection: &mut Connection, group: &str) {
    for _ in 0..1000 {
        let request = FindCoordinatorRequest { coordinator_keys: vec![group.into()], ..Default::default() };
        let found = connection.call(4, &request).coordinators[0].error_code;
        let asked = OffsetFetchRequestGroup { group_id: group.into(), topics: None, ..Default::default() };
        let request = OffsetFetchRequest { groups: vec![asked], ..OffsetFetchRequest::default() };
        if !found.is_err() && !connection.call(9, &request).groups[0].error_code.is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{group} has no coordinator after 10 s");
}
