//! JoinGroup: a member wants to be in the group's next generation. Answered when the group's members have come.

use std::collections::HashSet;

use leat_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use leat_protocol::{ErrorCode, Str, Uuid};

use super::super::context::Context;
use super::{NAME_BYTES_MAX, happen, own, own_bytes, own_option};
use crate::groups::{Event, Join, Joined, Protocol, Reply};

/// First version whose clients can join twice: the first time for an id (KIP-394).
const ASKS_FOR_ID: i16 = 4;
/// First version in which a leader can be told to assign nothing (KIP-814).
const CAN_SKIP_ASSIGNMENT: i16 = 9;
/// First version in which no protocol is null, not empty.
const NULL_PROTOCOL: i16 = 7;

pub(crate) async fn handle(
    context: &Context,
    request: JoinGroupRequest,
    version: i16,
    client_id: Option<Str>,
) -> JoinGroupResponse {
    let joined = match check(context, &request, client_id.as_deref().unwrap_or_default()) {
        Err(code) => Joined::refused(request.member_id.clone(), code),
        Ok(()) => {
            let join = Box::new(join(context, &request, version, client_id));
            match happen(context, &request.group_id, |token| Event::Join { join, token }).await {
                Ok(Reply::Join(joined)) => *joined,
                Ok(_) => Joined::refused(request.member_id.clone(), ErrorCode::UNKNOWN_SERVER_ERROR),
                Err(code) => Joined::refused(request.member_id.clone(), code),
            }
        }
    };
    let protocol_name = match joined.protocol {
        None if version < NULL_PROTOCOL => Some(Str::default()),
        protocol => protocol,
    };
    let members = joined.members.into_iter().map(|member| JoinGroupResponseMember {
        member_id: member.id,
        group_instance_id: member.instance,
        metadata: member.metadata,
    });
    JoinGroupResponse {
        throttle_time_ms: context.throttle_ms(),
        error_code: joined.error,
        generation_id: joined.generation,
        protocol_type: joined.protocol_type,
        protocol_name,
        leader: joined.leader,
        skip_assignment: joined.skip_assignment,
        member_id: joined.member,
        members: members.collect(),
    }
}

fn check(context: &Context, request: &JoinGroupRequest, client_id: &str) -> Result<(), ErrorCode> {
    super::check_name(&request.group_id)?;
    let config = context.server.config();
    let allowed = config.group_min_session_timeout_ms..=config.group_max_session_timeout_ms;
    if !allowed.contains(&request.session_timeout_ms) {
        return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
    }
    let instance = request.group_instance_id.as_deref().unwrap_or_default();
    let protocols = request.protocols.iter().map(|protocol| &*protocol.name);
    let mut names = [client_id, instance, &*request.protocol_type].into_iter().chain(protocols);
    if names.any(|name| name.len() > NAME_BYTES_MAX) { Err(ErrorCode::INVALID_REQUEST) } else { Ok(()) }
}

fn join(context: &Context, request: &JoinGroupRequest, version: i16, client_id: Option<Str>) -> Join {
    // As in Kafka, the first of a name counts.
    let mut names = HashSet::new();
    let first = request.protocols.iter().filter(|protocol| names.insert(&*protocol.name));
    let protocols =
        first.map(|protocol| Protocol { name: own(&protocol.name), metadata: own_bytes(&protocol.metadata) }).collect();
    let ms = |ms: i32| u64::try_from(ms).unwrap_or(0);
    let rebalance_timeout_ms = if version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
    Join {
        member: own(&request.member_id),
        instance: own_option(request.group_instance_id.as_ref()),
        client_id: own(&client_id.unwrap_or_default()),
        // As Java writes an address.
        client_host: format!("/{}", context.peer.ip()).into(),
        protocol_type: own(&request.protocol_type),
        protocols,
        rebalance_timeout_ms: ms(rebalance_timeout_ms),
        session_timeout_ms: ms(request.session_timeout_ms),
        asks_for_id: version >= ASKS_FOR_ID,
        can_skip_assignment: version >= CAN_SKIP_ASSIGNMENT,
        draw: Uuid::new_v4(),
    }
}
