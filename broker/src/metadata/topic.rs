//! One topic of the image. Immutable: a change makes another one.

use leat_protocol::{Str, Uuid};

use super::partition::Partition;
use crate::config::Overrides;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Str,
    /// Its id; a topic that is made again under the same name has another one.
    pub id: Uuid,
    /// Its partitions, by index.
    pub partitions: Vec<Partition>,
    /// Its own configuration, over the broker's.
    pub configs: Overrides,
}

impl Topic {
    /// The number of partitions, as the wire has it.
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// A partition by its index.
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        usize::try_from(index).ok().and_then(|index| self.partitions.get(index))
    }

    /// Replicas of the first partition, as the wire has it.
    pub fn replication_factor(&self) -> i16 {
        self.partitions.first().map_or(0, |first| i16::try_from(first.replicas.len()).unwrap_or(i16::MAX))
    }

    /// Does the cluster itself use it?
    pub fn is_internal(&self) -> bool {
        is_internal(&self.name)
    }
}

/// Names of Kafka's own topics.
pub(crate) fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}
