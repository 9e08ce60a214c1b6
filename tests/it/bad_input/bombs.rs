//! Batches that are small and say little, and would be large once decompressed. Where nobody decodes them they are what they
//! are; where somebody does, it is under a bound.

use leat_protocol::records::{Builder, Compression};
use leat_protocol::{Bytes, ErrorCode};

use crate::harness::{Partition, Process, batch, now_ms, skip_unless_leat};

const GROWTH_MAX: u64 = 64 << 20;
/// Whoever opens a batch holds its records, up to 256 MiB of them, and may hold them a second time when it writes them.
const OPENED_GROWTH_MAX: u64 = 2 * (256 << 20) + GROWTH_MAX;
/// Above what a batch may become; all bombs together are far above what may be held.
const DECOMPRESSED: usize = 400 << 20;

/// One record of zeros, or many, that together decompress to `DECOMPRESSED`.
fn bomb(records: usize) -> Bytes {
    let mut builder = Builder::new(Compression::Zstd, None);
    let value = vec![0; DECOMPRESSED / records];
    for _ in 0..records {
        builder.push(now_ms(), None, Some(&value), &[]);
    }
    builder.finish().unwrap()
}

/// Throws bombs at one partition of a topic with these settings; what the broker said, and by how much it grew.
fn throw(configs: &[(&str, &str)], ask: impl Fn(&mut Partition)) -> (Vec<ErrorCode>, u64) {
    let parent = tempfile::tempdir().unwrap();
    let process = Process::start(&parent.path().join("data"), "127.0.0.1:0", &[]);
    let mut partition = Partition::with(&process.target, "bombs", configs);
    partition.append(batch(&["good"]));
    let before = process.resident_bytes();
    let mut codes = Vec::new();
    let mut most = 0;
    for records in [1, 400] {
        codes.push(partition.produce(bomb(records)).error_code);
        ask(&mut partition);
        most = most.max(process.resident_bytes());
    }
    assert!(partition.append(batch(&["good"])) > 0);
    (codes, most.saturating_sub(before))
}

#[test]
fn a_bomb_that_nobody_opens_is_kept_as_it_came() {
    if skip_unless_leat("a_bomb_that_nobody_opens") {
        return;
    }
    let (codes, grown) = throw(&[], |_| {});
    assert_eq!(codes[0], ErrorCode::NONE);
    assert!(grown < GROWTH_MAX, "{} MiB", grown >> 20);
}

#[test]
fn a_bomb_in_the_way_of_a_look_up_by_time_is_bounded() {
    if skip_unless_leat("a_bomb_in_the_way_of_a_look_up") {
        return;
    }
    let (_, grown) = throw(&[], |partition| {
        // Either is right: the record was found before the bound, or the bound ended the search.
        let _ = partition.offset_for(now_ms() - 60_000);
        let _ = partition.offset_for(-3);
    });
    assert!(grown < OPENED_GROWTH_MAX, "{} MiB", grown >> 20);
}

#[test]
fn a_bomb_for_a_topic_that_recompresses_is_refused() {
    if skip_unless_leat("a_bomb_for_a_topic_that_recompresses") {
        return;
    }
    let (codes, grown) = throw(&[("compression.type", "lz4")], |_| {});
    assert!(codes.iter().all(|code| *code != ErrorCode::NONE), "{codes:?}");
    assert!(grown < OPENED_GROWTH_MAX, "{} MiB", grown >> 20);
}
