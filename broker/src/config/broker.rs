//! The broker's keys: one row each, and the [`Config`] that the rows make.
//!
//! Names, types and ranges are Kafka 4.3.1's where Kafka has the key, asked from a running broker. Texts are ours, and
//! so are some defaults: each row says why.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Error;
use super::address::Address;
use super::field::Field;
use super::inert::INERT;
use super::key::{Key, Kind, Unit, Update, int, long};
use super::listener::Listener;
use super::policy::{CleanupPolicy, CompressionType, TimestampType};
use super::settings::Settings;
use super::topic::TopicConfig;

macro_rules! broker_keys {
    ($($field:ident: $type:ty = $name:literal, $kind:expr, $unit:ident, $default:expr, $update:ident, $doc:literal, $why:literal;)*) => {
        /// The broker's keys that do something, in the order of the documents.
        pub const KEYS: &[Key] = &[$(Key {
            name: $name, kind: $kind, unit: Unit::$unit, default: $default, update: Update::$update, doc: $doc, why: $why,
        }),*];

        /// What the broker runs with: a field per key, named as the key with `_` for each dot, and where each value
        /// comes from. Built by [`Config::load`]; a value in it has been checked.
        #[derive(Clone, Debug)]
        pub struct Config {
            $(#[doc = $doc] pub $field: $type,)*
            pub(crate) settings: Settings,
            topic_defaults: TopicConfig,
        }

        impl Config {
            /// Types every value; an error names the key whose value can't be had.
            pub(crate) fn from_settings(settings: Settings) -> Result<Self, Error> {
                let mut rows = KEYS.iter();
                let config = Self {
                    $($field: field::<$type>($name, rows.next(), &settings)?,)*
                    topic_defaults: TopicConfig::of(&settings),
                    settings,
                };
                config.check()?;
                Ok(config)
            }
        }
    };
}

broker_keys! {
    node_id: i32 = "node.id", int(0), None, Some("0"), Start,
        "This broker's number in its cluster. It is written into the data folder and can't change afterwards.",
        "A cluster of one needs no choice; 0 is a legal number.";
    listeners: Vec<Listener> = "listeners", Kind::List, None, Some("PLAINTEXT://127.0.0.1:9092"), Start,
        "Where the broker accepts Kafka clients: PLAINTEXT://HOST:PORT. Port 0 takes a free one; an empty host is every interface.",
        "There is no authentication yet, so other machines are let in only when someone says so.";
    advertised_listeners: Option<Vec<Listener>> = "advertised.listeners", Kind::List, None, None, Start,
        "The address that clients are told to connect to, where it differs from the one that is bound (behind NAT, in a container).",
        "Not set: the bound address, and on a wildcard the address that the client itself reached.";
    log_dirs: Vec<PathBuf> = "log.dirs", Kind::List, None, Some("leat-data"), Start,
        "The data folder. Exactly one; it is made when it does not exist.",
        "Beside the working directory, which needs no privilege. Kafka's /tmp is emptied at boot.";
    broker_rack: Option<String> = "broker.rack", Kind::Text, None, None, Start,
        "The rack or zone that this broker stands in, as clients see it.",
        "Unknown until someone says so.";

    num_partitions: i32 = "num.partitions", int(1), None, Some("1"), Start,
        "Partitions of a topic that is created without a number.",
        "As Kafka.";
    default_replication_factor: i16 = "default.replication.factor", Kind::Int(1, 32_767), None, Some("1"), Start,
        "Replicas of a partition of a topic that is created without a number.",
        "As Kafka; more than the number of brokers is refused.";
    auto_create_topics_enable: bool = "auto.create.topics.enable", Kind::Bool, None, Some("true"), Start,
        "Create a topic when a client that allows it asks for the metadata of one that does not exist.",
        "As Kafka, whose clients expect it.";
    delete_topic_enable: bool = "delete.topic.enable", Kind::Bool, None, Some("true"), Start,
        "Let topics be deleted.",
        "As Kafka.";
    min_insync_replicas: i32 = "min.insync.replicas", int(1), None, Some("1"), Dynamic,
        "Replicas that must have a record before acks=all is answered, where that is more than a majority.",
        "A majority is always needed, so 1 adds nothing to it.";
    max_request_partition_size_limit: i32 = "max.request.partition.size.limit", int(1), None, Some("2000"), Start,
        "Partitions in one DescribeTopicPartitions answer; the rest is had by its cursor.",
        "As Kafka.";
    leat_max_partitions: u32 = "leat.max.partitions", Kind::Int(1, 10_000_000), None, Some("100000"), Start,
        "Partitions in the whole cluster; a request that would pass it is refused.",
        "Ten times what one machine is tested with, and a bound on the memory of metadata.";

    log_segment_bytes: u32 = "log.segment.bytes", int(1024), Bytes, Some("1073741824"), Dynamic,
        "Size at which a segment is closed and a new one begun.",
        "As Kafka: few files, and retention in steps of 1 GiB.";
    log_roll_ms: Option<i64> = "log.roll.ms", long(1), Ms, None, Dynamic,
        "Age at which a segment is closed even when it is not full. Wins over log.roll.hours.",
        "Not set: log.roll.hours counts.";
    log_roll_hours: i32 = "log.roll.hours", int(1), Hours, Some("168"), Start,
        "As log.roll.ms, in hours.",
        "As Kafka: a week, so that retention by time reaches slow topics too.";
    log_roll_jitter_ms: Option<i64> = "log.roll.jitter.ms", long(0), Ms, None, Dynamic,
        "The most that is taken off log.roll.ms, by a draw per partition, so that segments do not all roll together.",
        "Not set: log.roll.jitter.hours counts.";
    log_roll_jitter_hours: i32 = "log.roll.jitter.hours", int(0), Hours, Some("0"), Start,
        "As log.roll.jitter.ms, in hours.",
        "As Kafka.";
    log_index_interval_bytes: u32 = "log.index.interval.bytes", int(0), Bytes, Some("4096"), Dynamic,
        "Bytes of records between two entries of a segment's offset and time index.",
        "As Kafka: one page, which a look-up reads anyway.";
    log_index_size_max_bytes: u32 = "log.index.size.max.bytes", int(4), Bytes, Some("10485760"), Dynamic,
        "Size at which a full index closes its segment.",
        "As Kafka: enough for 5 GiB at one entry per page, so that the segment's size decides.";
    log_retention_ms: Option<i64> = "log.retention.ms", long(-1), Ms, None, Dynamic,
        "Age at which a closed segment is deleted; -1 keeps it. Wins over log.retention.minutes and log.retention.hours.",
        "Not set: log.retention.minutes counts.";
    log_retention_minutes: Option<i32> = "log.retention.minutes", int(-1), Minutes, None, Start,
        "As log.retention.ms, in minutes. Wins over log.retention.hours.",
        "Not set: log.retention.hours counts.";
    log_retention_hours: i32 = "log.retention.hours", int(-1), Hours, Some("168"), Start,
        "As log.retention.ms, in hours.",
        "As Kafka: a week.";
    log_retention_bytes: i64 = "log.retention.bytes", long(-1), Bytes, Some("-1"), Dynamic,
        "Size above which a partition's oldest segments are deleted; -1 is no bound.",
        "As Kafka: time decides alone.";
    log_retention_check_interval_ms: u64 = "log.retention.check.interval.ms", long(1), Ms, Some("300000"), Start,
        "How often segments are looked at for retention.",
        "As Kafka.";
    log_cleanup_policy: CleanupPolicy = "log.cleanup.policy", Kind::Choices(CleanupPolicy::WORDS), None, Some("delete"), Dynamic,
        "How old records leave a log: `delete` by age and size, `compact` once a later one has the same key, both, or empty for never.",
        "As Kafka.";

    log_cleaner_enable: bool = "log.cleaner.enable", Kind::Bool, None, Some("true"), Start,
        "Compact the topics whose cleanup.policy says so; a thread of its own does it, one partition at a time.",
        "As Kafka.";
    log_cleaner_backoff_ms: u64 = "log.cleaner.backoff.ms", long(1), Ms, Some("15000"), Dynamic,
        "How long compaction waits before it looks again, when nothing was to be done.",
        "As Kafka.";
    log_cleaner_dedupe_buffer_size: usize = "log.cleaner.dedupe.buffer.size", long(1_048_576), Bytes, Some("134217728"), Dynamic,
        "The most memory for the keys of a partition that is compacted, 24 bytes each. Where they do not fit, several passes do it.",
        "As Kafka: 5 million keys in a pass. Less is taken where there is less to compact, and nothing between passes.";
    log_cleaner_io_buffer_load_factor: f64 = "log.cleaner.io.buffer.load.factor", Kind::Double(0.01, 0.95), None, Some("0.9"), Dynamic,
        "How full the memory for keys may get: more keys in a pass, and more time to find one.",
        "As Kafka.";
    log_cleaner_io_max_bytes_per_second: f64 = "log.cleaner.io.max.bytes.per.second", Kind::Double(1.0, f64::MAX), Bytes, Some("1.7976931348623157E308"), Dynamic,
        "The most that compaction reads and writes in a second.",
        "As Kafka: no bound. Its thread has a low priority and syncs a little at a time.";
    log_cleaner_min_cleanable_ratio: f64 = "log.cleaner.min.cleanable.ratio", Kind::Double(0.0, 1.0), None, Some("0.5"), Dynamic,
        "The part of a compacted log that may be uncompacted before it is compacted.",
        "As Kafka: at most half of a log is superseded.";
    log_cleaner_delete_retention_ms: u64 = "log.cleaner.delete.retention.ms", long(0), Ms, Some("86400000"), Dynamic,
        "How long a compacted topic keeps a record without a value, from the first compaction that meets it.",
        "As Kafka: a consumer that reads from the start within a day sees what was deleted meanwhile.";
    log_cleaner_min_compaction_lag_ms: u64 = "log.cleaner.min.compaction.lag.ms", long(0), Ms, Some("0"), Dynamic,
        "The least time that a record of a compacted topic stays as it is.",
        "As Kafka.";
    log_cleaner_max_compaction_lag_ms: u64 = "log.cleaner.max.compaction.lag.ms", long(1), Ms, Some("9223372036854775807"), Dynamic,
        "The longest that a record of a compacted topic waits for compaction, however clean the log is; segments roll at that age.",
        "As Kafka: no bound, the ratio decides.";

    log_flush_interval_messages: u64 = "log.flush.interval.messages", long(1), Batches, Some("1"), Dynamic,
        "1: acks=all is answered after the record is on stable storage. More: answered from the page cache, as Kafka does; a power cut can lose it.",
        "An acknowledged record stays. Kafka's default, 9223372036854775807, leaves it to replicas in other machines.";
    log_flush_interval_ms: Option<u64> = "log.flush.interval.ms", long(0), Ms, None, Dynamic,
        "With log.flush.interval.messages above 1: the longest that an answered record waits for stable storage.",
        "Not set, as Kafka: the kernel decides.";
    message_max_bytes: u32 = "message.max.bytes", int(0), Bytes, Some("1048588"), Dynamic,
        "The largest record batch, as sent (compressed).",
        "As Kafka: 1 MiB and a batch's own overhead.";
    log_message_timestamp_type: TimestampType = "log.message.timestamp.type", Kind::Choice(TimestampType::WORDS), None, Some("CreateTime"), Dynamic,
        "Whose clock stamps a record: the producer's (CreateTime) or the leader's (LogAppendTime).",
        "As Kafka.";
    log_message_timestamp_before_max_ms: i64 = "log.message.timestamp.before.max.ms", long(0), Ms, Some("9223372036854775807"), Dynamic,
        "How far behind the broker's clock a CreateTime timestamp may be.",
        "As Kafka: old data can be loaded.";
    log_message_timestamp_after_max_ms: i64 = "log.message.timestamp.after.max.ms", long(0), Ms, Some("3600000"), Dynamic,
        "How far ahead of the broker's clock a CreateTime timestamp may be.",
        "As Kafka: one hour, since one bad clock would hold up retention and windows.";
    compression_type: CompressionType = "compression.type", Kind::Choice(CompressionType::WORDS), None, Some("producer"), Dynamic,
        "The codec that batches are stored with; `producer` keeps what was sent, byte for byte.",
        "As Kafka, and nothing is decompressed on the way in.";
    compression_gzip_level: i32 = "compression.gzip.level", Kind::Level(1, 9), None, Some("-1"), Dynamic,
        "Level when compression.type is gzip; -1 is the codec's own.",
        "As Kafka.";
    compression_lz4_level: i32 = "compression.lz4.level", Kind::Int(1, 17), None, Some("9"), Dynamic,
        "Level when compression.type is lz4.",
        "As Kafka.";
    compression_zstd_level: i32 = "compression.zstd.level", Kind::Int(-131_072, 22), None, Some("3"), Dynamic,
        "Level when compression.type is zstd.",
        "As Kafka.";

    producer_id_expiration_ms: i64 = "producer.id.expiration.ms", int(1), Ms, Some("86400000"), Dynamic,
        "How long an idempotent producer that sends nothing is remembered, by the log's own timestamps.",
        "As Kafka: a day.";
    socket_request_max_bytes: u32 = "socket.request.max.bytes", int(1), Bytes, Some("104857600"), Start,
        "The largest request; a larger one closes its connection.",
        "As Kafka: 100 MiB.";
    socket_send_buffer_bytes: i32 = "socket.send.buffer.bytes", int(-1), Bytes, Some("-1"), Start,
        "The kernel's send buffer of a connection; -1 leaves it to the kernel.",
        "The kernel sizes it to the path. Kafka's 100 KiB holds back a fast one.";
    socket_receive_buffer_bytes: i32 = "socket.receive.buffer.bytes", int(-1), Bytes, Some("-1"), Start,
        "The kernel's receive buffer of a connection; -1 leaves it to the kernel.",
        "The kernel sizes it to the path. Kafka's 100 KiB holds back a fast one.";
    socket_listen_backlog_size: i32 = "socket.listen.backlog.size", int(1), None, Some("1024"), Start,
        "Connections that may wait to be accepted.",
        "A thousand clients may come back at once after a restart; Kafka's 50 lets them time out.";
    max_connections: u32 = "max.connections", int(1), None, Some("10000"), Start,
        "Connections at a time; one more is closed at once.",
        "Bounded, and far below the process's limit of files. Kafka has no bound.";
    connections_max_idle_ms: u64 = "connections.max.idle.ms", long(1), Ms, Some("600000"), Start,
        "A connection without a request for so long is closed.",
        "As Kafka: clients expect ten minutes.";
    fetch_max_bytes: u32 = "fetch.max.bytes", int(1024), Bytes, Some("57671680"), Start,
        "The most that one fetch answers, whatever the client asks for; a single larger batch is still sent.",
        "As Kafka: 55 MiB.";
    max_incremental_fetch_session_cache_slots: usize = "max.incremental.fetch.session.cache.slots", int(0), None, Some("1000"), Start,
        "Fetch sessions that are remembered.",
        "As Kafka.";

    group_initial_rebalance_delay_ms: u64 = "group.initial.rebalance.delay.ms", int(0), Ms, Some("3000"), Start,
        "How long a group that was empty waits for more members before it assigns; as long again while some come.",
        "As Kafka: consumers that are started together are assigned once.";
    group_min_session_timeout_ms: i32 = "group.min.session.timeout.ms", int(0), Ms, Some("6000"), Start,
        "The shortest session time-out that a member may ask for.",
        "As Kafka.";
    group_max_session_timeout_ms: i32 = "group.max.session.timeout.ms", int(0), Ms, Some("1800000"), Start,
        "The longest session time-out that a member may ask for.",
        "As Kafka.";
    group_max_size: u32 = "group.max.size", int(1), None, Some("2147483647"), Start,
        "Members of one group.",
        "As Kafka: no bound but that of memory (leat.group.bytes.max).";
    leat_group_bytes_max: u32 = "leat.group.bytes.max", int(65_536), Bytes, Some("16777216"), Start,
        "Memory of the members of one group, subscriptions and assignments included. A join past it is refused.",
        "Thousands of members; the group is one record of its log, which Kafka bounds at 1 MiB.";
    leat_groups_bytes_max: u64 = "leat.groups.bytes.max", long(1_048_576), Bytes, Some("268435456"), Start,
        "Memory of all groups with their offsets. At it, new members and new offsets are refused.",
        "A million offsets.";
    offset_metadata_max_bytes: u32 = "offset.metadata.max.bytes", int(0), Bytes, Some("4096"), Start,
        "Length of the text that a client may commit with an offset.",
        "As Kafka.";
    offsets_retention_minutes: i64 = "offsets.retention.minutes", int(1), Minutes, Some("10080"), Start,
        "How long offsets are kept once their group has no members; without a group, once they were committed.",
        "As Kafka: a week.";
    offsets_retention_check_interval_ms: u64 = "offsets.retention.check.interval.ms", long(1), Ms, Some("600000"), Start,
        "How often to look for offsets that have expired.",
        "As Kafka.";
    offsets_topic_num_partitions: i32 = "offsets.topic.num.partitions", int(1), None, Some("50"), Start,
        "Partitions of `__consumer_offsets`, which is made when the first group asks for its coordinator.",
        "As Kafka, so that a group is in the partition where Kafka has it.";
    offsets_topic_replication_factor: i16 = "offsets.topic.replication.factor", Kind::Short(1, 32_767), None, Some("3"), Start,
        "Replicas of a partition of `__consumer_offsets`; as many as there are brokers, where they are fewer.",
        "As Kafka, which refuses to make the topic on fewer brokers.";
    offsets_topic_segment_bytes: u32 = "offsets.topic.segment.bytes", int(1024), Bytes, Some("104857600"), Start,
        "Size of a segment of `__consumer_offsets`.",
        "As Kafka: small, so that compaction is quick and there is little to load.";

    leat_peer_listen: Option<Address> = "leat.peer.listen", Kind::Text, None, None, Start,
        "Where the broker accepts other brokers: HOST:PORT. Port 0 takes a free one. A broker without it is alone.",
        "A single broker needs none; with it, others can be added.";
    leat_peer_advertised: Option<Address> = "leat.peer.advertised", Kind::Text, None, None, Start,
        "The address that other brokers are told to connect to, where it differs from the one that is bound.",
        "Not set: the bound address, which must then be no wildcard.";
    leat_peer_secret: Option<String> = "leat.peer.secret", Kind::Password, None, None, Start,
        "What every broker of the cluster has to know to be heard by the others.",
        "Not set: any process that reaches the port is heard, so the port must be closed to strangers.";
    leat_cluster: Vec<Address> = "leat.cluster", Kind::List, None, Some(""), Start,
        "The first brokers of the cluster, as HOST:PORT of each one's `leat.peer.listen`, this one among them: the same list on each.",
        "A broker without a list is a cluster of its own.";
    leat_seed_bytes_per_second: u64 = "leat.seed.bytes.per.second", long(1), Bytes, Some("134217728"), Dynamic,
        "The most that is sent in a second to a replica that lacks what entries no longer give.",
        "128 MiB: a network of 1 Gbit/s, and a disk that has other work beside it.";
    leat_pipeline_base_bytes: u64 = "leat.pipeline.base.bytes", long(4096), Bytes, Some("16777216"), Dynamic,
        "Bytes of a partition's log after which the state of a pipeline there is saved into it; a state that is larger than a quarter of it is saved less often.",
        "16 MiB are read again in a fraction of a second.";
    leat_pipeline_flush_ms: u64 = "leat.pipeline.flush.ms", long(1), Ms, Some("100"), Dynamic,
        "How long a change of a result may wait until a pipeline with EMIT CHANGES shows it.",
        "As good as at once for whoever looks, and few enough ticks in the log.";
    leat_pipeline_flush_rows: u64 = "leat.pipeline.flush.rows", long(1), None, Some("10000"), Start,
        "Rows after which a pipeline with EMIT CHANGES shows what changed, whatever the time.",
        "Bounds what is held back while rows come fast, and merges most changes of one key.";
    leat_pipeline_state_bytes: u64 = "leat.pipeline.state.bytes", long(65_536), Bytes, Some("1073741824"), Dynamic,
        "The most memory that the states of one pipeline, or of one query, may take on this broker. Past it a pipeline stops before an entry, and goes on there when this is raised.",
        "1 GiB holds some millions of groups, and leaves room for others.";
    leat_shards: u32 = "leat.shards", Kind::Int(0, 1024), None, Some("0"), Start,
        "Threads that own connections and partitions; 0 is one per core.",
        "One thread per core never waits for another.";
    leat_connection_requests_max: u32 = "leat.connection.requests.max", Kind::Int(1, 100_000), None, Some("1000"), Start,
        "Requests of one connection that may be in work; the next is read when one is answered.",
        "A bound that no client in use reaches by itself.";
    leat_connection_bytes_max: u32 = "leat.connection.bytes.max", int(1024), Bytes, Some("33554432"), Start,
        "Bytes of one connection's requests that may be in work; a single larger request is still read.",
        "Several full produce requests of any client, so that the pipe stays full while memory stays bounded.";
    leat_checkpoint_interval_bytes: u64 = "leat.checkpoint.interval.bytes", long(65_536), Bytes, Some("67108864"), Start,
        "Bytes of a partition's log after which its state is checkpointed; what is newer is scanned after a crash.",
        "64 MiB is scanned in tens of milliseconds, and a checkpoint is a few hundred bytes.";
    leat_open_segments: usize = "leat.open.segments", Kind::Int(16, 1_000_000), None, Some("2000"), Start,
        "Segments whose files and indexes are open at a time; the one used least recently is closed.",
        "Four files and three mappings each stay far below the kernel's bounds of both.";
    leat_http_listen: Vec<SocketAddr> = "leat.http.listen", Kind::List, None, Some("127.0.0.1:9644"), Start,
        "Where metrics and health are served over HTTP: ADDRESS:PORT. Port 0 takes a free one; empty serves none.",
        "There is no authentication, so other machines are let in only when someone says so.";
    leat_metrics_partitions: bool = "leat.metrics.partitions", Kind::Bool, None, Some("true"), Start,
        "Show the size and the offsets of each partition among the metrics.",
        "What dashboards of Kafka show. With 100,000 partitions a scrape has 20 MB of it.";
    leat_stop_timeout_ms: u64 = "leat.stop.timeout.ms", long(0), Ms, Some("3000"), Start,
        "The longest that a clean stop waits for requests in work.",
        "Leaves two of five seconds to sync and close.";
}

impl Config {
    /// What a topic without values of its own runs with.
    pub fn topic_defaults(&self) -> &TopicConfig {
        &self.topic_defaults
    }
}

/// The value of one row as its field's type.
fn field<T: Field>(name: &str, row: Option<&Key>, settings: &Settings) -> Result<T, Error> {
    let (value, source) = row.map_or((None, super::Source::Default), |key| settings.get(key));
    T::from_text(value).map_err(|problem| Error::Value {
        origin: source.origin().into(),
        key: name.to_owned(),
        value: value.unwrap_or("null").to_owned(),
        problem,
    })
}

/// Every broker key by name: those that do something, then Kafka's others.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(INERT)
}

/// The row of a key.
pub fn key(name: &str) -> Option<&'static Key> {
    keys().find(|key| key.name == name)
}
