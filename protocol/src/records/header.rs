//! The 61 bytes in front of a batch, decoded, and what follows from them without looking at a record.

use super::{BatchError, Compression};

/// Bytes in front of the records.
pub const HEADER_LEN: usize = 61;
/// The batch length does not count the base offset and itself.
pub(super) const LENGTH_OVERHEAD: usize = 12;
pub(super) const EPOCH_AT: usize = 12;
pub(super) const MAGIC_AT: usize = 16;
pub(super) const CRC_AT: usize = 17;
/// First byte that the checksum covers.
pub(super) const CRC_FROM: usize = 21;
pub(super) const MAX_TIMESTAMP_AT: usize = 35;
pub(super) const MAGIC: i8 = 2;

/// A batch from a producer that is not idempotent.
pub const NO_PRODUCER_ID: i64 = -1;
/// The epoch that goes with [`NO_PRODUCER_ID`].
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// The sequence that goes with [`NO_PRODUCER_ID`].
pub const NO_SEQUENCE: i32 = -1;
/// A record without a timestamp.
pub const NO_TIMESTAMP: i64 = -1;

pub(super) const COMPRESSION_MASK: i16 = 0x07;
pub(super) const LOG_APPEND_TIME: i16 = 0x08;
pub(super) const TRANSACTIONAL: i16 = 0x10;
pub(super) const CONTROL: i16 = 0x20;
pub(super) const DELETE_HORIZON: i16 = 0x40;
pub(super) const KNOWN_ATTRIBUTES: i16 = COMPRESSION_MASK | LOG_APPEND_TIME | TRANSACTIONAL | CONTROL | DELETE_HORIZON;

/// Whose clock a batch's timestamps are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// Each record has the time that its producer gave it.
    CreateTime,
    /// All records have the time at which the broker appended them, which is the batch's largest timestamp.
    LogAppendTime,
}

/// A batch's header, field by field as it lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes after this field.
    pub batch_length: i32,
    /// Term of the leader that appended the batch; -1 from a producer.
    pub partition_leader_epoch: i32,
    /// Format; always 2.
    pub magic: i8,
    /// CRC-32C of the bytes from `attributes` on.
    pub crc: u32,
    /// Codec (bits 0 to 2), timestamp type (3), transactional (4), control (5), delete horizon (6).
    pub attributes: i16,
    /// Offset of the last record, less `base_offset`.
    pub last_offset_delta: i32,
    /// What the records' timestamps are counted from, in ms since 1970: the first record's, or the delete horizon.
    pub base_timestamp: i64,
    /// Largest timestamp of the batch, or the time of its append.
    pub max_timestamp: i64,
    /// Idempotent producer, or -1.
    pub producer_id: i64,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Number of records.
    pub records_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`. Looks at nothing but the format and the sign of the length: the rest
    /// is for [`check`](super::check) and [`validate`](super::validate).
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(head) = bytes.first_chunk::<HEADER_LEN>() else {
            // A message of format 0 can be shorter than our header; it should be refused by its name.
            return Err(match bytes.get(MAGIC_AT) {
                Some(&magic) if magic != MAGIC as u8 => BatchError::Magic(magic as i8),
                _ => BatchError::Truncated { need: HEADER_LEN, have: bytes.len() },
            });
        };
        let header = Self {
            base_offset: i64::from_be_bytes(field(head, 0)),
            batch_length: i32::from_be_bytes(field(head, 8)),
            partition_leader_epoch: i32::from_be_bytes(field(head, EPOCH_AT)),
            magic: i8::from_be_bytes(field(head, MAGIC_AT)),
            crc: u32::from_be_bytes(field(head, CRC_AT)),
            attributes: i16::from_be_bytes(field(head, CRC_FROM)),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(field(head, 43)),
            producer_epoch: i16::from_be_bytes(field(head, 51)),
            base_sequence: i32::from_be_bytes(field(head, 53)),
            records_count: i32::from_be_bytes(field(head, 57)),
        };
        if header.magic != MAGIC {
            return Err(BatchError::Magic(header.magic));
        }
        if header.batch_length < (HEADER_LEN - LENGTH_OVERHEAD) as i32 {
            return Err(BatchError::Length { length: header.batch_length, have: bytes.len() });
        }
        Ok(header)
    }

    /// Writes the header in front of a batch. The checksum is written as it is in `self`.
    pub(super) fn write(&self, head: &mut [u8; HEADER_LEN]) {
        head[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        head[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        head[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        head[16..17].copy_from_slice(&self.magic.to_be_bytes());
        head[17..21].copy_from_slice(&self.crc.to_be_bytes());
        head[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        head[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        head[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        head[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        head[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        head[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        head[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        head[57..61].copy_from_slice(&self.records_count.to_be_bytes());
    }

    /// Bytes of the whole batch, header included.
    #[inline]
    pub fn size(&self) -> usize {
        self.batch_length as usize + LENGTH_OVERHEAD
    }

    /// Offset of the last record. For a frame without records ([`entry`](super::entry)): the one before its base.
    #[inline]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(i64::from(self.last_offset_delta))
    }

    /// Offset of whatever comes after this batch.
    #[inline]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// How the records are compressed.
    #[inline]
    pub fn compression(&self) -> Result<Compression, BatchError> {
        Compression::from_id((self.attributes & COMPRESSION_MASK) as u8)
    }

    /// Whose clock the timestamps are from.
    #[inline]
    pub fn timestamp_type(&self) -> TimestampType {
        match self.attributes & LOG_APPEND_TIME {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        }
    }

    /// Written by the broker, not for consumers: a transaction marker, or an entry of Leat's own.
    #[inline]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Part of a transaction.
    #[inline]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// From when on the batch's tombstones may go, where compaction has met them (KIP-534). It lies in the base timestamp.
    #[inline]
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// A frame of Leat's own that takes no offsets; see [`entry`](super::entry).
    #[inline]
    pub fn is_entry(&self) -> bool {
        self.is_control() && self.records_count == 0 && self.last_offset_delta == -1
    }

    /// Whether an idempotent producer wrote it.
    #[inline]
    pub fn has_producer(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// Sequence number of the last record; after 2^31 - 1 comes 0. [`NO_SEQUENCE`] where the batch has none.
    #[inline]
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence {
            NO_SEQUENCE => NO_SEQUENCE,
            base => next_sequence(base, self.last_offset_delta),
        }
    }
}

/// The sequence number that is `by` after `sequence`; after 2^31 - 1 comes 0.
#[inline]
pub fn next_sequence(sequence: i32, by: i32) -> i32 {
    sequence.wrapping_add(by) & i32::MAX
}

#[inline]
fn field<const N: usize>(head: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    // `at` is a constant below HEADER_LEN - N at every call, so this compiles to a load.
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[at..at + N]);
    bytes
}
