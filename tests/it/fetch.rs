//! Fetch: whole batches, limits, waiting, the ends of the log, topic ids and leader epochs.

use std::thread;
use std::time::{Duration, Instant};

use leat_protocol::messages::FetchRequest;
use leat_protocol::messages::fetch::PartitionData;
use leat_protocol::records::{self, BatchHeader};
use leat_protocol::{ErrorCode, Records, Str, Uuid};

use crate::harness::{
    Partition, batch, bytes_of, create_topic, delete_topic, describe_topic, target, topic_id, unique, values,
};

fn by_id(request: &mut FetchRequest, id: Uuid) {
    for topic in &mut request.topics {
        topic.topic = Str::default();
        topic.topic_id = id;
    }
}

#[test]
fn every_version_reads_the_same() {
    let mut partition = Partition::new("versions");
    partition.append(batch(&["a", "b"]));
    let id = topic_id(&mut partition.connection, &partition.topic);
    for version in 4..=18 {
        let mut request = partition.fetch_request(0);
        if version >= 13 {
            by_id(&mut request, id);
        }
        let response = partition.connection.call(version, &request);
        assert_eq!(response.error_code, ErrorCode::NONE, "v{version}");
        let data = &response.responses[0].partitions[0];
        assert_eq!(data.high_watermark, 2, "v{version}");
        assert_eq!(values(&bytes_of(data)).len(), 2, "v{version}");
        assert_eq!(data.last_stable_offset, 2, "v{version}");
        if version >= 5 {
            assert_eq!(data.log_start_offset, 0, "v{version}");
        }
    }
}

#[test]
fn a_batch_comes_whole_from_any_offset_in_it() {
    let mut partition = Partition::new("inside");
    partition.append(batch(&["a", "b", "c"]));
    partition.append(batch(&["d"]));
    for offset in 0..3 {
        assert_eq!(partition.read(offset).len(), 4, "from {offset}");
    }
    assert_eq!(partition.read(3), [(3, "d".to_owned())]);
}

#[test]
fn the_first_batch_comes_even_above_the_limits() {
    let mut partition = Partition::new("limits");
    let large = "x".repeat(10_000);
    for _ in 0..3 {
        partition.append(batch(&[&large]));
    }
    for (whole, each) in [(1, 1 << 20), (1 << 20, 1), (0, 0)] {
        let mut request = partition.fetch_request(0);
        request.max_bytes = whole;
        request.topics[0].partitions[0].partition_max_bytes = each;
        let data = partition.call_fetch(&request);
        let first = records::split(&bytes_of(&data)).next().expect("a batch").expect("a whole one");
        assert_eq!(first.0.base_offset, 0, "{whole}, {each}");
    }
}

#[test]
fn limits_are_kept_after_the_first_batch() {
    let mut partition = Partition::new("limits");
    let text = "x".repeat(1000);
    for _ in 0..10 {
        partition.append(batch(&[&text]));
    }
    for (whole, each) in [(3500, 1 << 20), (1 << 20, 3500)] {
        let mut request = partition.fetch_request(0);
        request.max_bytes = whole;
        request.topics[0].partitions[0].partition_max_bytes = each;
        let data = partition.call_fetch(&request);
        let bytes = bytes_of(&data);
        assert!(bytes.len() <= 3500, "{} bytes", bytes.len());
        let batches = records::split(&bytes).take_while(Result::is_ok).count();
        assert_eq!(batches, 3);
    }
}

#[test]
fn at_the_end_there_is_nothing_and_past_it_an_error() {
    let mut partition = Partition::new("end");
    partition.append(batch(&["a"]));
    let mut request = partition.fetch_request(1);
    request.max_wait_ms = 0;
    let data = partition.call_fetch(&request);
    assert_eq!((data.error_code, data.high_watermark, bytes_of(&data).len()), (ErrorCode::NONE, 1, 0));
    for offset in [2, i64::MAX, -5] {
        let data = partition.fetch(offset);
        assert_eq!(data.error_code, ErrorCode::OFFSET_OUT_OF_RANGE, "from {offset}");
        assert_eq!(data.high_watermark, -1);
    }
}

#[test]
fn an_error_is_answered_without_waiting() {
    let mut partition = Partition::new("at-once");
    let mut request = partition.fetch_request(9);
    request.max_wait_ms = 20_000;
    let begun = Instant::now();
    assert_eq!(partition.call_fetch(&request).error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_empty_partition_waits_as_long_as_asked() {
    let mut partition = Partition::new("waits");
    let mut request = partition.fetch_request(0);
    request.max_wait_ms = 400;
    let begun = Instant::now();
    let data = partition.call_fetch(&request);
    let waited = begun.elapsed();
    assert!(bytes_of(&data).is_empty());
    assert!(waited >= Duration::from_millis(390) && waited < Duration::from_secs(4), "{waited:?}");
}

#[test]
fn an_append_wakes_who_waits() {
    let mut partition = Partition::new("wakes");
    let mut request = partition.fetch_request(0);
    request.max_wait_ms = 20_000;
    partition.connection.send(12, &request);
    thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    partition.beside(target()).append(batch(&["a"]));
    let response = partition.connection.receive::<FetchRequest>(12);
    assert_eq!(values(&bytes_of(&response.responses[0].partitions[0])).len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn min_bytes_are_waited_for() {
    let mut partition = Partition::new("min-bytes");
    let mut request = partition.fetch_request(0);
    (request.max_wait_ms, request.min_bytes) = (20_000, 1_500);
    partition.connection.send(12, &request);
    let mut producer = partition.beside(target());
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(50));
        producer.append(batch(&[&"x".repeat(600)]));
    }
    let begun = Instant::now();
    let response = partition.connection.receive::<FetchRequest>(12);
    assert!(bytes_of(&response.responses[0].partitions[0]).len() >= 1_500);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_there_is_comes_when_the_wait_is_over() {
    let mut partition = Partition::new("too-little");
    partition.append(batch(&["a"]));
    let mut request = partition.fetch_request(0);
    (request.max_wait_ms, request.min_bytes) = (300, 1 << 20);
    let begun = Instant::now();
    let data = partition.call_fetch(&request);
    assert_eq!(values(&bytes_of(&data)).len(), 1);
    assert!(begun.elapsed() >= Duration::from_millis(290));
}

#[test]
fn deleted_records_move_the_log_start() {
    let mut partition = Partition::new("trim");
    for value in ["a", "b", "c"] {
        partition.append(batch(&[value]));
    }
    let low_watermark = crate::topics::delete_records(&mut partition.connection, &partition.topic, 2);
    assert_eq!(low_watermark, Ok(2));
    assert_eq!(partition.fetch(1).error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    let data = partition.fetch(2);
    assert_eq!((data.log_start_offset, values(&bytes_of(&data)).len()), (2, 1));
}

#[test]
fn both_isolation_levels_read_what_has_no_transaction() {
    let mut partition = Partition::new("isolation");
    partition.append(batch(&["a"]));
    for isolation_level in [0, 1] {
        let mut request = partition.fetch_request(0);
        request.isolation_level = isolation_level;
        let data = partition.call_fetch(&request);
        assert_eq!(values(&bytes_of(&data)).len(), 1);
        assert_eq!(data.last_stable_offset, 1);
    }
}

/// Version 13 or later, by id.
fn fetch_id(partition: &mut Partition, id: Uuid) -> PartitionData {
    let mut request = partition.fetch_request(0);
    by_id(&mut request, id);
    let mut response = partition.connection.call(13, &request);
    assert_eq!(response.error_code, ErrorCode::NONE);
    assert_eq!(response.responses[0].topic_id, id);
    response.responses.remove(0).partitions.remove(0)
}

#[test]
fn an_unknown_topic_id_is_an_error_of_its_partitions() {
    let mut partition = Partition::new("ids");
    let data = fetch_id(&mut partition, Uuid::from_u128(0x1234_5678_9abc_def0));
    assert_eq!(data.error_code, ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn a_topic_made_again_has_another_id() {
    let mut partition = Partition::new("again");
    partition.append(batch(&["a"]));
    let first = topic_id(&mut partition.connection, &partition.topic);
    let name = partition.topic.clone();
    assert_eq!(delete_topic(&mut partition.connection, &name), ErrorCode::NONE);
    let made = (0..100).find_map(|_| {
        let made = create_topic(&mut partition.connection, &name, 1, &[]);
        thread::sleep(Duration::from_millis(20));
        (made.error_code == ErrorCode::NONE).then_some(made)
    });
    let second = made.expect("the name is free again").topic_id;
    assert_ne!(first, second);
    assert_eq!(fetch_id(&mut partition, first).error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(bytes_of(&fetch_id(&mut partition, second)).len(), 0);
}

#[test]
fn unknown_names_and_partitions_are_errors_of_their_own() {
    let mut partition = Partition::new("unknown");
    let mut request = partition.fetch_request(0);
    request.topics[0].partitions[0].partition = 3;
    assert_eq!(partition.call_fetch(&request).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    request.topics[0].topic = unique("nobody").as_str().into();
    assert_eq!(partition.call_fetch(&request).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn a_leader_epoch_that_is_not_the_brokers_is_told() {
    let mut partition = Partition::new("epochs");
    partition.append(batch(&["a"]));
    let name = partition.topic.clone();
    let current = describe_topic(&mut partition.connection, &name).partitions[0].leader_epoch;
    let mut at = |epoch| {
        let mut request = partition.fetch_request(0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        partition.call_fetch(&request).error_code
    };
    assert_eq!(at(current), ErrorCode::NONE);
    assert_eq!(at(-1), ErrorCode::NONE);
    assert_eq!(at(current + 1), ErrorCode::UNKNOWN_LEADER_EPOCH);
    if current > 0 {
        assert_eq!(at(current - 1), ErrorCode::FENCED_LEADER_EPOCH);
    }
}

#[test]
fn stored_batches_carry_the_leader_epoch() {
    let mut partition = Partition::new("stamped");
    partition.append(batch(&["a"]));
    let name = partition.topic.clone();
    let current = describe_topic(&mut partition.connection, &name).partitions[0].leader_epoch;
    let header = BatchHeader::parse(&bytes_of(&partition.fetch(0))).unwrap();
    assert_eq!(header.partition_leader_epoch, current);
}

#[test]
fn many_partitions_share_one_fetch() {
    let mut connection = target().connect();
    let topic = unique("many");
    assert_eq!(create_topic(&mut connection, &topic, 8, &[]).error_code, ErrorCode::NONE);
    let mut partition = Partition { topic, connection };
    for index in 0..8 {
        let mut request = partition.produce_request(-1, batch(&["x"]));
        request.topic_data[0].partition_data[0].index = index;
        let answer = (0..200).find_map(|_| {
            let answer = partition.connection.call(9, &request).responses.remove(0).partition_responses.remove(0);
            thread::sleep(Duration::from_millis(if answer.error_code == ErrorCode::NONE { 0 } else { 10 }));
            (answer.error_code == ErrorCode::NONE).then_some(answer)
        });
        assert_eq!(answer.expect("a leader").base_offset, 0);
    }
    let mut request = partition.fetch_request(0);
    let one = request.topics[0].partitions[0].clone();
    request.topics[0].partitions =
        (0..8).map(|partition| leat_protocol::messages::FetchPartition { partition, ..one.clone() }).collect();
    let response = partition.connection.call(12, &request);
    let read: Vec<_> = response.responses.iter().flat_map(|topic| &topic.partitions).collect();
    assert_eq!(read.len(), 8);
    assert!(read.iter().all(|data| values(&bytes_of(data)).len() == 1));
}

#[test]
fn a_batch_above_the_limits_comes_for_the_first_partition_only() {
    let large = "x".repeat(10_000);
    let (mut first, mut second) = (Partition::new("above"), Partition::new("above"));
    first.append(batch(&[&large]));
    second.append(batch(&[&large]));
    for (whole, each) in [(1, 1 << 20), (15_000, 1 << 20), (1 << 20, 1)] {
        let mut request = first.fetch_request(0);
        request.topics.extend(second.fetch_request(0).topics);
        request.max_bytes = whole;
        for topic in &mut request.topics {
            topic.partitions[0].partition_max_bytes = each;
        }
        let response = first.connection.call(12, &request);
        let sizes: Vec<_> = response.responses.iter().map(|topic| bytes_of(&topic.partitions[0]).len()).collect();
        assert_eq!(&*response.responses[0].topic, first.topic, "in the order asked for");
        assert!(sizes[0] > 10_000 && sizes[1] == 0, "{whole}, {each}: {sizes:?}");
    }
}

/// Java's consumers and librdkafka's read null as a broken answer.
#[test]
fn an_empty_fetch_has_empty_records_and_not_null() {
    let mut partition = Partition::new("empty");
    for version in [4, 11, 12] {
        let mut request = partition.fetch_request(0);
        request.max_wait_ms = 0;
        let response = partition.connection.call(version, &request);
        let data = &response.responses[0].partitions[0];
        assert_eq!(data.error_code, ErrorCode::NONE);
        assert_eq!(data.records.as_ref().map(Records::len), Some(0), "version {version}");
    }
    // With an error too.
    let data = partition.fetch(9);
    assert_eq!(data.error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(data.records.as_ref().map(Records::len), Some(0));
}
