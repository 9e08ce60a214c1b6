//! Changing the cluster: a plan against the newest image becomes records, which the metadata group's log decides.
//!
//! One change is planned at a time, against an image in which all earlier ones are applied.

mod machine;
mod quorum;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use leat_protocol::records::{BatchHeader, Builder, Compression};
use leat_protocol::{ErrorCode, Str, Uuid};
use leat_storage::{Checkpoint, Env, Founding, GroupId};
use tokio::sync::oneshot;

pub(crate) use self::machine::Outcomes;

use self::machine::{MetadataMachine, not_taken};
use crate::clock::now_ms;
use crate::config::{Config, Overrides, TopicConfig};
use crate::groups;
use crate::handlers::admin::{Finish, Plan};
use crate::metadata::record::{BrokerJoined, MetadataReplica, ReassignmentCompleted};
use crate::metadata::{self, Batch, Image, Kind, Record, Replica};
use crate::partition::{self, NOBODY, Partition, Place};
use crate::peers::{self, Answered, Asked, Called, Decided, Founder, Join, Observation, Source};
use crate::pipelines;
use crate::replica::{Acks, Answer};
use crate::server::Server;
use crate::shard::{Command, Machine, MachineFactory, TellMembers, Ticket};

/// The folder of the metadata log, named as Kafka's.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";

/// The metadata log's group.
pub(crate) const METADATA_GROUP: GroupId = GroupId { topic_id: Uuid::nil(), partition: 0 };

/// The metadata log as a partition. Its settings are not a user's to relax.
pub(crate) fn metadata_partition(config: &Config, founding: &Founding, leader_epoch: i32) -> Arc<Partition> {
    let mut settings = TopicConfig::resolve(&Overrides::new(), config);
    settings.flush_messages = 1;
    settings.segment_bytes = 16 << 20;
    settings.min_insync_replicas = 1;
    settings.max_message_bytes = 64 << 20;
    let founders: Vec<Replica> =
        founding.founders.iter().map(|founder| Replica { id: founder.replica_id, node_id: founder.node_id }).collect();
    let mut placement = metadata::Partition::placed(founders);
    if placement.replica_on(config.node_id).is_none() {
        // It came later, and learns who else did.
        placement.observers.push(Replica { id: founding.replica_id, node_id: config.node_id });
    }
    let place = Place {
        group: METADATA_GROUP,
        topic: Str::from_static(METADATA_TOPIC),
        node_id: config.node_id,
        replica_id: founding.replica_id,
        placement,
        shard: 0,
        leader_epoch,
    };
    Arc::new(Partition::new(place, Arc::new(settings)))
}

/// How long a change waits for the metadata group to have a leader.
const LEADER_PATIENCE: Duration = Duration::from_secs(10);

/// How long whoever makes a topic waits for its leaders.
pub(crate) const LED_PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks for it.
const LEADER_RETRY: Duration = Duration::from_millis(20);

/// Gives the metadata group its state machine; other groups have none yet.
pub(crate) fn machines(server: &Arc<Server>) -> MachineFactory {
    let server = server.clone();
    Arc::new(move |group| {
        (group == METADATA_GROUP).then(|| Box::new(MetadataMachine::new(server.clone())) as Box<dyn Machine>)
    })
}

/// Tells the metadata that a partition is held by whom it should be. Nobody waits: whoever leads it then tells it again.
pub(crate) fn tell_members(server: &Arc<Server>) -> TellMembers {
    let server = server.clone();
    Arc::new(move |group, replica_ids, (index, term)| {
        let topic_id = group.topic_id.as_bytes().to_vec();
        let completed = ReassignmentCompleted { topic_id, partition: group.partition, replica_ids, index, term };
        let deciding = server.clone();
        server.shards()[0].send(Command::Run(Box::new(move || {
            tokio::task::spawn_local(async move {
                if let Err((_, reason)) =
                    deciding.decide_alone(vec![Kind::ReassignmentCompleted(completed).into()]).await
                {
                    tracing::warn!(%reason, "the end of a reassignment was not taken");
                }
            });
        })));
    })
}

impl Server {
    /// Plans a change against the newest image, has its records decided, and finishes the answer with what became of them.
    /// Without records nothing is written.
    pub(crate) async fn change<R: Finish>(&self, plan: impl FnOnce(&Image) -> Plan<R>) -> R {
        let _turn = self.planning.lock().await;
        let mut plan = plan(&self.image());
        if plan.records.is_empty() {
            return plan.finish(&[]);
        }
        match self.decide(std::mem::take(&mut plan.records)).await {
            Ok(outcomes) => plan.finish(&outcomes),
            Err((code, reason)) => {
                tracing::warn!(%reason, "a change of the metadata was not taken");
                plan.fail(code)
            }
        }
    }

    /// Has a plan's records decided; what becomes of them shows in the image.
    pub(crate) async fn change_quietly(&self, plan: impl FnOnce(&Image) -> Vec<Record>) {
        let _turn = self.planning.lock().await;
        let records = plan(&self.image());
        if !records.is_empty()
            && let Err((_, reason)) = self.decide(records).await
        {
            tracing::warn!(%reason, "a change of the metadata was not taken");
        }
    }

    /// Has records decided that no client waits for.
    pub(crate) async fn decide_alone(&self, records: Vec<Record>) -> Result<Outcomes, (ErrorCode, String)> {
        let _turn = self.planning.lock().await;
        self.decide(records).await
    }

    async fn decide(&self, records: Vec<Record>) -> Result<Outcomes, (ErrorCode, String)> {
        let index = self.at_leader(&peers::decide(Batch::from(records).encode())).await?;
        self.outcomes(index).await.ok_or_else(not_taken)
    }

    /// Brings the image to what the cluster has decided by now. Tries until it can be had, or the broker stops.
    pub(crate) async fn catch_up(&self) {
        while !*self.stopping.borrow() {
            match self.at_leader(&Asked::Decided(Decided {})).await {
                Ok(index) => return self.applied_upto(index).await,
                Err((_, reason)) => tracing::info!(%reason, "waiting for the metadata's leader"),
            }
        }
    }

    /// Has the metadata's leader do something, which may be this node; where there is none, it is waited for. What was lost on
    /// its way is asked again: a record that was decided already changes nothing then.
    async fn at_leader(&self, asked: &Asked) -> Result<u64, (ErrorCode, String)> {
        let deadline = Instant::now() + LEADER_PATIENCE;
        loop {
            let done = match self.metadata.leader().0 {
                NOBODY => Err((ErrorCode::NOT_CONTROLLER, "the metadata group has no leader".to_owned())),
                leader if leader == self.node_id => self.lead(asked).await,
                leader => self.peers.call(leader, asked.clone()).await,
            };
            match done {
                Err((ErrorCode::NOT_CONTROLLER, _))
                    if self.peers.is_clustered() && Instant::now() < deadline && !*self.stopping.borrow() =>
                {
                    tokio::time::sleep(LEADER_RETRY).await;
                }
                done => return done,
            }
        }
    }

    /// Answers another node.
    pub(crate) async fn called(&self, called: Called) {
        let done = match &called.asked {
            Asked::Emit(emit) => pipelines::emitted(self, emit).await.map(Answered::from),
            Asked::Advance(advance) => pipelines::advanced(self, *advance).await.map(Answered::from),
            Asked::Join(join) => self.take_in(join).await.map(Answered::from),
            Asked::DescribeQuorum(_) => self.encoded_quorum().await,
            asked => self.lead(asked).await.map(Answered::from),
        };
        // Whoever asked may be gone.
        let _ = called.reply.send(done);
    }

    /// Does what only the leader of a group may, mostly the metadata's; the index is that of the entry to wait for.
    pub(crate) async fn lead(&self, asked: &Asked) -> Result<u64, (ErrorCode, String)> {
        match asked {
            Asked::Decide(records) => {
                // What can't be read would stop every node.
                Batch::decode(records).map_err(|error| (ErrorCode::INVALID_REQUEST, error.to_string()))?;
                self.append(records).await
            }
            // Answered where it was called.
            Asked::Emit(_) | Asked::Advance(_) | Asked::DescribeQuorum(_) => Err(not_taken()),
            Asked::Decided(_) => {
                let decided = |replica: &crate::replica::Replica<Ticket>| replica.decided();
                let seen = self.shard(&self.metadata).inspect(&self.metadata, decided).await;
                seen.flatten().ok_or_else(not_taken)
            }
            // Any node takes one in.
            Asked::Join(_) => Err(not_taken()),
            Asked::Prefer(group) => {
                let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
                let partition = self.partition_of((*group).into()).filter(|partition| partition.is_led_here());
                let partition = partition.ok_or_else(|| (code, code.message().to_owned()))?;
                self.shard(&partition).send(Command::Prefer { partition: partition.clone() });
                Ok(0)
            }
        }
    }

    /// Takes a new node into the cluster: its replica of the metadata.
    async fn take_in(&self, join: &Join) -> Result<u64, (ErrorCode, String)> {
        let Join { node_id, folder, address } = join.clone();
        let joined = BrokerJoined { node_id, folder, peer: address, founders: self.founders() };
        let refused = |reason: String| (ErrorCode::INVALID_REQUEST, reason);
        match self.decide_alone(vec![Kind::BrokerJoined(joined).into()]).await?.pop() {
            Some(Ok(_)) => {}
            Some(Err(refusal)) => return Err(refused(refusal.to_string())),
            None => return Err(not_taken()),
        }
        let placed = self.image().metadata().replica_on(node_id);
        placed.map(|replica| replica.id).ok_or_else(|| refused("it has no replica of the metadata".to_owned()))
    }

    /// The metadata group's first voters.
    pub(crate) fn founders(&self) -> Vec<MetadataReplica> {
        let founder = |founder: &Founder| MetadataReplica { node_id: founder.node_id, replica_id: founder.replica_id };
        self.peers.me.founders.iter().map(founder).collect()
    }

    async fn append(&self, payload: &[u8]) -> Result<u64, (ErrorCode, String)> {
        let mut builder = Builder::new(Compression::None, None);
        builder.push(now_ms(), None, Some(payload), &[]);
        let batch = builder.finish().map_err(|error| (ErrorCode::INVALID_REQUEST, error.to_string()))?;
        let header = BatchHeader::parse(&batch).map_err(|error| (ErrorCode::INVALID_REQUEST, error.to_string()))?;
        let (ticket, answer) = Ticket::new();
        let partition = self.metadata.clone();
        let batch = BytesMut::from(batch);
        self.shard(&self.metadata).send(Command::Propose { partition, batch, header, acks: Acks::All, ticket });
        match answer.await {
            Ok(Answer::Appended { index, .. }) => Ok(index),
            Ok(Answer::Refused(code, reason)) => Err((code, reason)),
            _ => Err(not_taken()),
        }
    }

    /// The log of a partition that this node leads, at a checkpoint that is made for it.
    pub(crate) async fn seed(&self, group: GroupId) -> Result<Source, String> {
        let partition = self.partition_of(group).ok_or("it is not here")?;
        // A leader that has committed nothing yet may need this very replica to do so. A checkpoint says only what is committed.
        if !partition.is_led_here() {
            return Err("it is not led here".to_owned());
        }
        if !self.shard(&partition).save_checkpoint(&partition).await {
            return Err("its checkpoint can not be saved".to_owned());
        }
        let folder = self.folder.join(partition.folder());
        let reader = partition.reader().ok_or("it has no log")?;
        let (reply, read) = oneshot::channel();
        self.pool.spawn(move || {
            let read = || -> Result<Source, leat_storage::Error> {
                let checkpoint = Checkpoint::load(&Env::default(), &folder)?.unwrap_or_default();
                Ok(Source { seed: reader.seed(checkpoint.applied)?, checkpoint })
            };
            // Whoever waits may be gone.
            let _ = reply.send(read().map_err(|error| error.to_string()));
        });
        read.await.unwrap_or_else(|_| Err("the broker stops".to_owned()))
    }

    /// Waits for a while until it is known who leads a topic that was just made, so that the next question about it is answered.
    pub(crate) async fn led(&self, topic: &str, patience: Duration) {
        let Some(topic) = self.image().topic(topic).filter(|_| self.peers.is_clustered()).cloned() else { return };
        let deadline = Instant::now() + patience;
        for partition in 0..topic.partition_count() {
            let group = GroupId { topic_id: topic.id, partition };
            while self.leader_of(group).is_none() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }

    /// Waits for a while until a partition is held by whom it should be.
    pub(crate) async fn settled(&self, topic: &str, partition: i32, patience: Duration) {
        let deadline = Instant::now() + patience;
        let changes = || {
            let image = self.image();
            image
                .topic(topic)
                .and_then(|topic| topic.partition(partition))
                .is_some_and(|placed| placed.change.is_some())
        };
        while changes() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits for a while until the metadata is held by whom it should be.
    pub(crate) async fn metadata_settled(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.image().metadata().change.is_some() && Instant::now() < deadline {
            tokio::time::sleep(LEADER_RETRY).await;
        }
    }

    /// Begins what this node holds of a topic, once the image is what the cluster has decided.
    pub(crate) fn begin_topic(self: &Arc<Server>, topic_id: Uuid, partitions: &partition::Topic) {
        partitions.iter().flatten().for_each(|partition| self.begin(partition));
        let coordinates = |partition: &Arc<Partition>| *partition.topic == *groups::OFFSETS_TOPIC;
        if partitions.iter().flatten().any(coordinates) || self.groups.is_of(topic_id) {
            self.groups.attach(self, topic_id, partitions);
        }
    }

    /// Begins a partition of this node: one that is alone is told to the others, one with replicas elsewhere is opened.
    fn begin(&self, partition: &Arc<Partition>) {
        let (leader, epoch) = partition.leader();
        // One whose other replicas have left does not know yet that it leads.
        if partition.is_replicated() || partition.is_changing() || leader == NOBODY {
            drop(self.shard(partition).begin_open(partition));
        } else if self.peers.is_clustered() && leader == self.node_id {
            self.peers.observed.lead(partition.group, Observation { leader, epoch, in_sync: vec![leader] });
        }
    }
}
