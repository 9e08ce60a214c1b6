//! An image as bytes. The frame is that of Leat's small files (docs/disk.md): `LEATIMAG`, version u16, 0 u16, length
//! u32, CRC-32 u32 over the first 16 bytes and the body; the body is one prost message, everything in sorted order, so
//! that equal images are equal bytes.

use std::sync::Arc;

use leat_protocol::{Str, Uuid};
use prost::Message;

use super::image::{Broker, Image};
use super::partition::{Change, Partition, Replica};
use super::record::{BrokerRegistered, ConfigEntry, FeatureSet, StatementStored};
use super::statement::{Statement, Text};
use super::topic::Topic;
use crate::config::Overrides;

/// The version of the body. A body with a higher one is refused.
const VERSION: u16 = 1;
const MAGIC: &[u8; 8] = b"LEATIMAG";
const HEAD_LEN: usize = 20;

/// Bytes of metadata that can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Not what was written.
    #[error("metadata is damaged: {0}")]
    Malformed(String),
    /// A record of a newer release.
    #[error(
        "the metadata log has a record that this release does not know; run the release that wrote it, or a newer one"
    )]
    UnknownRecord,
    /// A snapshot of a newer release.
    #[error(
        "the metadata snapshot has format {found}, this release reads up to {known}; run the release that wrote it, or a newer one"
    )]
    NewerFormat {
        /// What it has.
        found: u16,
        /// What is known.
        known: u16,
    },
}

#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(int64, tag = "2")]
    next_producer_id: i64,
    #[prost(uint64, tag = "3")]
    next_replica_id: u64,
    #[prost(message, repeated, tag = "4")]
    topics: Vec<TopicBody>,
    #[prost(message, repeated, tag = "5")]
    brokers: Vec<BrokerRegistered>,
    #[prost(message, repeated, tag = "6")]
    cluster_configs: Vec<ConfigEntry>,
    #[prost(message, repeated, tag = "7")]
    broker_configs: Vec<BrokerConfigs>,
    #[prost(message, repeated, tag = "8")]
    features: Vec<FeatureSet>,
    /// Where the metadata has other replicas than its founders.
    #[prost(message, optional, tag = "9")]
    metadata: Option<PartitionBody>,
    #[prost(uint64, tag = "10")]
    next_metadata_replica_id: u64,
    #[prost(message, repeated, tag = "11")]
    statements: Vec<StatementBody>,
    /// Numbers that were given to statements.
    #[prost(uint64, tag = "12")]
    statements_numbered: u64,
    /// Numbers of brokers that were taken out.
    #[prost(int32, repeated, tag = "13")]
    taken_out: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct StatementBody {
    #[prost(message, optional, tag = "1")]
    stored: Option<StatementStored>,
    #[prost(uint64, tag = "2")]
    number: u64,
    #[prost(bool, tag = "3")]
    paused: bool,
    #[prost(message, repeated, tag = "4")]
    before: Vec<TextBody>,
}

#[derive(Clone, PartialEq, Message)]
struct TextBody {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(message, repeated, tag = "2")]
    settings: Vec<ConfigEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct TopicBody {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    partitions: Vec<PartitionBody>,
    #[prost(message, repeated, tag = "4")]
    configs: Vec<ConfigEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct PartitionBody {
    /// Two lists of the same length: nodes, and the replica on each.
    #[prost(int32, repeated, tag = "1")]
    nodes: Vec<i32>,
    #[prost(uint64, repeated, tag = "2")]
    replica_ids: Vec<u64>,
    /// Where they are others than the replicas.
    #[prost(message, repeated, tag = "3")]
    founders: Vec<ReplicaBody>,
    #[prost(message, optional, tag = "4")]
    change: Option<ChangeBody>,
    #[prost(uint64, tag = "5")]
    decided_index: u64,
    #[prost(uint64, tag = "6")]
    decided_term: u64,
    /// Of the metadata only.
    #[prost(message, repeated, tag = "7")]
    observers: Vec<ReplicaBody>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ReplicaBody {
    #[prost(int32, tag = "1")]
    node_id: i32,
    #[prost(uint64, tag = "2")]
    id: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ChangeBody {
    #[prost(message, repeated, tag = "1")]
    before: Vec<ReplicaBody>,
    #[prost(message, repeated, tag = "2")]
    leaving: Vec<ReplicaBody>,
}

#[derive(Clone, PartialEq, Message)]
struct BrokerConfigs {
    #[prost(int32, tag = "1")]
    node_id: i32,
    #[prost(message, repeated, tag = "2")]
    configs: Vec<ConfigEntry>,
}

impl Image {
    /// The image as a framed snapshot.
    pub fn to_snapshot(&self) -> Vec<u8> {
        let body = Body {
            version: self.version,
            next_producer_id: self.next_producer_id,
            next_replica_id: self.next_replica_id,
            topics: self.topics().map(|topic| topic_body(topic)).collect(),
            brokers: self.brokers().map(|broker| broker_body(broker)).collect(),
            cluster_configs: entries(&self.cluster_configs),
            broker_configs: self
                .broker_configs
                .iter()
                .map(|(node_id, configs)| BrokerConfigs { node_id: *node_id, configs: entries(configs) })
                .collect(),
            features: self
                .features
                .iter()
                .map(|(name, level)| FeatureSet { name: name.clone(), level: *level })
                .collect(),
            metadata: (!self.metadata.replicas.is_empty()).then(|| partition_body(&self.metadata)),
            next_metadata_replica_id: self.next_metadata_replica_id,
            statements: self.statements().map(|statement| statement_body(statement)).collect(),
            statements_numbered: self.next_statement - 1,
            taken_out: self.taken_out.iter().copied().collect(),
        }
        .encode_to_vec();
        let mut framed = Vec::with_capacity(HEAD_LEN + body.len());
        framed.extend_from_slice(MAGIC);
        framed.extend_from_slice(&VERSION.to_be_bytes());
        framed.extend_from_slice(&[0, 0]);
        framed.extend_from_slice(&(body.len() as u32).to_be_bytes());
        framed.extend_from_slice(&checksum(&framed, &body).to_be_bytes());
        framed.extend_from_slice(&body);
        framed
    }

    /// Reads a framed snapshot.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, Error> {
        let body = Body::decode(unframe(bytes)?).map_err(|error| Error::Malformed(error.to_string()))?;
        let mut image = Self {
            version: body.version,
            next_producer_id: body.next_producer_id,
            next_replica_id: body.next_replica_id,
            cluster_configs: Arc::new(overrides(body.cluster_configs)),
            metadata: body.metadata.map(partition_from).unwrap_or_default(),
            next_metadata_replica_id: body.next_metadata_replica_id,
            taken_out: body.taken_out.into_iter().collect(),
            ..Self::default()
        };
        for topic in body.topics {
            let topic = topic_from(topic)?;
            image.partitions += topic.partitions.len() as u64;
            image.names.insert(topic.id, topic.name.clone());
            image.topics.insert(topic.name.clone(), Arc::new(topic));
        }
        for BrokerRegistered { node_id, listeners, rack, peer, folder } in body.brokers {
            image.brokers.insert(node_id, Arc::new(Broker { node_id, listeners, rack, peer, folder }));
        }
        for BrokerConfigs { node_id, configs } in body.broker_configs {
            image.broker_configs.insert(node_id, Arc::new(overrides(configs)));
        }
        image.next_statement = body.statements_numbered.saturating_add(1);
        for StatementBody { stored, number, paused, before } in body.statements {
            let statement = stored.as_ref().and_then(|stored| Statement::from_record(stored, number));
            let statement = statement.ok_or_else(|| Error::Malformed("a statement's topics".to_owned()))?;
            image.statements.insert(
                statement.name.clone(),
                Arc::new(Statement { paused, before: before.iter().map(text).collect(), ..statement }),
            );
        }
        image.features = body.features.into_iter().map(|feature| (feature.name, feature.level)).collect();
        Ok(image)
    }
}

fn unframe(bytes: &[u8]) -> Result<&[u8], Error> {
    let malformed = |what: &str| Error::Malformed(what.to_owned());
    let (head, body) =
        bytes.split_at_checked(HEAD_LEN).ok_or_else(|| malformed("the snapshot ends within its head"))?;
    if !head.starts_with(MAGIC) {
        return Err(malformed("the snapshot does not begin with LEATIMAG"));
    }
    let found = u16::from_be_bytes([head[8], head[9]]);
    if found > VERSION {
        return Err(Error::NewerFormat { found, known: VERSION });
    }
    let length = u32::from_be_bytes([head[12], head[13], head[14], head[15]]);
    if usize::try_from(length) != Ok(body.len()) {
        return Err(Error::Malformed(format!(
            "the snapshot's length is {length}, {} bytes follow its head",
            body.len()
        )));
    }
    if checksum(&head[..16], body) != u32::from_be_bytes([head[16], head[17], head[18], head[19]]) {
        return Err(malformed("the snapshot's CRC-32 does not match"));
    }
    Ok(body)
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize()
}

fn topic_body(topic: &Topic) -> TopicBody {
    TopicBody {
        name: topic.name.to_string(),
        id: topic.id.as_bytes().to_vec(),
        partitions: topic.partitions.iter().map(partition_body).collect(),
        configs: entries(&topic.configs),
    }
}

fn topic_from(body: TopicBody) -> Result<Topic, Error> {
    let id = Uuid::from_slice(&body.id)
        .map_err(|_| Error::Malformed(format!("the id of topic {} is not 16 bytes", body.name)))?;
    let partitions = body.partitions.into_iter().map(|partition| {
        if partition.nodes.len() != partition.replica_ids.len() {
            return Err(Error::Malformed(format!("topic {} has nodes without replica ids", body.name)));
        }
        Ok(partition_from(partition))
    });
    let partitions = partitions.collect::<Result<_, _>>()?;
    Ok(Topic { name: Str::from(body.name), id, partitions, configs: overrides(body.configs) })
}

fn partition_body(partition: &Partition) -> PartitionBody {
    let bodies =
        |replicas: &[Replica]| replicas.iter().map(|&Replica { id, node_id }| ReplicaBody { node_id, id }).collect();
    let (decided_index, decided_term) = partition.decided;
    PartitionBody {
        nodes: partition.replicas.iter().map(|replica| replica.node_id).collect(),
        replica_ids: partition.replicas.iter().map(|replica| replica.id).collect(),
        founders: if partition.founders == partition.replicas { Vec::new() } else { bodies(&partition.founders) },
        change: partition
            .change
            .as_ref()
            .map(|Change { before, leaving }| ChangeBody { before: bodies(before), leaving: bodies(leaving) }),
        decided_index,
        decided_term,
        observers: bodies(&partition.observers),
    }
}

fn partition_from(body: PartitionBody) -> Partition {
    let list = |bodies: Vec<ReplicaBody>| -> Vec<Replica> {
        bodies.into_iter().map(|ReplicaBody { node_id, id }| Replica { id, node_id }).collect()
    };
    let pairs = body.nodes.into_iter().zip(body.replica_ids);
    let replicas: Vec<Replica> = pairs.map(|(node_id, id)| Replica { id, node_id }).collect();
    Partition {
        founders: if body.founders.is_empty() { replicas.clone() } else { list(body.founders) },
        replicas,
        change: body
            .change
            .map(|ChangeBody { before, leaving }| Change { before: list(before), leaving: list(leaving) }),
        decided: (body.decided_index, body.decided_term),
        observers: list(body.observers),
    }
}

fn text(body: &TextBody) -> Text {
    let settings = body.settings.iter().filter_map(|entry| Some((entry.key.clone(), entry.value.clone()?)));
    Text { text: body.text.clone(), settings: settings.collect() }
}

fn statement_body(statement: &Statement) -> StatementBody {
    let settings = |text: &Text| text.settings.iter().map(|(key, value)| ConfigEntry::set(key, value)).collect();
    let before = statement.before.iter().map(|it| TextBody { text: it.text.clone(), settings: settings(it) });
    let stored = Some(statement.to_record());
    StatementBody { stored, number: statement.number, paused: statement.paused, before: before.collect() }
}

fn broker_body(broker: &Broker) -> BrokerRegistered {
    let Broker { node_id, listeners, rack, peer, folder } = broker.clone();
    BrokerRegistered { node_id, listeners, rack, peer, folder }
}

fn entries(configs: &Overrides) -> Vec<ConfigEntry> {
    configs.iter().map(|(key, value)| ConfigEntry::set(key, value)).collect()
}

fn overrides(entries: Vec<ConfigEntry>) -> Overrides {
    entries.into_iter().filter_map(|entry| Some((entry.key, entry.value?))).collect()
}
