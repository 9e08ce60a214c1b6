//! What compaction makes of a batch: some records go, the others stay where they are, byte for byte. The rules are those of
//! Kafka's `MemoryRecords.filterTo`; the delete horizon is KIP-534's.

use super::header::{CONTROL, DELETE_HORIZON, HEADER_LEN, LENGTH_OVERHEAD, LOG_APPEND_TIME, TRANSACTIONAL};
use super::varint::{Cursor, put_varint, put_varlong};
use super::{BatchError, BatchHeader, NO_TIMESTAMP, RecordIter, RecordRef, TimestampType, codec, crc};
use bytes::Bytes;
use std::ops::Range;

/// What is left of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retained {
    /// All of it, unchanged.
    Whole,
    /// A batch of its own, with the base offset, last offset, epoch, producer, sequence and codec of the old one.
    Part(Bytes),
    /// No record.
    Nothing,
}

/// Keeps the records that `keep` chooses. Where a record without a value is among them and the batch has no delete horizon
/// yet, it gets `horizon_ms`. `batch` is the whole batch of `header` and has been checked.
pub fn retain(
    header: &BatchHeader,
    batch: &Bytes,
    max_decompressed: usize,
    horizon_ms: i64,
    mut keep: impl FnMut(&RecordRef<'_>) -> bool,
) -> Result<Retained, BatchError> {
    let mut records = RecordIter::new(*header, batch, max_decompressed)?;
    let mut kept: Vec<Range<usize>> = Vec::new();
    let (mut count, mut tombstones, mut max_timestamp) = (0, false, NO_TIMESTAMP);
    loop {
        let from = records.position();
        let Some(record) = records.next_ref() else { break };
        let record = record?;
        if !keep(&record) {
            continue;
        }
        count += 1;
        tombstones |= record.value.is_none();
        max_timestamp = max_timestamp.max(record.timestamp);
        let until = records.position();
        match kept.last_mut() {
            Some(last) if last.end == from => last.end = until,
            _ => kept.push(from..until),
        }
    }
    let horizon = (tombstones && header.delete_horizon_ms().is_none()).then_some(horizon_ms);
    if count == 0 {
        return Ok(Retained::Nothing);
    }
    if count == header.records_count && horizon.is_none() {
        return Ok(Retained::Whole);
    }
    let body = records.body();
    let mut left = Vec::with_capacity(kept.iter().map(Range::len).sum());
    for range in kept {
        match horizon {
            None => left.extend_from_slice(&body[range]),
            Some(horizon) => rebase(&body[range], header.base_timestamp.wrapping_sub(horizon), &mut left)?,
        }
    }
    let header = BatchHeader {
        attributes: header.attributes | if horizon.is_some() { DELETE_HORIZON } else { 0 },
        base_timestamp: horizon.unwrap_or(header.base_timestamp),
        max_timestamp: match header.timestamp_type() {
            TimestampType::CreateTime => max_timestamp,
            TimestampType::LogAppendTime => header.max_timestamp,
        },
        records_count: count,
        ..*header
    };
    let made = codec::compress(header.compression()?, None, HEADER_LEN, &left)?;
    seal(header, made).map(Retained::Part)
}

/// The batch without any of its records: what a consumer passes over and a producer's last sequence can be read from.
pub fn without_records(header: &BatchHeader) -> Result<Bytes, BatchError> {
    let header = BatchHeader {
        attributes: header.attributes & (LOG_APPEND_TIME | TRANSACTIONAL | CONTROL),
        base_timestamp: NO_TIMESTAMP,
        records_count: 0,
        ..*header
    };
    seal(header, vec![0; HEADER_LEN])
}

/// Puts the header in front of a body that left room for it.
fn seal(header: BatchHeader, mut batch: Vec<u8>) -> Result<Bytes, BatchError> {
    let too_large = BatchError::TooLarge { what: "batch", max: i32::MAX as usize };
    let Ok(size) = i32::try_from(batch.len()) else { return Err(too_large) };
    let Some(head) = batch.first_chunk_mut() else { return Err(too_large) };
    BatchHeader { batch_length: size - LENGTH_OVERHEAD as i32, ..header }.write(head);
    crc::seal(&mut batch);
    Ok(batch.into())
}

/// Copies records whose timestamps count from another base, which lies `by` before theirs.
fn rebase(records: &[u8], by: i64, out: &mut Vec<u8>) -> Result<(), BatchError> {
    let cut = || BatchError::Header("a record's timestamp is cut off");
    let mut rest = Cursor(records);
    let mut moved = Vec::new();
    while !rest.0.is_empty() {
        let len = rest.varint().and_then(|len| usize::try_from(len).ok()).ok_or_else(cut)?;
        let mut record = Cursor(rest.take(len).ok_or_else(cut)?);
        moved.clear();
        moved.push(record.byte().ok_or_else(cut)?);
        put_varlong(&mut moved, record.varlong().ok_or_else(cut)?.wrapping_add(by));
        put_varint(out, (moved.len() + record.0.len()) as i32);
        out.extend_from_slice(&moved);
        out.extend_from_slice(record.0);
    }
    Ok(())
}
