//! Cut and changed bytes give errors, no panic, and reserve no memory.

use leat_protocol::messages::{FetchRequest, Message, MetadataRequest, ProduceRequest};
use leat_protocol::wire::{ErrorKind, Reader};
use leat_protocol::{APIS, Bytes};

use crate::golden::{self, Golden};

#[test]
fn every_golden_cut_at_every_byte_is_an_error() {
    for Golden { codec, version, shape, bytes, .. } in golden::all() {
        for len in 0..bytes.len() {
            let result = (codec.decode)(bytes.slice(..len), version);
            assert!(result.is_err(), "{codec:?} {version} {shape} decodes from {len} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn a_byte_after_the_end_is_found() {
    for Golden { codec, version, bytes, .. } in golden::all() {
        let longer = Bytes::from([&bytes[..], &[0]].concat());
        let error = (codec.decode)(longer, version).expect_err("a byte too many");
        assert_eq!(error.kind(), &ErrorKind::Trailing(1), "{codec:?} {version}");
    }
}

/// The worst lengths there are, at every place where a length could be.
#[test]
fn hostile_lengths_at_every_byte_are_no_panic() {
    let lengths: [&[u8]; 7] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0x80, 0x00, 0x00, 0x00],
        &[0xff, 0xff, 0xff, 0xfe],
        &[0x7f, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    for Golden { codec, version, bytes, .. } in golden::all() {
        for at in 0..bytes.len() {
            for length in lengths {
                let end = bytes.len().min(at + length.len());
                let hostile = [&bytes[..at], length, &bytes[end..]].concat();
                // It may still be a message, if what was changed was no length.
                let _ = (codec.decode)(Bytes::from(hostile), version);
            }
        }
    }
}

#[test]
fn an_array_that_the_frame_cannot_hold_is_refused_at_once() {
    // Metadata 1: a count of topics, and two bytes where a name should be.
    let frame = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 0]);
    let error = MetadataRequest::decode(&mut Reader::new(frame), 1).expect_err("too many topics");
    assert_eq!(error.kind(), &ErrorKind::Array { claimed: 0x7fff_ffff, left: 2 });
    assert_eq!(
        error.to_string(),
        "MetadataRequest.topics: an array of 2147483647 elements can't be in the 2 bytes that are left"
    );
}

#[test]
fn a_claim_that_fits_the_frame_reserves_little() {
    let frame = Bytes::from(vec![0; 64 << 20]);
    let reader = Reader::new(frame);
    let reserved: Vec<[u8; 64]> = reader.vec(64 << 20, 1).expect("as many as there are bytes");
    assert!(reserved.capacity() * 64 <= 64 << 10, "{} elements", reserved.capacity());
    assert!(reader.vec::<i32>(20 << 20, 4).is_err(), "20 Mi numbers are more than 64 MiB");
}

#[test]
fn a_version_that_is_not_known_is_refused() {
    for api in APIS {
        for version in [api.versions.min - 1, api.versions.max + 1, i16::MIN, i16::MAX] {
            for codec in crate::codecs::all().iter().filter(|codec| codec.api == api.key) {
                let error = (codec.decode)(Bytes::from_static(&[0; 64]), version).expect_err("no such version");
                let (min, max) = (api.versions.min, api.versions.max);
                assert_eq!(error.kind(), &ErrorKind::Version { version, min, max });
            }
        }
    }
}

#[test]
fn null_where_the_version_has_none_is_refused() {
    // Metadata 0 has no null array of topics.
    let error = MetadataRequest::decode(&mut Reader::new(Bytes::from_static(&[0xff; 4])), 0).expect_err("null");
    assert_eq!(error.kind(), &ErrorKind::Null);
    assert!(MetadataRequest::decode(&mut Reader::new(Bytes::from_static(&[0xff; 4])), 1).is_ok());
}

#[test]
fn a_tagged_field_must_fill_its_size() {
    // Fetch 12 with no topics, then the tagged field 0 (cluster id): 3 bytes long, of which the string takes 2.
    let mut frame = vec![0; 4 * 4 + 1 + 4 + 4];
    frame.extend([1, 1, 1, 1, 0, 3, 2, b'a', 0]);
    let error = FetchRequest::decode(&mut Reader::new(Bytes::from(frame)), 12).expect_err("a byte is left");
    assert_eq!(error.kind(), &ErrorKind::TaggedField { tag: 0, left: 1 });
}

#[test]
fn a_string_that_is_not_utf8_is_refused() {
    let frame = Bytes::from_static(&[0, 0, 0, 1, 0, 1, 0xff]);
    let error = MetadataRequest::decode(&mut Reader::new(frame), 1).expect_err("not UTF-8");
    assert_eq!((error.kind(), error.field()), (&ErrorKind::Utf8, "MetadataRequestTopic.name"));
}

#[test]
fn records_share_the_memory_of_the_frame() {
    let golden = golden::all()
        .into_iter()
        .find(|golden| golden.codec.layout.name == "ProduceRequest" && golden.version == 9 && golden.shape == "full");
    let frame = golden.expect("it is there").bytes;
    let request = ProduceRequest::decode(&mut Reader::new(frame.clone()), 9).expect("it decodes");
    let records = request.topic_data[0].partition_data[0].records.as_ref().and_then(|r| r.bytes()).expect("records");
    assert!(frame.as_ptr_range().contains(&records.as_ptr()));
}
