//! DescribeGroups: states and members.

use leat_protocol::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use leat_protocol::{ErrorCode, Str};

use super::super::context::Context;
use super::{Told, look, own};
use crate::groups::{Groups, State};

/// First version in which a group that is not there is an error (KIP-1043).
const NOT_FOUND: i16 = 6;

/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS, as bits: all that can be allowed on a group.
const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

pub(crate) async fn handle(context: &Context, request: DescribeGroupsRequest, version: i16) -> DescribeGroupsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    let mut told = Told::default();
    for group_id in request.groups {
        if !told.may_be(group_id.clone()) {
            continue;
        }
        let name = own(&group_id);
        let described = look(context, &group_id, move |groups| describe(groups, &name)).await;
        let mut described = match described {
            Ok(Some(described)) => described,
            Ok(None) => DescribedGroup { group_state: Str::from_static("Dead"), ..DescribedGroup::default() },
            Err(error_code) => DescribedGroup { error_code, ..DescribedGroup::default() },
        };
        if version >= NOT_FOUND && &*described.group_state == "Dead" {
            described.error_code = ErrorCode::GROUP_ID_NOT_FOUND;
            described.error_message = Some(format!("Group {group_id} not found.").into());
        }
        if request.include_authorized_operations && !described.error_code.is_err() {
            described.authorized_operations = GROUP_OPERATIONS;
        }
        described.group_id = group_id;
        groups.push(described);
    }
    DescribeGroupsResponse { throttle_time_ms: context.throttle_ms(), groups }
}

/// What a member said and was given is told of a stable group only.
fn describe(groups: &Groups, name: &str) -> Option<DescribedGroup> {
    let group = groups.group(name)?;
    let protocol = group.protocol().filter(|_| group.state() == State::Stable);
    let members = group.members().map(|(id, member)| DescribedGroupMember {
        member_id: id.clone(),
        group_instance_id: member.instance.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        member_metadata: member.metadata(protocol),
        member_assignment: protocol.map(|_| member.assignment.clone()).unwrap_or_default(),
    });
    Some(DescribedGroup {
        group_state: Str::from_static(group.state().name()),
        protocol_type: group.protocol_type().cloned().unwrap_or_default(),
        protocol_data: protocol.cloned().unwrap_or_default(),
        members: members.collect(),
        ..DescribedGroup::default()
    })
}
