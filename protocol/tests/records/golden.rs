//! Bytes made by Kafka's `MemoryRecordsBuilder` (`fixtures/Batches.java`): we read in them what Kafka reads, and where
//! nothing is compressed, write the same bytes.

use super::{ROOM, T, blocks, plain, read, shapes};
use leat_protocol::records::{
    BatchError, BatchHeader, Builder, Compression, Record, TimestampType, check, entry, set_base_offset,
    set_leader_epoch, set_log_append_time, validate, validate_records,
};
use leat_protocol::{Bytes, ErrorCode};
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/fixtures").join(name)
}

fn fixture(name: &str) -> Bytes {
    Bytes::from(std::fs::read(path(&format!("{name}.bin"))).unwrap())
}

/// The text that `Batches.java` writes, from what we read.
fn describe(batch: &Bytes) -> String {
    let h = check(batch).unwrap();
    let kind = match h.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    let mut out = format!(
        "batch base={} last={} next={} size={} epoch={} codec={} type={kind} max={} producer={}/{} sequence={}..{} \
         transactional={} control={} count={} crc={}\n",
        h.base_offset,
        h.last_offset(),
        h.next_offset(),
        h.size(),
        h.partition_leader_epoch,
        h.compression().unwrap(),
        h.max_timestamp,
        h.producer_id,
        h.producer_epoch,
        h.base_sequence,
        h.last_sequence(),
        h.is_transactional(),
        h.is_control(),
        h.records_count,
        h.crc
    );
    for Record { offset, timestamp, key, value, headers } in read(batch, ROOM).unwrap() {
        write!(out, "{offset} {timestamp} {} {}", hex(key.as_deref()), hex(value.as_deref())).unwrap();
        for header in headers {
            write!(out, " {}={}", hex(Some(header.key.as_bytes())), hex(header.value.as_deref())).unwrap();
        }
        out.push('\n');
    }
    out
}

fn hex(bytes: Option<&[u8]>) -> String {
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match bytes {
        None => "-".into(),
        Some(short) if short.len() <= 64 => format!("x{}", digits(short)),
        Some(long) => format!("{}:{}..{}", long.len(), digits(&long[..16]), digits(&long[long.len() - 16..])),
    }
}

#[test]
fn every_fixture_reads_as_kafka_reads_it() {
    let mut seen = 0;
    for file in std::fs::read_dir(path("")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "txt") {
            let name = file.file_stem().unwrap().to_str().unwrap();
            assert_eq!(describe(&fixture(name)), std::fs::read_to_string(&file).unwrap(), "{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 15);
}

#[test]
fn every_fixture_of_a_producer_is_valid() {
    for name in [
        "plain",
        "gzip",
        "snappy",
        "lz4",
        "zstd",
        "gzip-blocks",
        "snappy-blocks",
        "lz4-blocks",
        "zstd-blocks",
        "out-of-order",
        "no-timestamp",
        "log-append-time",
        "log-append-time-zstd",
        "numbered",
        "idempotent",
        "sequence-wrap",
        "transactional",
        "commit-marker",
    ] {
        let batch = fixture(name);
        let header = BatchHeader::parse(&batch).unwrap();
        assert_eq!(validate(&batch, batch.len()), Ok(header), "{name}");
        assert_eq!(validate_records(&batch, ROOM), Ok(header), "{name}");
        assert_eq!(entry::parse(&batch), Ok(None), "{name}");
    }
}

#[test]
fn a_compacted_batch_can_be_read_but_not_sent() {
    let batch = fixture("gaps");
    let offsets: Vec<_> = read(&batch, ROOM).unwrap().iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [100, 103, 104, 190]);
    assert_eq!(validate(&batch, ROOM).unwrap_err().error_code(), ErrorCode::INVALID_RECORD);
}

#[test]
fn message_sets_are_refused_by_their_format() {
    for (name, magic) in [("format-0", 0), ("format-1", 1), ("format-1-gzip", 1)] {
        let error = validate(&fixture(name), ROOM).unwrap_err();
        assert_eq!(error, BatchError::Magic(magic));
        assert_eq!(error.error_code(), ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT);
        assert!(error.to_string().contains("not supported"), "{error}");
    }
    // The shortest message of format 0 is shorter than our header.
    assert_eq!(BatchHeader::parse(&fixture("format-0")[..34]), Err(BatchError::Magic(0)));
}

#[test]
fn what_is_not_compressed_is_built_to_the_same_bytes() {
    assert_eq!(shapes(plain()).finish().unwrap(), fixture("plain"));

    let mut idempotent = shapes(plain());
    idempotent.set_producer(4_000_000_001, 7, 0);
    assert_eq!(idempotent.finish().unwrap(), fixture("idempotent"));

    let mut late = plain();
    for by in [0, 5_000, -86_400_000, 3, 9_000_000_000, 0] {
        late.push(T + by, None, Some(format!("at {by}").as_bytes()), &[]);
    }
    assert_eq!(late.finish().unwrap(), fixture("out-of-order"));

    let mut timeless = plain();
    timeless.push(-1, None, Some(b"whenever"), &[]);
    assert_eq!(timeless.finish().unwrap(), fixture("no-timestamp"));

    let mut wrap = plain();
    for i in 0..5 {
        wrap.push(T + i, Some(format!("k{i}").as_bytes()), Some(format!("v{i}").as_bytes()), &[]);
    }
    wrap.set_producer(12, i16::MAX, i32::MAX - 2);
    assert_eq!(wrap.finish().unwrap(), fixture("sequence-wrap"));
}

#[test]
fn patching_gives_the_same_bytes() {
    let mut numbered = shapes(plain()).finish().unwrap().to_vec();
    set_base_offset(&mut numbered, 8_589_934_592);
    set_leader_epoch(&mut numbered, 41);
    assert_eq!(numbered, fixture("numbered"));

    // Kafka's builder leaves its own base timestamp there (the append time); what a reader sees is the same.
    let mut appended = shapes(plain()).finish().unwrap().to_vec();
    set_log_append_time(&mut appended, T + 77);
    let appended = Bytes::from(appended);
    assert_eq!(read(&appended, ROOM), read(&fixture("log-append-time"), ROOM));
    assert_eq!(validate(&appended, ROOM).unwrap().max_timestamp, T + 77);
}

#[test]
fn every_codec_carries_many_blocks_both_ways() {
    let expected = read(&blocks(plain()).finish().unwrap(), ROOM).unwrap();
    assert_eq!(expected.len(), 600);
    for codec in Compression::ALL.into_iter().skip(1) {
        let theirs = fixture(&format!("{codec}-blocks"));
        assert_eq!(read(&theirs, ROOM).as_ref(), Ok(&expected), "{codec}");
        let ours = blocks(Builder::new(codec, None)).finish().unwrap();
        assert_eq!(validate(&ours, ROOM).unwrap().compression(), Ok(codec));
        assert_eq!(read(&ours, ROOM).as_ref(), Ok(&expected), "{codec}");
        assert!(ours.len() < theirs.len() * 3 / 2, "{codec}: {} against {}", ours.len(), theirs.len());
    }
}

#[test]
fn snappy_frames_as_java_frames_it() {
    // The element stream may differ between two compressors; magic, versions and block sizes may not.
    let (ours, theirs) = (blocks(Builder::new(Compression::Snappy, None)).finish().unwrap(), fixture("snappy-blocks"));
    assert_eq!(ours[61..77], theirs[61..77]);
    let sizes = |batch: &[u8]| {
        let (mut at, mut sizes) = (77, Vec::new());
        while at < batch.len() {
            let length = u32::from_be_bytes(batch[at..at + 4].try_into().unwrap()) as usize;
            sizes.push(snap::raw::decompress_len(&batch[at + 4..at + 4 + length]).unwrap());
            at += 4 + length;
        }
        sizes
    };
    assert_eq!(sizes(&ours), sizes(&theirs));
}
