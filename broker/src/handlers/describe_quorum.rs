//! DescribeQuorum: the metadata's leader and replicas, which its leader alone knows.
//!
//! Kafka 4.3.1 describes the one partition that there is, and nothing where anything else is named beside it.

use leat_protocol::messages::{
    DescribeQuorumRequest, DescribeQuorumResponse, DescribeQuorumTopic, QuorumPartition, QuorumTopic,
};
use leat_protocol::{ErrorCode, Str};

use super::admin::PARTITIONS_NAMED_MAX;
use super::context::Context;
use crate::cluster::{METADATA_GROUP, METADATA_TOPIC};

/// What Kafka says where nothing is wrong.
const NOTHING: Str = Str::from_static("");

pub(super) async fn handle(context: &Context, request: DescribeQuorumRequest, _version: i16) -> DescribeQuorumResponse {
    if request.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>() > PARTITIONS_NAMED_MAX {
        return DescribeQuorumResponse { error_code: ErrorCode::INVALID_REQUEST, ..Default::default() };
    }
    let mut response = match is_metadata(&request.topics) {
        false => refused(&request.topics, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        true => match context.server.quorum().await {
            Ok(described) => described,
            Err((code, reason)) => {
                tracing::debug!(%reason, "the metadata's leader did not describe it");
                // Clients ask again.
                let is_lost = code == ErrorCode::NOT_CONTROLLER;
                refused(&request.topics, if is_lost { ErrorCode::NOT_LEADER_OR_FOLLOWER } else { code })
            }
        },
    };
    response.error_message.get_or_insert(NOTHING);
    for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.error_message.get_or_insert(NOTHING);
    }
    response
}

fn is_metadata(topics: &[DescribeQuorumTopic]) -> bool {
    let [topic] = topics else { return false };
    let [partition] = &*topic.partitions else { return false };
    *topic.topic_name == *METADATA_TOPIC && partition.partition_index == METADATA_GROUP.partition
}

/// The same error for every partition that is named.
fn refused(topics: &[DescribeQuorumTopic], error_code: ErrorCode) -> DescribeQuorumResponse {
    let message = Str::from_static(error_code.message());
    let topics = topics.iter().map(|topic| QuorumTopic {
        topic_name: topic.topic_name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| QuorumPartition {
                partition_index: partition.partition_index,
                error_code,
                error_message: Some(message.clone()),
                ..QuorumPartition::default()
            })
            .collect(),
    });
    DescribeQuorumResponse { topics: topics.collect(), ..DescribeQuorumResponse::default() }
}
