//! ListGroups: every group that is led here.

use std::sync::Arc;

use leat_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use leat_protocol::{ErrorCode, Str};
use tokio::sync::mpsc;

use super::super::context::Context;
use crate::groups::{Groups, Request};

/// The only type that there is here.
const CLASSIC: &str = "classic";

pub(crate) async fn handle(context: &Context, request: ListGroupsRequest, _version: i16) -> ListGroupsResponse {
    let throttle_time_ms = context.throttle_ms();
    let is_asked_for = |asked: &[Str], word: &str| {
        asked.is_empty() || asked.iter().any(|asked| asked.trim().eq_ignore_ascii_case(word))
    };
    if !is_asked_for(&request.types_filter, CLASSIC) {
        return ListGroupsResponse { throttle_time_ms, ..ListGroupsResponse::default() };
    }
    // Every coordinator sends its part; the last one to be done with the sender ends the list.
    let (part, mut parts) = mpsc::unbounded_channel();
    let part = Arc::new(part);
    context.server.groups.send_all(|| {
        let part = part.clone();
        Request::Look(Box::new(move |groups| {
            // The client may be gone.
            let _ = part.send(groups.map(list));
        }))
    });
    drop(part);
    let mut response = ListGroupsResponse { throttle_time_ms, ..ListGroupsResponse::default() };
    while let Some(part) = parts.recv().await {
        match part {
            Ok(groups) => response.groups.extend(groups),
            // Another broker lists these.
            Err(ErrorCode::NOT_COORDINATOR) => {}
            Err(code) => response.error_code = code,
        }
    }
    response.groups.retain(|group| is_asked_for(&request.states_filter, &group.group_state));
    response
}

fn list(groups: &Groups) -> Vec<ListedGroup> {
    let listed = groups.all().map(|(name, group)| ListedGroup {
        group_id: name.clone(),
        protocol_type: group.protocol_type().cloned().unwrap_or_default(),
        group_state: Str::from_static(group.state().name()),
        group_type: Str::from_static(CLASSIC),
    });
    listed.collect()
}
