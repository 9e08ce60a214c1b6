//! LeaveGroup: members leave by themselves, or an administrator takes them out.

use leat_protocol::ErrorCode;
use leat_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse};

use super::super::context::Context;
use super::happen;
use crate::groups::{Event, Reply};

/// First version that names several members (KIP-345).
const BATCHED: i16 = 3;

pub(crate) async fn handle(context: &Context, request: LeaveGroupRequest, version: i16) -> LeaveGroupResponse {
    let identities = match version >= BATCHED {
        true => request.members,
        false => vec![MemberIdentity { member_id: request.member_id, ..MemberIdentity::default() }],
    };
    let members = identities.iter().map(|one| (one.member_id.clone(), one.group_instance_id.clone())).collect();
    let codes = match happen(context, &request.group_id, |token| Event::Leave { members, token }).await {
        Ok(Reply::Leave(codes)) => codes,
        Ok(_) => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
        Err(code) => Err(code),
    };
    let throttle_time_ms = context.throttle_ms();
    match codes {
        Err(error_code) => LeaveGroupResponse { throttle_time_ms, error_code, members: Vec::new() },
        Ok(codes) if version < BATCHED => LeaveGroupResponse {
            throttle_time_ms,
            error_code: codes.first().copied().unwrap_or_default(),
            members: Vec::new(),
        },
        Ok(codes) => {
            let members = identities.into_iter().zip(codes).map(|(identity, error_code)| MemberResponse {
                member_id: identity.member_id,
                group_instance_id: identity.group_instance_id,
                error_code,
            });
            LeaveGroupResponse { throttle_time_ms, error_code: ErrorCode::NONE, members: members.collect() }
        }
    }
}
