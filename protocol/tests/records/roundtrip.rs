//! Whatever goes in comes out, in every codec.

use super::{plain, read};
use leat_protocol::records::{
    BatchError, Builder, Compression, Header, Record, RecordIter, entry, records, split, validate, validate_records,
};
use leat_protocol::{Bytes, Str};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..40),
        1 => vec(Just(7u8), 0..70_000),
    ]
    .prop_map(Bytes::from)
}

fn some_headers() -> impl Strategy<Value = Vec<Header>> {
    vec((".{0,8}", option::of(bytes())).prop_map(|(key, value)| Header { key: Str::from(key), value }), 0..3)
}

/// A record's timestamp, key, value and headers.
type Parts = (i64, Option<Bytes>, Option<Bytes>, Vec<Header>);

fn parts() -> impl Strategy<Value = Vec<Parts>> {
    let timestamp = prop_oneof![4 => 0..2_000_000_000_000i64, 1 => Just(-1), 1 => 0..i64::MAX];
    vec((timestamp, option::of(bytes()), option::of(bytes()), some_headers()), 1..30)
}

fn build(codec: Compression, level: Option<i32>, parts: &[Parts]) -> Bytes {
    let mut builder = Builder::new(codec, level);
    for (timestamp, key, value, headers) in parts {
        let before = builder.estimated_size();
        builder.push(*timestamp, key.as_deref(), value.as_deref(), headers);
        let most = Builder::record_size(key.as_deref(), value.as_deref(), headers);
        assert!(builder.estimated_size() - before <= most);
    }
    assert_eq!(builder.len(), parts.len());
    builder.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn records_come_back(parts in parts(), codec in 0..5u8, level in option::of(1..9i32)) {
        let batch = build(Compression::from_id(codec).unwrap(), level, &parts);
        let header = validate(&batch, usize::MAX).unwrap();
        prop_assert_eq!(header.max_timestamp, parts.iter().map(|part| part.0).max().unwrap());
        prop_assert_eq!(header.base_timestamp, parts[0].0);
        prop_assert_eq!(validate_records(&batch, usize::MAX), Ok(header));

        let expected: Vec<_> = (0..).zip(&parts).map(|(offset, (timestamp, key, value, headers))| Record {
            offset, timestamp: *timestamp, key: key.clone(), value: value.clone(), headers: headers.clone(),
        }).collect();
        prop_assert_eq!(read(&batch, usize::MAX), Ok(expected));
    }

    #[test]
    fn by_reference_is_the_same_as_owned(parts in parts()) {
        let batch = build(Compression::None, None, &parts);
        let owned = read(&batch, 0).unwrap();
        let mut iter = records(&batch, 0).unwrap();
        for record in owned {
            let seen = iter.next_ref().unwrap().unwrap();
            prop_assert_eq!((seen.offset, seen.timestamp), (record.offset, record.timestamp));
            prop_assert_eq!((seen.key, seen.value), (record.key.as_deref(), record.value.as_deref()));
            prop_assert_eq!(seen.headers.len(), record.headers.len());
        }
        prop_assert!(iter.next_ref().is_none());
    }

    #[test]
    fn batches_split_where_they_meet(sizes in vec(0..200usize, 1..6), cut in 1..100usize) {
        let batches: Vec<_> = sizes.iter().map(|&size| {
            let mut builder = plain();
            builder.push(0, None, Some(&vec![1; size]), &[]);
            builder.finish().unwrap()
        }).collect();
        let all = Bytes::from(batches.concat());
        let found: Vec<_> = split(&all).map(|item| item.unwrap().1).collect();
        prop_assert_eq!(&found, &batches);

        // A fetch may end anywhere: what is whole is read, the rest is named as cut off.
        let short = all.slice(..all.len() - cut.min(batches[batches.len() - 1].len() - 1));
        let mut items: Vec<_> = split(&short).collect();
        let last = items.pop().unwrap().unwrap_err();
        let cut_off = matches!(last, BatchError::Truncated { .. });
        prop_assert!(cut_off);
        prop_assert_eq!(items.len(), batches.len() - 1);
    }

    #[test]
    fn entries_come_back(kind in 0..11u8, base in 0..i64::MAX, term in -1..i32::MAX, payload in vec(any::<u8>(), 0..300)) {
        let kind = entry::EntryKind::from_id(kind).unwrap();
        let frame = entry::frame(kind, base, term, &payload);
        let header = leat_protocol::records::check(&frame).unwrap();
        prop_assert!(header.is_entry() && header.is_control() && !header.is_transactional());
        prop_assert_eq!((header.base_offset, header.next_offset()), (base, base));
        prop_assert_eq!((header.partition_leader_epoch, header.size()), (term, frame.len()));
        prop_assert_eq!(entry::parse(&frame), Ok(Some((kind, &payload[..]))));
        // No consumer sees it as records, no producer can send it.
        prop_assert_eq!(read(&frame, 0), Ok(vec![]));
        prop_assert!(validate(&frame, usize::MAX).is_err());
    }

    #[test]
    fn anything_at_all_is_an_error_and_not_a_panic(mut noise in vec(any::<u8>(), 61..400), codec in 0..8u8) {
        noise[16] = 2;
        noise[21] = 0;
        noise[22] = codec;
        noise[57..61].copy_from_slice(&5i32.to_be_bytes());
        noise[23..27].copy_from_slice(&4i32.to_be_bytes());
        let length = noise.len() as i32 - 12;
        noise[8..12].copy_from_slice(&length.to_be_bytes());
        let batch = Bytes::from(noise);
        let header = leat_protocol::records::BatchHeader::parse(&batch).unwrap();
        if let Ok(iter) = RecordIter::new(header, &batch, 4096) {
            prop_assert!(iter.count() <= 5);
        }
    }
}
