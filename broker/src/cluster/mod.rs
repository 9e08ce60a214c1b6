//! Changing the cluster: a plan against the newest image becomes records, which the metadata group's log decides.
//!
//! One change is planned at a time, against an image in which all earlier ones are applied.

mod machine;

use std::sync::Arc;

use bytes::BytesMut;
use leat_protocol::records::{BatchHeader, Builder, Compression};
use leat_protocol::{ErrorCode, Str, Uuid};
use leat_storage::GroupId;

pub(crate) use self::machine::Outcomes;

use self::machine::{MetadataMachine, not_taken};
use crate::clock::now_ms;
use crate::config::{Config, Overrides, TopicConfig};
use crate::handlers::admin::{Finish, Plan};
use crate::metadata::{Batch, Image, Record};
use crate::partition::Partition;
use crate::replica::{Acks, Answer};
use crate::server::Server;
use crate::shard::{Command, Machine, MachineFactory, Ticket};

/// The folder of the metadata log, named as Kafka's.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";

/// The metadata log's group.
pub(crate) const METADATA_GROUP: GroupId = GroupId { topic_id: Uuid::nil(), partition: 0 };

/// The only replica id that is not given by the metadata, since the metadata's own replica comes before it.
const METADATA_REPLICA: u64 = 1;

/// The metadata log as a partition. Its settings are not a user's to relax.
pub(crate) fn metadata_partition(config: &Config, leader_epoch: i32) -> Arc<Partition> {
    let mut settings = TopicConfig::resolve(&Overrides::new(), config);
    settings.flush_messages = 1;
    settings.segment_bytes = 16 << 20;
    settings.min_insync_replicas = 1;
    settings.max_message_bytes = 64 << 20;
    Arc::new(Partition::new(
        METADATA_GROUP,
        Str::from_static(METADATA_TOPIC),
        METADATA_REPLICA,
        0,
        leader_epoch,
        Arc::new(settings),
    ))
}

/// Gives the metadata group its state machine; other groups have none yet.
pub(crate) fn machines(server: &Arc<Server>) -> MachineFactory {
    let server = server.clone();
    Arc::new(move |group| {
        (group == METADATA_GROUP).then(|| Box::new(MetadataMachine::new(server.clone())) as Box<dyn Machine>)
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
        let payload = Batch::from(records).encode();
        let mut builder = Builder::new(Compression::None, None);
        builder.push(now_ms(), None, Some(&payload), &[]);
        let batch = builder.finish().map_err(|error| (ErrorCode::INVALID_REQUEST, error.to_string()))?;
        let header = BatchHeader::parse(&batch).map_err(|error| (ErrorCode::INVALID_REQUEST, error.to_string()))?;
        let (ticket, answer) = Ticket::new();
        let partition = self.metadata.clone();
        let batch = BytesMut::from(batch);
        self.shard(&self.metadata).send(Command::Propose { partition, batch, header, acks: Acks::All, ticket });
        match answer.await {
            Ok(Answer::Appended { index, .. }) => self.outcomes(index).ok_or_else(not_taken),
            Ok(Answer::Refused(code, reason)) => Err((code, reason)),
            _ => Err(not_taken()),
        }
    }
}
