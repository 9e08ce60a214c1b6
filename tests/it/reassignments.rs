//! Partitions moved to other brokers and given back to their preferred leaders, as far as one broker shows it; what several do is
//! in `cluster`.

use leat_protocol::ErrorCode;
use leat_protocol::messages::{
    AlterPartitionReassignmentsRequest, ElectLeadersRequest, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics, ReassignablePartition, ReassignableTopic, TopicPartitions,
};

use crate::harness::{Connection, Partition};

/// Asks for these replicas of a partition; none takes a reassignment back.
pub(crate) fn reassign(
    connection: &mut Connection,
    topic: &str,
    partition: i32,
    replicas: Option<Vec<i32>>,
) -> ErrorCode {
    let partitions = vec![ReassignablePartition { partition_index: partition, replicas }];
    let topics = vec![ReassignableTopic { name: topic.into(), partitions }];
    let request = AlterPartitionReassignmentsRequest { topics, timeout_ms: 10_000, ..Default::default() };
    let response = connection.call(1, &request);
    assert_eq!((response.error_code, response.responses.len()), (ErrorCode::NONE, 1));
    response.responses[0].partitions[0].error_code
}

pub(crate) fn elect(connection: &mut Connection, kind: i8, topic: &str, partitions: &[i32]) -> Vec<ErrorCode> {
    let asked = TopicPartitions { topic: topic.into(), partitions: partitions.to_vec() };
    let request = ElectLeadersRequest { election_type: kind, topic_partitions: Some(vec![asked]), timeout_ms: 10_000 };
    let response = connection.call(2, &request);
    assert_eq!(response.error_code, ErrorCode::NONE);
    response.replica_election_results[0].partition_result.iter().map(|result| result.error_code).collect()
}

#[test]
fn what_is_wrong_with_a_reassignment_is_told() {
    let Partition { mut connection, topic, .. } = Partition::new("moved");
    let node = crate::harness::describe_topic(&mut connection, &topic).partitions[0].replica_nodes[0];
    let mut asked = |topic: &str, partition, replicas| reassign(&mut connection, topic, partition, replicas);
    assert_eq!(asked("no-such", 0, Some(vec![node])), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(asked("no-such", 0, None), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(asked(&topic, 9, Some(vec![node])), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(asked(&topic, -1, Some(vec![node])), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(asked(&topic, 0, None), ErrorCode::NO_REASSIGNMENT_IN_PROGRESS);
    for replicas in [vec![], vec![node, node], vec![node, 77], vec![-1]] {
        assert_eq!(asked(&topic, 0, Some(replicas)), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    }
    assert_eq!(asked(&topic, 0, Some(vec![node])), ErrorCode::NONE, "where it is already");
}

#[test]
fn nothing_under_way_is_an_empty_list() {
    let Partition { mut connection, topic, .. } = Partition::new("moved");
    let named = |name: &str| ListPartitionReassignmentsTopics { name: name.into(), partition_indexes: vec![0, 9] };
    for topics in [None, Some(vec![]), Some(vec![named("no-such")]), Some(vec![named(&topic)])] {
        let response = connection.call(0, &ListPartitionReassignmentsRequest { topics, timeout_ms: 10_000 });
        assert_eq!((response.error_code, response.topics.len()), (ErrorCode::NONE, 0));
    }
}

#[test]
fn a_partition_that_its_preferred_leader_leads_needs_no_election() {
    let Partition { mut connection, topic, .. } = Partition::new("moved");
    let (needless, unknown) = (ErrorCode::ELECTION_NOT_NEEDED, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    for kind in [0, 1] {
        assert_eq!(elect(&mut connection, kind, &topic, &[0, 9]), [needless, unknown]);
        assert_eq!(elect(&mut connection, kind, "no-such", &[0]), [unknown]);
    }
    let all = ElectLeadersRequest { election_type: 0, topic_partitions: None, timeout_ms: 10_000 };
    let response = connection.call(2, &all);
    assert!(response.replica_election_results.iter().all(|topic| topic.partition_result.is_empty()));
    let response = connection.call(2, &ElectLeadersRequest { election_type: 7, ..all });
    assert_eq!(response.error_code, ErrorCode::INVALID_REQUEST);
}
