//! What compaction leaves of a batch.

use leat_protocol::records::{
    BatchHeader, Builder, Compression, Record, Retained, check, retain, set_base_offset, set_leader_epoch,
    set_log_append_time, without_records,
};
use leat_protocol::{Bytes, ErrorCode};

use super::{ROOM, read, shapes};

const HORIZON: i64 = 1_700_000_000_000;

fn example(codec: Compression) -> (BatchHeader, Bytes) {
    let mut builder = shapes(Builder::new(codec, None));
    builder.set_producer(7, 3, 41);
    let mut batch = builder.finish().unwrap().to_vec();
    set_base_offset(&mut batch, 1000);
    set_leader_epoch(&mut batch, 5);
    let batch = Bytes::from(batch);
    (BatchHeader::parse(&batch).unwrap(), batch)
}

fn part(retained: Result<Retained, leat_protocol::records::BatchError>) -> (BatchHeader, Bytes) {
    let Ok(Retained::Part(batch)) = retained else { panic!("{retained:?}") };
    (check(&batch).unwrap(), batch)
}

fn values_only(record: &Record) -> bool {
    record.value.is_some()
}

#[test]
fn what_stays_is_as_it_was_under_every_codec() {
    for codec in Compression::ALL {
        let (header, batch) = example(codec);
        let (after, left) =
            part(retain(&header, &batch, ROOM, HORIZON, |r| r.value.is_some() && r.offset != header.base_offset));
        let expected: Vec<Record> = read(&batch, ROOM).unwrap();
        let expected: Vec<_> =
            expected.into_iter().filter(|r| values_only(r) && r.offset != header.base_offset).collect();
        assert_eq!(read(&left, ROOM).unwrap(), expected);
        let unlike = BatchHeader {
            batch_length: after.batch_length,
            crc: after.crc,
            max_timestamp: expected.iter().map(|r| r.timestamp).max().unwrap(),
            records_count: expected.len() as i32,
            ..header
        };
        assert_eq!(after, unlike, "nothing else of the header changes");
    }
}

#[test]
fn a_tombstone_gives_its_batch_a_delete_horizon_once_and_no_timestamp_changes() {
    for codec in Compression::ALL {
        let (header, batch) = example(codec);
        let (first, once) = part(retain(&header, &batch, ROOM, HORIZON, |_| true));
        assert_eq!((header.delete_horizon_ms(), first.delete_horizon_ms()), (None, Some(HORIZON)));
        assert_eq!(read(&once, ROOM).unwrap(), read(&batch, ROOM).unwrap());
        assert_eq!(retain(&first, &once, ROOM, HORIZON + 1, |_| true).unwrap(), Retained::Whole);
        let (second, _) = part(retain(&first, &once, ROOM, HORIZON + 1, |r| r.offset > 1001));
        assert_eq!(second.delete_horizon_ms(), Some(HORIZON), "it stays");
    }
}

#[test]
fn a_batch_that_keeps_or_loses_all_is_told_from_others() {
    let mut builder = Builder::new(Compression::Lz4, None);
    builder.push(5, Some(b"k"), Some(b"v"), &[]);
    let batch = builder.finish().unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!(retain(&header, &batch, ROOM, HORIZON, |_| true).unwrap(), Retained::Whole);
    assert_eq!(retain(&header, &batch, ROOM, HORIZON, |_| false).unwrap(), Retained::Nothing);
}

#[test]
fn without_records_a_batch_is_kafkas_empty_header() {
    let (header, _) = example(Compression::Zstd);
    let empty = without_records(&header).unwrap();
    let after = check(&empty).unwrap();
    assert_eq!(empty.len(), 61);
    let unlike =
        BatchHeader { batch_length: 49, crc: after.crc, attributes: 0, base_timestamp: -1, records_count: 0, ..header };
    assert_eq!(after, unlike);
    assert!(!after.is_entry() && read(&empty, ROOM).unwrap().is_empty());
    assert_eq!((after.last_sequence(), after.next_offset()), (header.last_sequence(), header.next_offset()));
}

#[test]
fn the_time_of_the_append_stays_that_of_the_batch() {
    let (_, batch) = example(Compression::None);
    let mut batch = batch.to_vec();
    set_log_append_time(&mut batch, HORIZON - 1);
    let batch = Bytes::from(batch);
    let (after, left) = part(retain(&check(&batch).unwrap(), &batch, ROOM, HORIZON, |r| r.value.is_none()));
    assert_eq!((after.max_timestamp, after.delete_horizon_ms()), (HORIZON - 1, Some(HORIZON)));
    assert!(read(&left, ROOM).unwrap().iter().all(|record| record.timestamp == HORIZON - 1));
}

#[test]
fn what_can_not_be_decoded_is_an_error() {
    let (header, batch) = example(Compression::Gzip);
    assert!(retain(&header, &batch, 10, HORIZON, |_| true).is_err(), "larger than the bound");
    let mut damaged = batch.to_vec();
    damaged.truncate(70);
    let error = retain(&header, &Bytes::from(damaged), ROOM, HORIZON, |_| true).unwrap_err();
    assert_eq!(error.error_code(), ErrorCode::CORRUPT_MESSAGE);
}
