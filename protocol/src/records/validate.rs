//! Is a batch what it says it is? The rules are those of Kafka's `LogValidator` and `DefaultRecordBatch`, where they
//! concern the bytes alone; what depends on a topic's settings is the broker's.

use super::header::{KNOWN_ATTRIBUTES, NO_TIMESTAMP};
use super::raw::RawRecord;
use super::varint::Cursor;
use super::{BatchError, BatchHeader, Compression, HEADER_LEN, TimestampType, codec, crc};
use bytes::Bytes;

/// Checks the frame alone: `batch` is exactly one batch of format 2, and its checksum is right. For bytes that were
/// validated when they were first appended; also right for [`entry`](super::entry) frames.
pub fn check(batch: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = frame(batch)?;
    let computed = crc::of_batch(batch);
    if computed != header.crc {
        return Err(BatchError::Crc { stored: header.crc, computed });
    }
    Ok(header)
}

/// Checks a batch from a producer before it is appended: frame, checksum, header, and, where it is not compressed, every
/// record. Allocates nothing. A compressed batch's records are left to whoever decodes them ([`validate_records`]).
///
/// `max_timestamp` of the header returned is what a broker should store: some clients write the last timestamp instead of
/// the largest, and Kafka corrects it too. Where it differs from the batch's, use
/// [`set_max_timestamp`](super::set_max_timestamp).
pub fn validate(batch: &[u8], max_size: usize) -> Result<BatchHeader, BatchError> {
    if batch.len() > max_size {
        return Err(BatchError::TooLarge { what: "batch", max: max_size });
    }
    let mut header = check(batch)?;
    match check_header(&header)? {
        Compression::None => header.max_timestamp = walk(&header, &batch[HEADER_LEN..])?,
        _ => header.max_timestamp = header.max_timestamp.max(header.base_timestamp),
    }
    Ok(header)
}

/// As [`validate`], and looks at the records of a compressed batch too, decompressing at most `max_decompressed` bytes.
pub fn validate_records(batch: &Bytes, max_decompressed: usize) -> Result<BatchHeader, BatchError> {
    let mut header = check(batch)?;
    check_header(&header)?;
    let body = codec::body(&header, batch, max_decompressed)?;
    header.max_timestamp = walk(&header, &body)?;
    Ok(header)
}

/// Exactly one batch, and nothing after it.
fn frame(batch: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::parse(batch)?;
    let (need, have) = (header.size(), batch.len());
    if need > have {
        return Err(BatchError::Truncated { need, have });
    }
    if need < have {
        return Err(BatchError::Length { length: header.batch_length, have });
    }
    Ok(header)
}

/// The header's fields against each other.
fn check_header(header: &BatchHeader) -> Result<Compression, BatchError> {
    let compression = header.compression()?;
    if header.attributes & !KNOWN_ATTRIBUTES != 0 {
        return Err(BatchError::Header("attributes above bit 6 are not defined and must be 0"));
    }
    if header.records_count <= 0 {
        return Err(BatchError::Header("a batch must have at least one record"));
    }
    if header.last_offset_delta != header.records_count - 1 {
        return Err(BatchError::Header("the last offset delta must be the number of records less one"));
    }
    if header.base_offset.checked_add(i64::from(header.records_count)).is_none() {
        return Err(BatchError::Header("offsets go past the largest one"));
    }
    if header.has_producer() && !header.is_control() && (header.producer_epoch < 0 || header.base_sequence < 0) {
        return Err(BatchError::Header("a producer id needs an epoch and a sequence number of 0 or more"));
    }
    Ok(compression)
}

/// Every record, in order; returns the batch's largest timestamp.
fn walk(header: &BatchHeader, body: &[u8]) -> Result<i64, BatchError> {
    let mut rest = Cursor(body);
    let mut largest = NO_TIMESTAMP;
    for index in 0..header.records_count {
        let invalid = |reason| BatchError::Record { index, reason };
        let record = RawRecord::take(&mut rest).map_err(invalid)?;
        if record.offset_delta != index {
            return Err(invalid("offsets of a batch must count up by one from its base"));
        }
        let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
        if timestamp < NO_TIMESTAMP {
            return Err(BatchError::Timestamp { index, timestamp });
        }
        largest = largest.max(timestamp);
    }
    if !rest.0.is_empty() {
        return Err(BatchError::Header("bytes follow the last record that it counts"));
    }
    Ok(match header.timestamp_type() {
        TimestampType::CreateTime => largest,
        TimestampType::LogAppendTime => header.max_timestamp,
    })
}
