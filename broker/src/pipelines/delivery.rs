//! Gives batches of emissions, and punctuations, to the leader of their partition, here or elsewhere.

use std::sync::Arc;

use bytes::BytesMut;
use leat_protocol::ErrorCode;
use leat_protocol::records::{self, BatchHeader};
use leat_storage::GroupId;

use super::entry::{Advance, Control};
use crate::partition::{NOBODY, Partition};
use crate::peers::{AdvanceTo, Emit};
use crate::producers::PIPELINE_IDS;
use crate::replica::{Acks, Answer};
use crate::server::Server;
use crate::shard::{Command, Ticket};

/// How a delivery ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// It is committed.
    Taken,
    /// The partition has everything before this number, and the batch does not continue there.
    Upto(u32),
    /// It may be, or not.
    Not(String),
}

/// Delivers to whoever leads.
pub(crate) async fn deliver(server: &Arc<Server>, group: GroupId, batch: BytesMut, header: BatchHeader) -> Delivered {
    let leader = server.leader_of(group).map_or(NOBODY, |observed| observed.leader);
    if leader == NOBODY {
        return Delivered::Not("the partition has no leader".to_owned());
    }
    if leader != server.node_id {
        return server.peers.emit(leader, group, batch.freeze()).await;
    }
    match server.partition_of(group) {
        Some(partition) => deliver_here(server, &partition, batch, header).await,
        None => Delivered::Not("the partition is not here".to_owned()),
    }
}

/// Delivers what another node's pipeline gave; the answer is that of [`Emit`].
pub(crate) async fn emitted(server: &Server, emit: &Emit) -> Result<u64, (ErrorCode, String)> {
    let refused = |code, reason: &str| Err((code, reason.to_owned()));
    let Some(group) = emit.group else { return refused(ErrorCode::INVALID_REQUEST, "a batch for no partition") };
    let header = match records::check(&emit.batch) {
        // A pipeline's, or of `INSERT INTO ... VALUES`.
        Ok(header) if (header.producer_id >= PIPELINE_IDS || !header.has_producer()) && !header.is_control() => header,
        _ => return refused(ErrorCode::INVALID_REQUEST, "neither a pipeline's batch nor one without a producer"),
    };
    let Some(partition) = server.partition_of(group.into()) else {
        return refused(ErrorCode::NOT_LEADER_OR_FOLLOWER, "the partition is not here");
    };
    match deliver_here(server, &partition, BytesMut::from(&emit.batch[..]), header).await {
        Delivered::Taken => Ok(0),
        Delivered::Upto(next) => Ok(u64::from(next) + 1),
        Delivered::Not(reason) => Err((ErrorCode::NOT_LEADER_OR_FOLLOWER, reason)),
    }
}

/// Delivers to a partition that is led here.
pub(crate) async fn deliver_here(
    server: &Server,
    partition: &Arc<Partition>,
    batch: BytesMut,
    header: BatchHeader,
) -> Delivered {
    let (ticket, answer) = Ticket::new();
    let shard = server.shard(partition);
    let command = Command::Propose { partition: partition.clone(), batch, header, acks: Acks::All, ticket };
    shard.send(command);
    match answer.await {
        Ok(Answer::Appended { .. } | Answer::Duplicate { .. }) => Delivered::Taken,
        Ok(Answer::Refused(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, _)) => {
            let id = header.producer_id;
            let next = shard.inspect(partition, move |replica| replica.producers().next_emission(id)).await;
            next.map_or_else(|| Delivered::Not("the partition is not open".to_owned()), Delivered::Upto)
        }
        Ok(Answer::Refused(code, reason)) => Delivered::Not(format!("{code:?}: {reason}")),
        Ok(Answer::NotLeader) | Err(_) => Delivered::Not("the partition is led elsewhere".to_owned()),
    }
}

/// Moves watermarks of a partition on, whoever leads it.
pub(crate) async fn advance(server: &Server, group: GroupId, advance: Advance) -> Result<(), String> {
    let leader = server.leader_of(group).map_or(NOBODY, |observed| observed.leader);
    if leader == NOBODY {
        return Err("it has no leader now".to_owned());
    }
    if leader != server.node_id {
        return server.peers.advance(leader, group, advance).await;
    }
    let partition = server.partition_of(group).ok_or("it is not here")?;
    let (kind, payload) = Control::Advance(advance).encode();
    match server.shard(&partition).control(&partition, kind, payload).await {
        Answer::Appended { .. } | Answer::Duplicate { .. } => Ok(()),
        Answer::NotLeader => Err("it is led elsewhere now".to_owned()),
        Answer::Refused(_, reason) => Err(reason),
    }
}

/// The same for another node, which takes this one for the leader.
pub(crate) async fn advanced(server: &Server, asked: AdvanceTo) -> Result<u64, (ErrorCode, String)> {
    let not_here = || (ErrorCode::NOT_LEADER_OR_FOLLOWER, "it is led elsewhere".to_owned());
    let group: GroupId = asked.group.ok_or_else(not_here)?.into();
    // Never handed on: two nodes might take each other for the leader.
    if !server.partition_of(group).is_some_and(|partition| partition.is_led_here()) {
        return Err(not_here());
    }
    let done = advance(server, group, Advance { pipeline: asked.pipeline, watermark: asked.watermark }).await;
    done.map(|()| 0).map_err(|reason| (ErrorCode::NOT_LEADER_OR_FOLLOWER, reason))
}
