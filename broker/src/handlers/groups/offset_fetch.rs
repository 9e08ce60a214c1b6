//! OffsetFetch: how far groups have read. A group or a partition without an offset is answered with -1 and no error.

use leat_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use leat_protocol::{ErrorCode, Str, Uuid};

use super::super::context::Context;
use super::{Told, look, own};
use crate::groups::{Groups, OffsetValue};
use crate::metadata::Image;

/// First version that asks for several groups (KIP-709).
const BATCHED: i16 = 8;
/// First version with an error of the group, not of each partition.
const GROUP_ERROR: i16 = 2;
/// First version that names topics by id.
const TOPIC_IDS: i16 = 10;

pub(crate) async fn handle(context: &Context, request: OffsetFetchRequest, version: i16) -> OffsetFetchResponse {
    let throttle_time_ms = context.throttle_ms();
    if version >= BATCHED {
        let mut groups = Vec::with_capacity(request.groups.len());
        let mut told = Told::default();
        for group in request.groups {
            if told.may_be(group.group_id.clone()) {
                groups.push(fetch(context, group, version).await);
            }
        }
        return OffsetFetchResponse { throttle_time_ms, groups, ..OffsetFetchResponse::default() };
    }
    let topics = request.topics.map(|topics| {
        let topic = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            topic_id: Uuid::nil(),
            partition_indexes: topic.partition_indexes,
        });
        topic.collect()
    });
    let asked = OffsetFetchRequestGroup { group_id: request.group_id, topics, ..OffsetFetchRequestGroup::default() };
    single(fetch(context, asked, version).await, throttle_time_ms, version)
}

/// The answer's older form, for one group.
fn single(group: OffsetFetchResponseGroup, throttle_time_ms: i32, version: i16) -> OffsetFetchResponse {
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    };
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    });
    let error_code = if version >= GROUP_ERROR { group.error_code } else { ErrorCode::NONE };
    OffsetFetchResponse { throttle_time_ms, topics: topics.collect(), error_code, ..OffsetFetchResponse::default() }
}

/// A partition takes four bytes, and is answered with up to four kilobytes of metadata: see `Told`.
async fn fetch(context: &Context, asked: OffsetFetchRequestGroup, version: i16) -> OffsetFetchResponseGroup {
    let image = context.server.image();
    let group_id = asked.group_id.clone();
    let answer = |topics, error_code| OffsetFetchResponseGroup { group_id: group_id.clone(), topics, error_code };
    let name = own(&asked.group_id);
    let Some(asked_topics) = asked.topics else {
        let found = look(context, &asked.group_id, move |groups| all(groups, &name)).await;
        return match found {
            Ok(found) => answer(all_topics(&image, found, version), ErrorCode::NONE),
            Err(code) => answer(Vec::new(), code),
        };
    };
    let mut told = Told::default();
    let topics: Vec<(Option<Str>, OffsetFetchRequestTopics)> = asked_topics
        .into_iter()
        .map(|mut topic| {
            topic.partition_indexes.retain(|index| told.may_be((topic.name.clone(), topic.topic_id, *index)));
            let name = match version >= TOPIC_IDS {
                true => image.topic_by_id(topic.topic_id).map(|topic| topic.name.clone()),
                false => Some(topic.name.clone()),
            };
            (name, topic)
        })
        .collect();
    let wanted =
        topics.iter().map(|(topic, asked)| (topic.as_ref().map(own), asked.partition_indexes.clone())).collect();
    match look(context, &asked.group_id, move |groups| some(groups, &name, wanted)).await {
        Ok(found) => {
            let topics = topics.into_iter().zip(found).map(|((name, asked), found)| {
                let partitions = asked.partition_indexes.iter().zip(found);
                let partition = |(&index, value): (&i32, Option<OffsetValue>)| match &name {
                    Some(name) => answered(index, value.filter(|value| is_of(&image, name, value))),
                    None => failed(index, ErrorCode::UNKNOWN_TOPIC_ID),
                };
                OffsetFetchResponseTopics {
                    partitions: partitions.map(partition).collect(),
                    name: asked.name,
                    topic_id: asked.topic_id,
                }
            });
            answer(topics.collect(), ErrorCode::NONE)
        }
        Err(code) if version < GROUP_ERROR => {
            let topics = topics.into_iter().map(|(_, asked)| OffsetFetchResponseTopics {
                partitions: asked.partition_indexes.iter().map(|index| failed(*index, code)).collect(),
                name: asked.name,
                topic_id: asked.topic_id,
            });
            answer(topics.collect(), code)
        }
        Err(code) => answer(Vec::new(), code),
    }
}

type Found = Vec<(Str, Vec<(i32, OffsetValue)>)>;

/// Everything that a group has committed.
fn all(groups: &Groups, group: &str) -> Found {
    let mut found: Found = Vec::new();
    for (topic, partition, value) in groups.offsets(group).into_iter().flat_map(|offsets| offsets.committed()) {
        match found.last_mut().filter(|(last, _)| last == topic) {
            Some((_, partitions)) => partitions.push((partition, value.clone())),
            None => found.push((topic.clone(), vec![(partition, value.clone())])),
        }
    }
    found
}

/// What a group has committed for these partitions; `None` stands for a topic that is not known.
fn some(groups: &Groups, group: &str, wanted: Vec<(Option<Str>, Vec<i32>)>) -> Vec<Vec<Option<OffsetValue>>> {
    let offsets = groups.offsets(group);
    let found = wanted.into_iter().map(|(topic, partitions)| {
        let found = |partition| offsets?.get(topic.as_ref()?, partition).cloned();
        partitions.into_iter().map(found).collect()
    });
    found.collect()
}

fn all_topics(image: &Image, found: Found, version: i16) -> Vec<OffsetFetchResponseTopics> {
    let topics = found.into_iter().filter_map(|(name, partitions)| {
        let topic_id = image.topic(&name).map_or(Uuid::nil(), |topic| topic.id);
        if version >= TOPIC_IDS && topic_id.is_nil() {
            return None;
        }
        let current = partitions.into_iter().filter(|(_, value)| is_of(image, &name, value));
        let partitions: Vec<_> = current.map(|(index, value)| answered(index, Some(value))).collect();
        (!partitions.is_empty()).then_some(OffsetFetchResponseTopics { name, topic_id, partitions })
    });
    topics.collect()
}

/// Whether the offset is of the topic that has this name now, not of an earlier one.
fn is_of(image: &Image, name: &str, value: &OffsetValue) -> bool {
    value.topic_id.is_nil() || image.topic(name).is_none_or(|topic| topic.id == value.topic_id)
}

fn answered(partition_index: i32, value: Option<OffsetValue>) -> OffsetFetchResponsePartitions {
    match value {
        Some(value) => OffsetFetchResponsePartitions {
            partition_index,
            committed_offset: value.offset,
            committed_leader_epoch: value.leader_epoch,
            metadata: Some(value.metadata),
            error_code: ErrorCode::NONE,
        },
        None => failed(partition_index, ErrorCode::NONE),
    }
}

fn failed(partition_index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Str::default()),
        error_code,
    }
}
