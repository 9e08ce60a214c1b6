//! Asks the leaders for offsets, by time or for the ends, and retries what can be.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use leat_protocol::messages::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use crate::cluster::{Cluster, Lane};
use crate::leaders::{self, Answers, Item};
use crate::{Error, IsolationLevel, TopicPartition};

/// What to look for: a timestamp in milliseconds, or one of Kafka's negative values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Query(pub(crate) i64);

impl Query {
    pub(crate) const LATEST: Self = Self(-1);
    pub(crate) const EARLIEST: Self = Self(-2);

    /// The first record at or after a time; times before 1970 are those of the first record.
    pub(crate) fn at(time: i64) -> Self {
        Self(time.max(0))
    }

    /// The first version of ListOffsets that knows this value (KIP-734, KIP-405, KIP-1005, KIP-1023).
    fn since(self) -> i16 {
        match self.0 {
            -3 => 7,
            -4 => 8,
            -5 => 9,
            -6 => 11,
            _ => 1,
        }
    }
}

/// Offset and timestamp are -1 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) leader_epoch: i32,
}

/// One query per partition.
pub(crate) async fn list_all(
    cluster: &Arc<Cluster>,
    queries: Vec<(TopicPartition, Query)>,
    isolation: IsolationLevel,
    limit: Duration,
) -> Result<HashMap<TopicPartition, Found>, Error> {
    let found = list_each(cluster, queries, isolation, limit).await?;
    Ok(found.into_iter().map(|(partition, _, found)| (partition, found)).collect())
}

/// Any number of queries per partition; fails as a whole.
pub(crate) async fn list_each(
    cluster: &Arc<Cluster>,
    queries: Vec<(TopicPartition, Query)>,
    isolation: IsolationLevel,
    limit: Duration,
) -> Result<Vec<(TopicPartition, Query, Found)>, Error> {
    let ask = |leader, items| ask_node(cluster, leader, items, Asking::Consumer(isolation));
    let answers = leaders::ask(cluster, "asking for offsets", queries, limit, ask).await;
    answers.into_iter().map(|(partition, query, found)| Ok((partition, query, found?))).collect()
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
enum Asking {
    Consumer(IsolationLevel),
    /// Somebody who compares replicas: any of them answers, up to its own end.
    Comparer,
}

/// Where the replicas on a broker end.
pub(crate) async fn ends_at(
    cluster: &Cluster,
    node: i32,
    partitions: &[TopicPartition],
) -> Result<Answers<Found>, Error> {
    let item =
        |partition: &TopicPartition| Item { partition: partition.clone(), leader_epoch: -1, query: Query::LATEST };
    ask_node(cluster, node, partitions.iter().map(item).collect(), Asking::Comparer).await
}

async fn ask_node(
    cluster: &Cluster,
    node: i32,
    items: Vec<Item<Query>>,
    asking: Asking,
) -> Result<Answers<Found>, Error> {
    let connection = cluster.connection(node, Lane::Calls).await?;
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    let mut needs = 0;
    for item in items {
        needs = needs.max(item.query.since());
        let row = ListOffsetsPartition {
            partition_index: item.partition.partition,
            current_leader_epoch: item.leader_epoch,
            timestamp: item.query.0,
        };
        match topics.iter_mut().find(|topic| topic.name == item.partition.topic) {
            Some(topic) => topic.partitions.push(row),
            None => topics.push(ListOffsetsTopic { name: item.partition.topic, partitions: vec![row] }),
        }
    }
    let version = connection.version::<ListOffsetsRequest>(None)?;
    if version < needs {
        return Err(Error::Unsupported(format!("broker {} is too old for this kind of offset", connection.address())));
    }
    let (replica_id, isolation) = match asking {
        Asking::Consumer(isolation) => (-1, isolation),
        Asking::Comparer => (-2, IsolationLevel::ReadUncommitted),
    };
    let timeout = cluster.config().request_timeout;
    let request = ListOffsetsRequest {
        replica_id,
        isolation_level: if version >= 2 { isolation.wire() } else { 0 },
        topics,
        timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
    };
    let response = connection.call_version(&request, version, timeout).await?;
    let mut found = Answers::new();
    for topic in response.topics {
        for row in topic.partitions {
            let partition = TopicPartition { topic: topic.name.clone(), partition: row.partition_index };
            let result = Error::check(row.error_code, None, || format!("ListOffsets for {partition}"));
            let value = Found { offset: row.offset, timestamp: row.timestamp, leader_epoch: row.leader_epoch };
            found.insert(partition, result.map(|()| value));
        }
    }
    Ok(found)
}
