//! What a record does to the image. A record was checked against the image that its proposer saw; it is checked again
//! here, against the one that counts, and where it no longer fits it changes nothing and says why: the same on every
//! replica, so the proposer can answer its client from it.

use std::ops::Range;
use std::sync::Arc;

use leat_protocol::{ErrorCode, Str, Uuid};

use super::image::{Broker, Image};
use super::partition::{Partition, Replica};
use super::record::{
    Batch, BrokerConfigChanged, BrokerJoined, BrokerRegistered, BrokerUnregistered, ConfigEntry, FeatureSet, Kind,
    MetadataReplica, PartitionReassigned, PartitionsAdded, PipelinePaused, Placement, ProducerIdsAllocated,
    ReassignmentCompleted, Record, StatementDropped, StatementStored, TopicConfigChanged, TopicCreated, TopicDeleted,
};
use super::statement::{GENERATIONS_MAX, Statement};
use super::topic::Topic;
use crate::config::Overrides;

/// What an applied record gives its proposer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// These producer ids are the proposer's.
    ProducerIds(Range<i64>),
}

/// Why a record changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another topic took the name first.
    #[error("Topic '{0}' already exists.")]
    TopicExists(String),
    /// Something of that name is defined already.
    #[error("'{0}' is defined already.")]
    StatementExists(String),
    /// Nothing of that name is defined any more.
    #[error("There is no '{0}'.")]
    UnknownStatement(String),
    /// The topic was deleted meanwhile.
    #[error("There is no topic with id {0}.")]
    UnknownTopic(Uuid),
    /// The number of partitions changed meanwhile.
    #[error("The topic has {now} partitions by now, not {seen}.")]
    PartitionsChanged {
        /// What the proposer saw.
        seen: i32,
        /// What there is.
        now: i32,
    },
    /// There is nothing to take back, or it has ended, or something else is wanted by now.
    #[error("No such reassignment of the partition is under way.")]
    NoReassignment,
    /// It was never there, or is out already.
    #[error("No broker with id {0} is registered.")]
    UnknownBroker(i32),
    /// Its number is never given again.
    #[error("Broker {0} was taken out of the cluster.")]
    TakenOut(i32),
    /// What it holds would be lost.
    #[error("Broker {node_id} holds {partitions} partitions, one of them of '{topic}': move them to others first.")]
    HoldsPartitions {
        /// The broker.
        node_id: i32,
        /// How many.
        partitions: usize,
        /// One of the topics.
        topic: Str,
    },
    /// A record that no proposer of this release makes: an id that is not 16 bytes, a topic without partitions, no ids left.
    #[error("The record is not valid: {0}.")]
    Invalid(&'static str),
}

impl Refusal {
    /// What the client is answered.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::TopicExists(_) => ErrorCode::TOPIC_ALREADY_EXISTS,
            Self::UnknownTopic(_) => ErrorCode::UNKNOWN_TOPIC_ID,
            Self::PartitionsChanged { .. } => ErrorCode::INVALID_PARTITIONS,
            Self::NoReassignment => ErrorCode::NO_REASSIGNMENT_IN_PROGRESS,
            Self::UnknownBroker(_) => ErrorCode::BROKER_ID_NOT_REGISTERED,
            Self::TakenOut(_) | Self::HoldsPartitions { .. } => ErrorCode::INVALID_REQUEST,
            Self::StatementExists(_) | Self::UnknownStatement(_) | Self::Invalid(_) => ErrorCode::INVALID_REQUEST,
        }
    }
}

impl Image {
    /// Applies one record. The version grows by one unless it is refused.
    pub fn apply(&mut self, record: &Record) -> Result<Outcome, Refusal> {
        let outcome = match &record.kind {
            Some(Kind::TopicCreated(record)) => self.create_topic(record)?,
            Some(Kind::PartitionsAdded(record)) => self.add_partitions(record)?,
            Some(Kind::TopicDeleted(record)) => self.delete_topic(record)?,
            Some(Kind::TopicConfigChanged(record)) => self.change_topic_config(record)?,
            Some(Kind::PartitionReassigned(record)) => self.reassign_partition(record)?,
            Some(Kind::ReassignmentCompleted(record)) => self.complete_reassignment(record)?,
            Some(Kind::BrokerConfigChanged(record)) => self.change_broker_config(record),
            Some(Kind::FeatureSet(record)) => self.set_feature(record),
            Some(Kind::BrokerRegistered(record)) => self.register_broker(record)?,
            Some(Kind::BrokerJoined(record)) => self.join_broker(record)?,
            Some(Kind::BrokerUnregistered(record)) => self.unregister_broker(record)?,
            Some(Kind::ProducerIdsAllocated(record)) => self.allocate_producer_ids(record)?,
            Some(Kind::StatementStored(record)) => self.store_statement(record)?,
            Some(Kind::StatementDropped(record)) => self.drop_statement(record),
            Some(Kind::PipelinePaused(record)) => self.pause_pipeline(record)?,
            None => return Err(Refusal::Invalid("its kind is unknown")),
        };
        self.version += 1;
        Ok(outcome)
    }

    /// Applies the records of one entry, each by itself.
    pub fn apply_batch(&mut self, batch: &Batch) -> Vec<Result<Outcome, Refusal>> {
        batch.records.iter().map(|record| self.apply(record)).collect()
    }

    fn create_topic(&mut self, record: &TopicCreated) -> Result<Outcome, Refusal> {
        let id = topic_id(&record.id)?;
        if let Some(topic) = self.topics.get(record.name.as_str()) {
            if topic.id == id {
                // The proposer did not hear that it was decided, and proposed it again.
                return Ok(Outcome::Done);
            }
            return Err(Refusal::TopicExists(record.name.clone()));
        }
        if id.is_nil() || self.names.contains_key(&id) {
            return Err(Refusal::Invalid("its topic id is taken"));
        }
        let partitions = self.place(&record.partitions)?;
        let name = Str::from(record.name.as_str());
        let mut configs = Overrides::new();
        change(&mut configs, &record.configs);
        self.partitions += partitions.len() as u64;
        self.names.insert(id, name.clone());
        self.topics.insert(name.clone(), Arc::new(Topic { name, id, partitions, configs }));
        Ok(Outcome::Done)
    }

    fn add_partitions(&mut self, record: &PartitionsAdded) -> Result<Outcome, Refusal> {
        let mut topic = self.topic_of(&record.topic_id)?;
        let now = topic.partition_count();
        if now != record.first {
            return Err(Refusal::PartitionsChanged { seen: record.first, now });
        }
        let more = self.place(&record.partitions)?;
        self.partitions += more.len() as u64;
        topic.partitions.extend(more);
        self.replace(topic);
        Ok(Outcome::Done)
    }

    fn delete_topic(&mut self, record: &TopicDeleted) -> Result<Outcome, Refusal> {
        let topic = self.topic_of(&record.topic_id)?;
        self.partitions -= topic.partitions.len() as u64;
        self.names.remove(&topic.id);
        self.topics.remove(&topic.name);
        Ok(Outcome::Done)
    }

    fn change_topic_config(&mut self, record: &TopicConfigChanged) -> Result<Outcome, Refusal> {
        let mut topic = self.topic_of(&record.topic_id)?;
        change(&mut topic.configs, &record.changes);
        self.replace(topic);
        Ok(Outcome::Done)
    }

    fn reassign_partition(&mut self, record: &PartitionReassigned) -> Result<Outcome, Refusal> {
        let mut topic = self.topic_of(&record.topic_id)?;
        let partition = partition_of(&mut topic, record.partition)?;
        let replicas = match (&record.target, &partition.change) {
            (None, None) => return Err(Refusal::NoReassignment),
            (None, Some(change)) => change.before.clone(),
            (Some(target), _) if target.nodes.is_empty() => return Err(Refusal::Invalid("a partition has no replica")),
            (Some(target), _) => {
                // Who may still be a member keeps its log, and with it its replica id.
                let known = |node_id| partition.replica_on(node_id);
                target
                    .nodes
                    .iter()
                    .map(|&node_id| known(node_id).unwrap_or_else(|| self.next_replica(node_id)))
                    .collect()
            }
        };
        let unchanged = partition.change.is_none() && partition.replicas == replicas;
        if !unchanged {
            partition.reassign(replicas);
        }
        self.replace(topic);
        Ok(Outcome::Done)
    }

    fn complete_reassignment(&mut self, record: &ReassignmentCompleted) -> Result<Outcome, Refusal> {
        if topic_id(&record.topic_id)?.is_nil() {
            return complete(&mut self.metadata, record);
        }
        let mut topic = self.topic_of(&record.topic_id)?;
        complete(partition_of(&mut topic, record.partition)?, record)?;
        self.replace(topic);
        Ok(Outcome::Done)
    }

    fn change_broker_config(&mut self, record: &BrokerConfigChanged) -> Outcome {
        let Some(node_id) = record.node_id else {
            change(Arc::make_mut(&mut self.cluster_configs), &record.changes);
            return Outcome::Done;
        };
        let mut configs =
            self.broker_configs.get(&node_id).map(|configs| Overrides::clone(configs)).unwrap_or_default();
        change(&mut configs, &record.changes);
        if configs.is_empty() {
            self.broker_configs.remove(&node_id);
        } else {
            self.broker_configs.insert(node_id, Arc::new(configs));
        }
        Outcome::Done
    }

    fn set_feature(&mut self, record: &FeatureSet) -> Outcome {
        if record.level == 0 {
            self.features.remove(&record.name);
        } else {
            self.features.insert(record.name.clone(), record.level);
        }
        Outcome::Done
    }

    fn register_broker(&mut self, record: &BrokerRegistered) -> Result<Outcome, Refusal> {
        self.may_have(record.node_id)?;
        let BrokerRegistered { node_id, listeners, rack, peer, folder } = record.clone();
        self.brokers.insert(node_id, Arc::new(Broker { node_id, listeners, rack, peer, folder }));
        Ok(Outcome::Done)
    }

    fn join_broker(&mut self, record: &BrokerJoined) -> Result<Outcome, Refusal> {
        self.may_have(record.node_id)?;
        if let Some(known) = self.brokers.get(&record.node_id) {
            // The proposer did not hear that it was decided, and proposed it again.
            let is_it = known.folder == record.folder && self.metadata.replica_on(record.node_id).is_some();
            return if is_it { Ok(Outcome::Done) } else { Err(Refusal::Invalid("its node id is another folder's")) };
        }
        self.begin_metadata(&record.founders);
        self.metadata.join(Replica { id: self.next_metadata_replica_id, node_id: record.node_id });
        self.next_metadata_replica_id += 1;
        let BrokerJoined { node_id, folder, peer, .. } = record.clone();
        self.brokers.insert(node_id, Arc::new(Broker { node_id, listeners: Vec::new(), rack: None, peer, folder }));
        Ok(Outcome::Done)
    }

    fn unregister_broker(&mut self, record: &BrokerUnregistered) -> Result<Outcome, Refusal> {
        let node_id = record.node_id;
        if !self.brokers.contains_key(&node_id) {
            return Err(Refusal::UnknownBroker(node_id));
        }
        let held = self.topics().filter_map(|topic| {
            let held = topic.partitions.iter().filter(|partition| partition.replica_on(node_id).is_some()).count();
            (held > 0).then_some((held, &topic.name))
        });
        let (partitions, topic) = held.fold((0, None), |(sum, _), (held, name)| (sum + held, Some(name.clone())));
        if let Some(topic) = topic {
            return Err(Refusal::HoldsPartitions { node_id, partitions, topic });
        }
        if self.brokers.len() == 1 {
            return Err(Refusal::Invalid("a cluster has a broker"));
        }
        self.begin_metadata(&record.founders);
        self.metadata.leave(node_id);
        self.brokers.remove(&node_id);
        self.broker_configs.remove(&node_id);
        self.taken_out.insert(node_id);
        Ok(Outcome::Done)
    }

    fn may_have(&self, node_id: i32) -> Result<(), Refusal> {
        if self.taken_out.contains(&node_id) { Err(Refusal::TakenOut(node_id)) } else { Ok(()) }
    }

    /// The metadata has other replicas than its founders from now on.
    fn begin_metadata(&mut self, founders: &[MetadataReplica]) {
        if self.metadata.replicas.is_empty() {
            let replicas = founders.iter().map(|founder| Replica { id: founder.replica_id, node_id: founder.node_id });
            self.metadata = Partition::placed(replicas.collect());
            self.next_metadata_replica_id = founders.iter().map(|founder| founder.replica_id).max().unwrap_or(0) + 1;
        }
    }

    fn allocate_producer_ids(&mut self, record: &ProducerIdsAllocated) -> Result<Outcome, Refusal> {
        let first = self.next_producer_id;
        let end = first.checked_add(i64::from(record.count)).ok_or(Refusal::Invalid("no producer ids are left"))?;
        self.next_producer_id = end;
        Ok(Outcome::ProducerIds(first..end))
    }

    fn store_statement(&mut self, record: &StatementStored) -> Result<Outcome, Refusal> {
        if let Some(known) = self.statements.get(&record.name) {
            // The proposer did not hear that it was decided, and proposed it again.
            if known.created_ms == record.created_ms && known.text == record.text {
                return Ok(Outcome::Done);
            }
            if !record.replaces {
                return Err(Refusal::StatementExists(record.name.clone()));
            }
        }
        let invalid = Refusal::Invalid("a topic id is not 16 bytes");
        let statement = match self.statements.get(&record.name).filter(|_| record.goes_on) {
            Some(known) if known.before.len() >= GENERATIONS_MAX => {
                return Err(Refusal::Invalid("it was replaced too often: drop it, or replace it with START FROM"));
            }
            Some(known) => known.replaced(record).ok_or(invalid)?,
            None => {
                let statement = Statement::from_record(record, self.next_statement).ok_or(invalid)?;
                self.next_statement += 1;
                statement
            }
        };
        self.statements.insert(record.name.clone(), Arc::new(statement));
        Ok(Outcome::Done)
    }

    fn drop_statement(&mut self, record: &StatementDropped) -> Outcome {
        if self.statements.get(&record.name).is_some_and(|known| known.number == record.number) {
            self.statements.remove(&record.name);
        }
        Outcome::Done
    }

    fn pause_pipeline(&mut self, record: &PipelinePaused) -> Result<Outcome, Refusal> {
        let known = self.statements.get(&record.name);
        let known = known.ok_or_else(|| Refusal::UnknownStatement(record.name.clone()))?;
        let statement = Statement { paused: record.paused, ..Statement::clone(known) };
        self.statements.insert(record.name.clone(), Arc::new(statement));
        Ok(Outcome::Done)
    }

    fn topic_of(&self, id: &[u8]) -> Result<Topic, Refusal> {
        let id = topic_id(id)?;
        self.topic_by_id(id).map(|topic| Topic::clone(topic)).ok_or(Refusal::UnknownTopic(id))
    }

    fn replace(&mut self, topic: Topic) {
        self.topics.insert(topic.name.clone(), Arc::new(topic));
    }

    /// Gives every placement its replica ids.
    fn place(&mut self, placements: &[Placement]) -> Result<Vec<Partition>, Refusal> {
        if placements.is_empty() || placements.iter().any(|placement| placement.nodes.is_empty()) {
            return Err(Refusal::Invalid("a partition has no replica"));
        }
        Ok(placements
            .iter()
            .map(|placement| placement.nodes.iter().map(|node_id| self.next_replica(*node_id)).collect())
            .map(Partition::placed)
            .collect())
    }

    fn next_replica(&mut self, node_id: i32) -> Replica {
        let id = self.next_replica_id;
        self.next_replica_id += 1;
        Replica { id, node_id }
    }
}

/// Ends a partition's change, if this is the one that is wanted by now.
fn complete(partition: &mut Partition, record: &ReassignmentCompleted) -> Result<Outcome, Refusal> {
    let wanted = partition.wanted_ids();
    let is_wanted = wanted.iter().all(|id| record.replica_ids.contains(id));
    if partition.change.is_none() || !is_wanted || wanted.len() != record.replica_ids.len() {
        return Err(Refusal::NoReassignment);
    }
    partition.change = None;
    partition.decided = (record.index, record.term);
    Ok(Outcome::Done)
}

fn partition_of(topic: &mut Topic, index: i32) -> Result<&mut Partition, Refusal> {
    let partition = usize::try_from(index).ok().and_then(|index| topic.partitions.get_mut(index));
    partition.ok_or(Refusal::Invalid("the topic has no such partition"))
}

fn topic_id(bytes: &[u8]) -> Result<Uuid, Refusal> {
    Uuid::from_slice(bytes).map_err(|_| Refusal::Invalid("its topic id is not 16 bytes"))
}

fn change(configs: &mut Overrides, changes: &[ConfigEntry]) {
    for ConfigEntry { key, value } in changes {
        match value {
            Some(value) => configs.insert(key.clone(), value.clone()),
            None => configs.remove(key),
        };
    }
}
