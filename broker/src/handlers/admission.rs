//! Whether a producer's batch may enter a topic's log, and what is done to it first.
//!
//! A batch enters as it came wherever it can. Its records are decoded only where a setting needs them: another codec than
//! the producer's, or a bound on how old a record may be.

use std::fmt;

use bytes::BytesMut;
use leat_protocol::messages::produce::BatchIndexAndErrorMessage;
use leat_protocol::records::{self, BatchError, BatchHeader, Builder, Compression, TimestampType as Stamp};
use leat_protocol::{Bytes, ErrorCode};

use crate::config::{CompressionType, TimestampType, TopicConfig};

/// The most that one batch may take when it is decoded on the way in, unless the topic takes larger batches still.
const DECODED_MAX: usize = 64 << 20;

/// A batch that may be numbered.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) batch: BytesMut,
    pub(super) header: BatchHeader,
    /// The broker's time where the topic uses it, else -1.
    pub(super) log_append_time: i64,
}

/// Why a batch is not taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) reason: String,
    /// The records at fault, where single ones are.
    pub(super) records: Vec<BatchIndexAndErrorMessage>,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, reason: impl Into<String>) -> Refusal {
        Refusal { code, reason: reason.into(), records: Vec::new() }
    }

    fn of_records(code: ErrorCode, reason: &str, indexes: impl Iterator<Item = i32>) -> Refusal {
        let at_fault = |batch_index| BatchIndexAndErrorMessage {
            batch_index,
            batch_index_error_message: Some(reason.to_owned().into()),
        };
        Refusal { records: indexes.map(at_fault).collect(), ..Refusal::new(code, reason) }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal::new(code, "")
    }
}

impl From<BatchError> for Refusal {
    fn from(error: BatchError) -> Refusal {
        Refusal::new(error.error_code(), error.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.name(), self.reason)
    }
}

/// Checks what a client sent for one partition and makes it what the topic stores.
pub(super) fn admit(sent: Option<BytesMut>, config: &TopicConfig, now_ms: i64) -> Result<Admitted, Refusal> {
    let Some(mut batch) = sent else {
        return Err(Refusal::new(ErrorCode::INVALID_RECORD, "there is no record batch for this partition"));
    };
    let first = BatchHeader::parse(&batch)?;
    if first.size() < batch.len() {
        let reason = "a produce request carries exactly one record batch for a partition";
        return Err(Refusal::new(ErrorCode::INVALID_RECORD, reason));
    }
    let header = records::validate(&batch, config.max_message_bytes as usize)?;
    if header.is_control() {
        return Err(Refusal::new(ErrorCode::INVALID_RECORD, "clients may not write control batches"));
    }
    if header.is_transactional() {
        return Err(Refusal::new(ErrorCode::INVALID_TXN_STATE, "transactions are not supported yet"));
    }
    if header.records_count < 1 {
        return Err(Refusal::new(ErrorCode::INVALID_RECORD, "the batch has no record"));
    }
    if config.cleanup_policy.compact {
        batch = check_keys(batch, config)?;
    }
    if let Some(codec) = codec(config.compression_type)
        && header.compression()? != codec
    {
        batch = recompress(&batch.freeze(), &header, codec, config)?;
    }
    let log_append_time = match config.message_timestamp_type {
        TimestampType::LogAppendTime => {
            records::set_log_append_time(&mut batch, now_ms);
            now_ms
        }
        TimestampType::CreateTime => {
            if header.timestamp_type() == Stamp::LogAppendTime {
                return Err(Refusal::new(
                    ErrorCode::INVALID_TIMESTAMP,
                    "only the broker may stamp a batch with its time",
                ));
            }
            batch = check_times(batch, &header, config, now_ms)?;
            // As Kafka does, what the header claims is made what the records say, where they were looked at.
            if BatchHeader::parse(&batch)?.max_timestamp != header.max_timestamp {
                records::set_max_timestamp(&mut batch, header.max_timestamp);
            }
            -1
        }
    };
    let header = BatchHeader::parse(&batch)?;
    Ok(Admitted { batch, header, log_append_time })
}

/// Refuses records that compaction could not tell apart. Every record is looked at, so what can't be decoded is refused too.
fn check_keys(batch: BytesMut, config: &TopicConfig) -> Result<BytesMut, Refusal> {
    let batch = batch.freeze();
    let mut keyless = Vec::new();
    for (index, record) in (0..).zip(records::records(&batch, decoded_max(config))?) {
        if record?.key.is_none() {
            keyless.push(index);
        }
    }
    if keyless.is_empty() {
        return Ok(batch.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..])));
    }
    let reason = "a compacted topic takes no record without a key";
    Err(Refusal::of_records(ErrorCode::INVALID_RECORD, reason, keyless.into_iter()))
}

/// Refuses records that are too far from the broker's clock. The header tells for all of them unless there is a bound on
/// how old one may be.
fn check_times(batch: BytesMut, header: &BatchHeader, config: &TopicConfig, now_ms: i64) -> Result<BytesMut, Refusal> {
    let latest = now_ms.saturating_add(config.message_timestamp_after_max_ms);
    let earliest = now_ms.saturating_sub(config.message_timestamp_before_max_ms);
    let too_late = header.max_timestamp > latest;
    if !too_late && earliest <= 0 {
        return Ok(batch);
    }
    let batch = batch.freeze();
    let out_of_bounds = |timestamp: i64| timestamp > latest || (timestamp >= 0 && timestamp < earliest);
    let mut at_fault = Vec::new();
    for (index, record) in (0..).zip(records::records(&batch, decoded_max(config))?) {
        if out_of_bounds(record?.timestamp) {
            at_fault.push(index);
        }
    }
    if at_fault.is_empty() && !too_late {
        return Ok(batch.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..])));
    }
    let reason = format!("a timestamp is outside of {earliest} to {latest}, which this topic allows now");
    Err(Refusal::of_records(ErrorCode::INVALID_TIMESTAMP, &reason, at_fault.into_iter()))
}

/// The codec that a topic asks for; `None` keeps the producer's.
fn codec(wanted: CompressionType) -> Option<Compression> {
    match wanted {
        CompressionType::Producer => None,
        CompressionType::Uncompressed => Some(Compression::None),
        CompressionType::Gzip => Some(Compression::Gzip),
        CompressionType::Snappy => Some(Compression::Snappy),
        CompressionType::Lz4 => Some(Compression::Lz4),
        CompressionType::Zstd => Some(Compression::Zstd),
    }
}

/// The same records under the topic's own codec.
fn recompress(
    batch: &Bytes,
    header: &BatchHeader,
    codec: Compression,
    config: &TopicConfig,
) -> Result<BytesMut, Refusal> {
    let level = match codec {
        Compression::Gzip => Some(config.compression_gzip_level).filter(|&level| level >= 0),
        Compression::Zstd => Some(config.compression_zstd_level),
        Compression::Lz4 => Some(config.compression_lz4_level),
        Compression::None | Compression::Snappy => None,
    };
    let mut builder = Builder::new(codec, level);
    builder.set_producer(header.producer_id, header.producer_epoch, header.base_sequence);
    for record in records::records(batch, decoded_max(config))? {
        let record = record?;
        builder.push(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
    }
    let made = builder.finish()?;
    Ok(made.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..])))
}

fn decoded_max(config: &TopicConfig) -> usize {
    DECODED_MAX.max(config.max_message_bytes as usize)
}
