//! What can be wrong with a batch, in words for the person who has to find the cause.

use super::Compression;
use crate::ErrorCode;

/// Why a batch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than the batch says it has.
    #[error("batch is cut off: needs {need} bytes, has {have}")]
    Truncated {
        /// Bytes that the batch needs.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The length field can't be that of a batch, or bytes follow the batch where one alone was expected.
    #[error("batch length {length} does not fit: a batch in {have} bytes has a length between 49 and {}", have.saturating_sub(12))]
    Length {
        /// The length field.
        length: i32,
        /// Bytes that are there.
        have: usize,
    },
    /// Not record batch format 2.
    #[error("{}", magic_message(*.0))]
    Magic(i8),
    /// Larger than allowed, as it is or once decompressed.
    #[error("{what} is larger than the {max} bytes allowed")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// The bound that was passed.
        max: usize,
    },
    /// The bytes are not those that were checksummed.
    #[error("CRC-32C of the batch is {computed:#010x}, but it says {stored:#010x}")]
    Crc {
        /// Checksum found in the header.
        stored: u32,
        /// Checksum of the bytes.
        computed: u32,
    },
    /// The attributes name no codec that exists.
    #[error("compression type {0} is unknown: 0 to 4 are none, gzip, snappy, lz4 and zstd")]
    Compression(u8),
    /// A header field contradicts another one.
    #[error("batch header is invalid: {0}")]
    Header(&'static str),
    /// A record does not parse, or contradicts the header.
    #[error("record {index} of the batch is invalid: {reason}")]
    Record {
        /// Position of the record in the batch, from 0.
        index: i32,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A record's timestamp is not one.
    #[error("timestamp of record {index} is invalid: {timestamp} is not -1 (none) or a time since 1970 in ms")]
    Timestamp {
        /// Position of the record in the batch, from 0.
        index: i32,
        /// The timestamp found.
        timestamp: i64,
    },
    /// The compressed records can't be decompressed.
    #[error("{codec} data can't be decompressed: {reason}")]
    Codec {
        /// The codec that the batch names.
        codec: Compression,
        /// What the codec says.
        reason: String,
    },
    /// A Raft entry without records that this release does not know.
    #[error("entry kind {0} is unknown; it may have been written by a newer release of Leat")]
    EntryKind(u8),
}

impl BatchError {
    /// The code that Kafka's protocol has for this.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Truncated { .. } | Self::Length { .. } | Self::Crc { .. } | Self::Codec { .. } => {
                ErrorCode::CORRUPT_MESSAGE
            }
            Self::Magic(0 | 1) => ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
            Self::Magic(_) => ErrorCode::CORRUPT_MESSAGE,
            Self::TooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
            Self::Compression(_) => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            Self::Timestamp { .. } => ErrorCode::INVALID_TIMESTAMP,
            Self::Header(_) | Self::Record { .. } | Self::EntryKind(_) => ErrorCode::INVALID_RECORD,
        }
    }
}

fn magic_message(magic: i8) -> String {
    match magic {
        0 | 1 => {
            format!("message format {magic} is not supported: send record batches (format 2, Kafka 0.11 or later)")
        }
        _ => format!("unknown record batch format {magic}: expected 2"),
    }
}
