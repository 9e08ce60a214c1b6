//! Batches that are not what they say. Codes are those that Apache Kafka 4.3.1 answers.

use leat_protocol::ErrorCode;
use leat_protocol::records::{BatchHeader, Compression};

use crate::harness::{Partition, batch, batch_of, bytes_of, is_leat, now_ms, seal, skip_unless_leat};

/// Sends each; all must be refused with its code, and leave nothing behind.
fn refused(cases: &[(&str, Vec<u8>, &[ErrorCode])]) {
    let mut partition = Partition::new("bad-batches");
    for (what, bytes, codes) in cases {
        let answer = partition.produce(bytes.clone());
        // Kafka stumbles over some of them.
        let stumbled = !is_leat() && answer.error_code == ErrorCode::UNKNOWN_SERVER_ERROR;
        assert!(
            stumbled || codes.contains(&answer.error_code),
            "{what}: {:?} {:?}",
            answer.error_code,
            answer.error_message
        );
        assert_eq!(answer.base_offset, -1, "{what}");
    }
    assert_eq!(partition.append(batch(&["good"])), 0);
}

fn changed(changes: &[(usize, &[u8])]) -> Vec<u8> {
    seal(&batch(&["a", "b", "c"]), changes).to_vec()
}

const CORRUPT: &[ErrorCode] = &[ErrorCode::CORRUPT_MESSAGE];
const INVALID: &[ErrorCode] = &[ErrorCode::INVALID_RECORD];
/// Where Kafka's code depends on which of its checks comes first.
const EITHER: &[ErrorCode] = &[ErrorCode::CORRUPT_MESSAGE, ErrorCode::INVALID_RECORD];

#[test]
fn checksums_that_do_not_hold() {
    let whole = batch(&["a", "b"]).to_vec();
    let mut cases = Vec::new();
    for at in [17, 21, 23, 40, 60, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        cases.push(("a flipped bit", bytes, CORRUPT));
    }
    refused(&cases);
}

#[test]
fn lengths_that_do_not_fit() {
    let whole = batch(&["a", "b"]).to_vec();
    let length = |length: i32| seal(&batch(&["a", "b"]), &[(8, &length.to_be_bytes())]).to_vec();
    refused(&[
        ("cut by one byte", whole[..whole.len() - 1].to_vec(), EITHER),
        ("cut in the header", whole[..40].to_vec(), EITHER),
        ("a few bytes", whole[..5].to_vec(), EITHER),
        ("a length of 0", length(0), EITHER),
        ("a length of -1", length(-1), EITHER),
        ("the smallest length", length(i32::MIN), EITHER),
        ("the largest length", length(i32::MAX), EITHER),
        ("a length one too short", length(i32::try_from(whole.len()).unwrap() - 13), EITHER),
    ]);
}

#[test]
fn counts_and_deltas_that_contradict_the_records() {
    refused(&[
        ("a count one too high", changed(&[(57, &4i32.to_be_bytes())]), INVALID),
        ("a count one too low", changed(&[(57, &2i32.to_be_bytes())]), INVALID),
        ("a count of 0", changed(&[(57, &0i32.to_be_bytes())]), INVALID),
        ("a negative count", changed(&[(57, &(-1i32).to_be_bytes())]), INVALID),
        ("a huge count", changed(&[(57, &i32::MAX.to_be_bytes())]), INVALID),
        ("a delta one too high", changed(&[(23, &3i32.to_be_bytes())]), INVALID),
        ("a negative delta", changed(&[(23, &(-1i32).to_be_bytes())]), EITHER),
        (
            "a count and a delta that agree with one another only",
            changed(&[(23, &9i32.to_be_bytes()), (57, &10i32.to_be_bytes())]),
            INVALID,
        ),
    ]);
}

#[test]
fn old_formats() {
    let magic = |magic: u8| changed(&[(16, &[magic])]);
    let unsupported =
        &[ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT, ErrorCode::INVALID_RECORD, ErrorCode::CORRUPT_MESSAGE];
    refused(&[
        ("magic 0", magic(0), unsupported),
        ("magic 1", magic(1), unsupported),
        ("magic 3", magic(3), unsupported),
        ("magic -1", magic(0xff), unsupported),
    ]);
}

#[test]
fn records_that_do_not_parse() {
    // The first record begins at 61 with its length; its attributes, deltas, key and value follow.
    refused(&[
        ("a negative record length", changed(&[(61, &[1])]), INVALID),
        ("a record length past the end", changed(&[(61, &[0x7e])]), INVALID),
        ("a varint without end", changed(&[(61, &[0xff; 8])]), INVALID),
        ("a value length past the record", changed(&[(66, &[0x7e])]), INVALID),
        ("a value length below -1", changed(&[(66, &[3])]), INVALID),
    ]);
}

/// Kafka lets these through.
#[test]
fn deltas_that_overlap() {
    if skip_unless_leat("deltas_that_overlap") {
        return;
    }
    refused(&[
        ("an offset delta that repeats", changed(&[(61 + 8 + 3, &[0])]), INVALID),
        ("an offset delta that leaps", changed(&[(61 + 8 + 3, &[4])]), INVALID),
        ("a negative offset delta", changed(&[(61 + 3, &[1])]), INVALID),
    ]);
}

#[test]
fn an_unknown_codec() {
    for codec in 5..8i16 {
        let mut partition = Partition::new("codec");
        let answer = partition.produce(changed(&[(21, &codec.to_be_bytes())]));
        assert_ne!(answer.error_code, ErrorCode::NONE, "codec {codec}");
        assert_eq!(partition.append(batch(&["good"])), 0);
    }
}

/// A compressed batch is checked by header, checksum and size on append; what is wrong inside is found by whoever decodes
/// it. It must never be passed on as something else.
#[test]
fn compressed_rubbish_is_refused_or_read_back_as_the_same_rubbish() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let mut partition = Partition::new("rubbish");
        let good = batch_of(codec, &[&"words ".repeat(50)]);
        let rubbish = seal(&good, &[(61, &[0xa5; 12])]);
        let answer = partition.produce(rubbish.clone());
        if answer.error_code == ErrorCode::NONE {
            let stored = bytes_of(&partition.fetch(0));
            assert_eq!(stored[21..], rubbish[21..]);
        }
        assert!(partition.append(batch(&["good"])) <= 1);
    }
}

#[test]
fn timestamps_that_are_none() {
    let now = now_ms();
    let times = |base: i64, max: i64| changed(&[(27, &base.to_be_bytes()), (35, &max.to_be_bytes())]);
    let mut partition = Partition::new("times");
    for (base, max) in [(i64::MIN, now), (now, i64::MAX), (i64::MAX, i64::MAX)] {
        if partition.produce(times(base, max)).error_code == ErrorCode::NONE {
            let end = partition.offset_for(-1).offset;
            let stored = BatchHeader::parse(&bytes_of(&partition.fetch(end - 1))).unwrap();
            assert!(stored.base_timestamp > 0 && stored.max_timestamp < now + 3_600_000, "{base}, {max}");
        }
    }
}
