//! What this node observes of partitions, for the APIs that describe the cluster.

use std::collections::HashMap;
use std::sync::Arc;

use leat_protocol::messages::describe_producers::ProducerState;
use leat_protocol::{ErrorCode, Str, Uuid};
use leat_storage::GroupId;

use super::admin::{Leadership, LogFolder, LogSize, PartitionInfo};
use super::context::usable;
use crate::metadata::Topic;
use crate::partition::{Partition, State};
use crate::server::Server;

/// Partitions as seen from here. What only a shard knows is gathered before.
pub(super) struct Observed<'a> {
    pub(super) server: &'a Server,
    pub(super) producers: HashMap<(Uuid, i32), Vec<ProducerState>>,
}

impl Observed<'_> {
    fn partition(&self, topic_id: Uuid, partition: i32) -> Option<Arc<Partition>> {
        self.server.partitions.get(topic_id, partition)
    }
}

impl PartitionInfo for Observed<'_> {
    fn leadership(&self, topic: &Topic, partition: i32) -> Option<Leadership> {
        let decided = topic.partition(partition)?;
        let told = self.server.leader_of(GroupId { topic_id: topic.id, partition })?;
        let alive = self.server.peers.alive();
        let own = self.partition(topic.id, partition);
        let failed_here = own.is_some_and(|partition| partition.state() == State::Offline);
        let offline = |node: &i32| !alive.contains_key(node) || (*node == self.server.node_id && failed_here);
        if offline(&told.leader) {
            return None;
        }
        Some(Leadership {
            leader_id: told.leader,
            leader_epoch: told.epoch,
            isr: told.in_sync.into_iter().filter(|node| !offline(node)).collect(),
            offline: decided.nodes().into_iter().filter(offline).collect(),
        })
    }

    fn log_size(&self, topic: &Topic, partition: i32) -> Option<LogSize> {
        let partition = self.partition(topic.id, partition)?;
        let bytes = partition.reader().map_or(0, |reader| reader.size_bytes().unwrap_or(0));
        Some(LogSize { bytes: i64::try_from(bytes).unwrap_or(i64::MAX), offset_lag: 0 })
    }

    fn log_folder(&self) -> LogFolder {
        let folder = &self.server.folder;
        let path = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        let volume = rustix::fs::statvfs(folder);
        let bytes = |blocks: u64, size: u64| i64::try_from(blocks.saturating_mul(size)).unwrap_or(i64::MAX);
        LogFolder {
            path: Str::from(path.display().to_string()),
            total_bytes: volume.as_ref().map_or(-1, |volume| bytes(volume.f_blocks, volume.f_frsize)),
            usable_bytes: volume.as_ref().map_or(-1, |volume| bytes(volume.f_bavail, volume.f_frsize)),
            error: volume.map_or(ErrorCode::KAFKA_STORAGE_ERROR, |_| ErrorCode::NONE),
        }
    }

    fn producers(&self, topic_id: Uuid, partition: i32) -> Result<Vec<ProducerState>, ErrorCode> {
        let found = self.partition(topic_id, partition).ok_or(ErrorCode::NOT_LEADER_OR_FOLLOWER)?;
        usable(&found)?;
        if !found.is_led_here() {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        Ok(self.producers.get(&(topic_id, partition)).cloned().unwrap_or_default())
    }
}
