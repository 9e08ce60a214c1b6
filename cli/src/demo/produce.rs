//! The demo's producer: every flight in the data set's order, keyed by carrier, at its true departure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use leat_client::{Producer, ProducerRecord};

use super::Scheduled;
use crate::error::{Error, Result};

/// What was acknowledged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Produced {
    pub(crate) records: u64,
    /// From the first send to the last acknowledgement.
    pub(crate) took: Duration,
    /// The offset after the last record of each partition.
    ends: BTreeMap<i32, i64>,
}

impl Produced {
    /// Adds what was produced later.
    pub(crate) fn add(&mut self, later: &Produced) {
        self.records += later.records;
        self.took += later.took;
        for (&partition, &end) in &later.ends {
            self.reached(partition, end);
        }
    }

    fn reached(&mut self, partition: i32, end: i64) {
        let known = self.ends.entry(partition).or_default();
        *known = end.max(*known);
    }

    /// The offset after the last record of each of `partitions`.
    pub(crate) fn ends(&self, partitions: i32) -> Result<Vec<i64>> {
        if let Some(stray) = self.ends.keys().find(|partition| !(0..partitions).contains(*partition)) {
            return Err(Error::Failed(format!("a record went to partition {stray} of {partitions}")));
        }
        Ok((0..partitions).map(|partition| self.ends.get(&partition).copied().unwrap_or(0)).collect())
    }
}

/// A producer as it comes, acks=all and idempotent, with batches of a size that suits a load of many records.
pub(crate) async fn producer(bootstrap: &str) -> Result<Producer> {
    let builder = Producer::builder().bootstrap(bootstrap).client_id("leat-demo");
    Ok(builder.set("batch.size", "131072")?.build().await?)
}

/// Sends `flights` and waits for every acknowledgement.
pub(crate) async fn all(producer: &Producer, topic: &str, flights: &[Scheduled]) -> Result<Produced> {
    let started = Instant::now();
    let mut produced = Produced::default();
    let mut deliveries = Vec::with_capacity(flights.len());
    for Scheduled { flight, .. } in flights {
        let value = serde_json::to_vec(flight).map_err(|error| Error::Failed(error.to_string()))?;
        let record = ProducerRecord::to(topic).key(flight.carrier.clone()).value(value).timestamp(flight.departed_ms());
        deliveries.push(producer.send(record).await?);
    }
    producer.flush().await;
    for delivery in deliveries {
        let metadata = delivery.await?;
        produced.records += 1;
        produced.reached(metadata.partition, metadata.offset + 1);
    }
    produced.took = started.elapsed();
    Ok(produced)
}
