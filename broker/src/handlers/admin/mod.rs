//! The APIs that describe and change the cluster, one file per API. Everything here is a pure function: an API that
//! changes something returns a [`Plan`], whose records the caller proposes to the metadata group and whose answer is
//! finished with what became of each record. Nothing here waits, reads a clock or draws a random number.
//!
//! Error numbers and what is answered in doubtful cases were asked from a running Kafka 4.3.1. Texts are close to
//! Kafka's where people search for them, and name what would be right.
//!
//! ```text
//! plan        records to propose, and the answer that waits for them
//! view        what a handler sees: image, configuration, brokers, partitions
//! name, place     topic names; which brokers hold a partition
//! repeat          what a request names twice
//! alteration      what AlterConfigs and IncrementalAlterConfigs share
//! ```

pub(crate) mod alter_configs;
pub(crate) mod alter_partition_reassignments;
mod alteration;
pub(crate) mod api_versions;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
pub(crate) mod delete_topics;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod describe_log_dirs;
pub(crate) mod describe_producers;
pub(crate) mod describe_topic_partitions;
pub(crate) mod incremental_alter_configs;
pub(crate) mod init_producer_id;
pub(crate) mod list_config_resources;
pub(crate) mod list_partition_reassignments;
pub(crate) mod metadata;
mod name;
mod place;
mod plan;
mod repeat;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use plan::{Finish, Plan};
pub(crate) use view::{Leadership, LogFolder, LogSize, Node, PartitionInfo, View};

/// Partitions that one request may add, over all its topics. Kafka's bound.
const PARTITIONS_PER_REQUEST_MAX: i64 = 10_000;

/// Partitions that one request may name where its answer has something for each.
pub(crate) const PARTITIONS_NAMED_MAX: usize = 100_000;

/// The bits of all operations on a topic (read, write, create, delete, alter, describe, describe and alter configs):
/// who may do what is not limited yet.
const TOPIC_OPERATIONS: i32 = 3576;

/// The bits of all operations on a cluster.
const CLUSTER_OPERATIONS: i32 = 8096;

/// Kinds of resources in the configuration APIs.
mod resource {
    pub(super) const TOPIC: i8 = 2;
    pub(super) const BROKER: i8 = 4;
}
