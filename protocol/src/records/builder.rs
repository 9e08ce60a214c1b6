//! Writing a batch, record by record.

use super::header::{
    BatchHeader, HEADER_LEN, LENGTH_OVERHEAD, MAGIC, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP,
};
use super::varint::{self, put_varint, put_varlong};
use super::{BatchError, Compression, Header, codec, crc};
use bytes::Bytes;

/// The largest batch whose length field can say it.
const MAX_SIZE: usize = i32::MAX as usize;

/// Collects records and makes one batch of them. Base offset 0, as producers send it; the broker numbers it.
#[derive(Debug, Clone)]
pub struct Builder {
    compression: Compression,
    level: Option<i32>,
    /// Room for the header, then the records as they are before compression.
    bytes: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer: (i64, i16, i32),
}

impl Builder {
    /// An empty batch. `level` is the codec's own; without it, the codec's default.
    pub fn new(compression: Compression, level: Option<i32>) -> Self {
        Self::with_capacity(compression, level, 0)
    }

    /// As [`Builder::new`], with room for `capacity` bytes of records.
    pub fn with_capacity(compression: Compression, level: Option<i32>, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_LEN + capacity);
        bytes.resize(HEADER_LEN, 0);
        Self {
            compression,
            level,
            bytes,
            count: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer: (NO_PRODUCER_ID, NO_PRODUCER_EPOCH, NO_SEQUENCE),
        }
    }

    /// Appends a record. Timestamps may come in any order.
    pub fn push(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let body = body_size(timestamp_delta, self.count, key, value, headers);
        let out = &mut self.bytes;
        out.reserve(body + 5);
        put_varint(out, body as i32);
        out.push(0);
        put_varlong(out, timestamp_delta);
        put_varint(out, self.count);
        put_nullable(out, key);
        put_nullable(out, value);
        put_varint(out, headers.len() as i32);
        for header in headers {
            put_nullable(out, Some(header.key.as_bytes()));
            put_nullable(out, header.value.as_deref());
        }
        self.count += 1;
    }

    /// Records so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch as it stands, header included; before compression, so what is sent may be less.
    pub fn estimated_size(&self) -> usize {
        self.bytes.len()
    }

    /// The most that one more record can add to [`Builder::estimated_size`], whatever its time and position.
    pub fn record_size(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) -> usize {
        // Five bytes of length; a timestamp delta of ten bytes and an offset delta of five.
        5 + body_size(i64::MIN, i32::MAX, key, value, headers)
    }

    /// Makes it a batch of an idempotent producer. May be called at any time before [`Builder::finish`].
    pub fn set_producer(&mut self, id: i64, epoch: i16, base_sequence: i32) {
        self.producer = (id, epoch, base_sequence);
    }

    /// Compresses and seals the batch. Fails where it is empty or past what a batch can hold (2 GiB).
    pub fn finish(self) -> Result<Bytes, BatchError> {
        if self.count == 0 {
            return Err(BatchError::Header("a batch must have at least one record"));
        }
        if self.bytes.len() > MAX_SIZE {
            return Err(BatchError::TooLarge { what: "batch", max: MAX_SIZE });
        }
        let mut batch = match self.compression {
            Compression::None => self.bytes,
            codec => codec::compress(codec, self.level, HEADER_LEN, &self.bytes[HEADER_LEN..])?,
        };
        let size = batch.len();
        let Some(head) = batch.first_chunk_mut().filter(|_| size <= MAX_SIZE) else {
            return Err(BatchError::TooLarge { what: "batch", max: MAX_SIZE });
        };
        let (producer_id, producer_epoch, base_sequence) = self.producer;
        BatchHeader {
            base_offset: 0,
            batch_length: (size - LENGTH_OVERHEAD) as i32,
            partition_leader_epoch: -1,
            magic: MAGIC,
            crc: 0,
            attributes: i16::from(self.compression.id()),
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            records_count: self.count,
        }
        .write(head);
        crc::seal(&mut batch);
        Ok(Bytes::from(batch))
    }
}

/// Bytes of a record after its length.
fn body_size(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header],
) -> usize {
    let nullable = |part: Option<&[u8]>| match part {
        None => 1,
        Some(part) => varint::size(part.len() as i64) + part.len(),
    };
    let headers_size = |header: &Header| nullable(Some(header.key.as_bytes())) + nullable(header.value.as_deref());
    1 + varint::size(timestamp_delta)
        + varint::size(i64::from(offset_delta))
        + nullable(key)
        + nullable(value)
        + varint::size(headers.len() as i64)
        + headers.iter().map(headers_size).sum::<usize>()
}

#[inline]
fn put_nullable(out: &mut Vec<u8>, part: Option<&[u8]>) {
    match part {
        None => out.push(1), // -1, zigzag
        Some(part) => {
            put_varint(out, part.len() as i32);
            out.extend_from_slice(part);
        }
    }
}
