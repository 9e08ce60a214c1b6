//! What a describing handler sees: what is decided (image, configuration) and what is observed (brokers' addresses,
//! leaders, sizes). The caller gathers the latter; nothing here asks for it across threads.

use leat_protocol::messages::describe_producers::ProducerState;
use leat_protocol::{ErrorCode, Str, Uuid};

use crate::config::Config;
use crate::metadata::{Image, Topic};

/// The cluster as one request on one connection sees it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// What is decided.
    pub(crate) image: &'a Image,
    /// What this broker runs with, dynamic values included.
    pub(crate) config: &'a Config,
    /// The cluster's id.
    pub(crate) cluster_id: &'a str,
    /// This broker.
    pub(crate) node_id: i32,
    /// The leader of the metadata group; -1 while there is none.
    pub(crate) controller_id: i32,
    /// The brokers, by number, each with the address for the listener that the request came through.
    pub(crate) nodes: &'a [Node],
    /// What is observed of partitions.
    pub(crate) partitions: &'a dyn PartitionInfo,
    /// What the answer tells the client to wait.
    pub(crate) throttle_time_ms: i32,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("version", &self.image.version())
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// A broker's address as a client is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its number.
    pub(crate) id: i32,
    /// Host name or address.
    pub(crate) host: Str,
    /// Port.
    pub(crate) port: i32,
    /// Its rack.
    pub(crate) rack: Option<Str>,
}

/// What is observed of partitions. A partition that was never written to has a leader and an empty log.
pub(crate) trait PartitionInfo {
    /// Who leads a partition. `None`: nobody is known to, and clients are told to ask again.
    fn leadership(&self, topic: &Topic, partition: i32) -> Option<Leadership>;

    /// The size of this broker's replica of a partition; `None` where it holds none.
    fn log_size(&self, topic: &Topic, partition: i32) -> Option<LogSize>;

    /// This broker's data folder.
    fn log_folder(&self) -> LogFolder;

    /// The idempotent producers that a partition's leader remembers. The error is the partition's:
    /// NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR.
    fn producers(&self, topic_id: Uuid, partition: i32) -> Result<Vec<ProducerState>, ErrorCode>;
}

/// Who leads a partition, as the highest term seen says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leadership {
    /// The leader's node.
    pub(crate) leader_id: i32,
    /// The leader's epoch: its Raft term.
    pub(crate) leader_epoch: i32,
    /// Nodes in sync, the leader among them.
    pub(crate) isr: Vec<i32>,
    /// Nodes that hold a replica and are down, or whose disk failed.
    pub(crate) offline: Vec<i32>,
}

/// The size of a replica on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogSize {
    /// Bytes of its segments.
    pub(crate) bytes: i64,
    /// How far its end is behind the high watermark, at least 0.
    pub(crate) offset_lag: i64,
}

/// A data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFolder {
    /// Its absolute path.
    pub(crate) path: Str,
    /// Size of its volume; -1 where not known.
    pub(crate) total_bytes: i64,
    /// Free bytes of its volume; -1 where not known.
    pub(crate) usable_bytes: i64,
    /// NONE, or KAFKA_STORAGE_ERROR where the folder can't be used.
    pub(crate) error: ErrorCode,
}
