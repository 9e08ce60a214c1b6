//! Lengths that claim more than a frame holds, in every request: nothing is reserved for what is not there.
//!
//! `LEAT_TEST_HOSTILE_FRAMES=1000000` sends that many instead of a few thousand.

use std::env;

use leat_protocol::messages::join_group::JoinGroupRequestProtocol;
use leat_protocol::messages::leave_group::MemberIdentity;
use leat_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use leat_protocol::messages::offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use leat_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use leat_protocol::messages::sync_group::SyncGroupRequestAssignment;
use leat_protocol::messages::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, ApiVersionsRequest, CreatableTopic,
    CreatePartitionsRequest, CreatePartitionsTopic, CreateTopicsRequest, DeleteGroupsRequest, DeleteRecordsRequest,
    DeleteRecordsTopic, DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeGroupsRequest,
    DescribeLogDirsRequest, DescribeProducersRequest, DescribeQuorumPartition, DescribeQuorumRequest,
    DescribeQuorumTopic, DescribeTopicPartitionsRequest, ElectLeadersRequest, FetchPartition, FetchRequest, FetchTopic,
    FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest,
    LeaveGroupRequest, ListConfigResourcesRequest, ListGroupsRequest, ListOffsetsRequest, ListOffsetsTopic,
    ListPartitionReassignmentsRequest, MetadataRequest, MetadataRequestTopic, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, OffsetForLeaderEpochRequest, OffsetForLeaderTopic, PartitionProduceData, ProduceRequest,
    ReassignableTopic, SyncGroupRequest, TopicPartitions, TopicProduceData, UnregisterBrokerRequest,
};
use leat_protocol::{ApiKey, Bytes, Records, Request, Str, Uuid};

use crate::harness::{Process, batch, frame, skip_unless_leat};

const GROWTH_MAX: u64 = 64 << 20;

/// What a length may claim: as four bytes, as two, and as a varint of a compact length or a tag.
const CLAIMS: &[&[u8]] = &[
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x00, 0xff, 0xff, 0xff],
    &[0x7f, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0x03],
    &[0xff; 9],
];

/// A request in its first, a middle and its last version.
fn samples<R: Request>(request: &R, frames: &mut Vec<Vec<u8>>) {
    let versions = R::KEY.versions();
    for version in [versions.min, R::KEY.flexible_since().clamp(versions.min, versions.max), versions.max] {
        frames.push(frame(version, 1, request));
    }
}

/// Every request that the broker serves, with something in its arrays.
pub(super) fn all_requests() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let data = PartitionProduceData { index: 0, records: Some(Records::from(batch(&["x"]))) };
    let topic = TopicProduceData { name: "a".into(), topic_id: Uuid::nil(), partition_data: vec![data] };
    let produce = ProduceRequest { acks: 1, timeout_ms: 1000, topic_data: vec![topic], ..ProduceRequest::default() };
    samples(&produce, &mut frames);
    let partitions = vec![FetchPartition::default()];
    let topic = FetchTopic { topic: "a".into(), topic_id: Uuid::nil(), partitions };
    samples(&FetchRequest { topics: vec![topic], ..FetchRequest::default() }, &mut frames);
    let topic = ListOffsetsTopic { name: "a".into(), ..ListOffsetsTopic::default() };
    samples(&ListOffsetsRequest { topics: vec![topic], ..ListOffsetsRequest::default() }, &mut frames);
    let topics = Some(vec![MetadataRequestTopic { name: Some("a".into()), topic_id: Uuid::nil() }]);
    samples(&MetadataRequest { topics, ..MetadataRequest::default() }, &mut frames);
    samples(&ApiVersionsRequest::default(), &mut frames);
    let topic = CreatableTopic { name: "a".into(), num_partitions: -7, ..CreatableTopic::default() };
    samples(&CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() }, &mut frames);
    samples(&DeleteTopicsRequest { topic_names: vec!["a".into()], ..DeleteTopicsRequest::default() }, &mut frames);
    let topic = DeleteRecordsTopic { name: "a".into(), ..DeleteRecordsTopic::default() };
    samples(&DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1000 }, &mut frames);
    samples(&InitProducerIdRequest::default(), &mut frames);
    let topic = OffsetForLeaderTopic { topic: "a".into(), ..OffsetForLeaderTopic::default() };
    samples(&OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic] }, &mut frames);
    samples(&DescribeConfigsRequest::default(), &mut frames);
    samples(&AlterConfigsRequest::default(), &mut frames);
    samples(&IncrementalAlterConfigsRequest::default(), &mut frames);
    let topic = CreatePartitionsTopic { name: "a".into(), count: 2, ..CreatePartitionsTopic::default() };
    samples(&CreatePartitionsRequest { topics: vec![topic], ..CreatePartitionsRequest::default() }, &mut frames);
    let topic = ReassignableTopic { name: "a".into(), ..ReassignableTopic::default() };
    let reassign = AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() };
    samples(&reassign, &mut frames);
    samples(&ListPartitionReassignmentsRequest::default(), &mut frames);
    let topic_partitions = Some(vec![TopicPartitions { topic: "a".into(), partitions: vec![0] }]);
    samples(&ElectLeadersRequest { topic_partitions, ..ElectLeadersRequest::default() }, &mut frames);
    samples(&DescribeLogDirsRequest::default(), &mut frames);
    let partitions = vec![DescribeQuorumPartition { partition_index: 0 }];
    let topics = vec![DescribeQuorumTopic { topic_name: "__cluster_metadata".into(), partitions }];
    samples(&DescribeQuorumRequest { topics }, &mut frames);
    samples(&DescribeClusterRequest::default(), &mut frames);
    samples(&DescribeProducersRequest::default(), &mut frames);
    samples(&DescribeTopicPartitionsRequest::default(), &mut frames);
    samples(&ListConfigResourcesRequest::default(), &mut frames);
    samples(&UnregisterBrokerRequest { broker_id: -1 }, &mut frames);
    group_requests(&mut frames);
    frames
}

fn group_requests(frames: &mut Vec<Vec<u8>>) {
    let group_id = Str::from_static("g");
    samples(&FindCoordinatorRequest::default(), frames);
    let protocols = vec![JoinGroupRequestProtocol { name: "a".into(), metadata: Bytes::from_static(b"x") }];
    let join =
        JoinGroupRequest { group_id: group_id.clone(), protocols, session_timeout_ms: 10_000, ..Default::default() };
    samples(&join, frames);
    let assignments = vec![SyncGroupRequestAssignment::default()];
    samples(&SyncGroupRequest { group_id: group_id.clone(), assignments, ..Default::default() }, frames);
    samples(&HeartbeatRequest { group_id: group_id.clone(), ..Default::default() }, frames);
    samples(&LeaveGroupRequest { group_id: group_id.clone(), ..Default::default() }, frames);
    let partitions = vec![OffsetCommitRequestPartition::default()];
    let topics = vec![OffsetCommitRequestTopic { partitions, ..Default::default() }];
    samples(&OffsetCommitRequest { group_id: group_id.clone(), topics, ..Default::default() }, frames);
    samples(&OffsetFetchRequest::default(), frames);
    samples(&DescribeGroupsRequest { groups: vec![group_id.clone()], ..Default::default() }, frames);
    samples(&ListGroupsRequest::default(), frames);
    samples(&DeleteGroupsRequest { groups_names: vec![group_id.clone()] }, frames);
    let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
    let topics = vec![OffsetDeleteRequestTopic { name: "a".into(), partitions }];
    samples(&OffsetDeleteRequest { group_id: group_id.clone(), topics }, frames);
    later_group_requests(group_id, frames);
}

/// Those with arrays that only some versions have.
fn later_group_requests(group_id: Str, frames: &mut Vec<Vec<u8>>) {
    let coordinator_keys = vec![group_id.clone()];
    frames.push(frame(6, 1, &FindCoordinatorRequest { coordinator_keys, ..Default::default() }));
    let members = vec![MemberIdentity { member_id: "m".into(), ..Default::default() }];
    frames.push(frame(5, 1, &LeaveGroupRequest { group_id: group_id.clone(), members, ..Default::default() }));
    let topics = vec![OffsetFetchRequestTopic { name: "a".into(), partition_indexes: vec![0] }];
    let request = OffsetFetchRequest { group_id: group_id.clone(), topics: Some(topics), ..Default::default() };
    frames.push(frame(5, 1, &request));
    let topics = vec![OffsetFetchRequestTopics { name: "a".into(), partition_indexes: vec![0], ..Default::default() }];
    let groups = vec![OffsetFetchRequestGroup { group_id, topics: Some(topics), ..Default::default() }];
    frames.push(frame(9, 1, &OffsetFetchRequest { groups, ..Default::default() }));
    let (states_filter, types_filter) = (vec!["Stable".into()], vec!["classic".into()]);
    frames.push(frame(5, 1, &ListGroupsRequest { states_filter, types_filter }));
}

/// A frame with a claim written over the bytes at `at`, its own size right.
fn with_claim(frame: &[u8], at: usize, claim: &[u8]) -> Vec<u8> {
    let mut hostile = frame.to_vec();
    hostile.resize(frame.len().max(at + claim.len()), 0);
    hostile[at..at + claim.len()].copy_from_slice(claim);
    let size = u32::try_from(hostile.len() - 4).unwrap();
    hostile[..4].copy_from_slice(&size.to_be_bytes());
    hostile
}

#[test]
fn every_api_is_among_the_samples() {
    let keys: Vec<_> = all_requests().iter().map(|frame| i16::from_be_bytes([frame[4], frame[5]])).collect();
    let served = leat_protocol::APIS.iter().filter(|api| api.served);
    let missing: Vec<_> = served.filter(|api| !keys.contains(&(api.key as i16))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn hostile_lengths_reserve_nothing() {
    if skip_unless_leat("hostile_lengths_reserve_nothing") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let process = Process::start(&parent.path().join("data"), "127.0.0.1:0", &[]);
    let frames = all_requests();
    // The body begins behind size, API, version, correlation id and client id.
    let begin = 4 + 2 + 2 + 4 + 2 + "leat-tests".len();
    let wanted: usize = env::var("LEAT_TEST_HOSTILE_FRAMES").ok().and_then(|text| text.parse().ok()).unwrap_or(6000);
    let mut sent = 0;
    let mut before = None;
    'all: for round in 0.. {
        for frame in &frames {
            // It may have become one that waits for ever, or for other members.
            let waits = [ApiKey::Fetch, ApiKey::JoinGroup].iter().any(|api| frame[4..6] == (*api as i16).to_be_bytes());
            let bodies = (begin..frame.len()).skip(round % 3).step_by(3);
            for (at, claim) in bodies.flat_map(|at| CLAIMS.iter().map(move |claim| (at, claim))) {
                let mut connection = process.target.connect();
                connection.try_send_bytes(&with_claim(frame, at, claim));
                connection.finish();
                while !waits && connection.receive_frame().is_some() {}
                sent += 1;
                if sent == wanted / 10 {
                    before = Some(process.resident_bytes());
                }
                if sent >= wanted {
                    break 'all;
                }
            }
        }
    }
    let after = process.resident_bytes();
    let grown = after.saturating_sub(before.expect("enough frames"));
    assert!(grown < GROWTH_MAX, "{} MiB after {sent} frames", grown >> 20);
    process.target.connect().call(0, &ApiVersionsRequest::default());
}
