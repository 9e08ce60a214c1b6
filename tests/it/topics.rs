//! Topics as clients make and delete them; configuration and the rest of the admin APIs are tested beside their handlers.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use leat_protocol::messages::{
    CreatableTopic, CreateTopicsRequest, DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
    MetadataRequest, MetadataRequestTopic,
};
use leat_protocol::{ErrorCode, Uuid};

use crate::harness::{
    Connection, Partition, Target, batch, create_topic, delete_topic, describe_topic, skip_unless_leat, start, target,
    unique, wait_until,
};

/// Deletes the records of partition 0 below `offset`: the new log start, or the error.
pub(crate) fn delete_records(connection: &mut Connection, topic: &str, offset: i64) -> Result<i64, ErrorCode> {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions }];
    let response = connection.call(2, &DeleteRecordsRequest { topics, timeout_ms: 10_000 });
    let answer = &response.topics[0].partitions[0];
    match answer.error_code {
        ErrorCode::NONE => Ok(answer.low_watermark),
        error => Err(error),
    }
}

#[test]
fn a_topic_is_made_described_and_deleted() {
    let mut connection = target().connect();
    let name = unique("made");
    let made = create_topic(&mut connection, &name, 3, &[("retention.ms", "1000000")]);
    assert_eq!(made.error_code, ErrorCode::NONE);
    assert_eq!((made.num_partitions, made.replication_factor), (3, 1));
    assert!(!made.topic_id.is_nil());
    let config = made.configs.unwrap().into_iter().find(|config| &*config.name == "retention.ms").unwrap();
    assert_eq!(config.value.as_deref(), Some("1000000"));

    // Apache Kafka's broker hears of it a moment after its controller has answered.
    wait_until("the topic is described", Duration::from_secs(10), || {
        describe_topic(&mut connection, &name).error_code == ErrorCode::NONE
    });
    let described = describe_topic(&mut connection, &name);
    assert_eq!((described.topic_id, described.partitions.len()), (made.topic_id, 3));
    assert_eq!(delete_topic(&mut connection, &name), ErrorCode::NONE);
    assert_eq!(delete_topic(&mut connection, &name), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn what_is_wrong_with_a_topic_is_told() {
    let mut connection = target().connect();
    let name = unique("twice");
    assert_eq!(create_topic(&mut connection, &name, 1, &[]).error_code, ErrorCode::NONE);
    let mut refused = |name: &str, partitions, configs: &[(&str, &str)]| {
        let made = create_topic(&mut connection, name, partitions, configs);
        assert!(made.error_message.is_some(), "{name}: a reason");
        made.error_code
    };
    assert_eq!(refused(&name, 1, &[]), ErrorCode::TOPIC_ALREADY_EXISTS);
    for bad in ["", ".", "..", "a b", "a/b", "ä", &"x".repeat(250)] {
        assert_eq!(refused(bad, 1, &[]), ErrorCode::INVALID_TOPIC_EXCEPTION, "{bad:?}");
    }
    let fresh = unique("never");
    assert_eq!(refused(&fresh, 0, &[]), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(refused(&fresh, 1, &[("retention.mss", "1")]), ErrorCode::INVALID_CONFIG);
    assert_eq!(refused(&fresh, 1, &[("retention.ms", "soon")]), ErrorCode::INVALID_CONFIG);
    for (key, value) in [("retention.mss", "1"), ("retention.ms", "soon")] {
        let message = create_topic(&mut connection, &fresh, 1, &[(key, value)]).error_message.unwrap();
        assert!(message.contains(key), "{message} does not name {key}");
    }
}

#[test]
fn minus_one_partition_and_replica_are_the_brokers_defaults() {
    let mut connection = target().connect();
    let made = create_topic(&mut connection, &unique("defaults"), -1, &[]);
    assert_eq!((made.error_code, made.num_partitions, made.replication_factor), (ErrorCode::NONE, 1, 1));
}

#[test]
fn of_two_that_make_a_topic_at_once_one_does() {
    let name = unique("at-once");
    let together = Barrier::new(4);
    let make = || {
        let mut connection = target().connect();
        together.wait();
        create_topic(&mut connection, &name, 1, &[]).error_code
    };
    let codes: Vec<_> = thread::scope(|scope| {
        let makers: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    let of = |code| codes.iter().filter(|made| **made == code).count();
    assert_eq!((of(ErrorCode::NONE), of(ErrorCode::TOPIC_ALREADY_EXISTS)), (1, 3), "{codes:?}");
}

#[test]
fn a_topic_named_twice_in_one_request_is_not_made() {
    let mut connection = target().connect();
    let name = unique("named-twice");
    let topic = CreatableTopic {
        name: name.as_str().into(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic.clone(), topic], ..CreateTopicsRequest::default() };
    let made = connection.call(7, &request).topics;
    assert_eq!(made.iter().map(|made| made.error_code).collect::<Vec<_>>(), [ErrorCode::INVALID_REQUEST]);
    assert_eq!(describe_topic(&mut connection, &name).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

/// What Metadata answers for a name, where the client would have the topic made.
fn asked(connection: &mut Connection, name: &str) -> ErrorCode {
    let topic = MetadataRequestTopic { name: Some(name.into()), topic_id: Uuid::nil() };
    let request =
        MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: true, ..MetadataRequest::default() };
    connection.call(12, &request).topics[0].error_code
}

#[test]
fn a_name_that_no_topic_may_have_is_told_in_metadata() {
    let mut connection = target().connect();
    for bad in ["", ".", "..", "a b", "a/b", "ä", &"x".repeat(250)] {
        assert_eq!(asked(&mut connection, bad), ErrorCode::INVALID_TOPIC_EXCEPTION, "{bad:?}");
        assert_eq!(describe_topic(&mut connection, bad).error_code, ErrorCode::INVALID_TOPIC_EXCEPTION, "{bad:?}");
    }
}

#[test]
fn no_topic_is_made_by_asking_where_the_broker_forbids_it() {
    if skip_unless_leat("no_topic_is_made_by_asking") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), &[("auto.create.topics.enable", "false")]).unwrap();
    let mut connection = Target::of(&broker).connect();
    let name = unique("forbidden");
    for _ in 0..3 {
        assert_eq!(asked(&mut connection, &name), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
}

#[test]
fn a_topic_is_made_by_asking_for_it() {
    let mut connection = target().connect();
    let name = unique("asked");
    wait_until("the topic", Duration::from_secs(10), || asked(&mut connection, &name) == ErrorCode::NONE);
    assert_eq!(describe_topic(&mut connection, &unique("not-asked")).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn records_are_deleted_up_to_an_offset_and_never_past_the_end() {
    let mut partition = Partition::new("records");
    for _ in 0..5 {
        partition.append(batch(&["x"]));
    }
    let topic = partition.topic.clone();
    let mut delete = |offset| delete_records(&mut partition.connection, &topic, offset);
    assert_eq!(delete(2), Ok(2));
    assert_eq!(delete(1), Ok(2), "the log start never goes back");
    assert_eq!(delete(6), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert_eq!(delete(-2), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert_eq!(delete(-1), Ok(5), "-1 is the high watermark");
    assert_eq!(partition.append(batch(&["x"])), 5);
}
