//! Values that are words: how records are compressed, stamped and cleaned up.

use std::str::FromStr;

use super::field::Field;
use super::key::items;

/// `compression.type`: what the broker does with a batch's codec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompressionType {
    /// Keep what the producer chose.
    #[default]
    Producer,
    /// Store plain.
    Uncompressed,
    /// Store with gzip.
    Gzip,
    /// Store with snappy.
    Snappy,
    /// Store with lz4.
    Lz4,
    /// Store with zstd.
    Zstd,
}

impl CompressionType {
    /// The words, as Kafka writes them.
    pub const WORDS: &'static [&'static str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
}

impl FromStr for CompressionType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "producer" => Ok(Self::Producer),
            "uncompressed" => Ok(Self::Uncompressed),
            "gzip" => Ok(Self::Gzip),
            "snappy" => Ok(Self::Snappy),
            "lz4" => Ok(Self::Lz4),
            "zstd" => Ok(Self::Zstd),
            _ => Err(format!("must be one of {}", Self::WORDS.join(", "))),
        }
    }
}

/// `message.timestamp.type`: whose clock stamps a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The leader's, at the append.
    LogAppendTime,
}

impl TimestampType {
    /// The words, as Kafka writes them.
    pub const WORDS: &'static [&'static str] = &["CreateTime", "LogAppendTime"];
}

impl FromStr for TimestampType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "CreateTime" => Ok(Self::CreateTime),
            "LogAppendTime" => Ok(Self::LogAppendTime),
            _ => Err(format!("must be one of {}", Self::WORDS.join(", "))),
        }
    }
}

/// `cleanup.policy`: how old records leave a log. Empty: they never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Whole segments go by age and size.
    pub delete: bool,
    /// Of each key the latest record stays.
    pub compact: bool,
}

impl CleanupPolicy {
    /// The words, as Kafka writes them.
    pub const WORDS: &'static [&'static str] = &["compact", "delete"];
}

impl FromStr for CleanupPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = |word| items(text).any(|item| item == word);
        match items(text).find(|item| !Self::WORDS.contains(item)) {
            None => Ok(Self { delete: names("delete"), compact: names("compact") }),
            Some(other) => Err(format!("`{other}` is unknown; must be `delete`, `compact`, both, or empty")),
        }
    }
}

macro_rules! words {
    ($($type:ty),*) => {
        $(impl Field for $type {
            fn from_text(text: Option<&str>) -> Result<Self, String> {
                text.unwrap_or_default().parse()
            }
        })*
    };
}

words!(CompressionType, TimestampType, CleanupPolicy);
