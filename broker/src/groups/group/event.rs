//! What a group is told, and what it asks for.

use bytes::Bytes;
use leat_protocol::{ErrorCode, Str, Uuid};

/// A way to assign, and what a member says for it. The coordinator does not look into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) name: Str,
    pub(crate) metadata: Bytes,
}

/// A member wants to be in the next generation.
#[derive(Debug)]
pub(crate) struct Join {
    /// Empty for one that has none yet.
    pub(crate) member: Str,
    pub(crate) instance: Option<Str>,
    pub(crate) client_id: Str,
    pub(crate) client_host: Str,
    pub(crate) protocol_type: Str,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) rebalance_timeout_ms: u64,
    pub(crate) session_timeout_ms: u64,
    /// Its client joins twice: first for an id, so that no member is left behind whose client never heard of it.
    pub(crate) asks_for_id: bool,
    /// Its client, as a leader, can be told to leave the assignment as it is.
    pub(crate) can_skip_assignment: bool,
    /// Makes a new member's id unique.
    pub(crate) draw: Uuid,
}

/// A member wants its assignment; the leader brings everybody's.
#[derive(Debug)]
pub(crate) struct Sync {
    pub(crate) caller: Caller,
    pub(crate) protocol_type: Option<Str>,
    pub(crate) protocol: Option<Str>,
    pub(crate) assignments: Vec<(Str, Bytes)>,
}

/// Who a request says that it comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    pub(crate) member: Str,
    pub(crate) instance: Option<Str>,
    /// Below 0 from a client that is no member.
    pub(crate) generation: i32,
}

/// Something that happened. `T` is who waits; it is handed back with the answer.
#[derive(Debug)]
pub(crate) enum Event<T> {
    Join {
        join: Box<Join>,
        token: T,
    },
    Sync {
        sync: Sync,
        token: T,
    },
    Heartbeat {
        caller: Caller,
        token: T,
    },
    /// Members by id, or by instance where the id is empty.
    Leave {
        members: Vec<(Str, Option<Str>)>,
        token: T,
    },
    /// What the group asked to have saved is committed.
    Saved(Save),
    /// It is late enough for something.
    Tick,
}

/// The group's state is to be written to the log; reported with [`Event::Saved`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Save {
    /// With the assignments of this generation, which count once they are committed.
    Assigned { generation: i32 },
    /// A static member has come back under this id. An older client is told another leader than there is.
    Replaced { member: Str, told_leader: Option<Str> },
    /// Without members.
    Emptied,
}

/// What a group asks for: answers at once, saves in order.
#[derive(Debug)]
pub(crate) struct Effects<T> {
    pub(crate) answers: Vec<(T, Reply)>,
    pub(crate) saves: Vec<Save>,
}

impl<T> Default for Effects<T> {
    fn default() -> Self {
        Effects { answers: Vec::new(), saves: Vec::new() }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    Join(Box<Joined>),
    Sync(Synced),
    Heartbeat(ErrorCode),
    /// One code per member that was to leave, or one for all.
    Leave(Result<Vec<ErrorCode>, ErrorCode>),
}

/// How a join ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Joined {
    pub(crate) error: ErrorCode,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Str>,
    pub(crate) protocol: Option<Str>,
    pub(crate) leader: Str,
    pub(crate) skip_assignment: bool,
    pub(crate) member: Str,
    /// For the leader: everybody, with what each said for the protocol.
    pub(crate) members: Vec<JoinedMember>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JoinedMember {
    pub(crate) id: Str,
    pub(crate) instance: Option<Str>,
    pub(crate) metadata: Bytes,
}

/// How a sync ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Synced {
    pub(crate) error: ErrorCode,
    pub(crate) protocol_type: Option<Str>,
    pub(crate) protocol: Option<Str>,
    pub(crate) assignment: Bytes,
}

impl Joined {
    pub(crate) fn refused(member: Str, error: ErrorCode) -> Joined {
        Joined {
            error,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: Str::default(),
            skip_assignment: false,
            member,
            members: Vec::new(),
        }
    }
}

impl Synced {
    pub(crate) fn refused(error: ErrorCode) -> Synced {
        Synced { error, ..Synced::default() }
    }
}
