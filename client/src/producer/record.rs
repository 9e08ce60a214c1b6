//! What a program hands to the producer.

use bytes::Bytes;
use leat_protocol::Str;
use leat_protocol::records::Header;

/// A record to send.
///
/// ```
/// use leat_client::ProducerRecord;
///
/// let record = ProducerRecord::to("flights").key("UA").value("EWR,IAH").header("source", "nycflights13");
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProducerRecord {
    pub topic: Str,
    pub partition: Option<i32>,
    pub timestamp: Option<i64>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

impl ProducerRecord {
    /// A record for `topic`, with neither key nor value.
    pub fn to(topic: impl Into<Str>) -> Self {
        Self { topic: topic.into(), ..Self::default() }
    }

    /// Goes to this partition; else the key's hash decides, else the producer does.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Milliseconds since 1970 in UTC; the time of `send` if not given.
    #[must_use]
    pub fn timestamp(mut self, timestamp_ms: i64) -> Self {
        self.timestamp = Some(timestamp_ms);
        self
    }

    /// Adds a header; order and repeats are kept.
    #[must_use]
    pub fn header(mut self, key: impl Into<Str>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header { key: key.into(), value: Some(value.into()) });
        self
    }
}

/// Where a record ended up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    pub topic: Str,
    pub partition: i32,
    /// -1 where it is not known: with `acks=0`, or when the broker only said that it has the record already.
    pub offset: i64,
    /// The record's own timestamp, or the broker's where the topic uses the time of append.
    pub timestamp: i64,
}
