//! Produce: acknowledgements, timestamps, what is refused and with which code.

use std::io::Write as _;
use std::time::{Duration, Instant};

use leat_protocol::messages::ProduceRequest;
use leat_protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use leat_protocol::records::{BatchHeader, Builder, Compression, TimestampType};
use leat_protocol::{Bytes, ErrorCode, Records, Uuid};

use crate::harness::{
    Partition, Target, batch, batch_of, bytes_of, now_ms, seal, skip_unless_leat, start, target, topic_id, unique,
    values, wait_until,
};

#[test]
fn offsets_follow_one_another() {
    let mut partition = Partition::new("produce");
    assert_eq!(partition.append(batch(&["a", "b", "c"])), 0);
    assert_eq!(partition.append(batch(&["d"])), 3);
    let read: Vec<_> = partition.read(0);
    let expected = ["a", "b", "c", "d"].map(str::to_owned);
    assert_eq!(read, (0..).zip(expected).collect::<Vec<_>>());
}

#[test]
fn every_version_appends() {
    let mut partition = Partition::new("versions");
    let id = topic_id(&mut partition.connection, &partition.topic);
    for version in 3..=13 {
        let mut request = partition.produce_request(-1, batch(&["x"]));
        if version >= 13 {
            request.topic_data[0].topic_id = id;
            request.topic_data[0].name = "".into();
        }
        let response = partition.connection.call(version, &request);
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::NONE, i64::from(version) - 3), "v{version}");
        if version >= 13 {
            assert_eq!(response.responses[0].topic_id, id);
        }
    }
}

#[test]
fn an_answer_gives_the_log_start_and_no_append_time() {
    let mut partition = Partition::new("answer");
    let answer = partition.produce(batch(&["x"]));
    assert_eq!((answer.log_append_time_ms, answer.log_start_offset), (-1, 0));
    assert!(answer.record_errors.is_empty() && answer.error_message.is_none());
}

#[test]
fn acks_1_is_answered_and_acks_0_is_not() {
    let mut partition = Partition::new("acks");
    let silent = partition.produce_request(0, batch(&["first"]));
    partition.connection.send(9, &silent);
    let answered = partition.produce_request(1, batch(&["second"]));
    let response = partition.connection.call(9, &answered);
    assert_eq!(response.responses[0].partition_responses[0].base_offset, 1);
    // acks=1 is answered before the sync, and read is what is synced.
    wait_until("both can be read", Duration::from_secs(10), || partition.read(0).len() == 2);
}

#[test]
fn acks_0_with_a_bad_batch_closes_the_connection() {
    let mut partition = Partition::new("acks0");
    let mut bad = batch(&["x"]).to_vec();
    bad[17] ^= 1;
    let request = partition.produce_request(0, bad);
    partition.connection.send(9, &request);
    partition.connection.expect_closed();
}

#[test]
fn other_acks_are_invalid() {
    let mut partition = Partition::new("acks2");
    let request = partition.produce_request(2, batch(&["x"]));
    let response = partition.connection.call(9, &request);
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::INVALID_REQUIRED_ACKS);
}

#[test]
fn pipelined_batches_keep_their_order() {
    let mut partition = Partition::new("pipeline");
    let count = 50;
    for number in 0..count {
        let request = partition.produce_request(-1, batch(&[&number.to_string()]));
        partition.connection.send(9, &request);
    }
    for number in 0..count {
        let response = partition.connection.receive_earlier::<ProduceRequest>(9, count - 1 - number);
        assert_eq!(response.responses[0].partition_responses[0].base_offset, i64::from(number));
    }
    let read = partition.read(0);
    assert!(read.iter().all(|(offset, value)| offset.to_string() == *value));
    assert_eq!(read.len(), 50);
}

#[test]
fn partitions_of_a_request_fail_one_by_one() {
    let mut partition = Partition::new("each");
    let mut request = partition.produce_request(-1, batch(&["x"]));
    let missing = PartitionProduceData { index: 7, records: Some(Records::from(batch(&["x"]))) };
    request.topic_data[0].partition_data.push(missing.clone());
    request.topic_data.push(TopicProduceData {
        name: unique("nobody").as_str().into(),
        topic_id: Uuid::nil(),
        partition_data: vec![PartitionProduceData { index: 0, ..missing }],
    });
    let response = partition.connection.call(9, &request);
    let mut codes = Vec::new();
    for topic in &response.responses {
        for answer in &topic.partition_responses {
            codes.push((topic.name == partition.topic.as_str(), answer.index, answer.error_code));
        }
    }
    codes.sort_by_key(|&(known, index, _)| (!known, index));
    assert_eq!(
        codes,
        [
            (true, 0, ErrorCode::NONE),
            (true, 7, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            (false, 0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ]
    );
}

#[test]
fn every_codec_is_stored_as_it_came() {
    let mut partition = Partition::new("codecs");
    let text = "words that come again and again ".repeat(100);
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for (offset, codec) in (0..).zip(codecs) {
        let sent = batch_of(codec, &[&text, "end"]);
        assert_eq!(partition.append(sent.clone()), offset * 2);
        let stored = bytes_of(&partition.fetch(offset * 2));
        assert_eq!(stored[21..], sent[21..], "{codec:?}: all that the checksum covers");
        assert_eq!(values(&stored)[0].1, text);
    }
}

/// LZ4 frames may have blocks that refer to the ones before them. Kafka's own decoder refuses them; nothing here decodes them
/// on the way in, and the client reads them.
#[test]
fn lz4_frames_with_dependent_blocks_are_stored_as_they_came() {
    if skip_unless_leat("lz4_frames_with_dependent_blocks") {
        return;
    }
    let text = "words that come again and again ".repeat(10_000);
    let plain = batch(&[&text]);
    let info = lz4_flex::frame::FrameInfo::new()
        .block_mode(lz4_flex::frame::BlockMode::Linked)
        .block_size(lz4_flex::frame::BlockSize::Max64KB);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&plain[61..]).unwrap();
    let packed = encoder.finish().unwrap();
    let length = i32::try_from(61 - 12 + packed.len()).unwrap();
    let whole = [&plain[..61], &packed].concat().into();
    let sent = seal(&whole, &[(8, &length.to_be_bytes()), (21, &3i16.to_be_bytes())]);
    // On a broker of its own, whose folder goes: what other tests leave is read by Kafka's tools.
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), &[]).unwrap();
    let mut partition = Partition::with(&Target::of(&broker), "lz4-linked", &[]);
    assert_eq!(partition.append(sent.clone()), 0);
    let stored = bytes_of(&partition.fetch(0));
    assert_eq!(stored[21..], sent[21..]);
    assert_eq!(values(&stored), [(0, text)]);
    broker.stop();
}

#[test]
fn create_time_keeps_the_records_own_times() {
    let mut partition = Partition::new("create-time");
    let now = now_ms();
    let mut builder = Builder::new(Compression::None, None);
    for timestamp in [now - 5, now - 1_000_000, now - 7] {
        builder.push(timestamp, None, Some(b"x"), &[]);
    }
    partition.append(builder.finish().unwrap());
    let header = BatchHeader::parse(&bytes_of(&partition.fetch(0))).unwrap();
    assert_eq!((header.base_timestamp, header.max_timestamp), (now - 5, now - 5));
    assert_eq!(header.timestamp_type(), TimestampType::CreateTime);
}

#[test]
fn log_append_time_is_the_brokers_and_is_answered() {
    let mut partition = Partition::with(target(), "append-time", &[("message.timestamp.type", "LogAppendTime")]);
    let mut builder = Builder::new(Compression::Lz4, None);
    builder.push(1_000_000, None, Some(b"x"), &[]);
    let before = now_ms();
    let answer = partition.produce(builder.finish().unwrap());
    assert!(answer.log_append_time_ms >= before - 1 && answer.log_append_time_ms <= now_ms());
    let stored = bytes_of(&partition.fetch(0));
    let header = BatchHeader::parse(&stored).unwrap();
    assert_eq!(header.max_timestamp, answer.log_append_time_ms);
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(values(&stored).len(), 1, "with a checksum that holds");
}

#[test]
fn a_timestamp_too_far_ahead_is_invalid() {
    let mut partition = Partition::new("ahead");
    let mut builder = Builder::new(Compression::None, None);
    builder.push(now_ms() + 3 * 3_600_000, None, Some(b"x"), &[]);
    let answer = partition.produce(builder.finish().unwrap());
    assert_eq!(answer.error_code, ErrorCode::INVALID_TIMESTAMP);
    assert!(answer.error_message.is_some());
    assert_eq!(answer.record_errors.len(), 1);
}

#[test]
fn a_batch_above_max_message_bytes_is_too_large() {
    let mut partition = Partition::with(target(), "large", &[("max.message.bytes", "1000")]);
    assert_eq!(partition.append(batch(&[&"x".repeat(900)])), 0);
    let answer = partition.produce(batch(&[&"x".repeat(1000)]));
    assert_eq!(answer.error_code, ErrorCode::MESSAGE_TOO_LARGE);
}

#[test]
fn one_batch_for_each_partition() {
    let mut partition = Partition::new("two");
    let two = [batch(&["a"]), batch(&["b"])].concat();
    let answer = partition.produce(two);
    assert_eq!(answer.error_code, ErrorCode::INVALID_RECORD);
    let answer = partition.produce(Bytes::new());
    assert_eq!(answer.error_code, ErrorCode::INVALID_RECORD);
}

#[test]
fn control_batches_are_not_a_clients_to_write() {
    let mut partition = Partition::new("control");
    let control = seal(&batch(&["x"]), &[(21, &32i16.to_be_bytes())]);
    assert_eq!(partition.produce(control).error_code, ErrorCode::INVALID_RECORD);
}

#[test]
fn a_topic_compression_type_is_applied() {
    let mut partition = Partition::with(target(), "recompress", &[("compression.type", "zstd")]);
    let text = "words that come again and again ".repeat(100);
    partition.append(batch_of(Compression::Gzip, &[&text]));
    partition.append(batch(&[&text]));
    for offset in 0..2 {
        let stored = bytes_of(&partition.fetch(offset));
        assert_eq!(BatchHeader::parse(&stored).unwrap().compression(), Ok(Compression::Zstd));
        assert_eq!(values(&stored)[0], (offset, text.clone()));
    }
}

/// More than there are replicas can't be asked for; so does Kafka since 4.0 (KIP-966).
#[test]
fn min_insync_above_the_replication_factor_counts_as_it() {
    let mut partition = Partition::with(target(), "insync", &[("min.insync.replicas", "2")]);
    assert_eq!(partition.append(batch(&["x"])), 0);
}

#[test]
fn one_connection_is_not_held_up_by_another() {
    let mut waiting = Partition::new("waiting");
    let mut request = waiting.fetch_request(0);
    request.max_wait_ms = 5_000;
    waiting.connection.send(12, &request);
    let mut partition = Partition::new("quick");
    let begun = Instant::now();
    partition.append(batch(&["x"]));
    assert!(begun.elapsed() < Duration::from_secs(3));
    waiting.connection.finish();
}
