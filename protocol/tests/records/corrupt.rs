//! Bytes that are wrong in one place: each is named, and none is taken for something else.

use super::{ROOM, T, plain, read, shapes};
use leat_protocol::records::{
    BatchError, BatchHeader, Builder, Compression, check, entry, records, set_max_timestamp, split, validate,
    validate_records,
};
use leat_protocol::{Bytes, ErrorCode};

/// Makes the checksum right again, so that what lies behind it is tested.
fn seal(mut batch: Vec<u8>) -> Bytes {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(batch)
}

/// A batch around the given bytes of records.
fn around(body: &[u8], count: i32) -> Bytes {
    let mut one = plain();
    one.push(T, None, None, &[]);
    let mut batch = one.finish().unwrap()[..61].to_vec();
    batch.extend_from_slice(body);
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    batch[57..61].copy_from_slice(&count.to_be_bytes());
    seal(batch)
}

/// The same bytes of records, but compressed.
fn around_compressed(codec: Compression, body: &[u8], count: i32) -> Bytes {
    let stored = match codec {
        Compression::Zstd => zstd::bulk::compress(body, 1).unwrap(),
        _ => snap::raw::Encoder::new().compress_vec(body).unwrap(),
    };
    let mut batch = around(&stored, count).to_vec();
    batch[22] = codec.id();
    seal(batch)
}

fn code(batch: &Bytes) -> ErrorCode {
    validate(batch, ROOM).unwrap_err().error_code()
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_is_outside_the_checksum() {
    for codec in Compression::ALL {
        let batch = shapes(Builder::new(codec, None)).finish().unwrap();
        for at in 0..batch.len() {
            for bit in 0..8 {
                let mut bad = batch.to_vec();
                bad[at] ^= 1 << bit;
                let result = check(&bad);
                // Base offset and leader epoch are the broker's to write.
                if at < 8 || (12..16).contains(&at) {
                    assert!(result.is_ok(), "byte {at} bit {bit}");
                } else {
                    assert!(result.is_err(), "byte {at} bit {bit}");
                }
            }
        }
    }
}

#[test]
fn a_batch_cut_anywhere_is_cut_off() {
    let batch = shapes(plain()).finish().unwrap();
    for length in 0..batch.len() {
        let error = validate(&batch[..length], ROOM).unwrap_err();
        assert!(matches!(error, BatchError::Truncated { have, .. } if have == length), "{length}: {error}");
        assert_eq!(error.error_code(), ErrorCode::CORRUPT_MESSAGE);
    }
    let longer = [&batch[..], b"x"].concat();
    assert!(matches!(validate(&longer, ROOM), Err(BatchError::Length { .. })));
}

#[test]
fn any_byte_changed_behind_a_right_checksum_never_panics() {
    for codec in Compression::ALL {
        let batch = shapes(Builder::new(codec, None)).finish().unwrap();
        for at in 21..batch.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, batch[at].wrapping_add(1)] {
                let mut bad = batch.to_vec();
                bad[at] = value;
                let bad = seal(bad);
                // Right or wrong, but the same for both ways of looking where nothing is compressed.
                let seen = validate_records(&bad, ROOM);
                if codec == Compression::None && bad[22] & 7 == 0 {
                    assert_eq!(seen, validate(&bad, ROOM));
                }
                if seen.is_ok() {
                    assert_eq!(read(&bad, ROOM).map(|records| records.len()), Ok(7));
                }
                let _ = read(&bad, ROOM);
            }
        }
    }
}

#[test]
fn lengths_that_are_no_batch() {
    let batch = shapes(plain()).finish().unwrap();
    for length in [i32::MIN, -1, 0, 48] {
        let mut bad = batch.to_vec();
        bad[8..12].copy_from_slice(&length.to_be_bytes());
        let error = BatchHeader::parse(&bad).unwrap_err();
        assert_eq!(error, BatchError::Length { length, have: batch.len() });
        assert_eq!(error.error_code(), ErrorCode::CORRUPT_MESSAGE);
        assert_eq!(split(&Bytes::from(bad)).collect::<Vec<_>>(), [Err(error)]);
    }
    let mut bad = batch.to_vec();
    bad[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(validate(&bad, ROOM), Err(BatchError::Truncated { need, .. }) if need == (1 << 31) + 11));
}

#[test]
fn formats_that_do_not_exist() {
    for magic in [-1i8, 3, 127] {
        let mut bad = shapes(plain()).finish().unwrap().to_vec();
        bad[16] = magic as u8;
        let error = validate(&bad, ROOM).unwrap_err();
        assert_eq!(error, BatchError::Magic(magic));
        assert_eq!(error.error_code(), ErrorCode::CORRUPT_MESSAGE);
    }
}

#[test]
fn headers_that_contradict_themselves() {
    let good = shapes(plain()).finish().unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.to_vec();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        seal(bad)
    };
    for count in [i32::MIN, -1, 0, 6, 8, i32::MAX] {
        assert_eq!(code(&with(57, &count.to_be_bytes())), ErrorCode::INVALID_RECORD, "count {count}");
    }
    for delta in [i32::MIN, -2, -1, 0, 5, 7, i32::MAX] {
        assert_eq!(code(&with(23, &delta.to_be_bytes())), ErrorCode::INVALID_RECORD, "last offset delta {delta}");
    }
    // Both wrong in the same way: the records themselves tell.
    let mut both = with(57, &8i32.to_be_bytes()).to_vec();
    both[23..27].copy_from_slice(&7i32.to_be_bytes());
    assert!(matches!(validate(&seal(both), ROOM), Err(BatchError::Record { index: 7, .. })));
    let mut both = with(57, &6i32.to_be_bytes()).to_vec();
    both[23..27].copy_from_slice(&5i32.to_be_bytes());
    assert_eq!(code(&seal(both)), ErrorCode::INVALID_RECORD);

    for codec in 5..8u8 {
        assert_eq!(validate(&with(22, &[codec]), ROOM), Err(BatchError::Compression(codec)));
        assert_eq!(code(&with(22, &[codec])), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    }
    assert_eq!(code(&with(21, &[1])), ErrorCode::INVALID_RECORD);
    assert_eq!(code(&with(22, &[0x80])), ErrorCode::INVALID_RECORD);
    // A producer without an epoch or a sequence.
    assert_eq!(code(&with(43, &9i64.to_be_bytes())), ErrorCode::INVALID_RECORD);
    // Offsets past the largest.
    assert_eq!(code(&with(0, &(i64::MAX - 6).to_be_bytes())), ErrorCode::INVALID_RECORD);
}

#[test]
fn records_that_do_not_parse() {
    let cases: [(&str, &[u8]); 15] = [
        ("no record", &[]),
        ("length cut off", &[0x80]),
        ("length too long", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
        ("length above 32 bits", &[0xfe, 0xff, 0xff, 0xff, 0x7f]),
        ("length negative", &[0x01, 0, 0, 0, 1, 1, 0]),
        ("length past the end", &[0x0e, 0, 0, 0, 1, 1, 0]),
        ("length zero", &[0x00, 0, 0, 0, 1, 1, 0]),
        ("bytes after the headers", &[0x0e, 0, 0, 0, 1, 1, 0, 0]),
        ("key past the end", &[0x0c, 0, 0, 0, 0x40, 1, 0]),
        ("key length -2", &[0x0c, 0, 0, 0, 3, 1, 0]),
        ("value length -2", &[0x0c, 0, 0, 0, 1, 3, 0]),
        ("header count -1", &[0x0c, 0, 0, 0, 1, 1, 1]),
        ("header count without headers", &[0x14, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f]),
        ("null header key", &[0x10, 0, 0, 0, 1, 1, 2, 1, 1]),
        (
            "timestamp of eleven bytes",
            &[0x20, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0, 1, 1, 0],
        ),
    ];
    for (name, body) in cases {
        for batch in [
            around(body, 1),
            around_compressed(Compression::Zstd, body, 1),
            around_compressed(Compression::Snappy, body, 1),
        ] {
            let error = validate_records(&batch, ROOM).unwrap_err();
            assert!(matches!(error, BatchError::Record { index: 0, .. }), "{name}: {error}");
            assert_eq!(error.error_code(), ErrorCode::INVALID_RECORD);
            assert_eq!(read(&batch, ROOM), Err(error), "{name}");
        }
    }
    let good = around(&[0x0c, 0, 0, 0, 1, 1, 0], 1);
    assert_eq!(read(&good, ROOM).unwrap().len(), 1);
    assert!(validate(&around(&[0x0c, 0, 0, 0, 1, 1, 0, 0], 1), ROOM).is_err(), "bytes after the last record");
}

#[test]
fn offsets_that_overlap_go_back_or_leave_the_batch() {
    let record = |delta: u8| [0x0c, 0, 0, delta, 1, 1, 0];
    for deltas in [[0, 0, 4], [2, 0, 4], [0, 4, 2], [0, 2, 6], [1, 2, 4], [0, 2, 1], [0, 2, 2]] {
        // Zigzag: even numbers are 0, 1, 2, 3; odd ones are negative.
        let body: Vec<u8> = deltas.iter().flat_map(|&delta| record(delta)).collect();
        assert_eq!(code(&around(&body, 3)), ErrorCode::INVALID_RECORD, "{deltas:?}");
        assert!(validate_records(&around_compressed(Compression::Zstd, &body, 3), ROOM).is_err(), "{deltas:?}");
    }
    for deltas in [[0, 0, 4], [2, 0, 4], [0, 2, 6], [1, 2, 4]] {
        let body: Vec<u8> = deltas.iter().flat_map(|&delta| record(delta)).collect();
        assert!(matches!(read(&around(&body, 3), ROOM), Err(BatchError::Record { .. })), "{deltas:?}");
    }
}

#[test]
fn timestamps_that_are_none() {
    for timestamp in [-2, i64::MIN] {
        let mut builder = plain();
        builder.push(0, None, None, &[]);
        builder.push(timestamp, None, None, &[]);
        let error = validate(&builder.finish().unwrap(), ROOM).unwrap_err();
        assert_eq!(error, BatchError::Timestamp { index: 1, timestamp });
        assert_eq!(error.error_code(), ErrorCode::INVALID_TIMESTAMP);
    }
}

#[test]
fn a_wrong_largest_timestamp_is_found_and_can_be_put_right() {
    let mut builder = plain();
    for timestamp in [5, 9, 7] {
        builder.push(T + timestamp, None, None, &[]);
    }
    let mut batch = builder.finish().unwrap().to_vec();
    set_max_timestamp(&mut batch, T + 7);
    let found = validate(&batch, ROOM).unwrap();
    assert_eq!(found.max_timestamp, T + 9);
    set_max_timestamp(&mut batch, found.max_timestamp);
    assert_eq!(BatchHeader::parse(&batch).unwrap(), validate(&batch, ROOM).unwrap());
}

#[test]
fn errors_end_an_iteration() {
    let body = [0x0c, 0, 0, 0, 1, 1, 0, 0xff];
    let mut iter = records(&around(&body, 3), ROOM).unwrap();
    assert!(iter.next().unwrap().is_ok());
    assert!(iter.next().unwrap().is_err());
    assert!(iter.next().is_none());
}

#[test]
fn entries_of_another_release_are_not_passed_over() {
    let mut frame = entry::frame(entry::EntryKind::Tick, 7, 3, b"payload").to_vec();
    frame[61] = 200;
    let frame = seal(frame);
    assert_eq!(entry::parse(&frame), Err(BatchError::EntryKind(200)));
    assert!(entry::parse(&frame[..65]).is_err());
    let mut empty = frame[..61].to_vec();
    empty[8..12].copy_from_slice(&49i32.to_be_bytes());
    assert!(matches!(entry::parse(&seal(empty)), Err(BatchError::Header(_))));
}

#[test]
fn an_error_says_what_and_where() {
    let mut builder = plain();
    builder.push(0, None, Some(b"x"), &[]);
    let mut batch = builder.finish().unwrap().to_vec();
    let last = batch.len() - 1;
    batch[last] = 9;
    let crc = validate(&batch, ROOM).unwrap_err().to_string();
    assert!(crc.starts_with("CRC-32C of the batch is 0x"), "{crc}");
    let record = validate(&seal(batch), ROOM).unwrap_err().to_string();
    assert_eq!(record, "record 0 of the batch is invalid: its header count is negative");
}
