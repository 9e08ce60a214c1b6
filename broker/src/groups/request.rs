//! What a coordinator of groups is asked, and who waits for the answer.

use leat_protocol::{ErrorCode, Str, Uuid};
use tokio::sync::oneshot;

use super::group::{Caller, Event, Reply};
use super::machine::Groups;

/// Who waits for an answer. Dropped unanswered, it says that this is the coordinator no more.
pub(crate) type Answer<R> = oneshot::Sender<R>;

/// Something that reads what is committed, or hears why it can't be read here.
pub(crate) type Look = Box<dyn FnOnce(Result<&Groups, ErrorCode>) + Send>;

/// A request to the coordinator of a group, or of all groups of a partition.
pub(crate) enum Request {
    /// Join, sync, heartbeat or leave.
    Member {
        group: Str,
        event: Event<Answer<Reply>>,
    },
    Commit {
        commit: Commit,
        reply: Answer<Result<(), ErrorCode>>,
    },
    Look(Look),
    /// Deletes a group without members, and its offsets.
    Delete {
        group: Str,
        reply: Answer<ErrorCode>,
    },
    /// Deletes offsets of topics that nobody in the group reads: a code for each.
    DeleteOffsets {
        group: Str,
        offsets: Vec<(Str, i32)>,
        reply: Answer<Result<Vec<ErrorCode>, ErrorCode>>,
    },
    /// A topic is gone, and so are the offsets in it.
    TopicDeleted {
        topic: Str,
    },
}

/// Offsets that a client commits. Their topics exist and their texts are short enough.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) group: Str,
    pub(crate) caller: Caller,
    /// The client can be told that there is no such group.
    pub(crate) knows_no_group: bool,
    /// How long to keep them, where the client says so.
    pub(crate) retention_ms: Option<i64>,
    pub(crate) offsets: Vec<Offset>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Offset {
    pub(crate) topic: Str,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Str,
}
