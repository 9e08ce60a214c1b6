//! The few fields that a broker writes into a batch that it has already checked.
//!
//! All of these expect a whole batch, as [`check`](super::check) has seen it, and panic on less than a header.

use super::crc;
use super::header::{CRC_FROM, EPOCH_AT, LOG_APPEND_TIME, MAX_TIMESTAMP_AT};

/// Numbers the batch. Not covered by the checksum.
#[inline]
pub fn set_base_offset(batch: &mut [u8], offset: i64) {
    batch[..8].copy_from_slice(&offset.to_be_bytes());
}

/// Writes the term of the leader that appends it. Not covered by the checksum.
#[inline]
pub fn set_leader_epoch(batch: &mut [u8], epoch: i32) {
    batch[EPOCH_AT..EPOCH_AT + 4].copy_from_slice(&epoch.to_be_bytes());
}

/// Gives all records the time of their append, and makes the checksum right again.
pub fn set_log_append_time(batch: &mut [u8], timestamp: i64) {
    batch[CRC_FROM + 1] |= LOG_APPEND_TIME as u8;
    set_max_timestamp(batch, timestamp);
}

/// Corrects the batch's largest timestamp, and makes the checksum right again.
pub fn set_max_timestamp(batch: &mut [u8], timestamp: i64) {
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&timestamp.to_be_bytes());
    crc::seal(batch);
}
