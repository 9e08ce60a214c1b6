//! The APIs of consumer groups: each turns a request into one for the group's coordinator, and its answer back.
//!
//! What a coordinator keeps is copied from the request first, since it would hold the whole frame.

pub(super) mod delete_groups;
pub(super) mod describe_groups;
pub(super) mod find_coordinator;
pub(super) mod heartbeat;
pub(super) mod join_group;
pub(super) mod leave_group;
pub(super) mod list_groups;
pub(super) mod offset_commit;
pub(super) mod offset_delete;
pub(super) mod offset_fetch;
pub(super) mod sync_group;

use std::collections::HashSet;
use std::hash::Hash;

use bytes::Bytes;
use leat_protocol::{ErrorCode, Str};
use tokio::sync::oneshot;

use super::Context;
use crate::groups::{Answer, Event, Groups, Reply, Request};

/// The longest name that a record of the group's log can hold, less what is added to make an id of it.
const NAME_BYTES_MAX: usize = 32_000;

/// Asks a group's coordinator. Without an answer it is not here, or no more.
async fn ask<R>(context: &Context, group: &str, request: impl FnOnce(Answer<R>) -> Request) -> Result<R, ErrorCode> {
    let (reply, answer) = oneshot::channel();
    context.server.groups.send(group, request(reply));
    let mut stopping = context.server.stopping.subscribe();
    tokio::select! {
        answer = answer => answer.map_err(|_| ErrorCode::NOT_COORDINATOR),
        // A join may wait for minutes, which a broker that stops does not.
        _ = stopping.wait_for(|stopping| *stopping) => Err(ErrorCode::NOT_COORDINATOR),
    }
}

/// Has something happen to a group.
async fn happen(
    context: &Context,
    group: &Str,
    event: impl FnOnce(Answer<Reply>) -> Event<Answer<Reply>>,
) -> Result<Reply, ErrorCode> {
    check_name(group)?;
    ask(context, group, |token| Request::Member { group: own(group), event: event(token) }).await
}

/// Reads what a group's coordinator has committed.
async fn look<R: Send + 'static>(
    context: &Context,
    group: &str,
    look: impl FnOnce(&Groups) -> R + Send + 'static,
) -> Result<R, ErrorCode> {
    ask(context, group, |reply| {
        Request::Look(Box::new(move |groups| {
            // The client may be gone.
            let _ = reply.send(groups.map(look));
        }))
    })
    .await?
}

/// What one request has asked for so far. Kafka answers what is named again as often as it is named; here as often as any client
/// would, since a name takes a few bytes and its answer may take megabytes.
struct Told<K> {
    seen: HashSet<K>,
    again: usize,
}

impl<K> Default for Told<K> {
    fn default() -> Self {
        Self { seen: HashSet::new(), again: 0 }
    }
}

impl<K: Eq + Hash> Told<K> {
    /// Repeats in one request that are answered; more are left out.
    const AGAIN_MAX: usize = 10;

    fn may_be(&mut self, key: K) -> bool {
        if self.seen.insert(key) {
            return true;
        }
        self.again += 1;
        self.again <= Self::AGAIN_MAX
    }
}

/// Whether a group with members can have this name.
fn check_name(group: &str) -> Result<(), ErrorCode> {
    if group.is_empty() || group.len() > NAME_BYTES_MAX { Err(ErrorCode::INVALID_GROUP_ID) } else { Ok(()) }
}

/// A text in memory of its own.
fn own(text: &Str) -> Str {
    Str::from(text.to_string())
}

fn own_option(text: Option<&Str>) -> Option<Str> {
    text.map(own)
}

fn own_bytes(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
