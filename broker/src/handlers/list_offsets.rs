//! ListOffsets: the ends of a partition, and the first record at or after a time.

use std::sync::Arc;

use leat_protocol::ErrorCode;
use leat_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use leat_storage::{LogReader, TimestampOffset};
use tokio::sync::oneshot;

use super::context::{Context, Named, check_epoch};
use crate::partition::Partition;

/// Timestamps that stand for a place: KIP-79, KIP-734 (largest timestamp), KIP-405 and KIP-1005 (tiers).
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Stands for whoever compares replicas, as Kafka's tools do: any replica answers, up to its own end.
const DEBUGGING_REPLICA: i32 = -2;

/// The first version in which each of them may be asked for.
fn since_version(timestamp: i64) -> i16 {
    match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        _ => 1,
    }
}

pub(super) async fn handle(context: &Context, request: ListOffsetsRequest, version: i16) -> ListOffsetsResponse {
    let asked = request.topics.iter().flat_map(|topic| {
        let named = Named::Name(topic.name.clone());
        topic.partitions.iter().filter_map(move |asked| context.find(&named, asked.partition_index).ok())
    });
    context.server.open_all(asked).await;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let named = Named::Name(topic.name.clone());
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let index = asked.partition_index;
            let answer = match find(context, &named, asked, request.replica_id, version).await {
                Ok(found) => answered(index, found),
                Err(error_code) => ListOffsetsPartitionResponse {
                    partition_index: index,
                    error_code,
                    timestamp: -1,
                    offset: -1,
                    leader_epoch: -1,
                },
            };
            partitions.push(answer);
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
    }
    ListOffsetsResponse { throttle_time_ms: context.throttle_ms(), topics }
}

fn answered(partition_index: i32, found: Option<TimestampOffset>) -> ListOffsetsPartitionResponse {
    let (offset, timestamp, leader_epoch) =
        found.map_or((-1, -1, -1), |found| (found.offset, found.timestamp, found.leader_epoch));
    ListOffsetsPartitionResponse { partition_index, error_code: ErrorCode::NONE, timestamp, offset, leader_epoch }
}

async fn find(
    context: &Context,
    named: &Named,
    asked: &ListOffsetsPartition,
    replica_id: i32,
    version: i16,
) -> Result<Option<TimestampOffset>, ErrorCode> {
    if version < since_version(asked.timestamp) || asked.timestamp < EARLIEST_PENDING_UPLOAD {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let any_replica = replica_id == DEBUGGING_REPLICA;
    let partition = match any_replica {
        true => context.partition(named, asked.partition_index).await?,
        false => context.led(named, asked.partition_index).await.map_err(|code| told(code, version))?,
    };
    check_epoch(&partition, asked.current_leader_epoch)?;
    let end = match partition.reader().filter(|_| any_replica) {
        Some(reader) => reader.end_offset(),
        None => partition.high_watermark(),
    };
    let at = |offset: i64| {
        let leader_epoch = partition.reader().map_or(-1, |reader| epoch_at(&reader, offset));
        Some(TimestampOffset { offset, timestamp: -1, leader_epoch })
    };
    match asked.timestamp {
        LATEST => Ok(at(end)),
        EARLIEST | EARLIEST_LOCAL => Ok(at(partition.log_start())),
        // Nothing is in a tier, and nothing waits to go there.
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
        MAX_TIMESTAMP => search(context, &partition, None, end).await,
        timestamp => search(context, &partition, Some(timestamp), end).await,
    }
}

/// OFFSET_NOT_AVAILABLE came with version 5 (KIP-207).
fn told(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::OFFSET_NOT_AVAILABLE if version < 5 => ErrorCode::LEADER_NOT_AVAILABLE,
        code => code,
    }
}

/// The epoch of the record at `offset`, or of the last one before the end.
fn epoch_at(reader: &LogReader, offset: i64) -> i32 {
    let epochs = reader.epochs();
    let at = epochs.partition_point(|epoch| epoch.first_offset <= offset);
    at.checked_sub(1).map_or(-1, |at| i32::try_from(epochs[at].term).unwrap_or(i32::MAX))
}

/// Looks a timestamp up, off this thread: a sealed segment's index may have to be read from the disk.
async fn search(
    context: &Context,
    partition: &Arc<Partition>,
    timestamp: Option<i64>,
    end: i64,
) -> Result<Option<TimestampOffset>, ErrorCode> {
    let Some(reader) = partition.reader() else { return Ok(None) };
    let (reply, found) = oneshot::channel();
    context.server.pool.spawn(move || {
        let _ = reply.send(match timestamp {
            Some(timestamp) => reader.offset_for_timestamp(timestamp, end),
            None => reader.max_timestamp(end),
        });
    });
    match found.await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => {
            tracing::warn!(partition = %partition.folder(), %error, "timestamp not found");
            Err(ErrorCode::KAFKA_STORAGE_ERROR)
        }
        Err(_) => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
    }
}
