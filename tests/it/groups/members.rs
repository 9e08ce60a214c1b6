//! Members come, rebalance and go.

use std::time::Duration;

use leat_protocol::messages::join_group::JoinGroupRequestProtocol;
use leat_protocol::messages::{
    FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest,
};
use leat_protocol::{Bytes, ErrorCode, Str};

use crate::harness::{Member, create_topic, find_coordinator, skip_unless_leat, target, unique, wait_until};

/// Two members of one group that is stable: the leader and the other.
fn pair(stem: &str) -> (Member, Member) {
    let mut leader = Member::alone(target(), stem);
    leader.settle();
    let mut other = leader.beside(target());
    other.begin_join();
    expect_rebalance(&mut leader);
    leader.begin_join();
    let (joined, followed) = (leader.end_join(), other.end_join());
    assert_eq!((joined.members.len(), followed.members.len()), (2, 0));
    assert_eq!((&joined.leader, &followed.leader), (&leader.id, &leader.id));
    assert_eq!(leader.generation, other.generation);
    other.begin_sync(&[]);
    let (first, second) = (leader.id.clone(), other.id.clone());
    assert_eq!(&leader.sync(&[(&first, b"L"), (&second, b"F")]).assignment[..], b"L");
    assert_eq!(&other.end_sync().assignment[..], b"F");
    (leader, other)
}

/// Heartbeats until the group is told to rebalance.
fn expect_rebalance(member: &mut Member) {
    wait_until("a rebalance", Duration::from_secs(10), || match member.heartbeat() {
        ErrorCode::NONE => false,
        code => {
            assert_eq!(code, ErrorCode::REBALANCE_IN_PROGRESS);
            true
        }
    });
}

#[test]
fn every_version_of_find_coordinator_names_the_broker() {
    let mut connection = target().connect();
    let group = unique("found");
    find_coordinator(&mut connection, &group);
    for version in 0..=6 {
        let keys = if version >= 4 { vec![Str::from(group.as_str()), "other".into()] } else { Vec::new() };
        let key = if version < 4 { Str::from(group.as_str()) } else { Str::default() };
        let request = FindCoordinatorRequest { key, key_type: 0, coordinator_keys: keys };
        let response = connection.call(version, &request);
        let port = match version {
            0..4 => response.port,
            _ => {
                assert_eq!(response.coordinators.len(), 2);
                assert_eq!(response.coordinators[0].key, group.as_str());
                response.coordinators[1].port
            }
        };
        assert!(target().bootstrap().ends_with(&format!(":{port}")), "version {version}");
    }
}

#[test]
fn there_is_no_coordinator_of_transactions_and_clients_are_told_to_give_up() {
    if skip_unless_leat("no_coordinator_of_transactions") {
        return;
    }
    let request = FindCoordinatorRequest { key_type: 1, coordinator_keys: vec!["t".into()], ..Default::default() };
    let response = target().connect().call(4, &request);
    assert_eq!(response.coordinators[0].error_code, ErrorCode::UNSUPPORTED_VERSION);
}

#[test]
fn every_version_joins_syncs_and_leaves() {
    for version in 0..=9 {
        let mut member = Member::alone(target(), "versions");
        let request = member.join_request();
        let mut joined = member.connection.call(version, &request);
        if version >= 4 {
            assert_eq!(joined.error_code, ErrorCode::MEMBER_ID_REQUIRED, "version {version}");
            member.id = joined.member_id;
            let request = member.join_request();
            joined = member.connection.call(version, &request);
        }
        assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, 1), "version {version}");
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
        assert_eq!(joined.protocol_type.is_some(), version >= 7);
        assert_eq!((&joined.leader, joined.members.len()), (&joined.member_id, 1));
        assert_eq!(joined.members[0].metadata, request.protocols[0].metadata);
        assert!(joined.member_id.starts_with("leat-tests-"), "{}", joined.member_id);
        (member.id, member.generation) = (joined.member_id, 1);
        let id = member.id.clone();
        let request = SyncGroupRequest { ..member.sync_request(&[(&id, b"a")]) };
        let synced = member.connection.call(version.min(5), &request);
        assert_eq!((synced.error_code, &synced.assignment[..]), (ErrorCode::NONE, &b"a"[..]), "version {version}");
        let request = HeartbeatRequest {
            group_id: member.group.clone(),
            generation_id: 1,
            member_id: id.clone(),
            group_instance_id: None,
        };
        assert_eq!(member.connection.call(version.min(4), &request).error_code, ErrorCode::NONE);
        if version < 3 {
            let request = LeaveGroupRequest { group_id: member.group.clone(), member_id: id, members: Vec::new() };
            assert_eq!(member.connection.call(version, &request).error_code, ErrorCode::NONE);
            assert_eq!(member.connection.call(version, &request).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
        } else {
            assert_eq!(member.leave(), ErrorCode::NONE);
        }
    }
}

#[test]
fn what_is_wrong_with_a_join_is_told() {
    let mut member = Member::alone(target(), "wrong");
    let good = member.join_request();
    let mut code = |request: &JoinGroupRequest| member.connection.call(9, request).error_code;
    let mut bad = good.clone();
    bad.group_id = Str::default();
    assert_eq!(code(&bad), ErrorCode::INVALID_GROUP_ID);
    bad = good.clone();
    bad.session_timeout_ms = 99;
    assert_eq!(code(&bad), ErrorCode::INVALID_SESSION_TIMEOUT);
    bad.session_timeout_ms = i32::MAX;
    assert_eq!(code(&bad), ErrorCode::INVALID_SESSION_TIMEOUT);
    bad = good.clone();
    bad.member_id = "made up".into();
    assert_eq!(code(&bad), ErrorCode::UNKNOWN_MEMBER_ID, "of a group that does not exist");
    bad = good.clone();
    bad.protocols = Vec::new();
    assert_eq!(code(&bad), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    bad = good.clone();
    bad.protocol_type = Str::default();
    assert_eq!(code(&bad), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    member.settle();
    let mut other = member.beside(target());
    other.ask_for_id();
    let mut bad = other.join_request();
    bad.protocol_type = "connect".into();
    assert_eq!(other.connection.call(9, &bad).error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    bad = other.join_request();
    bad.protocols[0].name = "roundrobin".into();
    assert_eq!(other.connection.call(9, &bad).error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    // Nobody was disturbed.
    assert_eq!(member.heartbeat(), ErrorCode::NONE);
}

#[test]
fn the_protocol_is_one_that_all_have_and_most_prefer() {
    let mut first = Member::alone(target(), "vote");
    first.settle();
    let mut members = [first.beside(target()), first.beside(target())];
    // An id that was given is waited for, so all three meet in one generation.
    members.iter_mut().for_each(Member::ask_for_id);
    let mut members: Vec<Member> = [first].into_iter().chain(members).collect();
    let ways = [&["range", "sticky"][..], &["sticky", "range", "other"], &["sticky", "range"]];
    for (member, names) in members.iter_mut().zip(ways) {
        let mut request = member.join_request();
        let protocol = |name: &&str| JoinGroupRequestProtocol { name: (*name).into(), metadata: Bytes::new() };
        request.protocols = names.iter().map(protocol).collect();
        member.connection.send(9, &request);
    }
    for member in &mut members {
        let joined = member.end_join();
        assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, 2));
        assert_eq!(joined.protocol_name.as_deref(), Some("sticky"));
    }
}

#[test]
fn a_join_while_a_rebalance_runs_is_part_of_it() {
    let (mut leader, mut other) = pair("running");
    let mut third = leader.beside(target());
    third.begin_join();
    expect_rebalance(&mut leader);
    let mut fourth = leader.beside(target());
    fourth.begin_join();
    leader.begin_join();
    other.begin_join();
    let joined = leader.end_join();
    assert_eq!(joined.error_code, ErrorCode::NONE);
    assert_eq!(joined.members.len(), 4);
    for member in [&mut other, &mut third, &mut fourth] {
        let joined = member.end_join();
        assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, leader.generation));
    }
}

#[test]
fn a_member_that_never_joins_after_its_id_was_given_is_forgotten_after_its_session() {
    let mut leader = Member::alone(target(), "never");
    leader.settle();
    let mut gone = leader.beside(target());
    gone.session_timeout_ms = 1_500;
    gone.ask_for_id();
    // The rebalance waits for it, and ends without it.
    let joined = leader.join();
    assert_eq!((joined.members.len(), joined.generation_id), (1, 2));
    let request = gone.join_request();
    assert_eq!(gone.connection.call(9, &request).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_heartbeat_during_a_rebalance_says_so_and_keeps_the_member() {
    let (mut leader, mut other) = pair("beats");
    for member in [&mut leader, &mut other] {
        assert_eq!(member.heartbeat(), ErrorCode::NONE);
    }
    leader.begin_join();
    expect_rebalance(&mut other);
    assert_eq!(other.heartbeat(), ErrorCode::REBALANCE_IN_PROGRESS);
    other.begin_join();
    assert_eq!(leader.end_join().members.len(), 2);
    assert_eq!(other.end_join().error_code, ErrorCode::NONE);
    // While the leader assigns, a heartbeat is as any other.
    assert_eq!(other.heartbeat(), ErrorCode::NONE);
    other.generation -= 1;
    assert_eq!(other.heartbeat(), ErrorCode::ILLEGAL_GENERATION);
    other.id = "nobody".into();
    assert_eq!(other.heartbeat(), ErrorCode::UNKNOWN_MEMBER_ID);
    other.group = unique("no-such-group").into();
    assert_eq!(other.heartbeat(), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_commit_needs_the_generation_and_may_come_before_partitions_are_given_up() {
    let topic = unique("committed");
    assert_eq!(create_topic(&mut target().connect(), &topic, 1, &[]).error_code, ErrorCode::NONE);
    let (mut leader, mut other) = pair("commits");
    assert_eq!(other.commit(&topic, 5), ErrorCode::NONE);
    // During a rebalance, before the member has joined again.
    leader.begin_join();
    expect_rebalance(&mut other);
    assert_eq!(other.commit(&topic, 6), ErrorCode::NONE);
    other.begin_join();
    assert_eq!(leader.end_join().error_code, ErrorCode::NONE);
    assert_eq!(other.end_join().error_code, ErrorCode::NONE);
    // When it has, and waits for its assignment.
    assert_eq!(other.commit(&topic, 7), ErrorCode::REBALANCE_IN_PROGRESS);
    other.generation -= 1;
    assert_eq!(other.commit(&topic, 7), ErrorCode::ILLEGAL_GENERATION, "an old generation");
    other.generation += 1;
    let known = std::mem::replace(&mut other.id, "nobody".into());
    assert_eq!(other.commit(&topic, 7), ErrorCode::UNKNOWN_MEMBER_ID);
    // As a consumer that assigns itself, or an administrator.
    (other.id, other.generation) = (Str::default(), -1);
    assert_eq!(other.commit(&topic, 7), ErrorCode::UNKNOWN_MEMBER_ID, "the group has members");
    other.id = known;
    other.group = unique("no-such-group").into();
    other.generation = 1;
    assert_eq!(other.commit(&topic, 7), ErrorCode::GROUP_ID_NOT_FOUND);
    let request = other.commit_request(&topic, 7);
    let older = other.connection.call(8, &request).topics[0].partitions[0].error_code;
    assert_eq!(older, ErrorCode::ILLEGAL_GENERATION, "older clients know no other");
    assert_eq!(leader.committed(&topic).committed_offset, 6);
}

#[test]
fn a_silent_member_is_out_and_the_others_rebalance() {
    let mut leader = Member::alone(target(), "silent");
    leader.settle();
    let mut silent = leader.beside(target());
    silent.session_timeout_ms = 1_000;
    silent.begin_join();
    expect_rebalance(&mut leader);
    leader.begin_join();
    assert_eq!(leader.end_join().members.len(), 2);
    silent.end_join();
    silent.begin_sync(&[]);
    assert_eq!(leader.sync(&[]).error_code, ErrorCode::NONE);
    assert_eq!(silent.end_sync().error_code, ErrorCode::NONE);
    expect_rebalance(&mut leader);
    assert_eq!(leader.join().members.len(), 1);
    assert_eq!(silent.heartbeat(), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_leader_that_leaves_is_followed_by_another() {
    let (mut leader, mut other) = pair("leaves");
    assert_eq!(leader.leave(), ErrorCode::NONE);
    assert_eq!(leader.leave(), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(other.heartbeat(), ErrorCode::REBALANCE_IN_PROGRESS);
    let joined = other.join();
    assert_eq!((&joined.leader, joined.members.len()), (&other.id, 1));
}

#[test]
fn a_sync_is_for_the_generation_and_the_protocol() {
    let (mut leader, mut other) = pair("syncs");
    // In a stable group it tells the assignment again.
    assert_eq!(&other.sync(&[]).assignment[..], b"F");
    let good = other.sync_request(&[]);
    let mut code = |version, request: &SyncGroupRequest| other.connection.call(version, request).error_code;
    let mut bad = good.clone();
    bad.protocol_name = Some("sticky".into());
    assert_eq!(code(5, &bad), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    bad.protocol_name = None;
    assert_eq!(code(5, &bad), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(code(4, &good), ErrorCode::NONE);
    bad = good.clone();
    bad.generation_id -= 1;
    assert_eq!(code(5, &bad), ErrorCode::ILLEGAL_GENERATION);
    bad = good.clone();
    bad.member_id = "nobody".into();
    assert_eq!(code(5, &bad), ErrorCode::UNKNOWN_MEMBER_ID);
    leader.begin_join();
    expect_rebalance(&mut other);
    assert_eq!(other.sync(&[]).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_follower_that_asks_again_is_told_the_generation_and_a_leader_begins_another() {
    let (mut leader, mut other) = pair("again");
    let generation = leader.generation;
    let joined = other.join();
    assert_eq!((joined.generation_id, joined.members.len()), (generation, 0));
    assert_eq!(leader.heartbeat(), ErrorCode::NONE, "nobody was disturbed");
    other.topics = vec!["other".into()];
    other.begin_join();
    expect_rebalance(&mut leader);
    let joined = leader.join();
    assert_eq!((joined.generation_id, joined.members.len()), (generation + 1, 2));
}
