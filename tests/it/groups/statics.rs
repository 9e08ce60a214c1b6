//! Static members: known by a name of their own, they may come back.

use std::time::Duration;

use leat_protocol::messages::LeaveGroupRequest;
use leat_protocol::messages::leave_group::MemberIdentity;
use leat_protocol::{ErrorCode, Str};

use crate::harness::{Member, create_topic, target, unique, wait_until};

/// A static leader and a dynamic member, in a stable group.
fn pair(stem: &str) -> (Member, Member) {
    let mut fixed = Member::alone(target(), stem).fixed("the-one");
    fixed.settle();
    let mut other = fixed.beside(target());
    other.begin_join();
    wait_until("a rebalance", Duration::from_secs(10), || fixed.heartbeat() == ErrorCode::REBALANCE_IN_PROGRESS);
    fixed.begin_join();
    fixed.end_join();
    other.end_join();
    other.begin_sync(&[]);
    let (first, second) = (fixed.id.clone(), other.id.clone());
    assert_eq!(fixed.sync(&[(&first, b"S"), (&second, b"D")]).error_code, ErrorCode::NONE);
    assert_eq!(other.end_sync().error_code, ErrorCode::NONE);
    (fixed, other)
}

#[test]
fn one_that_returns_disturbs_nobody_and_keeps_its_assignment() {
    let (fixed, mut other) = pair("returns");
    assert!(fixed.id.starts_with("the-one-"), "{}", fixed.id);
    let mut back = fixed.beside(target()).fixed("the-one");
    let joined = back.join();
    assert_ne!(back.id, fixed.id);
    assert_eq!(joined.generation_id, fixed.generation);
    // It leads, and is told that there is nothing to assign.
    assert_eq!((joined.skip_assignment, &joined.leader, joined.members.len()), (true, &back.id, 2));
    assert_eq!(&back.sync(&[]).assignment[..], b"S");
    assert_eq!(other.heartbeat(), ErrorCode::NONE);
    // An older client is told another leader than itself.
    let mut older = fixed.beside(target()).fixed("the-one");
    let request = older.join_request();
    let joined = older.connection.call(8, &request);
    assert_eq!((joined.error_code, joined.members.len()), (ErrorCode::NONE, 0));
    assert_eq!(joined.leader, back.id);
    assert_eq!(other.heartbeat(), ErrorCode::NONE);
}

#[test]
fn one_that_returns_with_other_topics_keeps_the_assignment_until_the_leader_asks() {
    let (mut fixed, mut other) = pair("topics");
    let mut back = fixed.beside(target()).fixed("the-one");
    back.topics = vec!["others".into()];
    let joined = back.join();
    // As in Kafka, a changed subscription by itself begins no rebalance as long as the protocol stays.
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, fixed.generation));
    assert_eq!(other.heartbeat(), ErrorCode::NONE);
    // It is in the group's books, so the leader finds it.
    let told = joined.members.iter().find(|member| member.member_id == back.id).expect("itself");
    assert_eq!(told.metadata, back.join_request().protocols[0].metadata);
    back.begin_join();
    wait_until("a rebalance", Duration::from_secs(10), || other.heartbeat() == ErrorCode::REBALANCE_IN_PROGRESS);
    other.begin_join();
    assert_eq!(back.end_join().generation_id, fixed.generation + 1);
    assert_eq!(other.end_join().error_code, ErrorCode::NONE);
    assert_eq!(fixed.heartbeat(), ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn one_that_returns_with_another_protocol_makes_the_others_rebalance() {
    let mut fixed = Member::alone(target(), "protocol").fixed("the-one");
    let mut request = fixed.join_request();
    let other = |name: &str| {
        let mut protocol = request.protocols[0].clone();
        protocol.name = name.into();
        protocol
    };
    let both = vec![other("range"), other("sticky")];
    let turned = vec![other("sticky"), other("range")];
    request.protocols = both;
    let joined = fixed.connection.call(9, &request);
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    (fixed.id, fixed.generation) = (joined.member_id, joined.generation_id);
    let id = fixed.id.clone();
    assert_eq!(fixed.sync(&[(&id, b"S")]).error_code, ErrorCode::NONE);
    request.protocols = turned;
    let mut back = fixed.beside(target()).fixed("the-one");
    let joined = back.connection.call(9, &request);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, 2));
    assert_eq!(joined.protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn the_former_self_of_one_is_fenced_everywhere() {
    let topic = unique("fenced");
    assert_eq!(create_topic(&mut target().connect(), &topic, 1, &[]).error_code, ErrorCode::NONE);
    let (mut fixed, _other) = pair("fenced");
    let mut back = fixed.beside(target()).fixed("the-one");
    back.join();
    assert_eq!(fixed.heartbeat(), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(fixed.sync(&[]).error_code, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(fixed.commit(&topic, 1), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(fixed.leave(), ErrorCode::FENCED_INSTANCE_ID);
    fixed.begin_join();
    assert_eq!(fixed.end_join().error_code, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(back.commit(&topic, 1), ErrorCode::NONE);
    let mut stranger = fixed.beside(target()).fixed("nobody");
    stranger.id = "made up".into();
    stranger.begin_join();
    assert_eq!(stranger.end_join().error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn one_that_waits_in_a_join_is_fenced_by_its_second_self() {
    let (mut fixed, mut other) = pair("twice");
    fixed.begin_join();
    wait_until("a rebalance", Duration::from_secs(10), || other.heartbeat() == ErrorCode::REBALANCE_IN_PROGRESS);
    let mut second = fixed.beside(target()).fixed("the-one");
    second.begin_join();
    assert_eq!(fixed.end_join().error_code, ErrorCode::FENCED_INSTANCE_ID);
    other.begin_join();
    assert_eq!(second.end_join().error_code, ErrorCode::NONE);
    assert_eq!(other.end_join().error_code, ErrorCode::NONE);
}

#[test]
fn an_administrator_takes_one_out_by_its_name() {
    let (mut fixed, mut other) = pair("removed");
    let named = |instance: &str| MemberIdentity {
        member_id: Str::default(),
        group_instance_id: Some(instance.into()),
        reason: None,
    };
    let members = vec![named("nobody"), named("the-one")];
    let request = LeaveGroupRequest { group_id: fixed.group.clone(), members, ..Default::default() };
    let response = target().connect().call(5, &request);
    let codes: Vec<_> = response.members.iter().map(|member| member.error_code).collect();
    assert_eq!(codes, [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::NONE]);
    assert_eq!(fixed.heartbeat(), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(other.heartbeat(), ErrorCode::REBALANCE_IN_PROGRESS);
    let joined = other.join();
    assert_eq!(joined.members.len(), 1);
}
