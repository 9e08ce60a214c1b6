//! The producer's properties.

use std::time::Duration;

use leat_protocol::records::Compression;

use super::common::{CommonConfig, common_setters};
use super::table::{any, table};
use super::value::Value;
use crate::Error;

/// Which replicas must have a batch before the leader answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// No answer: a lost batch is not noticed.
    None,
    /// The leader alone.
    Leader,
    /// All in-sync replicas.
    All,
}

impl Acks {
    pub(crate) fn wire(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

impl Value for Acks {
    const EXPECTS: &'static str = "all, -1, 0 or 1";

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "all" | "-1" => Acks::All,
            "0" => Acks::None,
            "1" => Acks::Leader,
            _ => return None,
        })
    }

    fn show(&self) -> String {
        match self {
            Acks::None => "0",
            Acks::Leader => "1",
            Acks::All => "all",
        }
        .to_owned()
    }
}

const DELIVERY_TIMEOUT: Duration = Duration::from_millis(120_000);

table! {
    /// Builds a [`Producer`](crate::Producer).
    pub struct ProducerConfig with common: CommonConfig;

    /// Which replicas must have a batch before it counts as delivered.
    "acks", acks: Acks = Acks::All, any, "";
    /// The size in bytes at which a partition's batch is closed and sent.
    "batch.size", batch_size: usize = 16_384, |v| *v <= 512 << 20, "a number of bytes from 0 to 536870912";
    /// How long a batch waits for more records before it is sent anyway.
    "linger.ms", linger: Duration = Duration::from_millis(5), any, "";
    /// The most bytes of records that may wait to be delivered; sends beyond it wait for room.
    "buffer.memory", buffer_memory: usize = 32 << 20, |v| *v > 0, "a number of bytes of at least 1";
    /// How long a send may wait for metadata and for room.
    "max.block.ms", max_block: Duration = Duration::from_millis(60_000), any, "";
    /// The largest request and record, in bytes before compression.
    "max.request.size", max_request_size: usize = 1 << 20, |v| *v <= i32::MAX as usize, "a number of bytes up to 2147483647";
    /// How long a record may take from `send` to its acknowledgement, retries included.
    "delivery.timeout.ms", delivery_timeout: Duration = DELIVERY_TIMEOUT, |v| !v.is_zero(), "a number of milliseconds of at least 1";
    /// How often a batch is sent again; `delivery.timeout.ms` is the better bound.
    "retries", retries: u32 = i32::MAX as u32, any, "";
    /// Requests sent to one broker before the first is answered.
    "max.in.flight.requests.per.connection", max_in_flight: usize = 5, |v| *v > 0, "a whole number of at least 1";
    /// Whether brokers drop what a retry repeats. On unless other settings exclude it.
    "enable.idempotence", enable_idempotence: Option<bool> = None, any, "";
    /// How batches are compressed.
    "compression.type", compression: Compression = Compression::None, any, "";
    /// gzip's level: 1 (fast) to 9 (small), or -1 for the library's default.
    "compression.gzip.level", compression_gzip_level: i32 = -1, |v| (-1..=9).contains(v) && *v != 0, "-1, or 1 to 9";
    /// lz4's level. Kafka's property is accepted; the encoder here has one level.
    "compression.lz4.level", compression_lz4_level: i32 = 9, |v| (1..=17).contains(v), "1 to 17";
    /// zstd's level.
    "compression.zstd.level", compression_zstd_level: i32 = 3, |v| (-131_072..=22).contains(v), "-131072 to 22";
    /// Whether keys are ignored when a partition is chosen.
    "partitioner.ignore.keys", partitioner_ignore_keys: bool = false, any, "";
    /// Whether partitions whose queues are short are preferred for records without a key.
    "partitioner.adaptive.partitioning.enable", partitioner_adaptive: bool = true, any, "";
    /// A partition whose broker has not taken a batch for this long gets no records without a key; 0 turns this off.
    "partitioner.availability.timeout.ms", partitioner_availability_timeout: Duration = Duration::ZERO, any, "";
}

common_setters!(ProducerConfig);

impl ProducerConfig {
    /// Whether sequences are used: what was asked for, else whether the other settings allow it, as in Java.
    pub(crate) fn idempotent(&self) -> bool {
        self.enable_idempotence.unwrap_or(self.acks == Acks::All && self.retries > 0 && self.max_in_flight <= 5)
    }

    pub(crate) fn compression_level(&self) -> Option<i32> {
        match self.compression {
            Compression::Gzip if self.compression_gzip_level > 0 => Some(self.compression_gzip_level),
            Compression::Zstd => Some(self.compression_zstd_level),
            _ => None,
        }
    }

    /// Checks each value, then those that depend on each other.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        self.check_rows()?;
        if self.enable_idempotence == Some(true) {
            if self.acks != Acks::All {
                return Err(Error::bad_value("acks", &self.acks.show(), "all, since enable.idempotence is true"));
            }
            if self.retries == 0 {
                return Err(Error::bad_value("retries", "0", "at least 1, since enable.idempotence is true"));
            }
            if self.max_in_flight > 5 {
                let key = "max.in.flight.requests.per.connection";
                let value = self.max_in_flight.to_string();
                return Err(Error::bad_value(key, &value, "at most 5, since enable.idempotence is true"));
            }
        }
        let least = self.linger + self.common.request_timeout;
        if self.delivery_timeout < least {
            // As in Java, only a value that was asked for is an error.
            if self.delivery_timeout != DELIVERY_TIMEOUT {
                let value = self.delivery_timeout.show();
                let expects = "at least linger.ms + request.timeout.ms";
                return Err(Error::bad_value("delivery.timeout.ms", &value, expects));
            }
            self.delivery_timeout = least;
        }
        Ok(())
    }
}
