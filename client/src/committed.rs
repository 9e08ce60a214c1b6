//! Committed offsets: what one is, and one request that stores or reads them.

use std::collections::HashMap;
use std::time::Duration;

use leat_protocol::Str;
use leat_protocol::messages::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetFetchRequest,
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponse,
};

use crate::net::Connection;
use crate::{Error, TopicPartition};

/// From version 10 on both requests name topics by id; programs name them by name.
const NAMES_UNTIL: i16 = 9;
/// From this version on OffsetFetch asks for several groups.
const GROUPS_SINCE: i16 = 8;
/// From this version on OffsetFetch can ask for all that a group has.
const ALL_SINCE: i16 = 2;
const STABLE_SINCE: i16 = 7;
/// From this version on OffsetCommit names static members.
const INSTANCE_SINCE: i16 = 7;

/// How far a group has read a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// That of the next record to read.
    pub offset: i64,
    /// The leader epoch of the last record read, so that a log that was cut since is noticed.
    pub leader_epoch: Option<i32>,
    /// Text of the program's own.
    pub metadata: Str,
}

impl From<i64> for CommittedOffset {
    fn from(offset: i64) -> Self {
        Self { offset, leader_epoch: None, metadata: Str::new() }
    }
}

/// Who commits. The default is somebody outside of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) generation: i32,
    pub(crate) member: Str,
    pub(crate) instance: Option<Str>,
}

impl Default for Identity {
    fn default() -> Self {
        Self { generation: -1, member: Str::new(), instance: None }
    }
}

/// Each partition's own result.
pub(crate) type Results<T> = HashMap<TopicPartition, Result<T, Error>>;

/// Stores offsets.
pub(crate) async fn commit(
    connection: &Connection,
    timeout: Duration,
    group: &Str,
    identity: &Identity,
    offsets: &HashMap<TopicPartition, CommittedOffset>,
) -> Result<Results<()>, Error> {
    let version = connection.version::<OffsetCommitRequest>(Some(NAMES_UNTIL))?;
    let mut topics: HashMap<&Str, Vec<OffsetCommitRequestPartition>> = HashMap::new();
    for (partition, committed) in offsets {
        topics.entry(&partition.topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(committed.metadata.clone()),
        });
    }
    let topic = |(name, partitions): (&Str, _)| OffsetCommitRequestTopic {
        name: name.clone(),
        partitions,
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group.clone(),
        generation_id_or_member_epoch: identity.generation,
        member_id: identity.member.clone(),
        group_instance_id: identity.instance.clone().filter(|_| version >= INSTANCE_SINCE),
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    };
    let response = connection.call_version(&request, version, timeout).await?;
    let mut results = Results::new();
    for topic in response.topics {
        for row in topic.partitions {
            let partition = TopicPartition { topic: topic.name.clone(), partition: row.partition_index };
            let result = Error::check(row.error_code, None, || format!("commit of {partition} by group {group}"));
            results.insert(partition, result);
        }
    }
    for partition in offsets.keys() {
        let missing = || Err(Error::corrupt(format!("commit of {partition}"), "the answer does not mention it"));
        results.entry(partition.clone()).or_insert_with(missing);
    }
    Ok(results)
}

/// Reads offsets; of all partitions that have some if none is named.
pub(crate) async fn fetch(
    connection: &Connection,
    timeout: Duration,
    group: &Str,
    partitions: Option<&[TopicPartition]>,
    require_stable: bool,
) -> Result<Results<Option<CommittedOffset>>, Error> {
    let version = connection.version::<OffsetFetchRequest>(Some(NAMES_UNTIL))?;
    if partitions.is_none() && version < ALL_SINCE {
        let reason = format!("broker {} is too old to tell all offsets of a group", connection.address());
        return Err(Error::Unsupported(reason));
    }
    let topics = partitions.map(by_topic);
    let require_stable = require_stable && version >= STABLE_SINCE;
    let request = if version >= GROUPS_SINCE {
        let topic =
            |(name, partition_indexes)| OffsetFetchRequestTopics { name, partition_indexes, ..Default::default() };
        let topics = topics.map(|topics| topics.into_iter().map(topic).collect());
        let group = OffsetFetchRequestGroup { group_id: group.clone(), topics, ..Default::default() };
        OffsetFetchRequest { groups: vec![group], require_stable, ..Default::default() }
    } else {
        let topic = |(name, partition_indexes)| OffsetFetchRequestTopic { name, partition_indexes };
        let topics = topics.map(|topics| topics.into_iter().map(topic).collect());
        OffsetFetchRequest { group_id: group.clone(), topics, require_stable, ..Default::default() }
    };
    let response = connection.call_version(&request, version, timeout).await?;
    rows(response, version, group)
}

fn by_topic(partitions: &[TopicPartition]) -> HashMap<Str, Vec<i32>> {
    let mut topics: HashMap<Str, Vec<i32>> = HashMap::new();
    for partition in partitions {
        topics.entry(partition.topic.clone()).or_default().push(partition.partition);
    }
    topics
}

fn rows(response: OffsetFetchResponse, version: i16, group: &Str) -> Result<Results<Option<CommittedOffset>>, Error> {
    let context = || format!("offsets of group {group}");
    let mut results = Results::new();
    let mut take = |name: &Str, index, code, offset, epoch, metadata: Option<Str>| {
        let partition = TopicPartition { topic: name.clone(), partition: index };
        let result = Error::check(code, None, || format!("offset of {partition} of group {group}"));
        let committed = (offset >= 0).then(|| CommittedOffset {
            offset,
            leader_epoch: (epoch >= 0).then_some(epoch),
            metadata: metadata.unwrap_or_default(),
        });
        results.insert(partition, result.map(|()| committed));
    };
    if version < GROUPS_SINCE {
        Error::check(response.error_code, None, context)?;
        for topic in response.topics {
            for p in topic.partitions {
                take(
                    &topic.name,
                    p.partition_index,
                    p.error_code,
                    p.committed_offset,
                    p.committed_leader_epoch,
                    p.metadata,
                );
            }
        }
        return Ok(results);
    }
    let found = response.groups.into_iter().find(|found| found.group_id == *group);
    let found = found.ok_or_else(|| Error::corrupt(context(), "the answer does not mention the group"))?;
    Error::check(found.error_code, None, context)?;
    for topic in found.topics {
        for p in topic.partitions {
            take(
                &topic.name,
                p.partition_index,
                p.error_code,
                p.committed_offset,
                p.committed_leader_epoch,
                p.metadata,
            );
        }
    }
    Ok(results)
}

/// An error that the same request may be spared a moment later.
pub(crate) fn passing<T>(results: &Results<T>) -> Result<(), Error> {
    let errors = results.values().filter_map(|result| result.as_ref().err());
    errors.into_iter().find(|error| error.is_retryable()).map_or(Ok(()), |error| Err(error.clone()))
}
