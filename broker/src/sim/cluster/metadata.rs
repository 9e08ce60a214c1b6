//! The cluster's metadata: nodes follow the image, and operators, new nodes and leaders change it.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::{Bytes, BytesMut};
use leat_protocol::Uuid;
use leat_protocol::records::{BatchHeader, Builder, Compression, records};
use leat_storage::GroupId;

use super::super::disk::BATCH_BYTES_MAX;
use super::Plant;
use super::node::{Held, Token};
use super::world::{EVENTS, OFFSETS, TABLE, World, tell};
use crate::cluster::METADATA_GROUP;
use crate::metadata::record::{
    Batch, BrokerJoined, Kind, MetadataReplica, PartitionReassigned, Placement, ReassignmentCompleted, TopicCreated,
};
use crate::metadata::{Image, Partition, Replica};
use crate::replica::{Acks, Event, Wanted};

/// Replicas of a partition.
const REPLICAS: usize = 3;

impl World {
    /// A node applies a committed batch of the metadata.
    pub(super) fn apply_metadata(&mut self, at: usize, index: u64, batch: &Bytes) -> Result<(), String> {
        let skips = self.options.plant == Some(Plant::MetadataSkipped) && at == 1 && index.is_multiple_of(5);
        for record in records(batch, BATCH_BYTES_MAX).map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            let changes = Batch::decode(&record.value.unwrap_or_default()).map_err(|error| error.to_string())?;
            if !skips {
                self.nodes[at].image.apply_batch(&changes);
            }
        }
        let mut checksum = DefaultHasher::new();
        self.nodes[at].image.to_snapshot().hash(&mut checksum);
        let known = *self.images.entry(index).or_insert(checksum.finish());
        match known == checksum.finish() {
            true => Ok(()),
            false => Err(format!("node {} has another image than others after entry {index}", at + 1)),
        }
    }

    /// A node asks the metadata's leader what is decided; once it has applied that, it opens what it holds.
    pub(super) fn meet(&mut self, at: usize) -> Result<(), String> {
        if self.nodes[at].decided.is_none() {
            let leads = |node: &super::node::Node| node.up && node.held.get(&METADATA_GROUP).is_some_and(Held::leads);
            let leader = self.nodes.iter().find(|node| leads(node));
            let Some(leader) = leader.filter(|leader| !self.network.is_cut(leader.id, self.nodes[at].id)) else {
                return Ok(());
            };
            let decided = leader.held[&METADATA_GROUP].replica.as_ref().and_then(|replica| replica.decided());
            self.nodes[at].decided = decided;
        }
        let applied = self.nodes[at].held.get(&METADATA_GROUP).and_then(|held| held.replica.as_ref());
        let applied = applied.map_or(0, |replica| replica.applied());
        if self.nodes[at].decided.is_some_and(|decided| applied >= decided) {
            self.nodes[at].caught_up = true;
            return self.follow(at);
        }
        Ok(())
    }

    /// Makes the replicas of a node what its image says.
    pub(super) fn follow(&mut self, at: usize) -> Result<(), String> {
        if !self.nodes[at].caught_up {
            return Ok(());
        }
        let node = &self.nodes[at];
        let mut placed: Vec<(GroupId, u64)> = Vec::new();
        for topic in node.image.topics() {
            for (partition, decided) in (0..).zip(&topic.partitions) {
                if let Some(own) = decided.replica_on(node.id) {
                    placed.push((GroupId { topic_id: topic.id, partition }, own.id));
                }
            }
        }
        let stays =
            |group: &GroupId, held: &Held| *group == METADATA_GROUP || placed.contains(&(*group, held.replica_id));
        let node = &mut self.nodes[at];
        node.held.retain(|group, held| stays(group, held));
        for (group, replica_id) in placed {
            if !self.nodes[at].held.contains_key(&group) {
                let disk = self.new_disk();
                self.nodes[at].held.insert(group, Held::new(replica_id, disk));
            }
            if self.nodes[at].held[&group].replica.is_none() {
                self.open(at, group)?;
            }
            if !self.nodes[at].up {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A node takes the next step towards the members that are wanted, or tells that there is none left.
    pub(super) fn steer(&mut self, at: usize) -> Result<(), String> {
        if !self.nodes[at].caught_up {
            self.meet(at)?;
        }
        for group in self.groups_of(at) {
            self.arrived(at, group)?;
            let node = &self.nodes[at];
            let changing = node.placement(group).filter(|placed| placed.change.is_some());
            let Some((placed, held)) = changing.zip(node.held.get(&group)) else { continue };
            let ids = |replicas: &[Replica]| replicas.iter().map(|replica| replica.id).collect();
            let wanted = Wanted { voters: ids(&placed.replicas), learners: ids(&placed.observers) };
            let replica_ids = placed.wanted_ids();
            let Some(replica) = &held.replica else { continue };
            match replica.has_members(&wanted) {
                None => self.event(at, group, Event::Members { wanted })?,
                Some((index, term)) => {
                    let topic_id = group.topic_id.as_bytes().to_vec();
                    let partition = group.partition;
                    let done = ReassignmentCompleted { topic_id, partition, replica_ids, index, term };
                    self.decide(Kind::ReassignmentCompleted(done))?;
                }
            }
        }
        Ok(())
    }

    /// Has the metadata's leader propose a change, where there is one.
    fn decide(&mut self, kind: Kind) -> Result<(), String> {
        let leads = |at: &usize| {
            self.nodes[*at].runs(self.now) && self.nodes[*at].held.get(&METADATA_GROUP).is_some_and(Held::leads)
        };
        let Some(at) = (0..self.nodes.len()).find(leads) else { return Ok(()) };
        tell!(self, "asked of the metadata: {kind:?}");
        let mut builder = Builder::new(Compression::None, None);
        builder.push(self.nodes[at].wall_ms(self.now), None, Some(&Batch::from(vec![kind.into()]).encode()), &[]);
        let batch = builder.finish().map_err(|error| error.to_string())?;
        let header = BatchHeader::parse(&batch).map_err(|error| error.to_string())?;
        let batch = BytesMut::from(&batch[..]);
        self.event(at, METADATA_GROUP, Event::Propose { batch, header, acks: Acks::All, token: Token::Nobody })
    }

    /// The node whose image is the newest.
    pub(super) fn newest_image(&self) -> Option<usize> {
        (0..self.nodes.len()).filter(|at| !self.nodes[*at].lost).max_by_key(|at| self.nodes[*at].image.version())
    }

    /// What operators and new nodes ask of the metadata: topics, members, other replicas, and lost ones replaced.
    pub(super) fn operate(&mut self) -> Result<(), String> {
        let Some(newest) = self.newest_image() else { return Ok(()) };
        let image = self.nodes[newest].image.clone();
        for (name, topic_id, partitions) in [("events", EVENTS, 2), ("table", TABLE, 1), ("offsets", OFFSETS, 1)] {
            if image.topic_by_id(topic_id).is_none() {
                return self.create(name, topic_id, partitions);
            }
        }
        self.admit(&image)?;
        let partitions = image.topics().flat_map(|topic| {
            let group = |partition| GroupId { topic_id: topic.id, partition };
            (0..).zip(&topic.partitions).map(move |(index, decided)| (group(index), decided.clone()))
        });
        let partitions: Vec<(GroupId, Partition)> = partitions.collect();
        let lost = |replica: &Replica| self.nodes[replica.node_id as usize - 1].lost;
        let broken = partitions.iter().find(|(_, decided)| decided.replicas.iter().any(lost));
        if let Some((group, decided)) = broken {
            let kept = decided.replicas.iter().filter(|replica| !lost(replica)).map(|replica| replica.node_id);
            let kept: Vec<i32> = kept.collect();
            return self.reassign(*group, kept);
        }
        if self.healed || !self.random.per_mille(150) {
            return Ok(());
        }
        let (group, decided) = &partitions[self.random.below(partitions.len())];
        let stay = |replica: &&Replica| replica.id % 2 == u64::from(self.now) % 2;
        let kept = decided.replicas.iter().filter(stay).map(|replica| replica.node_id).collect();
        if decided.change.is_none() {
            return self.reassign(*group, kept);
        }
        match self.random.below(5) {
            0 => self.cancel(*group),
            1 => self.reassign(*group, kept),
            _ => Ok(()),
        }
    }

    fn create(&mut self, name: &str, id: Uuid, count: usize) -> Result<(), String> {
        let partitions = (0..count).map(|_| Placement { nodes: self.some_nodes(Vec::new()) }).collect();
        let topic = TopicCreated { name: name.into(), id: id.as_bytes().to_vec(), partitions, configs: Vec::new() };
        self.decide(Kind::TopicCreated(topic))
    }

    /// Nodes that hold or may hold replicas, these among them.
    fn some_nodes(&mut self, mut nodes: Vec<i32>) -> Vec<i32> {
        let known = |node: &&super::node::Node| !node.lost && !node.held.is_empty();
        let known: Vec<i32> = self.nodes.iter().filter(known).map(|node| node.id).collect();
        while nodes.len() < REPLICAS {
            let id = known[self.random.below(known.len())];
            if !nodes.contains(&id) {
                nodes.push(id);
            }
        }
        nodes
    }

    fn reassign(&mut self, group: GroupId, kept: Vec<i32>) -> Result<(), String> {
        self.summary.moves += 1;
        let target = Some(Placement { nodes: self.some_nodes(kept) });
        let topic_id = group.topic_id.as_bytes().to_vec();
        self.decide(Kind::PartitionReassigned(PartitionReassigned { topic_id, partition: group.partition, target }))
    }

    fn cancel(&mut self, group: GroupId) -> Result<(), String> {
        let topic_id = group.topic_id.as_bytes().to_vec();
        let asked = PartitionReassigned { topic_id, partition: group.partition, target: None };
        self.decide(Kind::PartitionReassigned(asked))
    }

    /// A node that is no member yet joins; one that has become one begins.
    fn admit(&mut self, image: &Image) -> Result<(), String> {
        let waits = |node: &super::node::Node| !node.lost && node.held.is_empty();
        let Some(at) = self.nodes.iter().position(waits) else { return Ok(()) };
        let id = self.nodes[at].id;
        let Some(own) = image.metadata().replica_on(id) else {
            let founders = self.nodes[at].met.founders.iter();
            let founders =
                founders.map(|held| MetadataReplica { node_id: held.node_id, replica_id: held.id }).collect();
            let folder = u128::from(id.unsigned_abs()).to_be_bytes().to_vec();
            return self.decide(Kind::BrokerJoined(BrokerJoined {
                node_id: id,
                folder,
                peer: String::new(),
                founders,
            }));
        };
        tell!(self, "node {id} is a member");
        let disk = self.new_disk();
        let node = &mut self.nodes[at];
        node.met.observers.push(own);
        node.held.insert(METADATA_GROUP, Held::new(own.id, disk));
        Ok(())
    }
}
