//! Which partitions went from whom to whom while an assignment is balanced: one that would pass another of its topic on its
//! way back is left, and that one goes back instead. Source: PartitionMovements of Apache Kafka 4.3.1 (KIP-54).

use std::collections::HashMap;

use leat_protocol::Str;

use super::java;
use crate::TopicPartition;

/// From a member to a member.
type Pair = (usize, usize);

#[derive(Debug, Default)]
pub(super) struct Movements {
    by_topic: HashMap<Str, HashMap<Pair, Moved>>,
    pairs: HashMap<TopicPartition, Pair>,
}

/// Partitions as a Java hash set: which one is its first follows from its size and the order of insertion.
#[derive(Debug, Default)]
struct Moved {
    partitions: Vec<TopicPartition>,
    entries_max: usize,
}

impl Moved {
    fn first(&self) -> Option<&TopicPartition> {
        let capacity = java::capacity(self.entries_max);
        self.partitions.iter().min_by_key(|partition| java::bucket(java::partition_hash(partition), capacity))
    }
}

impl Movements {
    pub(super) fn moved(&mut self, partition: &TopicPartition, from: usize, to: usize) {
        match self.forget(partition) {
            None => self.note(partition, (from, to)),
            Some((first, _)) if first != to => self.note(partition, (first, to)),
            // It is back where it was.
            Some(_) => {}
        }
    }

    /// The partition to move in place of this one.
    pub(super) fn instead_of(&self, partition: &TopicPartition, from: usize, to: usize) -> TopicPartition {
        let from = self.pairs.get(partition).map_or(from, |(first, _)| *first);
        let back = self.by_topic.get(&partition.topic).and_then(|pairs| pairs.get(&(to, from)));
        back.and_then(Moved::first).unwrap_or(partition).clone()
    }

    fn note(&mut self, partition: &TopicPartition, pair: Pair) {
        self.pairs.insert(partition.clone(), pair);
        let moved = self.by_topic.entry(partition.topic.clone()).or_default().entry(pair).or_default();
        moved.partitions.push(partition.clone());
        moved.entries_max = moved.entries_max.max(moved.partitions.len());
    }

    fn forget(&mut self, partition: &TopicPartition) -> Option<Pair> {
        let pair = self.pairs.remove(partition)?;
        if let Some(pairs) = self.by_topic.get_mut(&partition.topic)
            && let Some(moved) = pairs.get_mut(&pair)
        {
            moved.partitions.retain(|other| other != partition);
            if moved.partitions.is_empty() {
                pairs.remove(&pair);
            }
        }
        Some(pair)
    }
}
