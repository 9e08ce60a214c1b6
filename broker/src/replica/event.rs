//! What a replica is told and what it asks for. It carries out nothing itself.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use leat_protocol::ErrorCode;
use leat_protocol::records::BatchHeader;
use leat_protocol::records::entry::EntryKind;
use leat_storage::Ballot;
use raft::eraftpb::Message;

use super::steer::Wanted;
use super::store::ReadRequest;

/// When a proposal is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acks {
    /// Once the leader has written it.
    Leader,
    /// Once it is committed, or, where the topic is relaxed, written on a majority.
    All,
}

/// Something that happened. `T` is the caller's name for a proposal, handed back with its answer.
#[derive(Debug)]
pub(crate) enum Event<T> {
    /// A validated batch to number and append. The buffer is patched in place.
    Propose { batch: BytesMut, header: BatchHeader, acks: Acks, token: T },
    /// An entry without records, answered once it is applied.
    Control { kind: EntryKind, payload: Bytes, token: T },
    /// From another replica of the group. Checked before raft sees it.
    Message(Box<Message>),
    /// Time went on by one tick.
    Tick,
    /// Replicas of the group whose nodes are down, all of them.
    Down { replicas: Vec<u64> },
    /// The node of the group's leader has ended. The others campaign one after another, the first of them at once.
    LeaderLost { rank: usize },
    /// The leader takes this replica for one that entries can't serve, which it is no more: it says how far it is.
    Seeded,
    /// This replica should lead, and nobody is known to.
    Campaign,
    /// Another replica should lead instead of this one.
    Transfer { to: u64 },
    /// Nothing can be written here any more: another replica should lead at once, if this one does.
    Resign,
    /// Who should be a member. A leader goes one step towards it.
    Members { wanted: Wanted },
    /// The write of this number is in the file.
    Written { ready: u64 },
    /// The write of this number, and all before it, are on stable storage.
    Synced { ready: u64 },
    /// Entries now begin with this one, records at this offset: what was before is gone.
    Trimmed { first_index: u64, log_start_offset: i64 },
    /// Frames that raft wanted to send, as many as were found.
    Read { request: ReadRequest, frames: Vec<Bytes> },
}

/// Something to carry out: writes in order, messages at once, answers at once.
#[derive(Debug)]
pub(crate) struct Effects<T> {
    pub(crate) writes: Vec<Write>,
    pub(crate) messages: Vec<Message>,
    pub(crate) answers: Vec<(T, Answer)>,
    pub(crate) applied: Vec<Applied>,
    pub(crate) reads: Vec<ReadRequest>,
    /// Replicas that entries can't serve: they have to be seeded.
    pub(crate) lacking: BTreeSet<u64>,
}

impl<T> Default for Effects<T> {
    fn default() -> Self {
        Effects {
            writes: Vec::new(),
            messages: Vec::new(),
            answers: Vec::new(),
            applied: Vec::new(),
            reads: Vec::new(),
            lacking: BTreeSet::new(),
        }
    }
}

/// One write to the log, to be reported as written and then as synced, by its number.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) ready: u64,
    /// Synced before the frames count as persisted.
    pub(crate) ballot: Option<Ballot>,
    /// Entries from this index on are cut first.
    pub(crate) truncate_from: Option<u64>,
    pub(crate) frames: Vec<Bytes>,
    /// Nobody waits for the sync: it may be put off as far as the topic's settings let it.
    pub(crate) relaxed: bool,
}

/// How a proposal ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// In the log, as durable as was asked for.
    Appended { base_offset: i64, index: u64 },
    /// A repeat of a batch that is in the log, with its answer of then.
    Duplicate { base_offset: i64, timestamp: i64 },
    /// This replica does not lead, or no longer.
    NotLeader,
    /// Refused, with the protocol's code and a reason.
    Refused(ErrorCode, String),
}

/// A committed entry that means something to the state machine above.
#[derive(Debug)]
pub(crate) enum Applied {
    /// Records below this offset are gone.
    Trim { offset: i64 },
    /// A batch of a group whose state machine reads its records.
    Records { index: u64, batch: Bytes },
    /// The group has these members from this entry on.
    Membership { index: u64, members: Bytes },
}
