//! Heartbeat: a member is still there, and hears whether its group rebalances.

use leat_protocol::ErrorCode;
use leat_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::super::context::Context;
use super::happen;
use crate::groups::{Caller, Event, Reply};

pub(crate) async fn handle(context: &Context, request: HeartbeatRequest, _version: i16) -> HeartbeatResponse {
    let caller =
        Caller { member: request.member_id, instance: request.group_instance_id, generation: request.generation_id };
    let error_code = match happen(context, &request.group_id, |token| Event::Heartbeat { caller, token }).await {
        Ok(Reply::Heartbeat(code)) => code,
        Ok(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
        Err(code) => code,
    };
    HeartbeatResponse { throttle_time_ms: context.throttle_ms(), error_code }
}
