//! The state of the cluster after some record. Cloning is cheap (the maps share structure), so one is published per
//! applied entry, and readers keep theirs as long as they like.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use leat_protocol::{Str, Uuid};

use super::partition::Partition;
use super::record::Endpoint;
use super::statement::Statement;
use super::topic::Topic;
use crate::config::Overrides;

/// A registered broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Broker {
    /// Its number; 0 is legal.
    pub node_id: i32,
    /// Where clients connect to.
    pub listeners: Vec<Endpoint>,
    /// Its rack.
    pub rack: Option<String>,
    /// Where other brokers connect to, as `host:port`; empty for a broker that is alone.
    pub peer: String,
    /// The id of its data folder: 16 bytes, or none.
    pub folder: Vec<u8>,
}

/// The state of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    pub(super) version: u64,
    pub(super) topics: OrdMap<Str, Arc<Topic>>,
    pub(super) names: OrdMap<Uuid, Str>,
    pub(super) brokers: OrdMap<i32, Arc<Broker>>,
    pub(super) cluster_configs: Arc<Overrides>,
    pub(super) broker_configs: OrdMap<i32, Arc<Overrides>>,
    pub(super) features: OrdMap<String, u32>,
    pub(super) partitions: u64,
    pub(super) next_producer_id: i64,
    pub(super) next_replica_id: u64,
    pub(super) statements: OrdMap<String, Arc<Statement>>,
    pub(super) next_statement: u64,
    pub(super) metadata: Partition,
    pub(super) next_metadata_replica_id: u64,
    /// Numbers of brokers that were taken out.
    pub(super) taken_out: OrdSet<i32>,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            version: 0,
            topics: OrdMap::new(),
            names: OrdMap::new(),
            brokers: OrdMap::new(),
            cluster_configs: Arc::default(),
            broker_configs: OrdMap::new(),
            features: OrdMap::new(),
            partitions: 0,
            next_producer_id: 0,
            next_replica_id: 1,
            statements: OrdMap::new(),
            next_statement: 1,
            metadata: Partition::default(),
            next_metadata_replica_id: 0,
            taken_out: OrdSet::new(),
        }
    }
}

impl Image {
    /// Grows by one with every record that changed something.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.names.get(&id).and_then(|name| self.topics.get(name))
    }

    /// Every topic, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// Topics from a name on, that name included.
    pub fn topics_from(&self, name: &str) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.range(Str::from(name)..).map(|(_, topic)| topic)
    }

    /// Number of topics.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// Number of partitions of all topics.
    pub fn partition_count(&self) -> u64 {
        self.partitions
    }

    /// Every broker, by number.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.brokers.values()
    }

    /// A broker by number.
    pub fn broker(&self, node_id: i32) -> Option<&Arc<Broker>> {
        self.brokers.get(&node_id)
    }

    /// Brokers that were taken out of the cluster, and are needed no more for the metadata to be held by others.
    pub fn gone(&self) -> impl Iterator<Item = i32> {
        self.taken_out.iter().copied().filter(|&node_id| self.metadata.replica_on(node_id).is_none())
    }

    /// Whether a broker is one of them.
    pub fn is_gone(&self, node_id: i32) -> bool {
        self.gone().any(|gone| gone == node_id)
    }

    /// The dynamic configuration of all brokers.
    pub fn cluster_configs(&self) -> &Overrides {
        &self.cluster_configs
    }

    /// The dynamic configuration of one broker.
    pub fn broker_configs(&self, node_id: i32) -> Option<&Overrides> {
        self.broker_configs.get(&node_id).map(AsRef::as_ref)
    }

    /// Brokers that have a dynamic configuration of their own.
    pub fn configured_brokers(&self) -> impl Iterator<Item = i32> {
        self.broker_configs.keys().copied()
    }

    /// The level of a feature; 0 where it was never set.
    pub fn feature(&self, name: &str) -> u32 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// Who holds the metadata itself; nobody while that is its founders.
    pub fn metadata(&self) -> &Partition {
        &self.metadata
    }

    /// The next producer id that will be given.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Every statement, by the name of what it defines.
    pub fn statements(&self) -> impl Iterator<Item = &Arc<Statement>> {
        self.statements.values()
    }

    /// A statement by the name of what it defines.
    pub fn statement(&self, name: &str) -> Option<&Arc<Statement>> {
        self.statements.get(name)
    }

    /// A pipeline that reads a topic.
    pub fn reader_of(&self, topic: Uuid) -> Option<&Arc<Statement>> {
        self.statements().find(|statement| statement.topics.is_some_and(|topics| topics.read().any(|id| id == topic)))
    }

    /// The pipeline that writes to a topic.
    pub fn writer_of(&self, topic: Uuid) -> Option<&Arc<Statement>> {
        self.statements()
            .find(|statement| statement.topics.is_some_and(|topics| topics.written().any(|id| id == topic)))
    }

    /// Whether both have the same statements: cheap where neither changed them.
    pub fn has_statements_of(&self, other: &Image) -> bool {
        self.statements.ptr_eq(&other.statements) || self.statements == other.statements
    }
}
