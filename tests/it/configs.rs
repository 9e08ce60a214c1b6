//! Configuration as clients read and change it; what each key may be is tested beside the handlers.

use std::time::Duration;

use leat_protocol::messages::MetadataRequest;
use leat_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResult,
};
use leat_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use leat_protocol::{ErrorCode, Str};

use crate::harness::{Connection, Partition, wait_until};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// What kafka-topics, Connect, Streams, Cruise Control, AKHQ and Kafka UI read of a topic: all that Kafka 4.3.1 has.
const TOPIC_KEYS: &[&str] = &[
    "cleanup.policy",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "delete.retention.ms",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "follower.replication.throttled.replicas",
    "index.interval.bytes",
    "leader.replication.throttled.replicas",
    "local.retention.bytes",
    "local.retention.ms",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "min.insync.replicas",
    "preallocate",
    "remote.log.copy.disable",
    "remote.log.delete.on.disable",
    "remote.storage.enable",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.index.bytes",
    "segment.jitter.ms",
    "segment.ms",
    "unclean.leader.election.enable",
];

/// What they read of a broker.
const BROKER_KEYS: &[&str] = &[
    "advertised.listeners",
    "auto.create.topics.enable",
    "broker.id",
    "broker.rack",
    "compression.type",
    "default.replication.factor",
    "delete.topic.enable",
    "group.initial.rebalance.delay.ms",
    "group.max.session.timeout.ms",
    "group.max.size",
    "group.min.session.timeout.ms",
    "listeners",
    "log.cleaner.delete.retention.ms",
    "log.cleanup.policy",
    "log.dirs",
    "log.flush.interval.messages",
    "log.message.timestamp.type",
    "log.retention.bytes",
    "log.retention.hours",
    "log.retention.ms",
    "log.segment.bytes",
    "message.max.bytes",
    "min.insync.replicas",
    "node.id",
    "num.partitions",
    "offset.metadata.max.bytes",
    "offsets.retention.minutes",
    "offsets.topic.num.partitions",
    "offsets.topic.replication.factor",
    "transactional.id.expiration.ms",
    "unclean.leader.election.enable",
];

fn describe(
    connection: &mut Connection,
    resource_type: i8,
    name: &str,
    keys: Option<&[&str]>,
) -> DescribeConfigsResult {
    let configuration_keys = keys.map(|keys| keys.iter().map(|key| Str::from(*key)).collect());
    let resource = DescribeConfigsResource { resource_type, resource_name: name.into(), configuration_keys };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        ..DescribeConfigsRequest::default()
    };
    let result = connection.call(4, &request).results.remove(0);
    assert_eq!(result.error_code, ErrorCode::NONE, "{:?}", result.error_message);
    result
}

fn missing<'a>(described: &DescribeConfigsResult, keys: &[&'a str]) -> Vec<&'a str> {
    let has = |key: &str| described.configs.iter().any(|config| config.name == key);
    keys.iter().copied().filter(|key| !has(key)).collect()
}

#[test]
fn every_key_that_clients_look_for_is_described() {
    let mut partition = Partition::new("described");
    let broker = partition.connection.call(9, &MetadataRequest::default()).brokers[0].node_id.to_string();
    let topic = describe(&mut partition.connection, TOPIC, &partition.topic, None);
    assert_eq!(missing(&topic, TOPIC_KEYS), [""; 0]);
    let described = describe(&mut partition.connection, BROKER, &broker, None);
    assert_eq!(missing(&described, BROKER_KEYS), [""; 0]);
    // Java's admin can't read a value without a source or a type.
    for config in topic.configs.iter().chain(&described.configs) {
        assert!((1..=8).contains(&config.config_source) && (1..=9).contains(&config.config_type), "{config:?}");
    }
    let two = describe(&mut partition.connection, TOPIC, &partition.topic, Some(&["retention.ms", "no.such.key"]));
    assert_eq!(two.configs.iter().map(|config| &*config.name).collect::<Vec<_>>(), ["retention.ms"]);
}

/// Does one thing to one value.
fn alter(connection: &mut Connection, topic: &str, operation: i8, key: &str, value: Option<&str>) -> ErrorCode {
    let config = AlterableConfig { name: key.into(), config_operation: operation, value: value.map(Str::from) };
    let resource = AlterConfigsResource { resource_type: TOPIC, resource_name: topic.into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    connection.call(1, &request).responses.remove(0).error_code
}

#[test]
fn lists_are_appended_to_and_subtracted_from_and_other_values_are_not() {
    let mut partition = Partition::new("lists");
    let (topic, connection) = (partition.topic.clone(), &mut partition.connection);
    let value_becomes = |connection: &mut Connection, expected: &str| {
        wait_until(expected, Duration::from_secs(10), || {
            let described = describe(connection, TOPIC, &topic, Some(&["cleanup.policy"]));
            described.configs[0].value.as_deref() == Some(expected)
        });
    };
    let key = "cleanup.policy";
    value_becomes(connection, "delete");
    for (operation, value, expected) in [
        (APPEND, Some("compact"), "delete,compact"),
        (APPEND, Some("compact"), "delete,compact"),
        (SUBTRACT, Some("delete"), "compact"),
        (SET, Some("compact,delete"), "compact,delete"),
        (SUBTRACT, Some("compact"), "delete"),
        (DELETE, None, "delete"),
    ] {
        assert_eq!(alter(connection, &topic, operation, key, value), ErrorCode::NONE, "{operation} {value:?}");
        value_becomes(connection, expected);
    }
    for operation in [APPEND, SUBTRACT] {
        let refused = alter(connection, &topic, operation, "retention.ms", Some("1"));
        assert_eq!(refused, ErrorCode::INVALID_CONFIG, "{operation} to what is no list");
    }
    assert_eq!(alter(connection, &topic, APPEND, key, Some("shred")), ErrorCode::INVALID_CONFIG);
}
