//! Retention: the log start moves by whole segments, and what is left can be read.

use std::time::Duration;

use crate::harness::{Partition, Target, batch, bytes_of, now_ms, skip_unless_leat, start, values, wait_until};
use leat_protocol::ErrorCode;
use leat_protocol::records::{Builder, Compression};

const EARLIEST: i64 = -2;

fn moves_the_start(configs: &[(&str, &str)], append: impl Fn(&mut Partition)) {
    if skip_unless_leat("retention") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), &[("log.retention.check.interval.ms", "100")]).unwrap();
    let mut partition = Partition::with(&Target::of(&broker), "retention", configs);
    append(&mut partition);
    let end = partition.offset_for(-1).offset;
    wait_until("the log start moves", Duration::from_secs(20), || partition.offset_for(EARLIEST).offset > 0);
    // It may move on between two questions: then what was read says nothing.
    let first = loop {
        let first = partition.offset_for(EARLIEST).offset;
        assert!(first <= end);
        let data = partition.fetch(first);
        if partition.offset_for(EARLIEST).offset == first {
            assert_eq!(data.error_code, ErrorCode::NONE);
            assert!(first == end || values(&bytes_of(&data))[0].0 == first);
            break first;
        }
    };
    assert_eq!(partition.append(batch(&["after"])), end);
    broker.stop();
    let broker = start(folder.path(), &[]).unwrap();
    let mut partition = partition.beside(&Target::of(&broker));
    assert!(partition.offset_for(EARLIEST).offset >= first, "and stays there");
}

#[test]
fn by_size() {
    moves_the_start(&[("segment.bytes", "1048576"), ("retention.bytes", "2000000")], |partition| {
        for _ in 0..60 {
            partition.append(batch(&[&"x".repeat(100_000)]));
        }
    });
}

#[test]
fn by_time() {
    moves_the_start(&[("segment.bytes", "1048576"), ("retention.ms", "3600000")], |partition| {
        for age in [7_200_000, 7_200_000, 0] {
            for _ in 0..12 {
                let mut builder = Builder::new(Compression::None, None);
                builder.push(now_ms() - age, None, Some(&[b'x'; 100_000]), &[]);
                partition.append(builder.finish().unwrap());
            }
        }
    });
}
