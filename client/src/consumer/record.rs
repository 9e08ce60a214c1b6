//! What the consumer hands out, and where it can be told to start.

use bytes::Bytes;
use leat_protocol::Str;
pub use leat_protocol::records::{Header, TimestampType};

/// A record as it is in the log. Key, value and header values are slices of the broker's answer: keeping one keeps the
/// whole answer in memory, so copy what is to be kept for long.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerRecord {
    pub topic: Str,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970 in UTC, or -1.
    pub timestamp: i64,
    pub timestamp_type: TimestampType,
    /// The leader epoch under which it was appended, or -1.
    pub leader_epoch: i32,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

/// Where a partition's replay starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The first record there is.
    Earliest,
    /// After the last record there is.
    Latest,
    /// The record with this offset; one that the log does not have is a matter for `auto.offset.reset`.
    Offset(i64),
    /// The first record whose timestamp, in milliseconds, is at least this; after the last record if there is none.
    Timestamp(i64),
    /// So many offsets before the end, or the first record if there are fewer.
    Last(u64),
}
