//! What a consumer can ask of partitions, whether it reads them or not.

use std::collections::HashMap;

use crate::offsets::{self, Query};
use crate::{Consumer, Error, TopicPartition};

impl Consumer {
    /// The first offsets of these partitions.
    ///
    /// # Errors
    /// They could not be asked for within `default.api.timeout.ms`.
    pub async fn beginning_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, i64>, Error> {
        self.ends(partitions, Query::EARLIEST).await
    }

    /// The offsets after the last records of these partitions; with `read_committed`, the last stable offsets.
    ///
    /// # Errors
    /// They could not be asked for within `default.api.timeout.ms`.
    pub async fn end_offsets(&self, partitions: &[TopicPartition]) -> Result<HashMap<TopicPartition, i64>, Error> {
        self.ends(partitions, Query::LATEST).await
    }

    async fn ends(&self, partitions: &[TopicPartition], query: Query) -> Result<HashMap<TopicPartition, i64>, Error> {
        let queries = partitions.iter().map(|partition| (partition.clone(), query)).collect();
        let found =
            offsets::list_all(&self.inner.cluster, queries, self.inner.config.isolation_level, self.api_timeout())
                .await?;
        Ok(found.into_iter().map(|(partition, found)| (partition, found.offset)).collect())
    }

    /// For each partition the first record whose timestamp is at least the one given, as offset and timestamp; `None`
    /// where there is no such record.
    ///
    /// # Errors
    /// They could not be asked for within `default.api.timeout.ms`.
    pub async fn offsets_for_times(
        &self,
        times: &[(TopicPartition, i64)],
    ) -> Result<HashMap<TopicPartition, Option<(i64, i64)>>, Error> {
        let queries = times.iter().map(|(partition, time)| (partition.clone(), Query::at(*time))).collect();
        let found =
            offsets::list_all(&self.inner.cluster, queries, self.inner.config.isolation_level, self.api_timeout())
                .await?;
        let pair = |found: offsets::Found| (found.offset >= 0).then_some((found.offset, found.timestamp));
        Ok(found.into_iter().map(|(partition, found)| (partition, pair(found))).collect())
    }
}
