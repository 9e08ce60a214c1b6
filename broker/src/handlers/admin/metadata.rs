//! Metadata: brokers, topics, leaders; and topics that are created because someone asks for them.
//!
//! Kafka answers the first question about a topic that it is about to create with an error and lets the client ask
//! again. Here the creation is proposed first, so the first answer is already the right one.

use std::collections::BTreeSet;

use leat_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use leat_protocol::{ErrorCode, Str, Uuid};

use super::{CLUSTER_OPERATIONS, TOPIC_OPERATIONS, View, create_topics, name, place};
use crate::config::{Config, Overrides};
use crate::groups::OFFSETS_TOPIC;
use crate::metadata::{Image, Partition, Record, Topic};

/// Topics that one request may create by asking for them; the rest is answered as unknown.
const CREATED_MAX: usize = 1_000;

/// The records that create what the request asks for and may create: propose them, wait until they are applied (a
/// refused one was created by somebody else), then [`respond`] from the image after.
pub(crate) fn plan(
    image: &Image,
    config: &Config,
    request: &MetadataRequest,
    new_id: &mut dyn FnMut() -> Uuid,
) -> Vec<Record> {
    if !config.auto_create_topics_enable || !request.allow_auto_topic_creation {
        return Vec::new();
    }
    let asked = request.topics.as_deref().unwrap_or_default().iter().filter(|topic| topic.topic_id.is_nil());
    let names: BTreeSet<&Str> = asked.filter_map(|topic| topic.name.as_ref()).collect();
    let missing = names
        .into_iter()
        .filter(|name| image.topic(name).is_none() && name::check(name).is_ok() && **name != name::RESERVED);
    let mut planned = 0;
    let mut records = Vec::new();
    for name in missing.take(CREATED_MAX) {
        if **name == *OFFSETS_TOPIC {
            records.extend(create_topics::offsets_topic(image, config, new_id()).map(Record::from));
            continue;
        }
        let Ok(partitions) = create_topics::automatic(image, config, -1, -1) else { continue };
        if place::check_room(image, planned, partitions.len(), config.leat_max_partitions).is_err() {
            break;
        }
        planned += partitions.len() as u64;
        records.push(create_topics::record(name, new_id(), partitions, &Overrides::new()).into());
    }
    records
}

/// Answers the request.
pub(crate) fn respond(view: &View<'_>, version: i16, request: &MetadataRequest) -> MetadataResponse {
    let mut response = MetadataResponse {
        throttle_time_ms: view.throttle_time_ms,
        brokers: view
            .nodes
            .iter()
            .map(|node| MetadataResponseBroker {
                node_id: node.id,
                host: node.host.clone(),
                port: node.port,
                rack: node.rack.clone(),
            })
            .collect(),
        cluster_id: Some(view.cluster_id.into()),
        controller_id: view.controller_id,
        topics: topics(view, version, request),
        ..MetadataResponse::default()
    };
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    if request.include_topic_authorized_operations {
        for topic in response.topics.iter_mut().filter(|topic| !topic.error_code.is_err()) {
            topic.topic_authorized_operations = TOPIC_OPERATIONS;
        }
    }
    response
}

/// All topics for a null list, and in version 0 for an empty one; else those that are asked for, each once.
fn topics(view: &View<'_>, version: i16, request: &MetadataRequest) -> Vec<MetadataResponseTopic> {
    match &request.topics {
        Some(asked) if version > 0 || !asked.is_empty() => {
            let mut seen = BTreeSet::new();
            let once = asked.iter().filter(|topic| seen.insert((topic.topic_id, &topic.name)));
            once.map(|topic| asked_for(view, version, topic)).collect()
        }
        _ => view.image.topics().map(|topic| found(view, topic)).collect(),
    }
}

fn asked_for(view: &View<'_>, version: i16, asked: &MetadataRequestTopic) -> MetadataResponseTopic {
    let by_id = !asked.topic_id.is_nil();
    let error = |error_code| MetadataResponseTopic {
        error_code,
        // Before version 12 a name can't be null.
        name: if by_id && version >= 12 { None } else { Some(asked.name.clone().unwrap_or_default()) },
        topic_id: asked.topic_id,
        ..MetadataResponseTopic::default()
    };
    if by_id {
        // Versions 10 and 11 have the field, but their clients can't read the answer (KAFKA-10729).
        return match view.image.topic_by_id(asked.topic_id) {
            _ if version < 12 => error(ErrorCode::INVALID_REQUEST),
            Some(topic) => found(view, topic),
            None => error(ErrorCode::UNKNOWN_TOPIC_ID),
        };
    }
    match &asked.name {
        None => error(ErrorCode::INVALID_REQUEST),
        Some(name) => match view.image.topic(name) {
            Some(topic) => found(view, topic),
            None if name::check(name).is_err() => error(ErrorCode::INVALID_TOPIC_EXCEPTION),
            None => error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        },
    }
}

fn found(view: &View<'_>, topic: &Topic) -> MetadataResponseTopic {
    let partitions =
        topic.partitions.iter().zip(0..).map(|(partition, index)| described(view, topic, partition, index));
    MetadataResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: partitions.collect(),
        ..MetadataResponseTopic::default()
    }
}

fn described(view: &View<'_>, topic: &Topic, partition: &Partition, index: i32) -> MetadataResponsePartition {
    let replica_nodes = partition.nodes();
    match view.partitions.leadership(topic, index) {
        Some(leadership) => MetadataResponsePartition {
            partition_index: index,
            leader_id: leadership.leader_id,
            leader_epoch: leadership.leader_epoch,
            replica_nodes,
            isr_nodes: leadership.isr,
            offline_replicas: leadership.offline,
            ..MetadataResponsePartition::default()
        },
        None => MetadataResponsePartition {
            error_code: ErrorCode::LEADER_NOT_AVAILABLE,
            partition_index: index,
            leader_id: -1,
            isr_nodes: replica_nodes.clone(),
            replica_nodes,
            ..MetadataResponsePartition::default()
        },
    }
}
