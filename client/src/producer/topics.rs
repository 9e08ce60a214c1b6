//! The topics that records were sent to: their partitions' queues, and where records without a key go.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use leat_protocol::Str;
use parking_lot::{Mutex, RwLock};
use rand::RngExt as _;

use super::ProducerRecord;
use super::delivery::Completion;
use super::partitioner::{self, Sticky};
use super::queue::{Appended, Queue};
use super::sender::Sender;
use crate::cluster::Topic;
use crate::{Error, TopicPartition};

/// One partition's queue under its lock.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) id: TopicPartition,
    pub(super) queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queues {
    partitions: Vec<Arc<Partition>>,
    sticky: Mutex<Sticky>,
}

/// All topics by name. Read on every send, written when one is new or grows.
#[derive(Debug, Default)]
pub(super) struct Topics {
    queues: RwLock<HashMap<Str, Queues, BuildHasherDefault<Fnv>>>,
}

/// FNV-1a: topic names are short and the program's own, and one is looked up per record.
#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Where a record went.
pub(super) struct Placed {
    pub(super) partition: Arc<Partition>,
    pub(super) appended: Appended,
}

impl Topics {
    /// Makes queues for partitions that are new.
    pub(super) fn update(&self, topic: &Topic) {
        let known = self.queues.read().get(&topic.name).map_or(0, |queues| queues.partitions.len());
        if known >= topic.partitions.len() {
            return;
        }
        let mut queues = self.queues.write();
        let queues = queues.entry(topic.name.clone()).or_default();
        for index in queues.partitions.len()..topic.partitions.len() {
            let id = TopicPartition { topic: topic.name.clone(), partition: index as i32 };
            let queue = Mutex::new(Queue::new(topic.name.clone(), index as i32));
            queues.partitions.push(Arc::new(Partition { id, queue }));
        }
    }

    /// Picks the record's partition and appends it there.
    pub(super) fn append(
        &self,
        record: &ProducerRecord,
        reserved: usize,
        timestamp: i64,
        sender: &Sender,
    ) -> Result<Placed, Error> {
        let unknown = || Error::UnknownTopic(record.topic.to_string());
        let topics = self.queues.read();
        let queues = topics.get(&record.topic).ok_or_else(unknown)?;
        let count = queues.partitions.len();
        let fixed = match (record.partition, &record.key) {
            (Some(partition), _) => {
                let index = usize::try_from(partition)
                    .map_err(|_| Error::Invalid(format!("partition {partition} is negative")))?;
                if index >= count {
                    return Err(Error::UnknownTopic(format!(
                        "{}-{partition} (the topic has {count} partitions)",
                        record.topic
                    )));
                }
                Some(index)
            }
            (None, Some(key)) if !sender.config.partitioner_ignore_keys && count > 0 => {
                Some(leat_protocol::partitioner::for_key(key, count))
            }
            _ => None,
        };
        if let Some(index) = fixed {
            let partition = queues.partitions.get(index).ok_or_else(unknown)?;
            let appended = partition.queue.lock().append(record, timestamp, reserved, &sender.limits);
            return Ok(Placed { partition: partition.clone(), appended });
        }
        let mut sticky = queues.sticky.lock();
        let index = match sticky.current() {
            Some(index) => index,
            None => {
                let index = queues.next_sticky(sender).ok_or_else(unknown)?;
                sticky.switch(index);
                index
            }
        };
        let partition = queues.partitions.get(index).ok_or_else(unknown)?;
        let appended = partition.queue.lock().append(record, timestamp, reserved, &sender.limits);
        if sticky.wrote(index, appended.bytes, appended.batches_full, sender.limits.batch_size)
            && let Some(next) = queues.next_sticky(sender)
        {
            sticky.switch(next);
        }
        Ok(Placed { partition: partition.clone(), appended })
    }

    /// All batches that are not settled, of all topics.
    pub(super) fn unsettled(&self) -> Vec<Arc<Completion>> {
        let topics = self.queues.read();
        let partitions = topics.values().flat_map(|queues| &queues.partitions);
        partitions.flat_map(|partition| partition.queue.lock().unsettled().collect::<Vec<_>>()).collect()
    }

    /// One partition of each topic.
    pub(super) fn first_partitions(&self) -> Vec<Arc<Partition>> {
        self.queues.read().values().filter_map(|queues| queues.partitions.first().cloned()).collect()
    }

    pub(super) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.queues.read().values().flat_map(|queues| queues.partitions.iter().cloned()).collect()
    }
}

impl Queues {
    /// A partition for the next records without a key: one with a leader, where there is any.
    fn next_sticky(&self, sender: &Sender) -> Option<usize> {
        let random = rand::rng().random::<u32>() & 0x7fff_ffff;
        let adaptive = sender.config.partitioner_adaptive;
        let metadata = sender.cluster.metadata();
        let topic = self.partitions.first().and_then(|first| metadata.topic(&first.id.topic)?.as_ref().ok().cloned());
        let has_leader = |index: usize| {
            topic.as_ref().is_none_or(|topic| {
                let leader = topic.partitions.get(index).map_or(-1, |partition| partition.leader);
                leader >= 0 && sender.is_available(leader)
            })
        };
        // A partition whose queue is locked right now is this task's own or about to change anyway.
        let length = |partition: &Partition| match (adaptive, partition.queue.try_lock()) {
            (true, Some(queue)) => u32::try_from(queue.len()).unwrap_or(u32::MAX - 1),
            _ => 0,
        };
        let all = self.partitions.iter().enumerate();
        let mut queues: Vec<(usize, u32)> =
            all.filter(|(index, _)| has_leader(*index)).map(|(index, partition)| (index, length(partition))).collect();
        if queues.is_empty() {
            return (!self.partitions.is_empty()).then(|| random as usize % self.partitions.len());
        }
        partitioner::weighted(&mut queues, random)
    }
}
