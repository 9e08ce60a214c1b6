//! Brokers and their log folders.

use futures_util::future::join_all;
use leat_protocol::Str;
use leat_protocol::messages::{DescribeClusterRequest, DescribeLogDirsRequest, MetadataRequest};

use super::{Admin, To, item};
use crate::{Error, TopicPartition};

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub id: i32,
    pub host: Str,
    pub port: i32,
    pub rack: Option<Str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    pub cluster_id: Option<Str>,
    pub controller: Option<i32>,
    /// By id.
    pub brokers: Vec<Node>,
}

/// One of a broker's log folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDir {
    pub path: Str,
    /// Of its volume; `None` where the broker is too old to say.
    pub total_bytes: Option<i64>,
    pub usable_bytes: Option<i64>,
    pub partitions: Vec<LogDirPartition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirPartition {
    pub partition: TopicPartition,
    pub size_bytes: i64,
    /// How far the replica here is behind.
    pub offset_lag: i64,
    /// It is being moved here from another folder.
    pub future: bool,
}

impl Admin {
    /// The cluster's id, brokers and controller.
    ///
    /// # Errors
    /// No broker answered within `default.api.timeout.ms`.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        let request = DescribeClusterRequest::default();
        let check = |response: &leat_protocol::messages::DescribeClusterResponse| {
            item(response.error_code, &response.error_message, || "DescribeCluster".to_owned())
        };
        let mut description = match self.call(To::Any, &request, check).await {
            Ok(response) => ClusterDescription {
                cluster_id: Some(response.cluster_id),
                controller: (response.controller_id >= 0).then_some(response.controller_id),
                brokers: response
                    .brokers
                    .into_iter()
                    .map(|broker| Node {
                        id: broker.broker_id,
                        host: broker.host,
                        port: broker.port,
                        rack: broker.rack,
                    })
                    .collect(),
            },
            // Brokers before 2.8 tell it by Metadata only.
            Err(Error::Unsupported(_)) => self.cluster_by_metadata().await?,
            Err(error) => return Err(error),
        };
        description.brokers.sort_by_key(|broker| broker.id);
        Ok(description)
    }

    async fn cluster_by_metadata(&self) -> Result<ClusterDescription, Error> {
        let request =
            MetadataRequest { topics: Some(Vec::new()), allow_auto_topic_creation: true, ..Default::default() };
        let response = self.call(To::Any, &request, |_| Ok(())).await?;
        let node = |broker: leat_protocol::messages::MetadataResponseBroker| Node {
            id: broker.node_id,
            host: broker.host,
            port: broker.port,
            rack: broker.rack,
        };
        Ok(ClusterDescription {
            cluster_id: response.cluster_id,
            controller: (response.controller_id >= 0).then_some(response.controller_id),
            brokers: response.brokers.into_iter().map(node).collect(),
        })
    }

    /// The log folders of these brokers, or of all if none is named; by broker id.
    ///
    /// # Errors
    /// The brokers could not be asked for. Each broker has its own result.
    pub async fn describe_log_dirs(&self, brokers: &[i32]) -> Result<Vec<(i32, Result<Vec<LogDir>, Error>)>, Error> {
        let nodes = if brokers.is_empty() {
            self.describe_cluster().await?.brokers.iter().map(|broker| broker.id).collect()
        } else {
            brokers.to_vec()
        };
        Ok(join_all(nodes.into_iter().map(async |node| (node, self.log_dirs_of(node).await))).await)
    }

    async fn log_dirs_of(&self, node: i32) -> Result<Vec<LogDir>, Error> {
        let check = |response: &leat_protocol::messages::DescribeLogDirsResponse| {
            Error::check(response.error_code, None, || format!("DescribeLogDirs of broker {node}"))
        };
        let response = self.call(To::Node(node), &DescribeLogDirsRequest { topics: None }, check).await?;
        let mut dirs = Vec::new();
        for dir in response.results {
            Error::check(dir.error_code, None, || format!("log folder {} of broker {node}", dir.log_dir))?;
            let mut partitions = Vec::new();
            for topic in dir.topics {
                partitions.extend(topic.partitions.into_iter().map(|row| LogDirPartition {
                    partition: TopicPartition { topic: topic.name.clone(), partition: row.partition_index },
                    size_bytes: row.partition_size,
                    offset_lag: row.offset_lag,
                    future: row.is_future_key,
                }));
            }
            let known = |bytes: i64| (bytes >= 0).then_some(bytes);
            let (total_bytes, usable_bytes) = (known(dir.total_bytes), known(dir.usable_bytes));
            dirs.push(LogDir { path: dir.log_dir, total_bytes, usable_bytes, partitions });
        }
        Ok(dirs)
    }
}
