//! A topic's keys: one row each, the [`TopicConfig`] that the rows make, and what a key falls back to in the broker.
//!
//! The list is Kafka 4.3.1's (`LogConfig.configDefCopy`), so that every tool finds every name.

use std::collections::BTreeMap;

use super::Config;
use super::broker;
use super::error::suggest;
use super::field::Field;
use super::key::{Key, Kind, Unit, Update, int, long};
use super::policy::{CleanupPolicy, CompressionType, TimestampType};
use super::settings::{Settings, Source, Synonym};

/// What was set for one topic, by key, in canonical text.
pub type Overrides = BTreeMap<String, String>;

/// A topic key and the broker keys that it falls back to, strongest first.
#[derive(Clone, Copy, Debug)]
pub struct TopicKey {
    /// The row.
    pub key: Key,
    /// Broker keys that give its value where the topic does not.
    pub falls_back_to: &'static [&'static str],
}

macro_rules! topic_keys {
    (
        active { $($field:ident: $type:ty = $via:ident $name:literal, $kind:expr, $unit:ident, $default:literal, $broker:expr, $doc:literal;)* }
        inert { $($other:literal, $other_kind:expr, $other_unit:ident, $other_default:literal, $other_broker:expr, $other_doc:literal;)* }
    ) => {
        /// Every topic key, those that do something first.
        pub const KEYS: &[TopicKey] = &[
            $(row($name, $kind, Unit::$unit, $default, Update::Dynamic, $broker, $doc),)*
            $(row($other, $other_kind, Unit::$other_unit, $other_default, Update::Inert, $other_broker, $other_doc),)*
        ];

        /// What one topic runs with: its own values over the broker's.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct TopicConfig {
            $(#[doc = $doc] pub $field: $type,)*
        }

        impl TopicConfig {
            /// What a topic without values of its own runs with.
            pub(crate) fn of(settings: &Settings) -> Self {
                let mut rows = KEYS.iter();
                Self { $($field: default(rows.next(), settings, $via),)* }
            }

            /// One of the topic's own values. Values in a metadata log have been checked when they were proposed; one
            /// that this release can't read counts as not set.
            fn set(&mut self, name: &str, text: &str) {
                let Some(text) = key(name).and_then(|row| row.key.check(text).ok()) else { return };
                match name {
                    $($name => self.$field = $via(&text).unwrap_or(self.$field),)*
                    _ => {}
                }
            }
        }
    };
}

const RATIO: Kind = Kind::Double(0.0, 1.0);

topic_keys! {
    active {
    cleanup_policy: CleanupPolicy = plain "cleanup.policy", Kind::Choices(CleanupPolicy::WORDS), None, "delete", &["log.cleanup.policy"],
        "How old records leave the log: `delete` by age and size, `compact` once a later one has the same key, both, or empty for never.";
    compression_type: CompressionType = plain "compression.type", Kind::Choice(CompressionType::WORDS), None, "producer", &["compression.type"],
        "The codec that batches are stored with; `producer` keeps what was sent, byte for byte.";
    compression_gzip_level: i32 = plain "compression.gzip.level", Kind::Level(1, 9), None, "-1", &["compression.gzip.level"],
        "Level when compression.type is gzip; -1 is the codec's own.";
    compression_lz4_level: i32 = plain "compression.lz4.level", Kind::Int(1, 17), None, "9", &["compression.lz4.level"],
        "Level when compression.type is lz4.";
    compression_zstd_level: i32 = plain "compression.zstd.level", Kind::Int(-131_072, 22), None, "3", &["compression.zstd.level"],
        "Level when compression.type is zstd.";
    delete_retention_ms: u64 = plain "delete.retention.ms", long(0), Ms, "86400000", &["log.cleaner.delete.retention.ms"],
        "How long a compacted topic keeps a record without a value, from the first compaction that meets it.";
    flush_messages: u64 = plain "flush.messages", long(1), Batches, "1", &["log.flush.interval.messages"],
        "1: acks=all is answered after the record is on stable storage. More: answered from the page cache, as Kafka does; a power cut can lose it.";
    flush_ms: u64 = plain "flush.ms", long(0), Ms, "9223372036854775807", &["log.flush.interval.ms"],
        "With flush.messages above 1: the longest that an answered record waits for stable storage.";
    index_interval_bytes: u32 = plain "index.interval.bytes", int(0), Bytes, "4096", &["log.index.interval.bytes"],
        "Bytes of records between two entries of a segment's offset and time index.";
    max_compaction_lag_ms: u64 = plain "max.compaction.lag.ms", long(1), Ms, "9223372036854775807", &["log.cleaner.max.compaction.lag.ms"],
        "The longest that a record of a compacted topic waits for compaction, however clean the log is; segments roll at that age.";
    max_message_bytes: u32 = plain "max.message.bytes", int(0), Bytes, "1048588", &["message.max.bytes"],
        "The largest record batch, as sent (compressed).";
    message_timestamp_after_max_ms: i64 = plain "message.timestamp.after.max.ms", long(0), Ms, "3600000", &["log.message.timestamp.after.max.ms"],
        "How far ahead of the broker's clock a CreateTime timestamp may be.";
    message_timestamp_before_max_ms: i64 = plain "message.timestamp.before.max.ms", long(0), Ms, "9223372036854775807", &["log.message.timestamp.before.max.ms"],
        "How far behind the broker's clock a CreateTime timestamp may be.";
    message_timestamp_type: TimestampType = plain "message.timestamp.type", Kind::Choice(TimestampType::WORDS), None, "CreateTime", &["log.message.timestamp.type"],
        "Whose clock stamps a record: the producer's (CreateTime) or the leader's (LogAppendTime).";
    min_cleanable_dirty_ratio: f64 = plain "min.cleanable.dirty.ratio", RATIO, None, "0.5", &["log.cleaner.min.cleanable.ratio"],
        "The part of a compacted log that may be uncompacted before it is compacted.";
    min_compaction_lag_ms: u64 = plain "min.compaction.lag.ms", long(0), Ms, "0", &["log.cleaner.min.compaction.lag.ms"],
        "The least time that a record of a compacted topic stays as it is.";
    min_insync_replicas: i32 = plain "min.insync.replicas", int(1), None, "1", &["min.insync.replicas"],
        "Replicas that must have a record before acks=all is answered, where that is more than a majority.";
    retention_bytes: Option<u64> = limit "retention.bytes", long(-1), Bytes, "-1", &["log.retention.bytes"],
        "Size above which a partition's oldest segments are deleted; -1 is no bound.";
    retention_ms: Option<u64> = limit "retention.ms", long(-1), Ms, "604800000", &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        "Age at which a closed segment is deleted; -1 keeps it.";
    segment_bytes: u32 = plain "segment.bytes", int(1024), Bytes, "1073741824", &["log.segment.bytes"],
        "Size at which a segment is closed and a new one begun.";
    segment_index_bytes: u32 = plain "segment.index.bytes", int(4), Bytes, "10485760", &["log.index.size.max.bytes"],
        "Size at which a full index closes its segment.";
    segment_jitter_ms: u64 = plain "segment.jitter.ms", long(0), Ms, "0", &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        "The most that is taken off segment.ms, by a draw per partition, so that segments do not all roll together.";
    segment_ms: u64 = plain "segment.ms", long(1), Ms, "604800000", &["log.roll.ms", "log.roll.hours"],
        "Age at which a segment is closed even when it is not full.";
    }
    inert {
    "file.delete.delay.ms", long(0), Ms, "60000", &["log.segment.delete.delay.ms"],
        "Leat deletes a file when its last reader has closed it.";
    "follower.replication.throttled.replicas", Kind::List, None, "", &[],
        "Of Kafka's replication quotas.";
    "leader.replication.throttled.replicas", Kind::List, None, "", &[],
        "Of Kafka's replication quotas.";
    "local.retention.bytes", long(-2), Bytes, "-2", &["log.local.retention.bytes"],
        "Of tiered storage, which is not here yet.";
    "local.retention.ms", long(-2), Ms, "-2", &["log.local.retention.ms"],
        "Of tiered storage, which is not here yet.";
    "preallocate", Kind::Bool, None, "false", &["log.preallocate"],
        "Leat's files grow as they are written.";
    "remote.log.copy.disable", Kind::Bool, None, "false", &[],
        "Of tiered storage, which is not here yet.";
    "remote.log.delete.on.disable", Kind::Bool, None, "false", &[],
        "Of tiered storage, which is not here yet.";
    "remote.storage.enable", Kind::Bool, None, "false", &[],
        "Of tiered storage, which is not here yet.";
    "unclean.leader.election.enable", Kind::Bool, None, "false", &["unclean.leader.election.enable"],
        "Raft never elects a leader that lacks a committed record.";
    }
}

const fn row(
    name: &'static str,
    kind: Kind,
    unit: Unit,
    default: &'static str,
    update: Update,
    falls_back_to: &'static [&'static str],
    doc: &'static str,
) -> TopicKey {
    TopicKey { key: Key { name, kind, unit, default: Some(default), update, doc, why: "" }, falls_back_to }
}

impl TopicConfig {
    /// The topic's own values over the broker's over the table's.
    pub fn resolve(overrides: &Overrides, config: &Config) -> Self {
        let mut resolved = *config.topic_defaults();
        for (name, text) in overrides {
            resolved.set(name, text);
        }
        resolved
    }

    /// The age at which a partition's segment rolls: `segment.ms`, or what compaction may wait at most, less this
    /// partition's share of the jitter. `draw` is any number that differs between partitions and stays the same for one.
    pub fn roll_ms(&self, draw: u64) -> u64 {
        let roll_ms = match self.cleanup_policy.compact {
            true => self.segment_ms.min(self.max_compaction_lag_ms),
            false => self.segment_ms,
        };
        let most = self.segment_jitter_ms.min(roll_ms.saturating_sub(1));
        let mixed = draw.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32;
        roll_ms - mixed.checked_rem(most.saturating_add(1)).unwrap_or(0)
    }

    /// Is acks=all answered only from stable storage?
    pub fn is_durable(&self) -> bool {
        self.flush_messages == 1
    }
}

/// The row of a topic key.
pub fn key(name: &str) -> Option<&'static TopicKey> {
    KEYS.iter().find(|row| row.key.name == name)
}

/// The canonical form of a topic's value, or what is wrong with it: the text of an INVALID_CONFIG answer.
pub fn check(name: &str, value: &str) -> Result<String, String> {
    let Some(row) = key(name) else {
        let hint = suggest(name, KEYS.iter().map(|row| row.key.name));
        return Err(format!("Unknown topic config name: {name}{hint}"));
    };
    row.key.check(value).map_err(|problem| format!("Invalid value {value} for configuration {name}: {problem}"))
}

/// Do a topic's values go together? The text of an INVALID_CONFIG answer where they do not.
pub fn check_together(overrides: &Overrides, config: &Config) -> Result<(), String> {
    let resolved = TopicConfig::resolve(overrides, config);
    let (min, max) = (resolved.min_compaction_lag_ms, resolved.max_compaction_lag_ms);
    if min > max {
        return Err(format!("min.compaction.lag.ms ({min}) must not be above max.compaction.lag.ms ({max})"));
    }
    Ok(())
}

/// The value of a topic's key and where it comes from.
pub fn value(row: &TopicKey, overrides: &Overrides, config: &Config) -> (String, Source) {
    if let Some(value) = overrides.get(row.key.name) {
        return (value.clone(), Source::Topic);
    }
    inherited(row, &config.settings)
}

/// The value where the topic has none.
fn inherited(row: &TopicKey, settings: &Settings) -> (String, Source) {
    let broker = row.falls_back_to.iter().filter_map(|name| broker::key(name)).find_map(|key| {
        let (value, source) = settings.get(key);
        Some((scaled(key.unit, value?), source))
    });
    broker.unwrap_or_else(|| (row.key.default.unwrap_or_default().to_owned(), Source::Default))
}

/// Every value that a topic's key was, or would have been, taken from; the one that counts first.
pub fn synonyms(row: &TopicKey, overrides: &Overrides, config: &Config) -> Vec<Synonym> {
    let own = overrides.get(row.key.name);
    let own = own.map(|value| Synonym { name: row.key.name, value: value.clone(), source: Source::Topic });
    let broker =
        row.falls_back_to.iter().filter_map(|name| broker::key(name)).flat_map(|key| config.settings.synonyms(key));
    own.into_iter().chain(broker).collect()
}

/// A broker's hours or minutes as a topic's milliseconds; -1 stays "no bound".
fn scaled(unit: Unit, value: &str) -> String {
    let factor = match unit {
        Unit::Hours => 3_600_000,
        Unit::Minutes => 60_000,
        _ => return value.to_owned(),
    };
    match value.parse::<i64>() {
        Ok(number) if number >= 0 => number.saturating_mul(factor).to_string(),
        _ => value.to_owned(),
    }
}

fn plain<T: Field>(text: &str) -> Result<T, String> {
    T::from_text(Some(text))
}

/// A bound of which -1 says that there is none.
fn limit(text: &str) -> Result<Option<u64>, String> {
    i64::from_text(Some(text)).map(|number| u64::try_from(number).ok())
}

#[expect(clippy::expect_used, reason = "a test types every row's default; nothing that is read can reach it")]
fn default<T>(row: Option<&TopicKey>, settings: &Settings, via: fn(&str) -> Result<T, String>) -> T {
    let row = row.expect("a row per field");
    let inherited = row.key.check(&inherited(row, settings).0).and_then(|text| via(&text));
    inherited.or_else(|_| via(row.key.default.unwrap_or_default())).expect("a default of its field's type")
}
