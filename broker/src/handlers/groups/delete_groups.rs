//! DeleteGroups: groups without members, and their offsets.

use leat_protocol::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};

use super::super::context::Context;
use super::{ask, own};
use crate::groups::Request;

pub(crate) async fn handle(context: &Context, request: DeleteGroupsRequest, _version: i16) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group_id in request.groups_names {
        let deleted = ask(context, &group_id, |reply| Request::Delete { group: own(&group_id), reply }).await;
        let error_code = deleted.unwrap_or_else(|code| code);
        results.push(DeletableGroupResult { group_id, error_code });
    }
    DeleteGroupsResponse { throttle_time_ms: context.throttle_ms(), results }
}
