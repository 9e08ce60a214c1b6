//! A raft entry and its frame in the log, in both directions.
//!
//! A data entry is its batch, byte for byte. What raft itself makes (the entry that opens a term, a membership change)
//! is framed as a control batch when it is written and unframed when raft reads it back.

use bytes::Bytes;
use leat_protocol::records::entry::{self, EntryKind};
use leat_protocol::records::{BatchError, BatchHeader};
use raft::eraftpb::{Entry, EntryType};

use super::store::{Held, Kind};

/// Kafka's leader epoch is an i32, so a term is refused above it.
pub(crate) const TERM_MAX: u64 = i32::MAX as u64;

/// The frame to write for an entry and what is to be remembered of it. `end_offset` is the log's before the entry.
pub(crate) fn to_log(entry: &Entry, end_offset: i64) -> Result<(Bytes, Held), BatchError> {
    let term = i32::try_from(entry.term).unwrap_or(i32::MAX);
    let made = match entry.get_entry_type() {
        EntryType::EntryNormal if entry.data.is_empty() => Some(EntryKind::NoOp),
        EntryType::EntryNormal => None,
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => Some(EntryKind::Membership),
    };
    if let Some(kind) = made {
        let frame = entry::frame(kind, end_offset, term, &entry.data);
        let held = held(Kind::Control(kind), end_offset, &frame, entry.data.clone());
        return Ok((frame, held));
    }
    let frame = entry.data.clone();
    let held = describe(&frame, end_offset)?;
    Ok((frame, held))
}

/// What is to be remembered of a frame that is in the log.
pub(crate) fn describe(frame: &Bytes, end_offset: i64) -> Result<Held, BatchError> {
    Ok(match entry::parse(frame)? {
        None => held(Kind::Data, BatchHeader::parse(frame)?.next_offset(), frame, frame.clone()),
        Some((kind @ (EntryKind::NoOp | EntryKind::Membership), body)) => {
            held(Kind::Control(kind), end_offset, frame, frame.slice_ref(body))
        }
        Some((kind, _)) => held(Kind::Control(kind), end_offset, frame, frame.clone()),
    })
}

/// The same for a frame that recovery found. Its payload is kept where applying it needs one.
pub(crate) fn describe_recovered(header: &BatchHeader, frame: &[u8], end_offset: i64, keep_records: bool) -> Held {
    let kind = match entry::parse(frame) {
        Ok(Some((kind, _))) => Kind::Control(kind),
        // An entry of a kind that this release doesn't know was refused when the log was opened.
        Ok(None) | Err(_) => Kind::Data,
    };
    let data = (kind != Kind::Data || keep_records).then(|| Bytes::copy_from_slice(frame));
    let end_offset = if kind == Kind::Data { header.next_offset() } else { end_offset };
    match data.as_ref().map(|frame| describe(frame, end_offset)) {
        Some(Ok(held)) => held,
        _ => Held { kind, end_offset, len: u32::try_from(frame.len()).unwrap_or(u32::MAX), data: None },
    }
}

/// The entry that raft knew a frame as.
pub(crate) fn from_log(index: u64, frame: &Bytes) -> Result<Entry, BatchError> {
    let header = BatchHeader::parse(frame)?;
    let term = u64::try_from(header.partition_leader_epoch).unwrap_or(0);
    let mut entry = Entry { index, term, ..Entry::default() };
    match entry::parse(frame)? {
        Some((EntryKind::NoOp, _)) => {}
        Some((EntryKind::Membership, body)) => {
            entry.set_entry_type(EntryType::EntryConfChangeV2);
            entry.data = frame.slice_ref(body);
        }
        _ => entry.data = frame.clone(),
    }
    Ok(entry)
}

fn held(kind: Kind, end_offset: i64, frame: &Bytes, data: Bytes) -> Held {
    Held { kind, end_offset, len: u32::try_from(frame.len()).unwrap_or(u32::MAX), data: Some(data) }
}
