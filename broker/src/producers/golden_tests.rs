//! The saved form byte by byte, and what is not read.

use super::tests::header;
use super::{DecodeError, ProducerState};
use leat_protocol::records::BatchHeader;

/// Two producers, one with two batches; written by hand from the layout in `codec.rs`, its CRC taken with zlib.
const GOLDEN: &str = "01 ee8af93d\
    0000000000000005 000000000000000f\
    00000002\
    0000000000000007 0002 0000000000000005 ffffffffffffffff ffffffff 02\
    0000000000000000 000000000000000a 00000002 00000000\
    0000000000000004 000000000000000f 00000000 00000003\
    0000000000000009 0000 0000000000000000 ffffffffffffffff ffffffff 01\
    0000000000000003 0000000000000009 00000000 7fffffff\
    00000000";

fn golden() -> Vec<u8> {
    let digits: Vec<u8> = GOLDEN.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn state() -> ProducerState {
    let mut producers = ProducerState::default();
    let batches = [(header(7, 2, 0, 3), 0, 10), (header(9, 0, i32::MAX, 1), 3, 9), (header(7, 2, 3, 1), 4, 15)];
    for (index, (batch, base_offset, max_timestamp)) in (1..).zip(batches) {
        producers.append(index, &BatchHeader { base_offset, max_timestamp, ..batch });
    }
    producers.commit(3);
    producers
}

fn with_crc(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&bytes[5..]);
    bytes[1..5].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[test]
fn the_saved_form_is_as_documented() {
    assert_eq!(state().encode(), golden());
}

#[test]
fn what_was_saved_is_read_back() {
    let read = ProducerState::decode(&golden()).unwrap();
    assert_eq!(read.encode(), golden());
    assert_eq!(read.active(), state().active());
}

#[test]
fn no_producers_are_no_bytes() {
    assert!(ProducerState::default().encode().is_empty());
    assert_eq!(ProducerState::default().checksum(), 0);
    assert!(ProducerState::decode(&[]).unwrap().0.is_none());
}

#[test]
fn damage_is_found() {
    let good = golden();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(ProducerState::decode(&bad).is_err(), "bit flipped at {at}");
        assert!(ProducerState::decode(&good[..at]).is_err() || at == 0, "cut at {at}");
    }
}

#[test]
fn damage_under_a_good_crc_is_found() {
    let refused = |at: usize, value: &[u8]| {
        let mut bytes = golden();
        bytes[at..at + value.len()].copy_from_slice(value);
        ProducerState::decode(&with_crc(bytes)).unwrap_err()
    };
    assert!(matches!(refused(21, &[0xff; 4]), DecodeError::Truncated { .. }), "more producers than bytes");
    assert!(matches!(refused(25, &9i64.to_be_bytes()), DecodeError::Invalid { .. }), "the same id twice");
    assert!(matches!(refused(55, &[6]), DecodeError::Invalid { .. }), "six batches");
    assert!(matches!(refused(43, &0i64.to_be_bytes()), DecodeError::Transactions), "an open transaction");
    let end = golden().len();
    assert!(matches!(refused(end - 4, &1u32.to_be_bytes()), DecodeError::Transactions), "an aborted range");

    let mut longer = golden();
    longer.push(0);
    assert!(matches!(ProducerState::decode(&with_crc(longer)), Err(DecodeError::Invalid { .. })));
    let mut newer = golden();
    newer[0] = 2;
    assert!(matches!(ProducerState::decode(&newer), Err(DecodeError::Version { found: 2 })));
}
