//! What a coordinator has answered stays, whatever happens to the process.

use std::path::Path;
use std::time::{Duration, Instant};

use leat_protocol::ErrorCode;
use leat_protocol::messages::OffsetCommitRequest;

use crate::harness::{Member, Process, QUICK_GROUPS, create_topic, skip_unless_leat, wait_until};

fn start(data: &Path) -> Process {
    start_with(data, &[])
}

fn start_with(data: &Path, sets: &[&str]) -> Process {
    let quick = QUICK_GROUPS.map(|(key, value)| format!("{key}={value}"));
    let sets: Vec<&str> = quick.iter().map(String::as_str).chain(sets.iter().copied()).collect();
    Process::start(data, "127.0.0.1:0", &sets)
}

#[test]
fn a_commit_that_was_answered_survives_kill_9() {
    if skip_unless_leat("a_commit_that_was_answered_survives_kill_9") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let mut process = start(&data);
    assert_eq!(create_topic(&mut process.target.connect(), "read", 1, &[]).error_code, ErrorCode::NONE);
    let groups = ["one", "two", "three", "four"];
    for round in 0..4 {
        let first = round * 100;
        let mut members = groups.map(|group| Member::of(&process.target, group));
        for member in &mut members {
            let known = member.committed("read").committed_offset;
            assert!(round == 0 || (first - 100 + 20..=first - 100 + 21).contains(&known), "{known} in round {round}");
            for offset in first..=first + 20 {
                assert_eq!(member.commit("read", offset), ErrorCode::NONE);
            }
        }
        // The last ones are killed on their way.
        for member in &mut members {
            let request: OffsetCommitRequest = member.commit_request("read", first + 21);
            member.connection.send(9, &request);
        }
        process.kill();
        process = start(&data);
    }
}

#[test]
fn a_group_is_loaded_from_what_compaction_has_left() {
    if skip_unless_leat("a_group_is_loaded_from_what_compaction_has_left") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let sets = ["offsets.topic.segment.bytes=4096", "offsets.topic.num.partitions=1", "log.cleaner.backoff.ms=20"];
    let process = start_with(&data, &sets);
    assert_eq!(create_topic(&mut process.target.connect(), "read", 1, &[]).error_code, ErrorCode::NONE);
    let mut member = Member::of(&process.target, "compacted");
    let mut rare = Member::of(&process.target, "rare");
    member.settle();
    assert_eq!(rare.commit("read", 7), ErrorCode::NONE);
    for offset in 0..200 {
        assert_eq!(member.commit("read", offset), ErrorCode::NONE);
    }
    let manifest = data.join("__consumer_offsets-0").join("manifest");
    wait_until("a compaction", Duration::from_secs(20), || manifest.exists());
    process.kill();
    let process = start_with(&data, &sets);
    let mut back = Member::of(&process.target, "compacted");
    (back.id, back.generation) = (member.id, member.generation);
    assert_eq!(back.heartbeat(), ErrorCode::NONE);
    assert_eq!(back.committed("read").committed_offset, 199);
    assert_eq!(Member::of(&process.target, "rare").committed("read").committed_offset, 7);
}

#[test]
fn members_survive_a_restart_with_their_assignments() {
    if skip_unless_leat("members_survive_a_restart_with_their_assignments") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let process = start(&data);
    let mut member = Member::of(&process.target, "kept");
    member.settle();
    process.kill();
    let process = start(&data);
    let mut back = Member::of(&process.target, "kept");
    (back.id, back.generation) = (member.id, member.generation);
    assert_eq!(back.heartbeat(), ErrorCode::NONE);
    assert_eq!(&back.sync(&[]).assignment[..], b"mine");
    assert_eq!(back.join().generation_id, 2);
}

#[test]
fn a_broker_that_stops_waits_for_no_join() {
    if skip_unless_leat("a_broker_that_stops_waits_for_no_join") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let process = start(&parent.path().join("data"));
    let mut member = Member::of(&process.target, "waits");
    member.settle();
    let mut other = member.beside(&process.target);
    other.begin_join();
    wait_until("a rebalance", Duration::from_secs(10), || member.heartbeat() == ErrorCode::REBALANCE_IN_PROGRESS);
    let begun = Instant::now();
    let (status, _) = process.terminate();
    assert!(status.success(), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(other.end_join().error_code, ErrorCode::NOT_COORDINATOR);
}
