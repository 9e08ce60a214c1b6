//! DeleteRecords: moves the start of a partition's log, answered once the group has committed it. All partitions at the
//! same time, so that one sync covers many.

use futures_util::future::join_all;

use leat_protocol::ErrorCode;
use leat_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};

use super::context::{Context, Named};
use crate::metadata::is_internal;
use crate::replica::Answer;

/// Stands for the high watermark.
const TO_HIGH_WATERMARK: i64 = -1;

pub(super) async fn handle(context: &Context, request: DeleteRecordsRequest, _version: i16) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(async |topic| {
        let named = Named::Name(topic.name.clone());
        let partitions = join_all(topic.partitions.iter().map(async |asked| {
            let (error_code, low_watermark) = match delete(context, &named, asked).await {
                Ok(low_watermark) => (ErrorCode::NONE, low_watermark),
                Err(error_code) => (error_code, -1),
            };
            DeleteRecordsPartitionResult { partition_index: asked.partition_index, low_watermark, error_code }
        }));
        DeleteRecordsTopicResult { partitions: partitions.await, name: topic.name }
    });
    DeleteRecordsResponse { throttle_time_ms: context.throttle_ms(), topics: join_all(topics).await }
}

async fn delete(context: &Context, named: &Named, asked: &DeleteRecordsPartition) -> Result<i64, ErrorCode> {
    let partition = context.led(named, asked.partition_index).await?;
    if is_internal(&partition.topic) {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    if !partition.config().cleanup_policy.delete {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let end = partition.high_watermark();
    let offset = if asked.offset == TO_HIGH_WATERMARK { end } else { asked.offset };
    if !(0..=end).contains(&offset) {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    if offset <= partition.log_start() {
        return Ok(partition.log_start());
    }
    // A pipeline would lose rows, or its state.
    if offset > partition.held_from() {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    match context.server.shard(&partition).trim(&partition, offset).await {
        Answer::Appended { .. } => Ok(partition.log_start()),
        Answer::Refused(error_code, _) => Err(error_code),
        Answer::Duplicate { .. } | Answer::NotLeader => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
    }
}
