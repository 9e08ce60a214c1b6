//! FindCoordinator: which broker leads a group. The topic of committed offsets is made when it is first asked for.

use leat_protocol::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use leat_protocol::{ErrorCode, Str, Uuid};
use leat_storage::GroupId;

use std::sync::Arc;

use super::super::admin::{Node, create_topics};
use super::super::context::Context;
use crate::cluster::LED_PATIENCE;
use crate::groups::{OFFSETS_TOPIC, partition_of};
use crate::metadata::{Record, Topic};

/// Kinds of keys.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// First version that asks for several keys.
const BATCHED_VERSION: i16 = 4;

pub(crate) async fn handle(
    context: &Context,
    request: FindCoordinatorRequest,
    version: i16,
) -> FindCoordinatorResponse {
    let topic = match request.key_type {
        GROUP => topic(context).await,
        // As the answer to InitProducerId: clients give up at this number, and say so.
        TRANSACTION => Err((ErrorCode::UNSUPPORTED_VERSION, "Transactions are not supported yet.")),
        _ => Err((ErrorCode::INVALID_REQUEST, "The type of the key is neither a group nor a transaction.")),
    };
    let nodes = context.nodes(&context.server.image());
    let coordinator = |key: Str| match topic.clone().and_then(|topic| find(context, &nodes, &topic, &key)) {
        Ok(Node { id: node_id, host, port, .. }) => Coordinator { key, node_id, host, port, ..Coordinator::default() },
        Err((error_code, message)) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code,
            error_message: Some(Str::from_static(message)),
            ..Coordinator::default()
        },
    };
    let throttle_time_ms = context.throttle_ms();
    if version >= BATCHED_VERSION {
        let coordinators = request.coordinator_keys.into_iter().map(coordinator).collect();
        return FindCoordinatorResponse { throttle_time_ms, coordinators, ..FindCoordinatorResponse::default() };
    }
    let Coordinator { node_id, host, port, error_code, error_message, .. } = coordinator(request.key);
    FindCoordinatorResponse {
        throttle_time_ms,
        error_code,
        error_message,
        node_id,
        host,
        port,
        coordinators: Vec::new(),
    }
}

type Problem = (ErrorCode, &'static str);

/// The node that leads a group's partition.
fn find(context: &Context, nodes: &[Node], topic: &Topic, group: &str) -> Result<Node, Problem> {
    let partition = i32::try_from(partition_of(group, topic.partitions.len())).unwrap_or(0);
    let leader = context.server.leader_of(GroupId { topic_id: topic.id, partition });
    let node = leader.and_then(|told| nodes.iter().find(|node| node.id == told.leader));
    node.cloned().ok_or((ErrorCode::COORDINATOR_NOT_AVAILABLE, "The group's coordinator is being elected."))
}

/// The topic of groups, which is made when it is first asked for.
async fn topic(context: &Context) -> Result<Arc<Topic>, Problem> {
    let server = &context.server;
    let there = || server.image().topic(OFFSETS_TOPIC).cloned();
    if there().is_none() {
        let config = server.config();
        let plan = |image: &crate::metadata::Image| match image.topic(OFFSETS_TOPIC) {
            Some(_) => Vec::new(),
            None => match create_topics::offsets_topic(image, &config, Uuid::new_v4()) {
                Ok(record) => vec![Record::from(record)],
                Err((code, reason)) => {
                    tracing::warn!(code = code.name(), %reason, "the topic of committed offsets can not be made");
                    Vec::new()
                }
            },
        };
        server.change_quietly(plan).await;
        server.led(OFFSETS_TOPIC, LED_PATIENCE).await;
    }
    there().ok_or((ErrorCode::COORDINATOR_NOT_AVAILABLE, "The topic of committed offsets could not be made."))
}
