//! Committed offsets.

use std::time::Duration;

use leat_protocol::messages::offset_commit::OffsetCommitRequest;
use leat_protocol::messages::offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use leat_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use leat_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest};
use leat_protocol::{ErrorCode, Str, Uuid};

use crate::harness::{
    Connection, Member, create_topic, delete_topic, describe_topic, target, topic_id, unique, wait_until,
};

/// A new topic that is served, with its id.
fn topic(connection: &mut Connection, partitions: i32) -> (String, Uuid) {
    let name = unique("offsets");
    assert_eq!(create_topic(connection, &name, partitions, &[]).error_code, ErrorCode::NONE);
    wait_until("the topic", Duration::from_secs(10), || !describe_topic(connection, &name).error_code.is_err());
    let id = topic_id(connection, &name);
    (name, id)
}

/// Asks for one partition in any version: offset, leader epoch, text and error.
fn fetch(member: &mut Member, version: i16, name: &str, id: Uuid, index: i32) -> (i64, i32, Option<Str>, ErrorCode) {
    let group = member.group.clone();
    if version < 8 {
        let topic = OffsetFetchRequestTopic { name: name.into(), partition_indexes: vec![index] };
        let request = OffsetFetchRequest { group_id: group, topics: Some(vec![topic]), ..Default::default() };
        let response = member.connection.call(version, &request);
        assert_eq!(response.error_code, ErrorCode::NONE);
        let found = &response.topics[0].partitions[0];
        return (found.committed_offset, found.committed_leader_epoch, found.metadata.clone(), found.error_code);
    }
    let topic = OffsetFetchRequestTopics { name: name.into(), topic_id: id, partition_indexes: vec![index] };
    let asked = OffsetFetchRequestGroup { group_id: group, topics: Some(vec![topic]), ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![asked], ..Default::default() };
    let response = member.connection.call(version, &request);
    assert_eq!(response.groups[0].error_code, ErrorCode::NONE);
    let found = &response.groups[0].topics[0].partitions[0];
    (found.committed_offset, found.committed_leader_epoch, found.metadata.clone(), found.error_code)
}

#[test]
fn an_unknown_group_or_partition_has_offset_minus_one_and_no_error() {
    let mut member = Member::alone(target(), "unknown");
    let (name, id) = topic(&mut member.connection, 2);
    let nothing = (-1, -1, Some(Str::default()), ErrorCode::NONE);
    for version in 1..=10 {
        assert_eq!(fetch(&mut member, version, &name, id, 0), nothing, "version {version}, no group");
    }
    assert_eq!(member.commit(&name, 3), ErrorCode::NONE);
    for version in 1..=10 {
        assert_eq!(fetch(&mut member, version, &name, id, 1), nothing, "version {version}, no offset");
        assert_eq!(fetch(&mut member, version, &name, id, 99), nothing, "version {version}, no partition");
    }
    assert_eq!(fetch(&mut member, 9, "no-such-topic", Uuid::nil(), 0), nothing);
    let unknown = fetch(&mut member, 10, "", Uuid::new_v4(), 0);
    assert_eq!((unknown.0, unknown.3), (-1, ErrorCode::UNKNOWN_TOPIC_ID));
}

#[test]
fn offset_epoch_and_text_come_back_in_every_version() {
    let mut member = Member::alone(target(), "round");
    let (name, id) = topic(&mut member.connection, 1);
    for version in 2..=10 {
        let mut request = member.commit_request(&name, 100 + i64::from(version));
        request.topics[0].topic_id = id;
        request.topics[0].partitions[0].committed_leader_epoch = 7;
        request.topics[0].partitions[0].committed_metadata = Some("où j'en suis".into());
        let response = member.connection.call(version, &request);
        assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::NONE, "version {version}");
        let epoch = if version >= 6 { 7 } else { -1 };
        let expected = (100 + i64::from(version), epoch, Some("où j'en suis".into()), ErrorCode::NONE);
        assert_eq!(fetch(&mut member, version.max(5), &name, id, 0), expected, "version {version}");
    }
    // Without text, it is empty.
    let mut request = member.commit_request(&name, 1);
    request.topics[0].partitions[0].committed_metadata = None;
    member.connection.call(9, &request);
    assert_eq!(fetch(&mut member, 9, &name, id, 0), (1, -1, Some(Str::default()), ErrorCode::NONE));
}

#[test]
fn all_that_a_group_has_is_told_where_no_topic_is_named() {
    let mut member = Member::alone(target(), "all");
    let (first, _) = topic(&mut member.connection, 1);
    let (second, _) = topic(&mut member.connection, 1);
    assert_eq!(member.commit(&first, 1), ErrorCode::NONE);
    assert_eq!(member.commit(&second, 2), ErrorCode::NONE);
    for version in 8..=10 {
        let asked = OffsetFetchRequestGroup { group_id: member.group.clone(), topics: None, ..Default::default() };
        let none = OffsetFetchRequestGroup { group_id: unique("none").into(), topics: None, ..Default::default() };
        let request = OffsetFetchRequest { groups: vec![asked, none], require_stable: true, ..Default::default() };
        let response = member.connection.call(version, &request);
        let mut offsets: Vec<_> =
            response.groups[0].topics.iter().map(|topic| topic.partitions[0].committed_offset).collect();
        offsets.sort_unstable();
        assert_eq!(offsets, [1, 2], "version {version}");
        assert_eq!((response.groups[1].topics.len(), response.groups[1].error_code), (0, ErrorCode::NONE));
    }
    let request = OffsetFetchRequest { group_id: member.group.clone(), topics: None, ..OffsetFetchRequest::default() };
    assert_eq!(member.connection.call(2, &request).topics.len(), 2);
}

#[test]
fn what_is_wrong_with_a_commit_is_told_partition_by_partition() {
    let mut member = Member::alone(target(), "parts");
    let (name, id) = topic(&mut member.connection, 2);
    let mut request = member.commit_request(&name, 1);
    let mut long = request.topics[0].partitions[0].clone();
    (long.partition_index, long.committed_metadata) = (1, Some("x".repeat(4097).into()));
    let mut beyond = request.topics[0].partitions[0].clone();
    beyond.partition_index = 2;
    request.topics[0].partitions.extend([long, beyond]);
    let mut unknown = request.topics[0].clone();
    (unknown.name, unknown.topic_id) = (unique("no-such-topic").into(), Uuid::new_v4());
    unknown.partitions.truncate(1);
    request.topics.push(unknown);
    let codes = |connection: &mut Connection, version, request: &OffsetCommitRequest| -> Vec<ErrorCode> {
        let topics = connection.call(version, request).topics;
        // As in Kafka, topics may change places.
        let of = |at: usize| {
            topics.iter().find(move |topic| match version {
                10.. => topic.topic_id == request.topics[at].topic_id,
                _ => topic.name == request.topics[at].name,
            })
        };
        let mut all: Vec<_> = of(0).expect("the topic").partitions.clone();
        all.sort_by_key(|partition| partition.partition_index);
        all.extend(of(1).expect("the other").partitions.clone());
        all.iter().map(|partition| partition.error_code).collect()
    };
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let expected = [ErrorCode::NONE, ErrorCode::OFFSET_METADATA_TOO_LARGE, unknown, unknown];
    assert_eq!(codes(&mut member.connection, 9, &request), expected);
    request.topics[0].topic_id = id;
    let expected = [ErrorCode::NONE, ErrorCode::OFFSET_METADATA_TOO_LARGE, unknown, ErrorCode::UNKNOWN_TOPIC_ID];
    assert_eq!(codes(&mut member.connection, 10, &request), expected);
}

#[test]
fn a_group_without_members_takes_commits_of_anybody_and_with_members_of_none_else() {
    let mut member = Member::alone(target(), "simple");
    let (name, _) = topic(&mut member.connection, 1);
    assert_eq!(member.commit(&name, 1), ErrorCode::NONE);
    member.settle();
    assert_eq!(member.commit(&name, 2), ErrorCode::NONE);
    let mut stranger = member.beside(target());
    assert_eq!(stranger.commit(&name, 3), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(member.leave(), ErrorCode::NONE);
    assert_eq!(stranger.commit(&name, 4), ErrorCode::NONE);
    assert_eq!(stranger.committed(&name).committed_offset, 4);
}

#[test]
fn the_offsets_of_a_deleted_topic_are_gone_and_do_not_return_with_its_name() {
    let mut member = Member::alone(target(), "deleted");
    let (name, id) = topic(&mut member.connection, 1);
    assert_eq!(member.commit(&name, 9), ErrorCode::NONE);
    assert_eq!(delete_topic(&mut member.connection, &name), ErrorCode::NONE);
    wait_until("the offset's end", Duration::from_secs(10), || member.committed(&name).committed_offset == -1);
    wait_until("the topic's return", Duration::from_secs(10), || {
        create_topic(&mut member.connection, &name, 1, &[]);
        let again = describe_topic(&mut member.connection, &name);
        !again.error_code.is_err() && again.topic_id != id
    });
    assert_eq!(member.committed(&name).committed_offset, -1);
}

#[test]
fn offsets_are_deleted_where_nobody_reads_the_topic() {
    let mut member = Member::alone(target(), "trimmed");
    let (read, _) = topic(&mut member.connection, 1);
    let (unread, _) = topic(&mut member.connection, 1);
    member.topics = vec![read.as_str().into()];
    member.settle();
    assert_eq!(member.commit(&read, 1), ErrorCode::NONE);
    assert_eq!(member.commit(&unread, 2), ErrorCode::NONE);
    let of = |topic: &str| OffsetDeleteRequestTopic {
        name: topic.into(),
        partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
    };
    let missing = unique("no-such-topic");
    let topics = vec![of(&read), of(&unread), of(&missing)];
    let mut request = OffsetDeleteRequest { group_id: member.group.clone(), topics };
    let code = |response: &OffsetDeleteResponse, name: &str| {
        // As in Kafka, topics may change places.
        let topic = response.topics.iter().find(|topic| topic.name == name).expect("the topic");
        topic.partitions[0].error_code
    };
    let response = member.connection.call(0, &request);
    assert_eq!(response.error_code, ErrorCode::NONE);
    assert_eq!(code(&response, &read), ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
    assert_eq!(code(&response, &unread), ErrorCode::NONE);
    assert_eq!(code(&response, &missing), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(member.committed(&read).committed_offset, 1);
    assert_eq!(member.committed(&unread).committed_offset, -1);
    assert_eq!(member.leave(), ErrorCode::NONE);
    assert_eq!(code(&member.connection.call(0, &request), &read), ErrorCode::NONE);
    assert_eq!(member.committed(&read).committed_offset, -1);
    request.group_id = unique("no-such-group").into();
    assert_eq!(member.connection.call(0, &request).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
}
