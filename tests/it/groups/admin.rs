//! Groups as an administrator sees them, and the topic that holds them.

use leat_protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use leat_protocol::messages::{
    DeleteGroupsRequest, DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic, DescribeGroupsRequest,
    ListGroupsRequest, ProduceRequest,
};
use leat_protocol::{ErrorCode, Records, Str, Uuid};

use crate::harness::{Member, batch, create_topic, describe_topic, is_leat, target, unique};

const OFFSETS_TOPIC: &str = "__consumer_offsets";

fn describe(member: &mut Member, version: i16) -> leat_protocol::messages::describe_groups::DescribedGroup {
    let request =
        DescribeGroupsRequest { groups: vec![member.group.clone()], include_authorized_operations: version >= 3 };
    member.connection.call(version, &request).groups.remove(0)
}

/// State and type of a group in the list; `None` where it is not in it.
fn listed(member: &mut Member, states: &[&str], types: &[&str]) -> Option<(Str, Str)> {
    let texts = |texts: &[&str]| texts.iter().map(|text| Str::from(*text)).collect();
    let request = ListGroupsRequest { states_filter: texts(states), types_filter: texts(types) };
    let response = member.connection.call(5, &request);
    assert_eq!(response.error_code, ErrorCode::NONE);
    let found = response.groups.into_iter().find(|group| group.group_id == member.group)?;
    Some((found.group_state, found.group_type))
}

#[test]
fn a_group_is_described_in_every_state() {
    let mut member = Member::alone(target(), "described");
    for version in 0..=6 {
        let missing = describe(&mut member, version);
        assert_eq!(&*missing.group_state, "Dead");
        let code = if version >= 6 { ErrorCode::GROUP_ID_NOT_FOUND } else { ErrorCode::NONE };
        assert_eq!(missing.error_code, code, "version {version}");
        assert_eq!(missing.error_message.is_some(), version >= 6);
    }
    member.join();
    let completing = describe(&mut member, 6);
    assert_eq!(&*completing.group_state, "CompletingRebalance");
    assert_eq!((&*completing.protocol_type, &*completing.protocol_data), ("consumer", ""));
    assert_eq!((completing.members.len(), completing.members[0].member_metadata.len()), (1, 0));
    let id = member.id.clone();
    member.sync(&[(&id, b"mine")]);
    for version in 0..=6 {
        let stable = describe(&mut member, version);
        assert_eq!((&*stable.group_state, &*stable.protocol_data), ("Stable", "range"));
        let described = &stable.members[0];
        assert_eq!((&*described.client_id, &*described.client_host), ("leat-tests", "/127.0.0.1"));
        assert_eq!(described.member_metadata, member.join_request().protocols[0].metadata);
        assert_eq!(&described.member_assignment[..], b"mine");
        let operations = if version >= 3 { 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11 } else { i32::MIN };
        assert_eq!(stable.authorized_operations, operations, "version {version}");
    }
    member.leave();
    let empty = describe(&mut member, 6);
    assert_eq!((&*empty.group_state, &*empty.protocol_type, empty.members.len()), ("Empty", "consumer", 0));
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut member = Member::alone(target(), "listed");
    member.settle();
    let stable = Some(("Stable".into(), "classic".into()));
    assert_eq!(listed(&mut member, &[], &[]), stable);
    assert_eq!(listed(&mut member, &["stable", "Empty"], &["Classic"]), stable);
    assert_eq!(listed(&mut member, &["Empty"], &[]), None);
    assert_eq!(listed(&mut member, &[], &["consumer"]), None);
    assert_eq!(listed(&mut member, &["no such state"], &[]), None);
    member.leave();
    assert_eq!(listed(&mut member, &["Empty"], &[]), Some(("Empty".into(), "classic".into())));
    for version in 0..=4 {
        let response = member.connection.call(version, &ListGroupsRequest::default());
        let found = response.groups.iter().find(|group| group.group_id == member.group).expect("the group");
        assert_eq!(&*found.protocol_type, "consumer");
    }
}

#[test]
fn a_group_is_deleted_with_its_offsets_once_it_is_empty() {
    let mut member = Member::alone(target(), "deleted");
    let topic = unique("of-a-deleted-group");
    create_topic(&mut member.connection, &topic, 1, &[]);
    member.settle();
    assert_eq!(member.commit(&topic, 5), ErrorCode::NONE);
    let missing = unique("no-such-group");
    let request = DeleteGroupsRequest { groups_names: vec![member.group.clone(), missing.into()] };
    let delete = |member: &mut Member, version| {
        let response = member.connection.call(version, &request);
        let code = |name: &Str| response.results.iter().find(|result| result.group_id == *name).expect("it").error_code;
        (code(&request.groups_names[0]), code(&request.groups_names[1]))
    };
    assert_eq!(delete(&mut member, 2), (ErrorCode::NON_EMPTY_GROUP, ErrorCode::GROUP_ID_NOT_FOUND));
    member.leave();
    assert_eq!(delete(&mut member, 0), (ErrorCode::NONE, ErrorCode::GROUP_ID_NOT_FOUND));
    assert_eq!(delete(&mut member, 1), (ErrorCode::GROUP_ID_NOT_FOUND, ErrorCode::GROUP_ID_NOT_FOUND));
    assert_eq!(member.committed(&topic).committed_offset, -1);
    assert_eq!(describe(&mut member, 5).group_state, "Dead");
    // Made again, it begins anew.
    (member.id, member.generation) = (Str::default(), -1);
    assert_eq!(member.join().generation_id, 1);
}

#[test]
fn the_topic_of_offsets_is_internal_and_not_a_clients_to_change() {
    let mut member = Member::alone(target(), "internal");
    let topic = describe_topic(&mut member.connection, OFFSETS_TOPIC);
    assert!(topic.is_internal);
    assert_eq!(topic.partitions.len(), 50);
    let data = PartitionProduceData { index: 0, records: Some(Records::from(batch(&["x"]))) };
    let produced = TopicProduceData { name: OFFSETS_TOPIC.into(), topic_id: Uuid::nil(), partition_data: vec![data] };
    let request = ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 10_000, topic_data: vec![produced] };
    let response = member.connection.call(9, &request);
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: -1 }];
    let topics = vec![DeleteRecordsTopic { name: OFFSETS_TOPIC.into(), partitions }];
    let response = member.connection.call(2, &DeleteRecordsRequest { topics, timeout_ms: 10_000 });
    let code = response.topics[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::INVALID_TOPIC_EXCEPTION, "{}", is_leat());
}
