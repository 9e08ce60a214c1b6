//! Golden bytes of log and snapshot, refusals, and a model: any records, any snapshot in between, the same image.

use std::collections::BTreeMap;

use leat_protocol::{ErrorCode, Uuid};
use proptest::prelude::*;

use super::record::*;
use super::*;

fn id(n: u8) -> Vec<u8> {
    vec![n; 16]
}

fn created(name: &str, topic: u8, partitions: usize) -> Record {
    Kind::TopicCreated(TopicCreated {
        name: name.to_owned(),
        id: id(topic),
        partitions: vec![Placement { nodes: vec![0] }; partitions],
        configs: vec![ConfigEntry::set("retention.ms", "5")],
    })
    .into()
}

fn added(topic: u8, first: i32, more: usize) -> Record {
    let partitions = vec![Placement { nodes: vec![0, 1] }; more];
    Kind::PartitionsAdded(PartitionsAdded { topic_id: id(topic), first, partitions }).into()
}

fn deleted(topic: u8) -> Record {
    Kind::TopicDeleted(TopicDeleted { topic_id: id(topic) }).into()
}

fn applied(records: &[Record]) -> Image {
    let mut image = Image::default();
    for record in records {
        image.apply(record).expect("a record that fits");
    }
    image
}

#[test]
fn records_have_these_bytes() {
    let batch = Batch::from(vec![created("a", 7, 2), deleted(7)]);
    let mut expected = vec![0x0A, 52, 0x0A, 50, 0x0A, 1, b'a', 0x12, 16];
    expected.extend([7; 16]);
    expected.extend([0x1A, 3, 0x0A, 1, 0, 0x1A, 3, 0x0A, 1, 0]);
    expected.extend([0x22, 17, 0x0A, 12]);
    expected.extend(b"retention.ms");
    expected.extend([0x12, 1, b'5']);
    expected.extend([0x0A, 20, 0x1A, 18, 0x0A, 16]);
    expected.extend([7; 16]);
    assert_eq!(batch.encode(), expected);
    assert_eq!(Batch::decode(&expected), Ok(batch));
}

#[test]
fn a_snapshot_has_these_bytes() {
    let image = applied(&[
        Kind::BrokerRegistered(BrokerRegistered {
            node_id: 3,
            listeners: vec![],
            rack: None,
            ..BrokerRegistered::default()
        })
        .into(),
        Kind::ProducerIdsAllocated(ProducerIdsAllocated { node_id: 3, count: 10 }).into(),
    ]);
    let bytes = image.to_snapshot();
    assert_eq!(bytes[..16], *b"LEATIMAG\0\x01\0\0\0\0\0\x0A");
    assert_eq!(bytes[20..], [0x08, 2, 0x10, 10, 0x18, 1, 0x2A, 2, 0x08, 3]);
    assert_eq!(Image::from_snapshot(&bytes), Ok(image));
}

#[test]
fn any_flipped_bit_and_any_cut_of_a_snapshot_is_found() {
    let bytes = applied(&[created("a", 1, 1)]).to_snapshot();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Image::from_snapshot(&bad).is_err(), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(Image::from_snapshot(&bytes[..length]).is_err(), "length {length}");
    }
}

#[test]
fn a_newer_release_is_named_as_such() {
    let mut bytes = Image::default().to_snapshot();
    bytes[9] = 2;
    assert_eq!(Image::from_snapshot(&bytes), Err(Error::NewerFormat { found: 2, known: 1 }));
    let unknown = [0x0A, 3, 0xC2, 0x02, 0]; // a record of kind 40
    assert_eq!(Batch::decode(&unknown), Err(Error::UnknownRecord));
}

#[test]
fn a_topic_is_found_by_name_and_by_id_until_it_is_deleted() {
    let mut image = applied(&[created("a", 1, 2)]);
    let topic = image.topic("a").expect("a topic").clone();
    assert_eq!(image.topic_by_id(topic.id), Some(&topic));
    assert_eq!((topic.partition_count(), topic.replication_factor(), image.partition_count()), (2, 1, 2));
    let before = image.clone();
    image.apply(&deleted(1)).expect("deleted");
    assert_eq!((image.topic("a"), image.topic_by_id(topic.id), image.partition_count()), (None, None, 0));
    assert!(before.topic("a").is_some(), "a published image never moves");
    assert_eq!(image.apply(&deleted(1)).expect_err("gone").error_code(), ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn replica_ids_begin_at_one_and_are_never_given_again() {
    let image = applied(&[created("a", 1, 2), deleted(1), created("a", 2, 1), added(2, 1, 1)]);
    let topic = image.topic("a").expect("a topic");
    let ids: Vec<u64> =
        topic.partitions.iter().flat_map(|partition| &partition.replicas).map(|replica| replica.id).collect();
    assert_eq!(ids, [3, 4, 5]);
    assert_eq!(topic.partitions[1].replica_on(1).map(|replica| replica.id), Some(5));
}

#[test]
fn a_refused_record_changes_nothing() {
    let image = applied(&[created("a", 1, 2)]);
    for (record, code) in [
        (created("a", 2, 1), ErrorCode::TOPIC_ALREADY_EXISTS),
        (created("b", 1, 1), ErrorCode::INVALID_REQUEST),
        (created("b", 2, 0), ErrorCode::INVALID_REQUEST),
        (created("b", 0, 1), ErrorCode::INVALID_REQUEST),
        (added(1, 1, 1), ErrorCode::INVALID_PARTITIONS),
        (added(9, 0, 1), ErrorCode::UNKNOWN_TOPIC_ID),
    ] {
        let mut after = image.clone();
        assert_eq!(after.apply(&record).expect_err("refused").error_code(), code);
        assert_eq!(after, image);
    }
}

#[test]
fn producer_ids_never_overlap() {
    let mut image = Image::default();
    let record: Record = Kind::ProducerIdsAllocated(ProducerIdsAllocated { node_id: 0, count: 1000 }).into();
    assert_eq!(image.apply(&record), Ok(Outcome::ProducerIds(0..1000)));
    assert_eq!(image.apply(&record), Ok(Outcome::ProducerIds(1000..2000)));
}

#[test]
fn configurations_are_set_and_taken_out_key_by_key() {
    let change =
        |node_id, changes| -> Record { Kind::BrokerConfigChanged(BrokerConfigChanged { node_id, changes }).into() };
    let mut image = applied(&[
        change(None, vec![ConfigEntry::set("a", "1"), ConfigEntry::set("b", "2")]),
        change(None, vec![ConfigEntry::unset("a")]),
        change(Some(0), vec![ConfigEntry::set("a", "3")]),
    ]);
    assert_eq!(image.cluster_configs(), &BTreeMap::from([("b".to_owned(), "2".to_owned())]));
    assert_eq!(image.broker_configs(0).map(BTreeMap::len), Some(1));
    image.apply(&change(Some(0), vec![ConfigEntry::unset("a")])).expect("changed");
    assert_eq!(image.configured_brokers().count(), 0);
}

#[test]
fn ten_thousand_topics_are_made_one_published_image_each_without_deep_copies() {
    let mut image = Image::default();
    let mut published = Vec::new();
    for n in 0..10_000u32 {
        let id = Uuid::from_u128(u128::from(n) + 1).as_bytes().to_vec();
        let partitions = vec![Placement { nodes: vec![0] }];
        let record = TopicCreated { name: format!("t{n}"), id, partitions, configs: vec![] };
        image.apply(&Kind::TopicCreated(record).into()).expect("created");
        published.push(image.clone());
    }
    assert_eq!((image.topic_count(), published[4_999].topic_count()), (10_000, 5_000));
    assert_eq!(Image::from_snapshot(&image.to_snapshot()).as_ref(), Ok(&image));
}

fn any_record() -> impl Strategy<Value = Record> {
    let config = || {
        let value = proptest::option::of("[a-c0-9]{0,3}");
        proptest::collection::vec(("[a-c]", value).prop_map(|(key, value)| ConfigEntry { key, value }), 0..4)
    };
    prop_oneof![
        ("[a-e]", 0u8..6, 0usize..4).prop_map(|(name, topic, partitions)| created(&name, topic, partitions)),
        (0u8..6, 0i32..5, 0usize..3).prop_map(|(topic, first, more)| added(topic, first, more)),
        (0u8..6).prop_map(deleted),
        (0u8..6, config()).prop_map(|(topic, changes)| {
            Kind::TopicConfigChanged(TopicConfigChanged { topic_id: id(topic), changes }).into()
        }),
        (proptest::option::of(0i32..3), config()).prop_map(|(node_id, changes)| {
            Kind::BrokerConfigChanged(BrokerConfigChanged { node_id, changes }).into()
        }),
        (0u32..3, 0i32..3).prop_map(|(count, node_id)| Kind::ProducerIdsAllocated(ProducerIdsAllocated {
            node_id,
            count
        })
        .into()),
        (0i32..3, proptest::option::of("[a-z]{1,3}")).prop_map(|(node_id, rack)| {
            let listeners = vec![Endpoint { name: "PLAINTEXT".into(), host: "h".into(), port: 9092 }];
            Kind::BrokerRegistered(BrokerRegistered { node_id, listeners, rack, ..BrokerRegistered::default() }).into()
        }),
        ("[a-c]", 0u32..3).prop_map(|(name, level)| Kind::FeatureSet(FeatureSet { name, level }).into()),
    ]
}

proptest! {
    #[test]
    fn a_snapshot_between_any_two_records_makes_no_difference(
        records in proptest::collection::vec(any_record(), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(records.len() + 1);
        let mut whole = Image::default();
        let mut restored = Image::default();
        for (at, record) in records.iter().enumerate() {
            if at == cut {
                restored = Image::from_snapshot(&restored.to_snapshot()).expect("a snapshot");
            }
            prop_assert_eq!(whole.apply(record), restored.apply(record));
        }
        prop_assert_eq!(whole.to_snapshot(), restored.to_snapshot());
        prop_assert_eq!(&whole, &restored);
        let counted: u64 = whole.topics().map(|topic| topic.partitions.len() as u64).sum();
        prop_assert_eq!(counted, whole.partition_count());
        for topic in whole.topics() {
            prop_assert_eq!(whole.topic_by_id(topic.id), Some(topic));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Batch::decode(&bytes);
        let _ = Image::from_snapshot(&bytes);
    }
}

fn reassigned(topic: u8, nodes: Option<&[i32]>) -> Record {
    let target = nodes.map(|nodes| Placement { nodes: nodes.to_vec() });
    Kind::PartitionReassigned(PartitionReassigned { topic_id: id(topic), partition: 0, target }).into()
}

fn completed(topic: u8, replica_ids: &[u64]) -> Record {
    let replica_ids = replica_ids.to_vec();
    let completed = ReassignmentCompleted { topic_id: id(topic), partition: 0, replica_ids, index: 9, term: 2 };
    Kind::ReassignmentCompleted(completed).into()
}

#[test]
fn a_partition_moves_and_a_move_is_taken_back() {
    let mut image = applied(&[created("a", 7, 1), added(7, 1, 1)]);
    let placed = |image: &Image| image.topic("a").expect("a topic").partitions[0].clone();
    let ids = |replicas: &[Replica]| replicas.iter().map(|replica| replica.id).collect::<Vec<_>>();
    assert_eq!(image.apply(&reassigned(7, None)), Err(Refusal::NoReassignment));
    image.apply(&reassigned(7, Some(&[2, 0]))).expect("a move");
    let moving = placed(&image);
    assert_eq!((ids(&moving.replicas), moving.nodes()), (vec![4, 1], vec![2, 0]), "who is there keeps its id");
    assert_eq!((moving.adding().count(), moving.removing().len()), (1, 0));
    image.apply(&reassigned(7, Some(&[3]))).expect("another one");
    let moving = placed(&image);
    assert_eq!((ids(&moving.replicas), ids(moving.removing())), (vec![5], vec![4, 1]));
    assert_eq!(Image::from_snapshot(&image.to_snapshot()), Ok(image.clone()));
    assert_eq!(image.apply(&completed(7, &[4, 1])), Err(Refusal::NoReassignment), "not what is wanted by now");
    image.apply(&reassigned(7, None)).expect("taken back");
    let back = placed(&image);
    assert_eq!((ids(&back.replicas), ids(back.removing())), (vec![1], vec![4, 5]));
    image.apply(&completed(7, &[1])).expect("an end");
    assert_eq!((placed(&image).change, placed(&image).decided), (None, (9, 2)));
    image.apply(&reassigned(7, Some(&[3]))).expect("a move");
    image.apply(&completed(7, &[6])).expect("an end");
    let moved = placed(&image);
    assert_eq!((moved.nodes(), ids(&moved.founders)), (vec![3], vec![1]), "an id is never given twice");
    assert_eq!(Image::from_snapshot(&image.to_snapshot()), Ok(image));
}

#[test]
fn a_broker_that_joins_votes_where_that_makes_an_odd_number() {
    let joined = |node_id: i32| -> Record {
        let founders = vec![MetadataReplica { node_id: 1, replica_id: 1 }];
        let (folder, peer) = (vec![node_id as u8; 16], format!("h:{node_id}"));
        Kind::BrokerJoined(BrokerJoined { node_id, folder, peer, founders }).into()
    };
    let mut image = Image::default();
    let mut voters = Vec::new();
    for node in 2..=7 {
        image.apply(&joined(node)).expect("a new broker");
        voters.push((image.metadata().replicas.len(), image.metadata().observers.len()));
    }
    assert_eq!(voters, [(1, 1), (3, 0), (3, 1), (5, 0), (5, 1), (5, 2)]);
    assert_eq!(image.apply(&joined(7)), Ok(Outcome::Done), "asked twice");
    assert_eq!(image.metadata().wanted_ids(), [1, 2, 3, 4, 5, 6, 7]);
    let other = Kind::BrokerJoined(BrokerJoined { node_id: 7, folder: id(9), ..BrokerJoined::default() });
    assert!(matches!(image.apply(&other.into()), Err(Refusal::Invalid(_))), "another folder");
    assert_eq!(Image::from_snapshot(&image.to_snapshot()), Ok(image.clone()));
    let topic_id = vec![0; 16];
    let ended = ReassignmentCompleted { topic_id, replica_ids: (1..=7).collect(), ..ReassignmentCompleted::default() };
    image.apply(&Kind::ReassignmentCompleted(ended).into()).expect("an end");
    assert_eq!(image.metadata().change, None);
}

#[test]
fn a_broker_that_is_taken_out_leaves_its_vote_to_another_and_its_number_to_nobody() {
    let ids = |replicas: &[Replica]| replicas.iter().map(|replica| replica.id).collect::<Vec<_>>();
    let founders: Vec<_> = (1..=3).map(|id| MetadataReplica { node_id: id, replica_id: id as u64 }).collect();
    let registered = |node_id| -> Record {
        Kind::BrokerRegistered(BrokerRegistered { node_id, ..BrokerRegistered::default() }).into()
    };
    let unregistered = |node_id| -> Record {
        Kind::BrokerUnregistered(BrokerUnregistered { node_id, founders: founders.clone() }).into()
    };
    let joined = |node_id, founders: &[MetadataReplica]| -> Record {
        let (folder, founders) = (id(4), founders.to_vec());
        Kind::BrokerJoined(BrokerJoined { node_id, folder, founders, ..BrokerJoined::default() }).into()
    };
    let mut image = Image::default();
    for node in 1..=3 {
        image.apply(&registered(node)).expect("a broker");
    }
    image.apply(&joined(4, &founders)).expect("a fourth");
    image.apply(&created("held", 7, 1)).expect("a topic");
    image.apply(&reassigned(7, Some(&[1, 2]))).expect("a move");
    assert!(matches!(image.apply(&unregistered(1)), Err(Refusal::HoldsPartitions { partitions: 1, .. })));
    assert_eq!(image.apply(&unregistered(9)), Err(Refusal::UnknownBroker(9)));
    let stands = |image: &Image| (ids(&image.metadata().replicas), ids(&image.metadata().observers));
    assert_eq!(image.apply(&unregistered(3)), Ok(Outcome::Done));
    assert_eq!(stands(&image), (vec![1, 2, 4], vec![]), "the fourth votes in its place");
    assert_eq!((image.is_gone(3), image.broker(3)), (false, None), "it is still needed");
    let end = |image: &mut Image| {
        let (topic_id, replica_ids) = (vec![0; 16], image.metadata().wanted_ids());
        let ended = ReassignmentCompleted { topic_id, replica_ids, ..ReassignmentCompleted::default() };
        image.apply(&Kind::ReassignmentCompleted(ended).into()).expect("an end");
    };
    end(&mut image);
    assert!(image.is_gone(3));
    assert_eq!(image.apply(&unregistered(4)), Ok(Outcome::Done));
    assert_eq!(stands(&image), (vec![1], vec![2]), "two that vote bear no loss");
    assert_eq!(ids(image.metadata().removing()), [4], "and who follows now does not leave");
    end(&mut image);
    for record in [registered(3), joined(3, &[])] {
        assert_eq!(image.apply(&record), Err(Refusal::TakenOut(3)));
    }
    assert_eq!(Image::from_snapshot(&image.to_snapshot()), Ok(image));
}
