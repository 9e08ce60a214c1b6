//! DescribeProducers: the idempotent producers that partitions remember.

use leat_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, TopicRequest, TopicResponse,
};
use leat_protocol::{ErrorCode, Str, Uuid};

use super::{View, name};
use crate::metadata::Image;

/// The partitions whose producers [`respond`] will ask [`super::PartitionInfo`] for, so that the caller can gather them.
pub(crate) fn wanted(image: &Image, request: &DescribeProducersRequest) -> Vec<(Uuid, i32)> {
    let topics = request.topics.iter().filter_map(|asked| Some((image.topic(&asked.name)?, &asked.partition_indexes)));
    topics
        .flat_map(|(topic, indexes)| {
            let known = indexes.iter().filter(|index| topic.partition(**index).is_some());
            known.map(|index| (topic.id, *index))
        })
        .collect()
}

/// Answers the request.
pub(crate) fn respond(view: &View<'_>, request: &DescribeProducersRequest) -> DescribeProducersResponse {
    let topics = request.topics.iter().map(|asked| TopicResponse {
        name: asked.name.clone(),
        partitions: asked.partition_indexes.iter().map(|index| partition(view, asked, *index)).collect(),
    });
    DescribeProducersResponse { throttle_time_ms: view.throttle_time_ms, topics: topics.collect() }
}

fn partition(view: &View<'_>, asked: &TopicRequest, partition_index: i32) -> PartitionResponse {
    let refused = |error_code, text: Str| PartitionResponse {
        partition_index,
        error_code,
        error_message: Some(text),
        ..PartitionResponse::default()
    };
    if let Err(text) = name::check(&asked.name) {
        return refused(ErrorCode::INVALID_TOPIC_EXCEPTION, text.into());
    }
    let topic = view.image.topic(&asked.name).filter(|topic| topic.partition(partition_index).is_some());
    let producers = match topic {
        None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        Some(topic) => view.partitions.producers(topic.id, partition_index),
    };
    match producers {
        Ok(active_producers) => PartitionResponse { partition_index, active_producers, ..PartitionResponse::default() },
        Err(code) => refused(code, code.message().into()),
    }
}
