//! A replay: from a place to the end, counting on the way.

use std::time::{Duration, Instant};

use leat_client::{Consumer, Start, TopicPartition};

use super::{PartitionSums, Sums};
use crate::error::{Error, Result};

const POLL: Duration = Duration::from_millis(100);
/// A replay of a few megabytes that takes this long has hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a replay found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) sums: Sums,
    pub(crate) partitions: Vec<PartitionSums>,
    /// The offset at which each partition's replay began.
    pub(crate) starts: Vec<i64>,
    /// From the seek to the first record.
    pub(crate) first: Duration,
    /// From the seek to the last record.
    pub(crate) took: Duration,
}

/// A consumer that replays one topic's partitions, all of them from 0 up.
pub(crate) struct Replayer {
    consumer: Consumer,
    started: Instant,
    found: Found,
}

impl Replayer {
    /// Connects and stands at `start` in each partition.
    pub(crate) async fn start(bootstrap: &str, partitions: &[TopicPartition], start: Start) -> Result<Self> {
        let builder = Consumer::builder().bootstrap(bootstrap).client_id("leat-demo");
        // It reads from nowhere until it is told where.
        let consumer = builder.set("auto.offset.reset", "none")?.build().await?;
        let started = Instant::now();
        consumer.assign(partitions).await?;
        consumer.seek_all(start).await?;
        let mut starts = Vec::with_capacity(partitions.len());
        for partition in partitions {
            starts.push(consumer.position(partition).await?);
        }
        let found = Found { starts, partitions: vec![PartitionSums::default(); partitions.len()], ..Found::default() };
        Ok(Replayer { consumer, started, found })
    }

    /// Reads up to `ends`, one offset for each partition.
    pub(crate) async fn read_to(self, ends: &[i64]) -> Result<Found> {
        let each = ends.iter().zip(&self.found.starts);
        let records = each.map(|(end, start)| end.abs_diff(*start)).sum();
        self.read(records).await
    }

    /// Reads so many records, which may still have to be written.
    pub(crate) async fn read(mut self, records: u64) -> Result<Found> {
        let mut left = records;
        while left > 0 {
            let records = self.consumer.poll(POLL).await?;
            if !records.is_empty() && self.found.sums.records == 0 {
                self.found.first = self.started.elapsed();
            }
            for record in &records {
                let sums = self.partition(record.partition)?;
                sums.add(record).map_err(Error::Failed)?;
                self.found.sums.add(record).map_err(Error::Failed)?;
                left = left.saturating_sub(1);
            }
            if self.started.elapsed() > PATIENCE {
                return Err(Error::Failed(format!("{left} records did not arrive within {PATIENCE:?}")));
            }
        }
        self.found.took = self.started.elapsed();
        self.consumer.close().await;
        Ok(self.found)
    }

    fn partition(&mut self, partition: i32) -> Result<&mut PartitionSums> {
        let known = usize::try_from(partition).ok().and_then(|at| self.found.partitions.get_mut(at));
        known.ok_or_else(|| Error::Failed(format!("a record of partition {partition}, which was not asked for")))
    }
}
