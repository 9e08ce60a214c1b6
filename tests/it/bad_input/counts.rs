//! Counts that are as large as they say: what is asked for a hundred thousand times is answered, and costs no more than its bytes.

use leat_protocol::messages::delete_groups::DeleteGroupsRequest;
use leat_protocol::messages::join_group::JoinGroupRequestProtocol;
use leat_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use leat_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use leat_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
};
use leat_protocol::messages::sync_group::SyncGroupRequestAssignment;
use leat_protocol::messages::{DescribeGroupsRequest, FindCoordinatorRequest};
use leat_protocol::{Bytes, ErrorCode, Str};

use crate::harness::{Member, Partition, Process, skip_unless_leat, target};

const MANY: usize = 100_000;
const GROWTH_MAX: u64 = 192 << 20;

fn many<T>(make: impl Fn(usize) -> T) -> Vec<T> {
    (0..MANY).map(make).collect()
}

#[test]
fn what_is_there_a_hundred_thousand_times_is_answered() {
    if skip_unless_leat("what_is_there_a_hundred_thousand_times_is_answered") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let process = Process::start(&parent.path().join("data"), "127.0.0.1:0", &["group.initial.rebalance.delay.ms=0"]);
    let topic = Partition::with(&process.target, "counted", &[]).topic;
    let mut member = Member::alone(&process.target, "counts");
    member.settle();
    let before = process.resident_bytes();
    let names = || many(|i| Str::from(format!("group-{i}")));
    let asked = FindCoordinatorRequest { coordinator_keys: names(), ..FindCoordinatorRequest::default() };
    assert_eq!(member.connection.call(4, &asked).coordinators.len(), MANY);
    let asked = DescribeGroupsRequest { groups: names(), ..DescribeGroupsRequest::default() };
    assert_eq!(member.connection.call(5, &asked).groups.len(), MANY);
    assert_eq!(member.connection.call(2, &DeleteGroupsRequest { groups_names: names() }).results.len(), MANY);

    let members = many(|i| MemberIdentity { member_id: Str::from(format!("member-{i}")), ..Default::default() });
    let asked = LeaveGroupRequest { group_id: member.group.clone(), members, ..Default::default() };
    let left = member.connection.call(5, &asked).members;
    assert!(left.len() == MANY && left.iter().all(|one| one.error_code == ErrorCode::UNKNOWN_MEMBER_ID));
    let partitions = many(|i| OffsetDeleteRequestPartition { partition_index: i as i32 });
    let topics = vec![OffsetDeleteRequestTopic { name: topic.as_str().into(), partitions }];
    let asked = OffsetDeleteRequest { group_id: member.group.clone(), topics };
    assert_eq!(member.connection.call(0, &asked).topics[0].partitions.len(), MANY);

    // One partition, again and again: the last counts.
    let mut commit = member.commit_request(&topic, 7);
    let one = commit.topics[0].partitions[0].clone();
    commit.topics[0].partitions = vec![one; MANY];
    let code = member.connection.call(9, &commit).topics[0].partitions[0].error_code;
    assert_ne!(code, ErrorCode::UNKNOWN_SERVER_ERROR);
    let mut sync = member.sync_request(&[]);
    sync.assignments =
        many(|i| SyncGroupRequestAssignment { member_id: Str::from(format!("no-{i}")), assignment: Bytes::new() });
    assert_eq!(member.connection.call(5, &sync).error_code, ErrorCode::NONE);
    let mut join = member.beside(&process.target).join_request();
    join.protocols =
        many(|i| JoinGroupRequestProtocol { name: Str::from(format!("p{i}")), metadata: Bytes::from_static(b"x") });
    assert_ne!(member.connection.call(9, &join).error_code, ErrorCode::NONE);
    let grown = process.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{} MiB", grown >> 20);
    assert_eq!(member.heartbeat(), ErrorCode::NONE);
}

/// A request of a few bytes each time, an answer of thousands: ten repeats are answered. Apache Kafka answers all.
#[test]
fn what_is_asked_for_again_in_one_request_is_told_again_but_not_without_end() {
    let mut member = Member::alone(target(), "again");
    let partition = Partition::new("again");
    let mut commit = member.commit_request(&partition.topic, 7);
    commit.topics[0].partitions[0].committed_metadata = Some("x".repeat(4096).into());
    assert_eq!(member.connection.call(9, &commit).topics[0].partitions[0].error_code, ErrorCode::NONE);
    let ask = |member: &mut Member, groups| -> OffsetFetchResponse {
        member.connection.call(9, &OffsetFetchRequest { groups, ..OffsetFetchRequest::default() })
    };
    let all = OffsetFetchRequestGroup { group_id: member.group.clone(), topics: None, ..Default::default() };
    let asks = if skip_unless_leat("what is asked for a hundred times") { 3..=3 } else { 3..=100 };
    for (times, want) in [(*asks.start(), 3), (*asks.end(), 11.min(*asks.end()))] {
        assert_eq!(ask(&mut member, vec![all.clone(); times]).groups.len(), want);
        let topic = OffsetFetchRequestTopics {
            name: partition.topic.as_str().into(),
            partition_indexes: vec![0; times],
            ..Default::default()
        };
        let some = OffsetFetchRequestGroup { topics: Some(vec![topic]), ..all.clone() };
        let told = ask(&mut member, vec![some]).groups.remove(0).topics.remove(0).partitions;
        assert_eq!(told.iter().map(|p| p.committed_offset).collect::<Vec<_>>(), vec![7; want]);
        let asked = DescribeGroupsRequest { groups: vec![member.group.clone(); times], ..Default::default() };
        assert_eq!(member.connection.call(5, &asked).groups.len(), want);
    }
}
