//! UnregisterBroker: a broker is taken out of the cluster, and its replica of the metadata with it.
//!
//! Kafka takes out any, and one that runs comes back with its next start. Here it must hold no partition, which would be lost, and
//! its number is never given again. It may run: then it votes until others do in its place, and is to be stopped.

use std::time::Duration;

use leat_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use leat_protocol::{ErrorCode, Str};

use super::admin::{Finish, Plan};
use super::context::Context;
use crate::metadata::record::{BrokerUnregistered, Kind};

/// How long the answer waits until the metadata is held by those that are left.
const SETTLED_PATIENCE: Duration = Duration::from_secs(5);

impl Finish for UnregisterBrokerResponse {
    fn refuse(&mut self, _at: usize, code: ErrorCode, message: Option<Str>) {
        (self.error_code, self.error_message) = (code, message);
    }
}

pub(super) async fn handle(
    context: &Context,
    request: UnregisterBrokerRequest,
    _version: i16,
) -> UnregisterBrokerResponse {
    let server = &context.server;
    let record = BrokerUnregistered { node_id: request.broker_id, founders: server.founders() };
    let mut response: UnregisterBrokerResponse = server.change(|_| Plan::of(Kind::BrokerUnregistered(record))).await;
    if !response.error_code.is_err() {
        server.metadata_settled(SETTLED_PATIENCE).await;
    }
    response.throttle_time_ms = context.throttle_ms();
    response
}
