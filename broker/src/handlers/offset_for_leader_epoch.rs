//! OffsetForLeaderEpoch: where an epoch's records end, so that a client sees whether what it read is still there (KIP-320).

use leat_protocol::ErrorCode;
use leat_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};

use super::context::{Context, Named, check_epoch};

pub(super) async fn handle(
    context: &Context,
    request: OffsetForLeaderEpochRequest,
    _version: i16,
) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let named = Named::Name(topic.topic.clone());
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let (error_code, leader_epoch, end_offset) = match find(context, &named, asked).await {
                Ok((epoch, end)) => (ErrorCode::NONE, epoch, end),
                Err(error_code) => (error_code, -1, -1),
            };
            partitions.push(EpochEndOffset { error_code, partition: asked.partition, leader_epoch, end_offset });
        }
        topics.push(OffsetForLeaderTopicResult { topic: topic.topic, partitions });
    }
    OffsetForLeaderEpochResponse { throttle_time_ms: context.throttle_ms(), topics }
}

async fn find(context: &Context, named: &Named, asked: &OffsetForLeaderPartition) -> Result<(i32, i64), ErrorCode> {
    let partition = context.led(named, asked.partition).await?;
    check_epoch(&partition, asked.current_leader_epoch)?;
    let end = partition.high_watermark();
    if asked.leader_epoch == partition.leader_epoch() {
        return Ok((asked.leader_epoch, end));
    }
    Ok(partition.reader().map_or((-1, -1), |reader| reader.epoch_end_offset(asked.leader_epoch, end)))
}
