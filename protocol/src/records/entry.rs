//! Raft entries that carry no records, framed so that they can lie in a segment between batches.
//!
//! Such a frame is a control batch that takes no offset: control bit set, last offset delta -1, no records, no
//! producer, no timestamps, base offset that of the next record, leader epoch the Raft term. Its body is one byte of
//! [`EntryKind`] and a payload that only the kind's owner reads. Kafka's own tools pass over it.

use super::header::{
    BatchHeader, CONTROL, HEADER_LEN, LENGTH_OVERHEAD, MAGIC, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
    NO_TIMESTAMP,
};
use super::{BatchError, crc};
use bytes::Bytes;

/// What an entry without records says. The numbers are on disk: they never change and are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// Opens a segment and describes it. Local: no Raft entry, so it has no index.
    SegmentHeader = 0,
    /// What a new leader commits first.
    NoOp = 1,
    /// Which replicas there are.
    Membership = 2,
    /// Time that passed while no data came.
    Tick = 3,
    /// Moves a quiet partition's watermark.
    Advance = 4,
    /// Where a pipeline begins, pauses, goes on or ends.
    Pipeline = 5,
    /// A pipeline's whole state is stored up to here.
    Base = 6,
    /// From here on, entries have the meaning of this version.
    Version = 7,
    /// Moves the start of the log.
    Trim = 8,
    /// Nothing follows: the log's last entry.
    Seal = 9,
    /// A change of the cluster's metadata.
    Metadata = 10,
}

impl EntryKind {
    const ALL: [Self; 11] = [
        Self::SegmentHeader,
        Self::NoOp,
        Self::Membership,
        Self::Tick,
        Self::Advance,
        Self::Pipeline,
        Self::Base,
        Self::Version,
        Self::Trim,
        Self::Seal,
        Self::Metadata,
    ];

    /// The kind with this number on disk.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }
}

/// Frames an entry. `base_offset` is that of the next record, `term` the Raft term (-1 where there is none).
///
/// # Panics
/// On a payload of 2 GiB or more.
pub fn frame(kind: EntryKind, base_offset: i64, term: i32, payload: &[u8]) -> Bytes {
    let size = HEADER_LEN + 1 + payload.len();
    assert!(size <= i32::MAX as usize, "an entry's payload of {} bytes does not fit a batch", payload.len());
    let mut head = [0; HEADER_LEN];
    BatchHeader {
        base_offset,
        batch_length: (size - LENGTH_OVERHEAD) as i32,
        partition_leader_epoch: term,
        magic: MAGIC,
        crc: 0,
        attributes: CONTROL,
        last_offset_delta: -1,
        base_timestamp: NO_TIMESTAMP,
        max_timestamp: NO_TIMESTAMP,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        base_sequence: NO_SEQUENCE,
        records_count: 0,
    }
    .write(&mut head);
    let mut frame = Vec::with_capacity(size);
    frame.extend_from_slice(&head);
    frame.push(kind as u8);
    frame.extend_from_slice(payload);
    crc::seal(&mut frame);
    Bytes::from(frame)
}

/// The kind and payload of an entry, or none where the batch carries records (or is a transaction marker). The frame must
/// have been checked ([`check`](super::check)). A kind that this release does not know is an error, never skipped.
pub fn parse(batch: &[u8]) -> Result<Option<(EntryKind, &[u8])>, BatchError> {
    let header = BatchHeader::parse(batch)?;
    if !header.is_entry() {
        return Ok(None);
    }
    let body =
        batch.get(HEADER_LEN..header.size()).ok_or(BatchError::Truncated { need: header.size(), have: batch.len() })?;
    let (&id, payload) = body.split_first().ok_or(BatchError::Header("an entry without records must say its kind"))?;
    let kind = EntryKind::from_id(id).ok_or(BatchError::EntryKind(id))?;
    Ok(Some((kind, payload)))
}
