//! SyncGroup: a member asks for its assignment; the leader brings everybody's.

use leat_protocol::ErrorCode;
use leat_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::super::context::Context;
use super::{happen, own, own_bytes, own_option};
use crate::groups::{Caller, Event, Reply, Sync, Synced};

/// First version that has to say what was joined with.
const NAMES_PROTOCOL: i16 = 5;

pub(crate) async fn handle(context: &Context, request: SyncGroupRequest, version: i16) -> SyncGroupResponse {
    let unnamed = request.protocol_type.is_none() || request.protocol_name.is_none();
    let synced = match version >= NAMES_PROTOCOL && unnamed {
        true => Synced::refused(ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
        false => match happen(context, &request.group_id, |token| Event::Sync { sync: sync(&request), token }).await {
            Ok(Reply::Sync(synced)) => synced,
            Ok(_) => Synced::refused(ErrorCode::UNKNOWN_SERVER_ERROR),
            Err(code) => Synced::refused(code),
        },
    };
    SyncGroupResponse {
        throttle_time_ms: context.throttle_ms(),
        error_code: synced.error,
        protocol_type: synced.protocol_type,
        protocol_name: synced.protocol,
        assignment: synced.assignment,
    }
}

fn sync(request: &SyncGroupRequest) -> Sync {
    let assignments = request.assignments.iter();
    Sync {
        caller: Caller {
            member: own(&request.member_id),
            instance: own_option(request.group_instance_id.as_ref()),
            generation: request.generation_id,
        },
        protocol_type: own_option(request.protocol_type.as_ref()),
        protocol: own_option(request.protocol_name.as_ref()),
        assignments: assignments.map(|given| (own(&given.member_id), own_bytes(&given.assignment))).collect(),
    }
}
