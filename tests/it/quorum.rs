//! DescribeQuorum: the metadata's leader and replicas, as far as one broker shows them; several are in `cluster`.

use leat_protocol::ErrorCode;
use leat_protocol::messages::{
    DescribeQuorumPartition, DescribeQuorumRequest, DescribeQuorumResponse, DescribeQuorumTopic, QuorumPartition,
};

use crate::harness::{Connection, Partition, target};

const METADATA: &str = "__cluster_metadata";

fn ask(connection: &mut Connection, version: i16, topics: &[(&str, &[i32])]) -> DescribeQuorumResponse {
    let partition = |&partition_index: &i32| DescribeQuorumPartition { partition_index };
    let topic = |(name, partitions): &(&str, &[i32])| DescribeQuorumTopic {
        topic_name: (*name).into(),
        partitions: partitions.iter().map(partition).collect(),
    };
    let response = connection.call(version, &DescribeQuorumRequest { topics: topics.iter().map(topic).collect() });
    assert_eq!(response.error_code, ErrorCode::NONE);
    assert_eq!(response.error_message.as_deref(), (version >= 2).then_some(""));
    response
}

/// The metadata as the newest version describes it, beside the nodes that vote.
pub(crate) fn quorum(connection: &mut Connection, version: i16) -> (QuorumPartition, Vec<i32>) {
    let mut response = ask(connection, version, &[(METADATA, &[0])]);
    assert_eq!(response.topics.len(), 1);
    let mut topic = response.topics.remove(0);
    assert_eq!((&*topic.topic_name, topic.partitions.len()), (METADATA, 1));
    let nodes = response.nodes.iter().map(|node| node.node_id).collect();
    (topic.partitions.remove(0), nodes)
}

#[test]
fn the_metadatas_leader_and_log_are_described_in_every_version() {
    let mut connection = target().connect();
    for version in 0..=2 {
        let (before, nodes) = quorum(&mut connection, version);
        assert_eq!((before.partition_index, before.error_code), (0, ErrorCode::NONE));
        assert_eq!(before.error_message.as_deref(), (version >= 2).then_some(""));
        let leader = before.current_voters.iter().find(|voter| voter.replica_id == before.leader_id);
        let leader = leader.expect("the leader votes").clone();
        assert!(before.high_watermark > 0 && before.high_watermark <= leader.log_end_offset, "{before:?}");
        let known = [leader.last_fetch_timestamp, leader.last_caught_up_timestamp].map(|time| time > 0);
        assert_eq!(known, [version >= 1; 2], "{leader:?}");
        assert_eq!(nodes.contains(&before.leader_id), version >= 2);

        // What is decided is in that log.
        Partition::new("described-quorum");
        let (after, _) = quorum(&mut connection, version);
        assert!(after.high_watermark > before.high_watermark, "{before:?} {after:?}");
        assert_eq!((after.leader_id, after.leader_epoch), (before.leader_id, before.leader_epoch));
    }
}

#[test]
fn nothing_is_described_but_the_metadata_alone() {
    let mut connection = target().connect();
    let asked: [&[(&str, &[i32])]; 6] = [
        &[("no-such-topic", &[0])],
        &[(METADATA, &[1])],
        &[(METADATA, &[0, 0])],
        &[(METADATA, &[0]), ("no-such-topic", &[0, 7])],
        &[(METADATA, &[])],
        &[],
    ];
    for topics in asked {
        for version in 0..=2 {
            let response = ask(&mut connection, version, topics);
            assert!(response.nodes.is_empty());
            let told = response.topics.iter().map(|topic| (&*topic.topic_name, topic.partitions.as_slice()));
            let named = told.clone().map(|(name, told)| (name, told.iter().map(|told| told.partition_index)));
            let named: Vec<(&str, Vec<i32>)> = named.map(|(name, indexes)| (name, indexes.collect())).collect();
            assert_eq!(named, topics.iter().map(|(name, asked)| (*name, asked.to_vec())).collect::<Vec<_>>());
            for partition in told.flat_map(|(_, partitions)| partitions) {
                let expected = QuorumPartition {
                    partition_index: partition.partition_index,
                    error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    error_message: partition.error_message.clone(),
                    ..QuorumPartition::default()
                };
                assert_eq!(partition, &expected);
                assert_eq!(partition.error_message.is_some(), version >= 2);
            }
        }
    }
}
