//! What was acknowledged stays, whatever happens to the process: once, in order, where the answer said.
//!
//! `LEAT_TEST_KILL_ROUNDS=200` runs more rounds than a check does.

use std::time::{Duration, Instant};
use std::{env, thread};

use leat_client::{Consumer, Producer, ProducerRecord, Start, TopicPartition};
use leat_protocol::ErrorCode;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::harness::{
    Partition, Process, batch, create_topic, free_port, producer_batch, random, skip_unless_leat, wait_until,
};

const TOPIC: &str = "killed";
const PARTITIONS: i32 = 4;

/// Sends to every partition in turn. A record's value is its number in its partition, which is the offset it must get.
async fn send(producer: &Producer, from: u64, count: u64, answers: &mut JoinSet<()>) {
    for number in from..from + count {
        for partition in 0..PARTITIONS {
            let record = ProducerRecord::to(TOPIC).partition(partition).value(number.to_string());
            let delivery = producer.send(record).await.expect("room for a record");
            answers.spawn(async move {
                let metadata = delivery.await.expect("an answer in the end");
                assert_eq!(metadata.offset, i64::try_from(number).unwrap(), "partition {partition}");
            });
        }
        if number % 8 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Reads everything: each partition must hold the numbers below `count`, once and in order.
async fn verify(bootstrap: &str, count: u64) {
    let consumer = Consumer::builder().bootstrap(bootstrap).build().await.expect("a consumer");
    let partitions: Vec<_> = (0..PARTITIONS).map(|number| TopicPartition::new(TOPIC, number)).collect();
    consumer.assign(&partitions).await.expect("partitions");
    consumer.seek_all(Start::Earliest).await.expect("a start");
    let ends = consumer.end_offsets(&partitions).await.expect("ends");
    let mut next = [0u64; PARTITIONS as usize];
    while next.iter().any(|next| *next < count) {
        let records = consumer.poll(Duration::from_secs(20)).await.expect("records");
        assert!(!records.is_empty(), "lost: {next:?} of {count} were read");
        for record in records {
            let expected = &mut next[usize::try_from(record.partition).unwrap()];
            let value = record.value.expect("a value");
            assert_eq!((record.offset, &value[..]), (*expected as i64, expected.to_string().as_bytes()));
            *expected += 1;
        }
    }
    assert!(ends.values().all(|end| *end == count as i64), "more than was sent: {ends:?}");
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_under_load_loses_nothing_repeats_nothing_and_keeps_the_order() {
    if skip_unless_leat("kill_9") {
        return;
    }
    let rounds: u64 = env::var("LEAT_TEST_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let listen = format!("127.0.0.1:{}", free_port());
    // Small segments and checkpoints, so that kills fall on their making too.
    let sets = ["log.segment.bytes=65536", "leat.checkpoint.interval.bytes=100000"];
    let process = Process::start(&data, &listen, &sets);
    let made = create_topic(&mut process.target.connect(), TOPIC, PARTITIONS, &[]);
    assert_eq!(made.error_code, ErrorCode::NONE, "{:?}", made.error_message);

    let producer = Producer::builder()
        .bootstrap(&listen)
        .set("linger.ms", "1")
        .and_then(|config| config.set("retry.backoff.ms", "20"))
        .and_then(|config| config.set("reconnect.backoff.ms", "20"))
        .and_then(|config| config.set("reconnect.backoff.max.ms", "100"))
        .and_then(|config| config.set("request.timeout.ms", "3000"))
        .and_then(|config| config.set("delivery.timeout.ms", "120000"))
        .expect("properties")
        .build()
        .await
        .expect("a producer");
    let killer = tokio::task::spawn_blocking(move || {
        let mut process = process;
        for _ in 0..rounds {
            thread::sleep(Duration::from_millis(20 + random(250)));
            process.kill();
            process = Process::start(&data, &listen, &sets);
        }
        process
    });
    let mut answers = JoinSet::new();
    let mut sent = 0;
    while !killer.is_finished() {
        send(&producer, sent, 50, &mut answers).await;
        sent += 50;
    }
    let process = killer.await.expect("every start serves");
    timeout(Duration::from_secs(120), producer.flush()).await.expect("all is answered");
    while let Some(answer) = answers.join_next().await {
        answer.expect("the offset that was expected");
    }
    producer.close().await;
    verify(&process.target.bootstrap(), sent).await;
    eprintln!("{rounds} kills, {} records", sent * PARTITIONS as u64);
    process.kill();
}

#[test]
fn a_producer_is_known_after_kill_9() {
    if skip_unless_leat("a_producer_is_known_after_kill_9") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let process = Process::start(&data, "127.0.0.1:0", &[]);
    let mut partition = Partition::with(&process.target, "known", &[]);
    for sequence in 0..3 {
        assert_eq!(partition.append(producer_batch(900, 0, sequence, 1)), i64::from(sequence));
    }
    process.kill();
    let process = Process::start(&data, "127.0.0.1:0", &[]);
    let mut partition = partition.beside(&process.target);
    assert_eq!(partition.append(producer_batch(900, 0, 1, 1)), 1, "a repeat");
    let gap = partition.produce(producer_batch(900, 0, 7, 1));
    assert_eq!(gap.error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(partition.append(producer_batch(900, 0, 3, 1)), 3);
    process.kill();
}

/// Else what a start reads and holds in memory would grow with the log, for as long as no life writes enough by itself.
#[test]
fn a_broker_that_is_killed_again_and_again_saves_a_checkpoint_all_the_same() {
    if skip_unless_leat("a_broker_that_is_killed_again_and_again") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let every = ["leat.checkpoint.interval.bytes=65536"];
    let mut process = Process::start(&data, "127.0.0.1:0", &every);
    let mut partition = Partition::with(&process.target, "killed", &[]);
    let checkpoint = data.join(format!("{}-0/checkpoint", partition.topic));
    let half = "x".repeat(40_000);
    for life in 0..2 {
        assert_eq!(partition.append(batch(&[&half])), life);
        process.kill();
        process = Process::start(&data, "127.0.0.1:0", &every);
        partition = partition.beside(&process.target);
    }
    // In no life are there bytes enough, and one that was being saved may have been lost with its process.
    assert_eq!(partition.append(batch(&[&half])), 2);
    wait_until("a checkpoint", Duration::from_secs(10), || checkpoint.exists());
}

/// A topic that answers before the sync, as Kafka does, still has all of it after the process died: the machine did not.
#[test]
fn a_relaxed_topic_survives_kill_9() {
    if skip_unless_leat("a_relaxed_topic_survives_kill_9") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let process = Process::start(&data, "127.0.0.1:0", &[]);
    let mut partition = Partition::with(&process.target, "relaxed", &[("flush.messages", "1000000")]);
    for number in 0..200 {
        assert_eq!(partition.append(batch(&[&number.to_string()])), number);
    }
    process.kill();
    let process = Process::start(&data, "127.0.0.1:0", &[]);
    let mut partition = partition.beside(&process.target);
    let read = partition.read(0);
    assert_eq!(read.len(), 200);
    assert!(read.iter().all(|(offset, value)| offset.to_string() == *value));
}

#[test]
fn sigterm_ends_cleanly_within_five_seconds() {
    if skip_unless_leat("sigterm_ends_cleanly") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let process = Process::start(&data, "127.0.0.1:0", &[]);
    let mut partition = Partition::with(&process.target, "clean", &[]);
    partition.append(batch(&["a"]));
    // One that waits must not hold it up.
    let mut waiting = partition.beside(&process.target);
    let mut request = waiting.fetch_request(1);
    request.max_wait_ms = 60_000;
    waiting.connection.send(12, &request);
    let (status, took) = process.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "{took:?}");

    let begun = Instant::now();
    let process = Process::start(&data, "127.0.0.1:0", &[]);
    assert_eq!(partition.beside(&process.target).read(0), [(0, "a".to_owned())]);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn topics_and_ids_survive_a_restart() {
    if skip_unless_leat("topics_and_ids_survive_a_restart") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let process = Process::start(&data, "127.0.0.1:0", &[]);
    let mut connection = process.target.connect();
    let made = create_topic(&mut connection, "kept", 3, &[("retention.ms", "12345678")]);
    process.kill();
    let process = Process::start(&data, "127.0.0.1:0", &[]);
    let described = crate::harness::describe_topic(&mut process.target.connect(), "kept");
    assert_eq!((described.topic_id, described.partitions.len()), (made.topic_id, 3));
    let again = create_topic(&mut process.target.connect(), "kept", 3, &[]);
    assert_eq!(again.error_code, ErrorCode::TOPIC_ALREADY_EXISTS);
}

#[test]
fn kill_9_after_all_records_were_deleted_leaves_a_partition_that_serves() {
    if skip_unless_leat("kill_9_after_all_records_were_deleted_leaves_a_partition_that_serves") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let listen = format!("127.0.0.1:{}", free_port());
    let process = Process::start(&data, &listen, &[]);
    let mut partition = Partition::with(&process.target, "emptied", &[]);
    for _ in 0..3 {
        partition.append(batch(&["one", "two"]));
        let (topic, end) = (partition.topic.clone(), -1);
        assert!(crate::topics::delete_records(&mut partition.connection, &topic, end).is_ok());
    }
    let topic = partition.topic.clone();
    process.kill();
    let process = Process::start(&data, &listen, &[]);
    let mut partition = Partition { topic, connection: process.target.connect() };
    let answer = partition.produce(batch(&["three"]));
    assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::NONE, 6));
    process.kill();
}
