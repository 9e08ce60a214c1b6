//! The cases in `tests/assignors`, which Java's assignors decided.

use std::collections::BTreeMap;

use leat_protocol::consumer_protocol::{ConsumerProtocolAssignment, read, write};

use super::*;

/// `LEAT_TEST_ASSIGNORS` names another file of cases.
fn cases() -> String {
    let path = std::env::var("LEAT_TEST_ASSIGNORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/assignors/cases.txt").to_owned());
    std::fs::read_to_string(path).unwrap()
}

fn unhex(hex: &str) -> Bytes {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[derive(Debug)]
struct Case {
    assignor: Assignor,
    counts: Counts,
    members: Vec<Member>,
    assigned: BTreeMap<Str, Bytes>,
    said: BTreeMap<Str, Option<Bytes>>,
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["case", name] = words[..] {
            let assignor = Assignor::by_name(name).unwrap();
            let (assigned, said) = Default::default();
            cases.push(Case { assignor, counts: Counts::new(), members: Vec::new(), assigned, said });
            continue;
        }
        let case = cases.last_mut().unwrap();
        match words[..] {
            ["topic", name, count] => _ = case.counts.insert(name.into(), count.parse().unwrap()),
            ["member", id, instance, subscription] => {
                let instance = (instance != "-").then(|| instance.into());
                case.members.push(Member::new(id.into(), instance, read(unhex(subscription)).unwrap()));
            }
            ["assigned", id, assignment] => _ = case.assigned.insert(id.into(), unhex(assignment)),
            ["said", id, "-"] => _ = case.said.insert(id.into(), None),
            ["said", id, said] => _ = case.said.insert(id.into(), Some(unhex(said))),
            _ => panic!("not understood: {line}"),
        }
    }
    cases
}

#[test]
fn the_choice_is_that_of_java_byte_for_byte() {
    let cases = parse(&cases());
    assert!(cases.len() > 100);
    for (at, case) in cases.iter().enumerate() {
        let assigned = case.assignor.assign(&case.counts, &case.members);
        for (member, partitions) in case.members.iter().zip(&assigned) {
            let ours = ConsumerProtocolAssignment { assigned_partitions: by_topic(partitions), user_data: None };
            let theirs: ConsumerProtocolAssignment = read(case.assigned[&member.id].clone()).unwrap();
            assert_eq!(ours, theirs, "case {at}, {:?}, {}\n{case:#?}", case.assignor, member.id);
            assert_eq!(write(&ours, 3).unwrap(), case.assigned[&member.id]);
        }
    }
}

#[test]
fn a_member_says_of_itself_what_java_says() {
    let mut compared = 0;
    for case in parse(&cases()) {
        for (id, said) in &case.said {
            let assignment: ConsumerProtocolAssignment = read(case.assigned[id].clone()).unwrap();
            let owned = flat(&assignment.assigned_partitions);
            // The generation is the one thing that the case does not name beside.
            let generation = said.as_ref().map_or(-1, |said| i32::from_be_bytes(*said.last_chunk().unwrap()));
            assert_eq!(case.assignor.user_data(Some(&owned), generation), *said);
            compared += usize::from(said.is_some());
        }
    }
    assert!(compared > 100, "{compared}");
    assert_eq!(Assignor::Sticky.user_data(None, -1), None);
}

#[test]
fn every_partition_is_assigned_once_and_only_to_subscribers() {
    for case in parse(&cases()).iter().filter(|case| case.assignor != Assignor::CooperativeSticky) {
        let assigned = case.assignor.assign(&case.counts, &case.members);
        let mut all: Vec<_> = assigned.iter().flatten().cloned().collect();
        all.sort();
        let subscribed = |topic: &Str| case.members.iter().any(|member| member.topics.contains(topic));
        let mut expected: Vec<_> = case
            .counts
            .keys()
            .filter(|topic| subscribed(topic))
            .flat_map(|topic| partitions_of(topic, &case.counts))
            .collect();
        expected.sort();
        assert_eq!(all, expected);
        for (member, partitions) in case.members.iter().zip(&assigned) {
            assert!(partitions.iter().all(|partition| member.topics.contains(&partition.topic)));
        }
    }
}

#[test]
fn what_members_say_may_be_anything() {
    let claims = [
        Bytes::new(),
        Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]),
        Bytes::from_static(&[0, 0, 0, 1, 0x7f]),
        Bytes::from_static(&[0, 0, 0, 1, 0, 1, b't', 0x7f, 0xff, 0xff, 0xff, 0, 0]),
        Bytes::from_static(&[0xff; 40]),
    ];
    let member = |id: &str, user_data: Option<Bytes>, topics: &[&str]| Member {
        id: id.into(),
        instance: None,
        topics: topics.iter().map(|topic| Str::from(*topic)).collect(),
        owned: vec![TopicPartition::new("t", 1), TopicPartition::new("t", 99), TopicPartition::new("t", -1)],
        generation: None,
        user_data,
    };
    let counts = Counts::from([("t".into(), 3), ("u".into(), 1)]);
    for data in claims {
        for assignor in Assignor::ALL {
            for topics in [&["t"][..], &["t", "u"], &["t", "t"], &[]] {
                let members = [member("a", Some(data.clone()), &["t"]), member("b", Some(data.clone()), topics)];
                assert_eq!(assignor.assign(&counts, &members).len(), 2);
            }
        }
    }
    assert!(Assignor::Sticky.assign(&counts, &[]).is_empty());
}
