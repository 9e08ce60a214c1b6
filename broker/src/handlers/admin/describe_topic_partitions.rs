//! DescribeTopicPartitions (KIP-966): topics in order of their names, page by page.

use std::collections::BTreeSet;

use leat_protocol::ErrorCode;
use leat_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};

use super::{TOPIC_OPERATIONS, View, name};
use crate::metadata::{Partition, Topic};

/// Answers the request: at most `response_partition_limit` partitions (at least one, and no more than the broker
/// allows), and where the next page begins.
pub(crate) fn respond(view: &View<'_>, request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse {
        throttle_time_ms: view.throttle_time_ms,
        ..DescribeTopicPartitionsResponse::default()
    };
    if !is_valid(request) {
        let refused = request.topics.iter().map(|topic| DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::INVALID_REQUEST,
            name: Some(topic.name.clone()),
            ..DescribeTopicPartitionsResponseTopic::default()
        });
        response.topics = refused.collect();
        return response;
    }
    let limit = request.response_partition_limit.clamp(1, view.config.max_request_partition_size_limit);
    let mut left = usize::try_from(limit).unwrap_or(1);
    let from = request.cursor.as_ref().map_or("", |cursor| &*cursor.topic_name);
    if request.topics.is_empty() {
        for topic in view.image.topics_from(from) {
            if !page(view, request, &mut response, &mut left, &topic.name, Some(topic)) {
                break;
            }
        }
    } else {
        let names: BTreeSet<&str> = request.topics.iter().map(|topic| &*topic.name).collect();
        for name in names.range(from..) {
            if !page(view, request, &mut response, &mut left, name, view.image.topic(name).map(AsRef::as_ref)) {
                break;
            }
        }
    }
    response
}

/// A cursor has an index of at least 0, and its topic is among those asked for.
fn is_valid(request: &DescribeTopicPartitionsRequest) -> bool {
    request.cursor.as_ref().is_none_or(|cursor| {
        let asked = request.topics.is_empty() || request.topics.iter().any(|topic| topic.name == cursor.topic_name);
        cursor.partition_index >= 0 && asked
    })
}

/// Adds one topic, or as much of it as there is room for; false when the page is full.
fn page(
    view: &View<'_>,
    request: &DescribeTopicPartitionsRequest,
    response: &mut DescribeTopicPartitionsResponse,
    left: &mut usize,
    name: &str,
    topic: Option<&Topic>,
) -> bool {
    if *left == 0 {
        response.next_cursor = Some(Cursor { topic_name: name.into(), partition_index: 0 });
        return false;
    }
    let mut described = DescribeTopicPartitionsResponseTopic {
        name: Some(name.into()),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..DescribeTopicPartitionsResponseTopic::default()
    };
    let Some(topic) = topic else {
        described.error_code = match name::check(name) {
            Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        };
        response.topics.push(described);
        return true;
    };
    let first = match &request.cursor {
        Some(cursor) if cursor.topic_name == name => usize::try_from(cursor.partition_index).unwrap_or(0),
        _ => 0,
    };
    let end = topic.partitions.len().min(first.saturating_add(*left));
    let partitions = topic.partitions.iter().zip(0..).take(end).skip(first);
    described.topic_id = topic.id;
    described.is_internal = topic.is_internal();
    described.partitions = partitions.map(|(partition, index)| partition_of(view, topic, partition, index)).collect();
    *left -= described.partitions.len();
    response.topics.push(described);
    if end < topic.partitions.len() {
        let partition_index = i32::try_from(end).unwrap_or(i32::MAX);
        response.next_cursor = Some(Cursor { topic_name: name.into(), partition_index });
        return false;
    }
    true
}

fn partition_of(
    view: &View<'_>,
    topic: &Topic,
    partition: &Partition,
    index: i32,
) -> DescribeTopicPartitionsResponsePartition {
    let replica_nodes = partition.nodes();
    let described = DescribeTopicPartitionsResponsePartition {
        partition_index: index,
        // Raft has no replicas that may be elected without being in sync.
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..DescribeTopicPartitionsResponsePartition::default()
    };
    match view.partitions.leadership(topic, index) {
        Some(leadership) => DescribeTopicPartitionsResponsePartition {
            leader_id: leadership.leader_id,
            leader_epoch: leadership.leader_epoch,
            replica_nodes,
            isr_nodes: leadership.isr,
            offline_replicas: leadership.offline,
            ..described
        },
        None => DescribeTopicPartitionsResponsePartition {
            error_code: ErrorCode::LEADER_NOT_AVAILABLE,
            leader_id: -1,
            isr_nodes: replica_nodes.clone(),
            replica_nodes,
            ..described
        },
    }
}
