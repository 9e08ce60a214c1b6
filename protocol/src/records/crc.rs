//! The checksum of a batch: CRC-32C over everything from the attributes on.

use super::header::{CRC_AT, CRC_FROM};

/// Checksum of a whole batch (header included).
#[inline]
pub(super) fn of_batch(batch: &[u8]) -> u32 {
    crc32c::crc32c(&batch[CRC_FROM..])
}

/// Computes the checksum of a whole batch and writes it where it belongs.
pub(super) fn seal(batch: &mut [u8]) {
    let crc = of_batch(batch);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}
