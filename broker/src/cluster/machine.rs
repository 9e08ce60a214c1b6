//! The metadata group's state machine: applies committed records, publishes the image, and makes this node's partitions
//! follow it.

use std::sync::Arc;

use bytes::Bytes;
use leat_protocol::records;
use leat_protocol::{ErrorCode, Uuid};
use leat_storage::GroupId;

use crate::config::TopicConfig;
use crate::metadata::{Batch, Image, Kind, Outcome, Refusal, Topic};
use crate::partition::{self, Partition, Place};
use crate::server::Server;
use crate::shard::{Command, Machine};

/// Largest metadata batch, plain; a proposal is far below it.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// What a proposer learns of its records once they are applied.
pub(crate) type Outcomes = Vec<Result<Outcome, Refusal>>;

pub(super) struct MetadataMachine {
    server: Arc<Server>,
    image: Image,
}

impl MetadataMachine {
    pub(super) fn new(server: Arc<Server>) -> MetadataMachine {
        MetadataMachine { server, image: Image::default() }
    }

    fn apply_batch(&mut self, batch: &Bytes) -> Result<Outcomes, String> {
        let mut outcomes = Vec::new();
        for record in records::records(batch, BATCH_BYTES_MAX).map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            let changes = Batch::decode(&record.value.unwrap_or_default()).map_err(|error| error.to_string())?;
            for change in &changes.records {
                let before = change.kind.as_ref().and_then(|kind| self.subject(kind));
                let outcome = self.image.apply(change);
                if outcome.is_ok()
                    && let Some(kind) = &change.kind
                {
                    self.follow(kind, before.as_ref());
                }
                outcomes.push(outcome);
            }
        }
        Ok(outcomes)
    }

    /// The topic that a record is about, as it is before the record.
    fn subject(&self, kind: &Kind) -> Option<Arc<Topic>> {
        let id = match kind {
            Kind::PartitionsAdded(record) => &record.topic_id,
            Kind::TopicDeleted(record) => &record.topic_id,
            Kind::TopicConfigChanged(record) => &record.topic_id,
            Kind::PartitionReassigned(record) => &record.topic_id,
            Kind::ReassignmentCompleted(record) => &record.topic_id,
            _ => return None,
        };
        self.image.topic_by_id(Uuid::from_slice(id).ok()?).cloned()
    }

    /// Makes the partitions of this node what the image now says.
    fn follow(&self, kind: &Kind, before: Option<&Arc<Topic>>) {
        let now = |name: &str| self.image.topic(name).cloned();
        match (kind, before) {
            (Kind::TopicCreated(record), _) => {
                if let Some(topic) = now(&record.name) {
                    self.place(&topic);
                }
            }
            (Kind::PartitionsAdded(_) | Kind::PartitionReassigned(_) | Kind::ReassignmentCompleted(_), Some(topic)) => {
                if let Some(topic) = now(&topic.name) {
                    self.place(&topic);
                }
            }
            (Kind::TopicDeleted(_), Some(topic)) => self.remove(topic),
            (Kind::TopicConfigChanged(_), Some(topic)) => {
                if let Some(topic) = now(&topic.name) {
                    self.configure(&topic);
                }
            }
            (Kind::BrokerJoined(_) | Kind::BrokerUnregistered(_) | Kind::ReassignmentCompleted(_), _) => {
                self.place_metadata();
            }
            (Kind::BrokerConfigChanged(_), _) => {
                self.server.set_dynamic_config(&self.image);
                self.image.topics().for_each(|topic| self.configure(topic));
            }
            _ => {}
        }
    }

    /// Makes the partitions of a topic that have a replica here what they should be: new ones begin, and those that other nodes
    /// hold now end.
    fn place(&self, topic: &Topic) {
        let server = &self.server;
        let config = Arc::new(TopicConfig::resolve(&topic.configs, &server.config()));
        let known = server.partitions.topic(topic.id);
        let known = |index: usize| known.as_ref().and_then(|known| known.get(index)?.clone());
        let (mut placed, mut moved) = (Vec::new(), Vec::new());
        for (at, (index, decided)) in (0..).zip(&topic.partitions).enumerate() {
            let own = decided.replica_on(server.node_id);
            let (kept, ended) = match (known(at), own) {
                (Some(known), Some(own)) if known.replica_id == own.id => (Some(known), None),
                (known, _) => (None, known),
            };
            moved.extend(ended);
            if let Some(kept) = kept.as_ref().filter(|kept| *kept.placement() != *decided) {
                kept.set_placement(decided.clone());
                server.shard(kept).send(Command::Placed { partition: kept.clone() });
            }
            placed.push(kept.or_else(|| {
                let group = GroupId { topic_id: topic.id, partition: index };
                let place = Place {
                    group,
                    topic: topic.name.clone(),
                    node_id: server.node_id,
                    replica_id: own?.id,
                    placement: decided.clone(),
                    shard: server.shard_of(group),
                    leader_epoch: server.next_epoch(group),
                };
                Some(Arc::new(Partition::new(place, config.clone())))
            }));
        }
        moved.iter().for_each(|partition| self.end(partition, partition::State::Moved));
        let partitions: partition::Topic = placed.into();
        server.partitions.insert(topic.id, partitions.clone());
        if server.is_caught_up() {
            server.begin_topic(topic.id, &partitions);
        }
    }

    /// Makes the metadata's own replicas what the image now says; founders only are not in it.
    fn place_metadata(&self) {
        let (decided, partition) = (self.image.metadata(), &self.server.metadata);
        if !decided.replicas.is_empty() {
            partition.set_placement(decided.clone());
            self.server.shard(partition).send(Command::Placed { partition: partition.clone() });
        }
    }

    /// Ends a replica of this node and deletes its folder. Before the image is what the cluster has decided, nothing was opened,
    /// and a folder of that name may be a later replica's: what nobody knows is swept then.
    fn end(&self, partition: &Arc<Partition>, state: partition::State) {
        if !self.server.is_caught_up() {
            return;
        }
        self.server.peers.observed.follow(partition.group);
        self.server.deleting.begin(partition.folder());
        partition.set_state(state);
        self.server.shard(partition).send(Command::Delete { partition: partition.clone() });
    }

    fn remove(&self, topic: &Topic) {
        self.server.groups.topic_deleted(topic);
        for index in 0..topic.partition_count() {
            self.server.peers.observed.forget(GroupId { topic_id: topic.id, partition: index });
        }
        for partition in self.server.partitions.remove(topic.id).iter().flat_map(|topic| topic.iter().flatten()) {
            self.end(partition, partition::State::Deleted);
        }
    }

    fn configure(&self, topic: &Topic) {
        let config = Arc::new(TopicConfig::resolve(&topic.configs, &self.server.config()));
        for partition in self.server.partitions.topic(topic.id).iter().flat_map(|topic| topic.iter().flatten()) {
            partition.set_config(config.clone());
            self.server.shard(partition).send(Command::Configure { partition: partition.clone() });
        }
    }
}

impl Machine for MetadataMachine {
    fn restore(&mut self, state: &[u8], applied: u64) -> Result<(), String> {
        if !state.is_empty() {
            self.image = Image::from_snapshot(state).map_err(|error| error.to_string())?;
        }
        self.server.set_dynamic_config(&self.image);
        self.place_metadata();
        // A node whose metadata log was seeded has missed what happened meanwhile.
        let before = self.server.image();
        before.topics().filter(|topic| self.image.topic_by_id(topic.id).is_none()).for_each(|topic| self.remove(topic));
        for topic in self.image.topics() {
            self.place(topic);
            if before.topic_by_id(topic.id).is_some() {
                self.configure(topic);
            }
        }
        self.server.publish(self.image.clone(), applied, Vec::new());
        Ok(())
    }

    fn apply(&mut self, index: u64, batch: &Bytes) {
        let outcomes = match self.apply_batch(batch) {
            Ok(outcomes) => outcomes,
            Err(reason) => {
                // A record of a later release, or damage that the checksum did not show: going on would make this node differ.
                self.server.fail(&format!("metadata entry {index} can not be applied: {reason}"));
                return;
            }
        };
        self.server.publish(self.image.clone(), index, outcomes);
    }

    fn reach(&mut self, index: u64) {
        self.server.set_applied(index);
    }

    fn save(&self) -> Bytes {
        Bytes::from(self.image.to_snapshot())
    }
}

/// What a client is told when the metadata group did not take its change.
pub(crate) fn not_taken() -> (ErrorCode, String) {
    (ErrorCode::NOT_CONTROLLER, "The metadata log took no change; try again.".to_owned())
}
