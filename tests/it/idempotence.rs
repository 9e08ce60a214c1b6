//! Idempotent producers over the wire. The rules are tested one by one beside the code; here it is that produce keeps them.

use std::thread;
use std::time::Duration;

use leat_protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use leat_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProduceRequest};
use leat_protocol::{ErrorCode, Str};

use crate::harness::{Connection, Partition, producer_batch, seal, target};

/// A producer id of its own, as a client gets it.
fn producer_id(connection: &mut Connection) -> i64 {
    let response = init(connection, 4);
    assert_eq!((response.error_code, response.producer_epoch), (ErrorCode::NONE, 0));
    response.producer_id
}

fn init(connection: &mut Connection, version: i16) -> InitProducerIdResponse {
    loop {
        let response = connection.call(version, &InitProducerIdRequest::default());
        // Kafka answers so while it fetches a block of ids.
        if response.error_code != ErrorCode::COORDINATOR_LOAD_IN_PROGRESS {
            return response;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a batch: its offset or the error.
fn send(partition: &mut Partition, id: i64, epoch: i16, sequence: i32, records: usize) -> Result<i64, ErrorCode> {
    let answer = partition.produce(producer_batch(id, epoch, sequence, records));
    match answer.error_code {
        ErrorCode::NONE => Ok(answer.base_offset),
        error => Err(error),
    }
}

#[test]
fn every_producer_gets_an_id_of_its_own() {
    let mut connection = target().connect();
    let mut ids: Vec<_> = (0..50).map(|_| producer_id(&mut connection)).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 50);
    assert!(ids.iter().all(|id| *id >= 0));
}

#[test]
fn every_version_gives_an_id() {
    let mut connection = target().connect();
    for version in 0..=5 {
        let response = init(&mut connection, version);
        assert_eq!(response.error_code, ErrorCode::NONE, "v{version}");
    }
}

#[test]
fn a_repeat_gets_its_first_offset_and_is_not_written() {
    let mut partition = Partition::new("repeat");
    let id = producer_id(&mut partition.connection);
    assert_eq!(send(&mut partition, id, 0, 0, 3), Ok(0));
    assert_eq!(send(&mut partition, id, 0, 3, 1), Ok(3));
    let repeat = partition.produce(producer_batch(id, 0, 0, 3));
    assert_eq!((repeat.error_code, repeat.base_offset), (ErrorCode::NONE, 0));
    assert!(repeat.log_append_time_ms > 0, "as Kafka answers it");
    assert_eq!(partition.read(0).len(), 4);
}

#[test]
fn repeats_in_flight_are_answered_alike() {
    let mut partition = Partition::new("in-flight");
    let id = producer_id(&mut partition.connection);
    let request = partition.produce_request(-1, producer_batch(id, 0, 0, 2));
    for _ in 0..5 {
        partition.connection.send(9, &request);
    }
    for before in (0..5).rev() {
        let response = partition.connection.receive_earlier::<ProduceRequest>(9, before);
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::NONE, 0));
    }
    assert_eq!(partition.read(0).len(), 2);
}

#[test]
fn five_batches_may_be_repeated_and_a_sixth_may_not() {
    let mut partition = Partition::new("five");
    let id = producer_id(&mut partition.connection);
    for sequence in 0..6 {
        assert_eq!(send(&mut partition, id, 0, sequence, 1), Ok(i64::from(sequence)));
    }
    for sequence in 1..6 {
        assert_eq!(send(&mut partition, id, 0, sequence, 1), Ok(i64::from(sequence)));
    }
    assert_eq!(send(&mut partition, id, 0, 0, 1), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
}

#[test]
fn gaps_old_epochs_and_new_ones_not_from_zero_are_refused() {
    let mut partition = Partition::new("refused");
    let id = producer_id(&mut partition.connection);
    assert_eq!(send(&mut partition, id, 0, 0, 1), Ok(0));
    assert_eq!(send(&mut partition, id, 0, 2, 1), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(send(&mut partition, id, 1, 1, 1), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(send(&mut partition, id, 1, 0, 1), Ok(1));
    assert_eq!(send(&mut partition, id, 0, 1, 1), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(partition.read(0).len(), 2);
}

#[test]
fn an_unknown_producer_may_start_anywhere_and_wrap() {
    let mut partition = Partition::new("wrap");
    let id = producer_id(&mut partition.connection);
    assert_eq!(send(&mut partition, id, 0, i32::MAX - 1, 2), Ok(0));
    assert_eq!(send(&mut partition, id, 0, 0, 1), Ok(2));
    assert_eq!(send(&mut partition, id, 0, i32::MAX - 1, 2), Ok(0));
}

#[test]
fn an_id_without_a_sequence_is_an_invalid_record() {
    let mut partition = Partition::new("no-sequence");
    let batch = seal(&producer_batch(5, 0, 0, 1), &[(53, &(-1i32).to_be_bytes())]);
    assert_eq!(partition.produce(batch).error_code, ErrorCode::INVALID_RECORD);
}

#[test]
fn producers_are_listed() {
    let mut partition = Partition::new("listed");
    let id = producer_id(&mut partition.connection);
    send(&mut partition, id, 0, 0, 3).unwrap();
    let topics = vec![TopicRequest { name: Str::from(partition.topic.as_str()), partition_indexes: vec![0, 9] }];
    let response = partition.connection.call(0, &DescribeProducersRequest { topics });
    let mut partitions = response.topics[0].partitions.clone();
    partitions.sort_by_key(|partition| partition.partition_index);
    let producer = &partitions[0].active_producers[0];
    assert_eq!((producer.producer_id, producer.producer_epoch, producer.last_sequence), (id, 0, 2));
    assert_eq!((producer.coordinator_epoch, producer.current_txn_start_offset), (-1, -1));
    assert!(producer.last_timestamp > 0);
    assert_eq!(partitions[1].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}
