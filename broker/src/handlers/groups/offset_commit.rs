//! OffsetCommit: how far a group has read. Answered when it is as durable as a produce with acks=all.

use leat_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};
use leat_protocol::{ErrorCode, Str, Uuid};

use super::super::context::Context;
use super::{NAME_BYTES_MAX, ask, own, own_option};
use crate::groups::{Caller, Commit, Offset, Request};
use crate::metadata::Image;

/// First version that names topics by id (KIP-848's follow-up).
const TOPIC_IDS: i16 = 10;
/// First version whose clients know that a group may not exist.
const KNOWS_NO_GROUP: i16 = 9;

pub(crate) async fn handle(context: &Context, request: OffsetCommitRequest, version: i16) -> OffsetCommitResponse {
    let image = context.server.image();
    let mut offsets = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut asks = false;
    for topic in &request.topics {
        let named = if version >= TOPIC_IDS { Err(topic.topic_id) } else { Ok(&topic.name) };
        let found = resolve(&image, named);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let checked = found.clone().and_then(|found| check(context, &image, found, partition));
            let error_code = match checked {
                Ok(offset) => {
                    offsets.push(offset);
                    ErrorCode::NONE
                }
                Err(code) => code,
            };
            asks |= matches!(error_code, ErrorCode::NONE | ErrorCode::OFFSET_METADATA_TOO_LARGE);
            answers.push(OffsetCommitResponsePartition { partition_index: partition.partition_index, error_code });
        }
        topics.push(OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: answers,
        });
    }
    if asks && let Err(code) = commit(context, &request, version, offsets).await {
        // What the group refuses is refused for all that could have been committed.
        let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        for partition in partitions {
            if matches!(partition.error_code, ErrorCode::NONE | ErrorCode::OFFSET_METADATA_TOO_LARGE) {
                partition.error_code = code;
            }
        }
    }
    OffsetCommitResponse { throttle_time_ms: context.throttle_ms(), topics }
}

/// A topic's name and id.
fn resolve(image: &Image, named: Result<&Str, Uuid>) -> Result<(Str, Uuid), ErrorCode> {
    let topic = match named {
        Ok(name) => image.topic(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?,
        Err(id) => image.topic_by_id(id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?,
    };
    Ok((topic.name.clone(), topic.id))
}

fn check(
    context: &Context,
    image: &Image,
    (topic, topic_id): (Str, Uuid),
    asked: &OffsetCommitRequestPartition,
) -> Result<Offset, ErrorCode> {
    let known = image.topic_by_id(topic_id).and_then(|topic| topic.partition(asked.partition_index));
    known.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let metadata = own(asked.committed_metadata.as_ref().unwrap_or(&Str::default()));
    let length_max = context.server.config().offset_metadata_max_bytes as usize;
    // Kafka counts as Java does.
    if metadata.len() > length_max && metadata.encode_utf16().count() > length_max {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    Ok(Offset {
        topic,
        topic_id,
        partition: asked.partition_index,
        offset: asked.committed_offset,
        leader_epoch: asked.committed_leader_epoch,
        metadata,
    })
}

async fn commit(
    context: &Context,
    request: &OffsetCommitRequest,
    version: i16,
    offsets: Vec<Offset>,
) -> Result<(), ErrorCode> {
    // A group may have no name here, as long as it has no members.
    if request.group_id.len() > NAME_BYTES_MAX {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let commit = Commit {
        group: own(&request.group_id),
        caller: Caller {
            member: own(&request.member_id),
            instance: own_option(request.group_instance_id.as_ref()),
            generation: request.generation_id_or_member_epoch,
        },
        knows_no_group: version >= KNOWS_NO_GROUP,
        retention_ms: Some(request.retention_time_ms).filter(|ms| *ms >= 0),
        offsets,
    };
    ask(context, &request.group_id, |reply| Request::Commit { commit, reply }).await?
}
