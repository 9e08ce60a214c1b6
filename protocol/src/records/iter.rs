//! Reading records, by reference or as owned slices of the batch.

use super::header::NO_TIMESTAMP;
use super::raw::{HeaderRef, HeaderRefs, RawRecord};
use super::varint::Cursor;
use super::{BatchError, BatchHeader, TimestampType, check, codec};
use crate::Str;
use bytes::Bytes;

/// A record's header: a name and a value, kept in order; names may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub key: Str,
    /// Its value.
    pub value: Option<Bytes>,
}

/// A record that shares the memory of its batch (or of what was decompressed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it lies in its partition.
    pub offset: i64,
    /// Milliseconds since 1970, or -1.
    pub timestamp: i64,
    /// What it is about; decides its partition.
    pub key: Option<Bytes>,
    /// What it says; null deletes the key in a compacted topic.
    pub value: Option<Bytes>,
    /// Further names and values.
    pub headers: Vec<Header>,
}

/// A record, borrowed from the iterator that read it.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    /// Where it lies in its partition.
    pub offset: i64,
    /// Milliseconds since 1970, or -1.
    pub timestamp: i64,
    /// As [`Record::key`].
    pub key: Option<&'a [u8]>,
    /// As [`Record::value`].
    pub value: Option<&'a [u8]>,
    /// As [`Record::headers`].
    pub headers: HeaderRefs<'a>,
}

/// Checks a batch's frame and checksum and reads its records, decompressing at most `max_decompressed` bytes.
///
/// Accepts what a consumer may meet and [`validate`](super::validate) refuses from a producer: gaps in the offsets, as
/// compaction leaves them, and batches without records.
pub fn records(batch: &Bytes, max_decompressed: usize) -> Result<RecordIter, BatchError> {
    RecordIter::new(check(batch)?, batch, max_decompressed)
}

/// Iterator over the records of one batch; ends after the first error.
#[derive(Debug, Clone)]
pub struct RecordIter {
    header: BatchHeader,
    body: Bytes,
    at: usize,
    /// Records read so far; the header's count once the iterator has ended.
    index: i32,
    last_delta: i32,
}

impl RecordIter {
    /// Reads a batch whose checksum was checked before. `batch` must be the whole batch that `header` is of.
    pub fn new(header: BatchHeader, batch: &Bytes, max_decompressed: usize) -> Result<Self, BatchError> {
        // A frame without records has a body, but nothing that a consumer could read.
        let body = if header.is_entry() { Bytes::new() } else { codec::body(&header, batch, max_decompressed)? };
        if header.records_count < 0 {
            return Err(BatchError::Header("the number of records is negative"));
        }
        Ok(Self { header, body, at: 0, index: 0, last_delta: -1 })
    }

    /// The header of the batch.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Where in the body the next record begins.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The records as they lie in the batch, decompressed.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The next record without sharing or allocating anything.
    #[inline]
    pub fn next_ref(&mut self) -> Option<Result<RecordRef<'_>, BatchError>> {
        if self.index >= self.header.records_count {
            return None;
        }
        match read(&self.header, &self.body[self.at..], self.index, self.last_delta) {
            Ok((record, next)) => {
                (self.at, self.last_delta) = (self.at + next.size, next.offset_delta);
                self.index += 1;
                Some(Ok(record))
            }
            Err(reason) => {
                let index = std::mem::replace(&mut self.index, self.header.records_count);
                Some(Err(BatchError::Record { index, reason }))
            }
        }
    }
}

impl Iterator for RecordIter {
    type Item = Result<Record, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.header.records_count {
            return None;
        }
        match read(&self.header, &self.body[self.at..], self.index, self.last_delta) {
            Ok((record, next)) => {
                let record = own(&self.body, record);
                (self.at, self.last_delta) = (self.at + next.size, next.offset_delta);
                self.index += 1;
                Some(Ok(record))
            }
            Err(reason) => {
                let index = std::mem::replace(&mut self.index, self.header.records_count);
                Some(Err(BatchError::Record { index, reason }))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The count is not believed before the records are seen.
        (0, usize::try_from(self.header.records_count - self.index).ok())
    }
}

/// What is known about the rest of a batch after a record of it was read.
struct Step {
    size: usize,
    offset_delta: i32,
}

/// Reads the record at the start of `rest`.
#[inline]
fn read<'a>(
    header: &BatchHeader,
    rest: &'a [u8],
    index: i32,
    last_delta: i32,
) -> Result<(RecordRef<'a>, Step), &'static str> {
    let mut cursor = Cursor(rest);
    let raw = RawRecord::take(&mut cursor)?;
    let offset_delta = raw.offset_delta;
    if offset_delta <= last_delta || offset_delta > header.last_offset_delta {
        return Err("its offset does not lie between the record before it and the end of the batch");
    }
    if index + 1 == header.records_count && !cursor.0.is_empty() {
        return Err("bytes follow the last record that the batch counts");
    }
    let timestamp = match header.timestamp_type() {
        TimestampType::LogAppendTime => header.max_timestamp,
        TimestampType::CreateTime => header.base_timestamp.wrapping_add(raw.timestamp_delta).max(NO_TIMESTAMP),
    };
    let record = RecordRef {
        offset: header.base_offset.wrapping_add(i64::from(offset_delta)),
        timestamp,
        key: raw.key,
        value: raw.value,
        headers: raw.headers,
    };
    let size = rest.len() - cursor.0.len();
    Ok((record, Step { size, offset_delta }))
}

/// The same record as slices that share the memory of `body`, which it was read from.
#[inline]
fn own(body: &Bytes, record: RecordRef<'_>) -> Record {
    let share = |part: Option<&[u8]>| part.map(|part| body.slice_ref(part));
    let header = |header: HeaderRef<'_>| Header { key: text(body.slice_ref(header.key)), value: share(header.value) };
    Record {
        offset: record.offset,
        timestamp: record.timestamp,
        key: share(record.key),
        value: share(record.value),
        headers: record.headers.map(header).collect(),
    }
}

/// A header's name; what is not UTF-8 is replaced, as Java's clients do.
fn text(bytes: Bytes) -> Str {
    match Str::try_from(bytes.clone()) {
        Ok(text) => text,
        Err(_) => Str::from(String::from_utf8_lossy(&bytes).into_owned()),
    }
}
