//! Offsets of partitions.

use std::collections::HashMap;

use super::Admin;
use crate::offsets::{self, Query};
use crate::{Error, IsolationLevel, TopicPartition};

/// Which offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    Earliest,
    /// After the last record.
    Latest,
    /// The first record whose timestamp, in milliseconds, is at least this.
    Timestamp(i64),
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// The first record that is on the broker's own disk, with tiered storage.
    EarliestLocal,
    /// The last record that was moved to tiered storage.
    LatestTiered,
}

impl OffsetSpec {
    fn query(self) -> Query {
        match self {
            OffsetSpec::Earliest => Query::EARLIEST,
            OffsetSpec::Latest => Query::LATEST,
            OffsetSpec::Timestamp(time) => Query::at(time),
            OffsetSpec::MaxTimestamp => Query(-3),
            OffsetSpec::EarliestLocal => Query(-4),
            OffsetSpec::LatestTiered => Query(-5),
        }
    }
}

/// An offset found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOffset {
    pub partition: TopicPartition,
    /// `None`: there is no such record.
    pub offset: Option<i64>,
    /// The record's, for searches by timestamp.
    pub timestamp: Option<i64>,
    pub leader_epoch: Option<i32>,
}

impl Admin {
    /// Where replicas on one broker end, whether it leads them or not. What it does not hold, or can't read, is left out.
    ///
    /// # Errors
    /// The broker did not answer.
    pub async fn replica_ends(
        &self,
        broker: i32,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, i64>, Error> {
        let answers = offsets::ends_at(&self.cluster, broker, partitions).await?;
        Ok(answers.into_iter().filter_map(|(partition, found)| Some((partition, found.ok()?.offset))).collect())
    }

    /// Finds offsets, asking each leader once. Results are in the order asked.
    ///
    /// # Errors
    /// Some partition's offset could not be found within `default.api.timeout.ms`.
    pub async fn list_offsets(
        &self,
        specs: &[(TopicPartition, OffsetSpec)],
        isolation: IsolationLevel,
    ) -> Result<Vec<ListedOffset>, Error> {
        let queries = specs.iter().map(|(partition, spec)| (partition.clone(), spec.query())).collect();
        let limit = self.cluster.config().default_api_timeout;
        let found = offsets::list_each(&self.cluster, queries, isolation, limit).await?;
        let one = |(partition, spec): &(TopicPartition, OffsetSpec)| {
            let found = found.iter().find(|(p, query, _)| p == partition && *query == spec.query());
            let Some((_, _, found)) = found else { return super::missing("ListOffsets", partition) };
            Ok(ListedOffset {
                partition: partition.clone(),
                offset: (found.offset >= 0).then_some(found.offset),
                timestamp: (found.timestamp >= 0).then_some(found.timestamp),
                leader_epoch: (found.leader_epoch >= 0).then_some(found.leader_epoch),
            })
        };
        specs.iter().map(one).collect()
    }
}
