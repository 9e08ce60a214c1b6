//! Subscriptions and assignments: the same bytes and values as Java, and hostile ones.

use std::fmt;

use leat_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, ConsumerProtocolTopicPartitions, read, write,
};
use leat_protocol::wire::ErrorKind;
use leat_protocol::{Blob, Bytes};
use proptest::prelude::*;

use crate::golden::{self, Entry};
use crate::random::{Entropy, Random};
use crate::shown;

fn agree<B: Blob + fmt::Debug + PartialEq>(name: &str) {
    let entries = golden::entries(name);
    assert_eq!(entries.len(), 3 * 4, "four versions in three shapes");
    for Entry { version, shape, bytes, json, .. } in entries {
        let title = format!("{name} {version} {shape}");
        let behind_version = Bytes::from([&version.to_be_bytes()[..], &bytes].concat());
        let blob: B = read(behind_version.clone()).unwrap_or_else(|e| panic!("{title}: {e}"));
        shown::assert_same(&shown::parse(&format!("{blob:?}")), &json, &title);
        assert_eq!(write(&blob, version).expect("it encodes"), behind_version, "{title}");
        for len in 0..behind_version.len() {
            assert!(read::<B>(behind_version.slice(..len)).is_err(), "{title} decodes from {len} bytes");
        }
    }
}

#[test]
fn subscriptions_are_those_of_java() {
    agree::<ConsumerProtocolSubscription>("ConsumerProtocolSubscription");
}

#[test]
fn assignments_are_those_of_java() {
    agree::<ConsumerProtocolAssignment>("ConsumerProtocolAssignment");
}

#[test]
fn a_newer_version_is_read_as_the_newest_known() {
    let owned = ConsumerProtocolTopicPartitions { topic: "a".into(), partitions: vec![0, 2] };
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["a".into()],
        owned_partitions: vec![owned],
        generation_id: 7,
        rack_id: Some("r".into()),
        ..ConsumerProtocolSubscription::default()
    };
    let mut newer = write(&subscription, 3).expect("it encodes").to_vec();
    newer[1] = 9;
    newer.extend(b"what is to come");
    assert_eq!(read::<ConsumerProtocolSubscription>(newer.into()), Ok(subscription));
}

#[test]
fn a_version_below_0_is_refused() {
    let error = read::<ConsumerProtocolAssignment>(Bytes::from_static(&[0xff; 40])).expect_err("version -1");
    assert_eq!(error.kind(), &ErrorKind::Version { version: -1, min: 0, max: 3 });
}

proptest! {
    #[test]
    fn random_subscriptions_survive(version in 0..4i16, entropy in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut random =
            Random { entropy: Entropy(&entropy), version, flexible: false, bytes: Vec::new(), tagged: false };
        random.structure(<ConsumerProtocolSubscription as leat_protocol::Message>::LAYOUT);
        let bytes = Bytes::from([&version.to_be_bytes()[..], &random.bytes].concat());
        let blob: ConsumerProtocolSubscription = read(bytes.clone()).expect("it decodes");
        prop_assert_eq!(write(&blob, version).expect("it encodes"), bytes);
    }

    #[test]
    fn random_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read::<ConsumerProtocolSubscription>(bytes.clone().into());
        let _ = read::<ConsumerProtocolAssignment>(bytes.into());
    }
}
