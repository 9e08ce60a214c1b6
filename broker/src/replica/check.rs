//! Whether a message from a peer can be stepped. raft panics on input that no correct peer sends, so it never sees any.

use leat_protocol::records::entry::{self, EntryKind};
use leat_protocol::records::{self, BatchHeader};
use protobuf::Message as _;
use raft::eraftpb::{ConfChangeV2, Entry, EntryType, Message, MessageType};
use raft::{RawNode, Storage as _};

use super::frame::TERM_MAX;
use super::store::Store;

/// Why a message was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    #[error("term {0} is none that a replica has")]
    Term(u64),
    #[error("sent by replica {0}")]
    Sender(u64),
    #[error("entry {index} is acknowledged, the last one is {last}")]
    Acknowledged { index: u64, last: u64 },
    #[error("entry {index} of term {term} can be before no other")]
    Previous { index: u64, term: u64 },
    #[error("entry {index} does not follow entry {before}")]
    Order { before: u64, index: u64 },
    #[error("entry {0} is not what its batch header says")]
    Batch(u64),
    #[error("entry {0} differs from a committed one")]
    Committed(u64),
    #[error("commit index {commit} is past the last entry {last}")]
    Commit { commit: u64, last: u64 },
    #[error("message kind {0:?} does not travel between replicas")]
    Kind(MessageType),
    #[error("addressed to replica {0}")]
    Address(u64),
}

/// Checks everything that raft would take on trust.
pub(super) fn message(node: &RawNode<Store>, message: &Message) -> Result<(), Refusal> {
    if message.to != node.raft.id {
        return Err(Refusal::Address(message.to));
    }
    if message.from == 0 || message.from == node.raft.id {
        return Err(Refusal::Sender(message.from));
    }
    if message.term == 0 || message.term > TERM_MAX {
        return Err(Refusal::Term(message.term));
    }
    match message.get_msg_type() {
        MessageType::MsgAppend => append(node, message),
        MessageType::MsgHeartbeat => {
            let last = node.raft.raft_log.last_index();
            match message.commit > last {
                true => Err(Refusal::Commit { commit: message.commit, last }),
                false => Ok(()),
            }
        }
        MessageType::MsgAppendResponse if !message.reject && message.term == node.raft.term => {
            let (index, last) = (message.index, node.raft.raft_log.last_index());
            if index > last { Err(Refusal::Acknowledged { index, last }) } else { Ok(()) }
        }
        MessageType::MsgAppendResponse
        | MessageType::MsgHeartbeatResponse
        | MessageType::MsgRequestVote
        | MessageType::MsgRequestVoteResponse
        | MessageType::MsgRequestPreVote
        | MessageType::MsgRequestPreVoteResponse
        | MessageType::MsgTimeoutNow => Ok(()),
        kind => Err(Refusal::Kind(kind)),
    }
}

fn append(node: &RawNode<Store>, message: &Message) -> Result<(), Refusal> {
    let (mut index, mut term) = (message.index, message.log_term);
    // raft takes term 0 for that of any entry that it does not have.
    if (index == 0) != (term == 0) || term > message.term {
        return Err(Refusal::Previous { index, term });
    }
    for entry in &message.entries {
        if index.checked_add(1) != Some(entry.index) || entry.term < term || entry.term > message.term {
            return Err(Refusal::Order { before: index, index: entry.index });
        }
        (index, term) = (entry.index, entry.term);
        let committed = node.raft.raft_log.committed;
        if index <= committed && node.store().term(index).is_ok_and(|held| held != term) {
            return Err(Refusal::Committed(index));
        }
        body(entry)?;
    }
    Ok(())
}

/// A change of members that raft can read.
fn is_change(data: &[u8]) -> bool {
    ConfChangeV2::default().merge_from_bytes(data).is_ok()
}

/// A data entry is one whole batch whose header carries the entry's term, and whose checksum holds.
fn body(entry: &Entry) -> Result<(), Refusal> {
    let refused = Refusal::Batch(entry.index);
    match entry.get_entry_type() {
        EntryType::EntryNormal if entry.data.is_empty() => return Ok(()),
        EntryType::EntryNormal => {}
        EntryType::EntryConfChangeV2 if is_change(&entry.data) => return Ok(()),
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => return Err(refused),
    }
    let Ok(header) = BatchHeader::parse(&entry.data) else { return Err(refused) };
    let same_term = i32::try_from(entry.term).is_ok_and(|term| term == header.partition_leader_epoch);
    let intact = header.size() == entry.data.len() && records::check(&entry.data).is_ok();
    // Frames that raft's own entries get when they are written, and a segment's, are no entries.
    let local = [EntryKind::SegmentHeader, EntryKind::NoOp, EntryKind::Membership];
    let known = entry::parse(&entry.data).is_ok_and(|kind| kind.is_none_or(|(kind, _)| !local.contains(&kind)));
    if same_term && intact && known { Ok(()) } else { Err(refused) }
}
