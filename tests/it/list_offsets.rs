//! ListOffsets: the ends of the log, and exact answers by time.

use leat_protocol::ErrorCode;
use leat_protocol::messages::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use leat_protocol::records::{Builder, Compression};

use crate::harness::{Partition, batch, now_ms, target};
use crate::topics::delete_records;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// A partition whose records have these times, in batches of these sizes.
fn partition(codec: Compression, batches: &[&[i64]]) -> Partition {
    let mut partition = Partition::with(target(), "times", &[("retention.ms", "-1")]);
    for times in batches {
        let mut builder = Builder::new(codec, None);
        for time in *times {
            builder.push(*time, None, Some(b"x"), &[]);
        }
        partition.append(builder.finish().unwrap());
    }
    partition
}

fn offset_at(partition: &mut Partition, timestamp: i64) -> (i64, i64) {
    let answer = partition.offset_for(timestamp);
    assert_eq!(answer.error_code, ErrorCode::NONE);
    (answer.offset, answer.timestamp)
}

#[test]
fn the_ends_of_a_log() {
    let mut partition = Partition::new("ends");
    assert_eq!(offset_at(&mut partition, EARLIEST), (0, -1));
    assert_eq!(offset_at(&mut partition, LATEST), (0, -1));
    assert_eq!(offset_at(&mut partition, MAX_TIMESTAMP), (-1, -1));
    for _ in 0..3 {
        partition.append(batch(&["x"]));
    }
    assert_eq!(offset_at(&mut partition, EARLIEST), (0, -1));
    assert_eq!(offset_at(&mut partition, EARLIEST_LOCAL), (0, -1));
    assert_eq!(offset_at(&mut partition, LATEST), (3, -1));
    assert_eq!(offset_at(&mut partition, LATEST_TIERED), (-1, -1));
    let topic = partition.topic.clone();
    assert_eq!(delete_records(&mut partition.connection, &topic, 2), Ok(2));
    assert_eq!(offset_at(&mut partition, EARLIEST), (2, -1));
}

/// Tools that compare replicas name no consumer: any replica answers them, up to its own end. Several are in `cluster_command`.
#[test]
fn a_replica_tells_where_its_own_log_ends() {
    let mut partition = Partition::new("own-end");
    partition.append(batch(&["x", "y"]));
    for (timestamp, offset) in [(LATEST, 2), (EARLIEST, 0), (0, 0)] {
        let row = ListOffsetsPartition { partition_index: 0, current_leader_epoch: -1, timestamp };
        let topics = vec![ListOffsetsTopic { name: partition.topic.as_str().into(), partitions: vec![row] }];
        let request = ListOffsetsRequest { replica_id: -2, topics, ..ListOffsetsRequest::default() };
        for version in [1, 11] {
            let answer = partition.connection.call(version, &request).topics.remove(0).partitions.remove(0);
            assert_eq!((answer.error_code, answer.offset), (ErrorCode::NONE, offset), "{timestamp}");
        }
    }
}

#[test]
fn the_first_record_at_or_after_a_time_even_out_of_order() {
    let base = now_ms() - 1_000_000;
    let times: [&[i64]; 3] = [&[base + 10, base + 5, base + 30], &[base + 20], &[base + 40, base + 15]];
    for codec in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let mut partition = partition(codec, &times);
        for (asked, found) in [
            (0, (0, base + 10)),
            (base + 10, (0, base + 10)),
            (base + 11, (2, base + 30)),
            (base + 30, (2, base + 30)),
            (base + 31, (4, base + 40)),
            (base + 41, (-1, -1)),
        ] {
            assert_eq!(offset_at(&mut partition, asked), found, "{codec:?}, base + {}", asked - base);
        }
    }
}

#[test]
fn the_record_with_the_largest_time() {
    let base = now_ms() - 1_000_000;
    let mut partition = partition(Compression::None, &[&[base, base + 50, base + 3], &[base + 50, base + 1]]);
    assert_eq!(offset_at(&mut partition, MAX_TIMESTAMP), (1, base + 50));
}

#[test]
fn unknown_partitions_are_told() {
    let mut partition = Partition::new("known");
    partition.topic = "no such topic, and no valid name".to_owned();
    assert_ne!(partition.offset_for(LATEST).error_code, ErrorCode::NONE);
    partition.topic = crate::harness::unique("nobody");
    assert_eq!(partition.offset_for(LATEST).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn a_place_asked_for_below_its_version_is_an_error_of_its_partition() {
    let mut partition = Partition::new("places");
    partition.append(batch(&["x"]));
    for (place, since) in [(MAX_TIMESTAMP, 7), (EARLIEST_LOCAL, 8), (LATEST_TIERED, 9)] {
        for version in 1..=10 {
            let found = partition.offset_for_in(version, place);
            let expected = if version < since { ErrorCode::UNSUPPORTED_VERSION } else { ErrorCode::NONE };
            assert_eq!(found.error_code, expected, "{place} in version {version}");
        }
    }
}
