//! FindCoordinator: which broker leads a group. The topic of committed offsets is made when it is first asked for.

use leat_protocol::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use leat_protocol::{ErrorCode, Str, Uuid};

use super::super::admin::create_topics;
use super::super::context::Context;
use crate::groups::OFFSETS_TOPIC;
use crate::metadata::Record;

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
    let found = match request.key_type {
        GROUP => find(context).await,
        // As the answer to InitProducerId: clients give up at this number, and say so.
        TRANSACTION => Err((ErrorCode::UNSUPPORTED_VERSION, "Transactions are not supported yet.")),
        _ => Err((ErrorCode::INVALID_REQUEST, "The type of the key is neither a group nor a transaction.")),
    };
    let coordinator = |key: Str| match &found {
        Ok((host, port)) => Coordinator {
            key,
            node_id: context.server.node_id,
            host: host.clone(),
            port: *port,
            ..Coordinator::default()
        },
        Err((error_code, message)) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: *error_code,
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

/// This broker's address, once there are groups.
async fn find(context: &Context) -> Result<(Str, i32), (ErrorCode, &'static str)> {
    let server = &context.server;
    let exists = || server.image().topic(OFFSETS_TOPIC).is_some();
    if !exists() {
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
    }
    if !exists() {
        return Err((ErrorCode::COORDINATOR_NOT_AVAILABLE, "The topic of committed offsets could not be made."));
    }
    let (host, port) = context.advertised();
    Ok((host.into(), port.into()))
}
