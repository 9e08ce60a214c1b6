//! ListPartitionReassignments: which partitions other brokers should hold than do.

use leat_protocol::ErrorCode;
use leat_protocol::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, OngoingPartitionReassignment,
    OngoingTopicReassignment,
};

use super::{PARTITIONS_NAMED_MAX, View};
use crate::metadata::{Partition, Topic};

/// Answers the request. What is not there, or not on its way, is left out.
pub(crate) fn respond(
    view: &View<'_>,
    request: &ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let named = request.topics.iter().flatten().map(|topic| topic.partition_indexes.len()).sum::<usize>();
    if named > PARTITIONS_NAMED_MAX {
        return ListPartitionReassignmentsResponse {
            error_code: ErrorCode::INVALID_REQUEST,
            error_message: Some(format!("One request may name {PARTITIONS_NAMED_MAX} partitions.").into()),
            ..ListPartitionReassignmentsResponse::default()
        };
    }
    let topics = match &request.topics {
        None => view.image.topics().map(|topic| ongoing(topic, 0..topic.partition_count())).collect(),
        Some(asked) => asked
            .iter()
            .filter_map(|asked| Some((view.image.topic(&asked.name)?, asked.partition_indexes.iter().copied())))
            .map(|(topic, indexes)| ongoing(topic, indexes))
            .collect::<Vec<_>>(),
    };
    ListPartitionReassignmentsResponse {
        throttle_time_ms: view.throttle_time_ms,
        topics: topics.into_iter().filter(|topic| !topic.partitions.is_empty()).collect(),
        ..ListPartitionReassignmentsResponse::default()
    }
}

fn ongoing(topic: &Topic, indexes: impl Iterator<Item = i32>) -> OngoingTopicReassignment {
    let partition = |index| Some((index, topic.partition(index)?));
    let changing = indexes.filter_map(partition).filter(|(_, partition)| partition.change.is_some());
    let partitions = changing.map(|(partition_index, partition)| described(partition_index, partition));
    OngoingTopicReassignment { name: topic.name.clone(), partitions: partitions.collect() }
}

fn described(partition_index: i32, partition: &Partition) -> OngoingPartitionReassignment {
    OngoingPartitionReassignment {
        partition_index,
        replicas: partition.nodes(),
        adding_replicas: partition.adding().map(|replica| replica.node_id).collect(),
        removing_replicas: partition.removing().iter().map(|replica| replica.node_id).collect(),
    }
}
