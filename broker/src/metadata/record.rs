//! The records of the metadata log, as prost messages. Their tags are a disk format: a tag is never given a new
//! meaning, and a removed one stays reserved.
//!
//! Tags of [`Kind`]: 1-15 topics, 16-23 configurations and features, 24-31 brokers and ids, 32-39 statements; from 40 on
//! reserved for access control, credentials, quotas and groups' definitions.

use prost::Message;

use super::snapshot::Error;

/// The payload of one `metadata` entry: records that were proposed together. Each is applied or refused by itself.
#[derive(Clone, PartialEq, Message)]
pub struct Batch {
    /// In the order in which they apply.
    #[prost(message, repeated, tag = "1")]
    pub records: Vec<Record>,
}

/// One change.
#[derive(Clone, PartialEq, Message)]
pub struct Record {
    /// What changes; `None` is a kind that this release does not know.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 16, 17, 24, 25, 26, 27, 32, 33, 34")]
    pub kind: Option<Kind>,
}

/// The kinds of change.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    /// A topic is created.
    #[prost(message, tag = "1")]
    TopicCreated(TopicCreated),
    /// A topic has more partitions.
    #[prost(message, tag = "2")]
    PartitionsAdded(PartitionsAdded),
    /// A topic is deleted.
    #[prost(message, tag = "3")]
    TopicDeleted(TopicDeleted),
    /// A topic's own configuration is altered.
    #[prost(message, tag = "4")]
    TopicConfigChanged(TopicConfigChanged),
    /// Other brokers should hold a partition, or those of before again.
    #[prost(message, tag = "5")]
    PartitionReassigned(PartitionReassigned),
    /// A partition is held by whom it should be.
    #[prost(message, tag = "6")]
    ReassignmentCompleted(ReassignmentCompleted),
    /// The dynamic configuration of one broker or of all is altered.
    #[prost(message, tag = "16")]
    BrokerConfigChanged(BrokerConfigChanged),
    /// A feature has a new level.
    #[prost(message, tag = "17")]
    FeatureSet(FeatureSet),
    /// A broker is here, or has changed its addresses.
    #[prost(message, tag = "24")]
    BrokerRegistered(BrokerRegistered),
    /// Producer ids are given to a broker.
    #[prost(message, tag = "25")]
    ProducerIdsAllocated(ProducerIdsAllocated),
    /// A broker is new in the cluster.
    #[prost(message, tag = "26")]
    BrokerJoined(BrokerJoined),
    /// A broker is taken out of the cluster.
    #[prost(message, tag = "27")]
    BrokerUnregistered(BrokerUnregistered),
    /// A stream, a table or a pipeline is defined.
    #[prost(message, tag = "32")]
    StatementStored(StatementStored),
    /// It is no more.
    #[prost(message, tag = "33")]
    StatementDropped(StatementDropped),
    /// A pipeline pauses, or goes on.
    #[prost(message, tag = "34")]
    PipelinePaused(PipelinePaused),
}

/// A topic is created. The replica ids of its placements are given when the record is applied, in this order.
#[derive(Clone, PartialEq, Message)]
pub struct TopicCreated {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its id: 16 bytes, drawn by the proposer.
    #[prost(bytes = "vec", tag = "2")]
    pub id: Vec<u8>,
    /// Its partitions, from 0.
    #[prost(message, repeated, tag = "3")]
    pub partitions: Vec<Placement>,
    /// Its own configuration.
    #[prost(message, repeated, tag = "4")]
    pub configs: Vec<ConfigEntry>,
}

/// The brokers that hold a partition, the preferred leader first.
#[derive(Clone, PartialEq, Message)]
pub struct Placement {
    /// Their node ids.
    #[prost(int32, repeated, tag = "1")]
    pub nodes: Vec<i32>,
}

/// A key and its value; no value takes the key out.
#[derive(Clone, PartialEq, Message)]
pub struct ConfigEntry {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value, in canonical text.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// A topic has more partitions.
#[derive(Clone, PartialEq, Message)]
pub struct PartitionsAdded {
    /// The topic's id.
    #[prost(bytes = "vec", tag = "1")]
    pub topic_id: Vec<u8>,
    /// The number of partitions that the proposer saw: the first new one. Another one now refuses the record.
    #[prost(int32, tag = "2")]
    pub first: i32,
    /// The new partitions.
    #[prost(message, repeated, tag = "3")]
    pub partitions: Vec<Placement>,
}

/// A topic is deleted.
#[derive(Clone, PartialEq, Message)]
pub struct TopicDeleted {
    /// The topic's id.
    #[prost(bytes = "vec", tag = "1")]
    pub topic_id: Vec<u8>,
}

/// A topic's own configuration is altered.
#[derive(Clone, PartialEq, Message)]
pub struct TopicConfigChanged {
    /// The topic's id.
    #[prost(bytes = "vec", tag = "1")]
    pub topic_id: Vec<u8>,
    /// What is set and what is taken out; other keys stay.
    #[prost(message, repeated, tag = "2")]
    pub changes: Vec<ConfigEntry>,
}

/// Other brokers should hold a partition.
#[derive(Clone, PartialEq, Message)]
pub struct PartitionReassigned {
    /// The topic's id.
    #[prost(bytes = "vec", tag = "1")]
    pub topic_id: Vec<u8>,
    /// The partition.
    #[prost(int32, tag = "2")]
    pub partition: i32,
    /// Who should; `None` takes back a reassignment that is under way.
    #[prost(message, optional, tag = "3")]
    pub target: Option<Placement>,
}

/// A partition's Raft group has the members that it should have, and no others: a leader says so.
#[derive(Clone, PartialEq, Message)]
pub struct ReassignmentCompleted {
    /// The topic's id; zeros for the metadata.
    #[prost(bytes = "vec", tag = "1")]
    pub topic_id: Vec<u8>,
    /// The partition.
    #[prost(int32, tag = "2")]
    pub partition: i32,
    /// The members. If they are not the wanted ones any more, the record is refused.
    #[prost(uint64, repeated, tag = "3")]
    pub replica_ids: Vec<u64>,
    /// An entry of the partition's log that is committed, at or past the last change of members, and its term.
    #[prost(uint64, tag = "4")]
    pub index: u64,
    /// The term of that entry.
    #[prost(uint64, tag = "5")]
    pub term: u64,
}

/// The dynamic configuration of brokers is altered.
#[derive(Clone, PartialEq, Message)]
pub struct BrokerConfigChanged {
    /// One broker, or every broker of the cluster.
    #[prost(int32, optional, tag = "1")]
    pub node_id: Option<i32>,
    /// What is set and what is taken out; other keys stay.
    #[prost(message, repeated, tag = "2")]
    pub changes: Vec<ConfigEntry>,
}

/// A feature has a new level: what every broker of the cluster is known to understand.
#[derive(Clone, PartialEq, Message)]
pub struct FeatureSet {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its level; 0 takes it out.
    #[prost(uint32, tag = "2")]
    pub level: u32,
}

/// A broker is here, or has changed.
#[derive(Clone, PartialEq, Message)]
pub struct BrokerRegistered {
    /// Its number; 0 is legal.
    #[prost(int32, tag = "1")]
    pub node_id: i32,
    /// Where clients connect to.
    #[prost(message, repeated, tag = "2")]
    pub listeners: Vec<Endpoint>,
    /// Its rack, where it has one.
    #[prost(string, optional, tag = "3")]
    pub rack: Option<String>,
    /// Where other brokers connect to, as `host:port`; empty for a broker that is alone.
    #[prost(string, tag = "4")]
    pub peer: String,
    /// The id of its data folder: 16 bytes, or none.
    #[prost(bytes = "vec", tag = "5")]
    pub folder: Vec<u8>,
}

/// A broker is new in the cluster, and gets a replica of the metadata.
#[derive(Clone, PartialEq, Message)]
pub struct BrokerJoined {
    /// Its number; 0 is legal.
    #[prost(int32, tag = "1")]
    pub node_id: i32,
    /// The id of its data folder: 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub folder: Vec<u8>,
    /// Where other brokers connect to, as `host:port`.
    #[prost(string, tag = "3")]
    pub peer: String,
    /// The metadata group's first voters, which its log does not say.
    #[prost(message, repeated, tag = "4")]
    pub founders: Vec<MetadataReplica>,
}

/// A broker is taken out of the cluster, with its replica of the metadata. Its number is never given again.
#[derive(Clone, PartialEq, Message)]
pub struct BrokerUnregistered {
    /// Its number.
    #[prost(int32, tag = "1")]
    pub node_id: i32,
    /// The metadata group's first voters, which its log does not say.
    #[prost(message, repeated, tag = "2")]
    pub founders: Vec<MetadataReplica>,
}

/// A replica of the metadata.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct MetadataReplica {
    /// The broker.
    #[prost(int32, tag = "1")]
    pub node_id: i32,
    /// The replica's number in the group.
    #[prost(uint64, tag = "2")]
    pub replica_id: u64,
}

/// An address of a broker.
#[derive(Clone, PartialEq, Message)]
pub struct Endpoint {
    /// The listener's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Host name or address.
    #[prost(string, tag = "2")]
    pub host: String,
    /// Port.
    #[prost(uint32, tag = "3")]
    pub port: u32,
}

/// Producer ids are given to a broker. Which ones, the state decides when the record is applied.
#[derive(Clone, PartialEq, Message)]
pub struct ProducerIdsAllocated {
    /// The broker.
    #[prost(int32, tag = "1")]
    pub node_id: i32,
    /// How many.
    #[prost(uint32, tag = "2")]
    pub count: u32,
}

/// A statement that defines a stream, a table or a pipeline. What it means is compiled from its text wherever it is needed.
#[derive(Clone, PartialEq, Message)]
pub struct StatementStored {
    /// The name of what it defines.
    #[prost(string, tag = "1")]
    pub name: String,
    /// As it was written.
    #[prost(string, tag = "2")]
    pub text: String,
    /// The session's settings that it was compiled with.
    #[prost(message, repeated, tag = "3")]
    pub settings: Vec<ConfigEntry>,
    /// The proposer's clock: milliseconds since 1970.
    #[prost(int64, tag = "4")]
    pub created_ms: i64,
    /// Where it is a pipeline: what it reads and writes.
    #[prost(message, optional, tag = "5")]
    pub pipeline: Option<PipelineTopics>,
    /// One of the same name is replaced; otherwise it refuses the record.
    #[prost(bool, tag = "6")]
    pub replaces: bool,
    /// A pipeline that is replaced goes on as the next generation of itself, with its number, its topics and its state.
    #[prost(bool, tag = "7")]
    pub goes_on: bool,
}

/// The topics of a pipeline, by their ids: 16 bytes each.
#[derive(Clone, PartialEq, Message)]
pub struct PipelineTopics {
    /// What it reads.
    #[prost(bytes = "vec", tag = "1")]
    pub source: Vec<u8>,
    /// Its results.
    #[prost(bytes = "vec", tag = "2")]
    pub output: Vec<u8>,
    /// Partials, where it groups; else empty.
    #[prost(bytes = "vec", tag = "3")]
    pub partials: Vec<u8>,
    /// Rows that were late, where it groups by windows; else empty.
    #[prost(bytes = "vec", tag = "4")]
    pub late: Vec<u8>,
    /// Records that gave no row.
    #[prost(bytes = "vec", tag = "5")]
    pub rejected: Vec<u8>,
    /// The table that it joins; else empty.
    #[prost(bytes = "vec", tag = "6")]
    pub table: Vec<u8>,
}

/// A statement's definition is dropped.
#[derive(Clone, PartialEq, Message)]
pub struct StatementDropped {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its number: another one of that name stays.
    #[prost(uint64, tag = "2")]
    pub number: u64,
}

/// A pipeline pauses, or goes on.
#[derive(Clone, PartialEq, Message)]
pub struct PipelinePaused {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Whether it pauses.
    #[prost(bool, tag = "2")]
    pub paused: bool,
}

impl Batch {
    /// The bytes of an entry.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Reads an entry. A kind that this release does not know is an error that must stop the replica: to leave the
    /// record out would make this replica differ from the others.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let batch = <Self as Message>::decode(bytes).map_err(|error| Error::Malformed(error.to_string()))?;
        if batch.records.iter().any(|record| record.kind.is_none()) {
            return Err(Error::UnknownRecord);
        }
        Ok(batch)
    }
}

impl From<Vec<Record>> for Batch {
    fn from(records: Vec<Record>) -> Self {
        Self { records }
    }
}

impl From<Kind> for Record {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

impl ConfigEntry {
    /// A key that is set.
    pub fn set(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: Some(value.to_owned()) }
    }

    /// A key that is taken out.
    pub fn unset(key: &str) -> Self {
        Self { key: key.to_owned(), value: None }
    }
}
