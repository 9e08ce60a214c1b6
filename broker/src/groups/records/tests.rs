//! Golden bytes: records that Apache Kafka 4.3.1 wrote for a confluent-kafka consumer.

use bytes::Bytes;
use leat_protocol::Str;

use super::{Change, GroupValue, MemberValue, OffsetValue};

const GROUP_KEY: &str = "0002 0006 676f6c64656e";
/// Written when the group was made.
const EMPTY_GROUP: &str = "0003 0000 00000000 ffff ffff 000001a1fe165117 00000000";
/// Written when the first rebalance ended.
const STABLE_GROUP: &str = "0003 0008 636f6e73756d6572 00000001 0005 72616e6765 \
    002b 696e73742d312d62393534326366652d666238372d343230312d613736642d663961656533383435616239 000001a1fe165121 00000001 \
    002b 696e73742d312d62393534326366652d666238372d343230312d613736642d663961656533383435616239 0006 696e73742d31 \
    0002 636c 000a 2f3132372e302e302e31 000493e0 0000afc8 0000001a 0003000000010004676f6c640000000000000000ffffffff0000 \
    00000018 0000000000010004676f6c64000000010000000000000000";
const OFFSET_KEY: &str = "0001 0006 676f6c64656e 0004 676f6c64 00000000";
const OFFSET: &str = "0004 0000000000000001 00000000 0f 736f6d65206d6574616461746100 000001a1fe1651bb \
    01 00 10 29b9015a6b314a71a02acc64ad5a6e6b";

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<u8>>().into()
}

/// Decodes as expected and encodes to the same bytes.
fn check(key: &str, value: Option<&str>, expected: &Change) {
    let (key, value) = (bytes(key), value.map(bytes));
    assert_eq!(Change::decode(&key, value.as_ref()).unwrap().as_ref(), Some(expected));
    assert_eq!(expected.encode().unwrap(), (key, value));
}

fn offset() -> OffsetValue {
    OffsetValue {
        offset: 1,
        leader_epoch: 0,
        metadata: Str::from_static("some metadata\0"),
        commit_ms: 0x01a1_fe16_51bb,
        expire_ms: -1,
        topic_id: "29b9015a-6b31-4a71-a02a-cc64ad5a6e6b".parse().unwrap(),
    }
}

#[test]
fn groups_are_as_kafka_writes_them() {
    let group = Str::from_static("golden");
    let empty = GroupValue { state_ms: 0x01a1_fe16_5117, ..GroupValue::default() };
    check(GROUP_KEY, Some(EMPTY_GROUP), &Change::Group { group: group.clone(), value: Some(empty) });

    let id = Str::from_static("inst-1-b9542cfe-fb87-4201-a76d-f9aee3845ab9");
    let member = MemberValue {
        id: id.clone(),
        instance: Some("inst-1".into()),
        client_id: "cl".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout_ms: 300_000,
        session_timeout_ms: 45_000,
        subscription: bytes("0003000000010004676f6c640000000000000000ffffffff0000"),
        assignment: bytes("0000000000010004676f6c64000000010000000000000000"),
    };
    let stable = GroupValue {
        protocol_type: "consumer".into(),
        generation: 1,
        protocol: Some("range".into()),
        leader: Some(id),
        state_ms: 0x01a1_fe16_5121,
        members: vec![member],
    };
    check(GROUP_KEY, Some(STABLE_GROUP), &Change::Group { group: group.clone(), value: Some(stable) });
    check(GROUP_KEY, None, &Change::Group { group, value: None });
}

#[test]
fn offsets_are_as_kafka_writes_them() {
    let change = |value| Change::Offset { group: "golden".into(), topic: "gold".into(), partition: 0, value };
    check(OFFSET_KEY, Some(OFFSET), &change(Some(offset())));
    check(OFFSET_KEY, None, &change(None));
    // An offset with an end of its own is still written in the one version that can say it.
    let expiring = OffsetValue { leader_epoch: -1, expire_ms: 5, topic_id: leat_protocol::Uuid::nil(), ..offset() };
    let (key, value) = change(Some(expiring.clone())).encode().unwrap();
    assert_eq!(Change::decode(&key, value.as_ref()).unwrap(), Some(change(Some(expiring))));
}

#[test]
fn old_versions_are_read() {
    let read = |value: &str| match Change::decode(&bytes(OFFSET_KEY), Some(&bytes(value))).unwrap() {
        Some(Change::Offset { value: Some(value), .. }) => value,
        other => panic!("{other:?}"),
    };
    let old = OffsetValue { leader_epoch: -1, metadata: "m".into(), topic_id: leat_protocol::Uuid::nil(), ..offset() };
    assert_eq!(read("0000 0000000000000001 0001 6d 000001a1fe1651bb"), old);
    assert_eq!(
        read("0001 0000000000000001 0001 6d 000001a1fe1651bb 0000000000000007"),
        OffsetValue { expire_ms: 7, ..old.clone() }
    );
    assert_eq!(read("0002 0000000000000001 0001 6d 000001a1fe1651bb"), old);
    assert_eq!(
        read("0003 0000000000000001 00000009 0001 6d 000001a1fe1651bb"),
        OffsetValue { leader_epoch: 9, ..old.clone() }
    );
    // The first version of a group: no instances, one time-out.
    let value = bytes("0000 0001 63 00000002 ffff ffff 00000001 0001 61 0001 62 0001 63 00000064 00000000 00000001 ff");
    let Some(Change::Group { value: Some(value), .. }) = Change::decode(&bytes(GROUP_KEY), Some(&value)).unwrap()
    else {
        panic!("not a group")
    };
    assert_eq!((value.state_ms, value.members[0].rebalance_timeout_ms), (-1, 100));
    assert_eq!(&value.members[0].assignment[..], [0xff]);
}

#[test]
fn other_records_are_passed_over_and_bad_ones_are_errors() {
    // A KIP-848 group's key.
    assert_eq!(Change::decode(&bytes("0003 0001 61"), None).unwrap(), None);
    assert!(Change::decode(&bytes("0001 0006 67"), None).is_err());
    assert!(Change::decode(&bytes(GROUP_KEY), Some(&bytes("0009"))).is_err());
    let claims_members = "0003 0000 00000000 ffff ffff 0000000000000000 7fffffff";
    assert!(Change::decode(&bytes(GROUP_KEY), Some(&bytes(claims_members))).is_err());
    let long = Change::Group { group: "g".repeat(40_000).into(), value: None };
    assert!(long.encode().is_err());
}
