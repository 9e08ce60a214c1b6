//! The producer: records go into per-partition batches, batches into one request per broker.
//!
//! ```text
//! send ─ partition? ─ room in buffer.memory? ─► Queue (one lock per partition, held for one append)
//!                                                 │ full, lingered or flushed
//!                  Sender::pass (one at a time) ◄─┘ ─► one request per broker, one batch per partition in it
//!                                                            │
//!                  answer: offsets, or back into the queue ◄─┘ on the connection's reader task
//! ```

mod batch;
mod delivery;
mod identity;
mod memory;
mod partitioner;
mod queue;
mod record;
mod request;
mod response;
mod sender;
mod topics;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use leat_protocol::records::{Builder, HEADER_LEN};
use tokio::time::Instant;

pub use delivery::Delivery;
pub use record::{ProducerRecord, RecordMetadata};

use crate::cluster::Cluster;
use crate::{Error, ProducerConfig};
use queue::Appended;
use sender::Sender;
use topics::Placed;

/// Sends records. Cheap to clone; clones share batches, memory and connections.
///
/// Dropping the last clone drops what was not sent: [`close`](Producer::close) or [`flush`](Producer::flush) first.
#[derive(Debug, Clone)]
pub struct Producer {
    sender: Arc<Sender>,
    _last: Arc<Last>,
}

/// Ends the background work when the last [`Producer`] goes.
#[derive(Debug)]
struct Last(Arc<Sender>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl ProducerConfig {
    /// Connects and starts the producer.
    ///
    /// # Errors
    /// A property is not right, or no broker answers within `default.api.timeout.ms`.
    pub async fn build(mut self) -> Result<Producer, Error> {
        self.check()?;
        let cluster = Cluster::connect(self.common.clone(), true).await?;
        let sender = Sender::start(self, cluster);
        Ok(Producer { _last: Arc::new(Last(sender.clone())), sender })
    }
}

impl Producer {
    /// Properties with Kafka's defaults.
    pub fn builder() -> ProducerConfig {
        ProducerConfig::default()
    }

    /// Hands a record over for delivery, waiting for metadata and for room no longer than `max.block.ms`.
    ///
    /// The record is on its way when this returns; the [`Delivery`] says how it ended. Awaiting each delivery before
    /// the next send makes batches of one record: collect them, or [`flush`](Producer::flush).
    ///
    /// # Errors
    /// The record is too large, its topic or partition does not exist, or there was no room in time. It was not sent.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, Error> {
        // A program that never has to wait must not keep the sender from running beside it.
        tokio::task::coop::consume_budget().await;
        let size = self.size(&record)?;
        if !self.sender.memory.try_reserve(size) {
            self.wait_for_room(size).await?;
        }
        match self.append(&record, size) {
            Ok(delivery) => Ok(delivery),
            Err(error) => match self.place_after_metadata(&record, size, error).await {
                Ok(delivery) => Ok(delivery),
                Err(error) => {
                    self.sender.memory.release(size);
                    Err(error)
                }
            },
        }
    }

    /// The record's share of memory, an upper bound of what it takes in a batch.
    fn size(&self, record: &ProducerRecord) -> Result<usize, Error> {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let size = Builder::record_size(key, value, &record.headers);
        let config = &self.sender.config;
        for (limit_key, limit) in
            [("max.request.size", config.max_request_size), ("buffer.memory", config.buffer_memory)]
        {
            if HEADER_LEN + size > limit {
                return Err(Error::RecordTooLarge { size, limit, limit_key });
            }
        }
        Ok(size)
    }

    async fn wait_for_room(&self, size: usize) -> Result<(), Error> {
        let limit = self.sender.config.max_block;
        let waiting = self.sender.memory.wait();
        // What lingers leaves now, to make room.
        self.sender.kick();
        let reserved = tokio::time::timeout(limit, self.sender.memory.reserve(size)).await;
        drop(waiting);
        match reserved {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Closed),
            Err(_) => Err(Error::timeout(format!("waiting for {size} bytes of buffer.memory"), limit, None)),
        }
    }

    /// Appends the record to its partition's batch. An error means that its place is not known yet.
    fn append(&self, record: &ProducerRecord, size: usize) -> Result<Delivery, Error> {
        let sender = &self.sender;
        if sender.is_closing() {
            return Err(Error::Closed);
        }
        let Placed { partition, appended } = sender.topics.append(record, size, timestamp(record), sender)?;
        let Appended { delivery, wake, to_seal, .. } = appended;
        for (completion, builder) in to_seal {
            let plain = builder.estimated_size();
            let result = builder.finish();
            let failed = partition.queue.lock().sealed(&completion, plain, result);
            if let Some(failed) = failed {
                sender.memory.release(failed.reserved);
            }
        }
        if wake {
            sender.records_wait(&partition);
        }
        Ok(delivery)
    }

    /// Waits until the topic, or its partition, is known.
    async fn place_after_metadata(
        &self,
        record: &ProducerRecord,
        size: usize,
        first: Error,
    ) -> Result<Delivery, Error> {
        let sender = &self.sender;
        let limit = sender.config.max_block;
        let deadline = Instant::now() + limit;
        let mut last = first;
        loop {
            if !last.is_retryable() {
                return Err(last);
            }
            let mut answers = sender.cluster.answers();
            let left = deadline.saturating_duration_since(Instant::now());
            let topic = sender.cluster.topic(&record.topic, left).await?;
            sender.topics.update(&topic);
            match self.append(record, size) {
                Ok(delivery) => return Ok(delivery),
                Err(error) => last = error,
            }
            sender.cluster.request_refresh();
            if tokio::time::timeout_at(deadline, answers.changed()).await.is_err() {
                let what = format!("waiting for metadata of topic {}", record.topic);
                return Err(Error::timeout(what, limit, Some(last)));
            }
        }
    }

    /// Waits until every record handed over before this call is settled, well or badly; linger does not hold them up.
    pub async fn flush(&self) {
        let flushing = self.sender.flushing();
        self.sender.kick();
        for completion in self.sender.topics.unsettled() {
            completion.settled().await;
        }
        drop(flushing);
    }

    /// How many partitions the topic has; waits for its metadata at most `max.block.ms`.
    ///
    /// # Errors
    /// The topic does not exist, or no broker said so in time.
    pub async fn partitions(&self, topic: &str) -> Result<usize, Error> {
        let topic = self.sender.cluster.topic(&topic.into(), self.sender.config.max_block).await?;
        Ok(topic.partitions.len())
    }

    /// Takes no more records, delivers those there are, and ends the connections.
    pub async fn close(&self) {
        self.sender.begin_close();
        self.flush().await;
        self.sender.abandon();
    }
}

fn timestamp(record: &ProducerRecord) -> i64 {
    record.timestamp.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// The murmur2 placement of Java's producer: the partition of `key` among `partitions`.
///
/// ```
/// assert_eq!(leat_client::partition_for_key(b"foobar", 8), 6);
/// ```
pub fn partition_for_key(key: &[u8], partitions: usize) -> usize {
    leat_protocol::partitioner::for_key(key, partitions.max(1))
}

impl ProducerRecord {
    /// The bytes of key and value.
    pub fn payload_len(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len)
    }
}
