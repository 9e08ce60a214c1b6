//! DescribeLogDirs: the sizes of this broker's replicas.

use leat_protocol::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};

use super::View;
use crate::metadata::Topic;

/// Answers the request. What is asked for and not here is left out.
pub(crate) fn respond(view: &View<'_>, request: &DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let topics = match &request.topics {
        None => view.image.topics().map(|topic| described(view, topic, 0..topic.partition_count())).collect(),
        Some(asked) => asked
            .iter()
            .filter_map(|asked| Some((view.image.topic(&asked.topic)?, &asked.partitions)))
            .map(|(topic, partitions)| described(view, topic, partitions.iter().copied()))
            .collect::<Vec<_>>(),
    };
    let folder = view.partitions.log_folder();
    DescribeLogDirsResponse {
        throttle_time_ms: view.throttle_time_ms,
        results: vec![DescribeLogDirsResult {
            error_code: folder.error,
            log_dir: folder.path,
            topics: topics.into_iter().filter(|topic| !topic.partitions.is_empty()).collect(),
            total_bytes: folder.total_bytes,
            usable_bytes: folder.usable_bytes,
            ..DescribeLogDirsResult::default()
        }],
        ..DescribeLogDirsResponse::default()
    }
}

fn described(view: &View<'_>, topic: &Topic, partitions: impl Iterator<Item = i32>) -> DescribeLogDirsTopic {
    let here = partitions
        .filter(|index| topic.partition(*index).is_some_and(|partition| partition.replica_on(view.node_id).is_some()));
    let sized = here.filter_map(|index| Some((index, view.partitions.log_size(topic, index)?)));
    let partitions = sized.map(|(partition_index, size)| DescribeLogDirsPartition {
        partition_index,
        partition_size: size.bytes,
        offset_lag: size.offset_lag,
        ..DescribeLogDirsPartition::default()
    });
    DescribeLogDirsTopic { name: topic.name.clone(), partitions: partitions.collect() }
}
