//! What a majority may do and a minority may not: brokers cut off, killed together, without room, taken in half way.

use std::time::Duration;

use leat_client::NewTopic;
use leat_protocol::ErrorCode;

use super::history::{self, Load};
use super::members::{arrived, connect, placed};
use super::{admin, create, in_sync, leader, rounds};
use crate::harness::{Cluster, Partition, batch, skip_unless_leat};
use crate::reassignments::{elect, reassign};

/// Writes one record to a broker alone: what it says, and where the record would be.
fn write_to(cluster: &Cluster, node: usize, topic: &str, acks: i16, value: &str) -> (ErrorCode, i64) {
    let mut partition = Partition { topic: topic.to_owned(), connection: connect(cluster, node) };
    let mut request = partition.produce_request(acks, batch(&[value]));
    request.timeout_ms = 1500;
    let answer = partition.connection.call(9, &request).responses.remove(0).partition_responses.remove(0);
    (answer.error_code, answer.base_offset)
}

async fn answers_more(load: &Load, records: usize) {
    let upto = load.answered() + records;
    for _ in 0..1200 {
        if load.answered() >= upto {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} records are answered after a minute, not {upto}", load.answered());
}

/// What it took alone is acknowledged to nobody who asked for more than its own word, and is cut when it follows again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_cut_off_from_both_followers_acknowledges_nothing_and_truncates_when_it_is_back() {
    if skip_unless_leat("a_leader_cut_off_from_both_followers_acknowledges_nothing_and_truncates_when_it_is_back") {
        return;
    }
    let cluster = Cluster::start_with_net(3, &[]);
    placed(&cluster, "cut", &[1, 2, 3]).await;
    let load = Load::start(&cluster.bootstrap(), "cut", 0).await;
    let mut lonely = Vec::new();
    // On a busy machine it may have given up by the time that it is asked.
    for round in 0..rounds(1) + 4 {
        answers_more(&load, 100).await;
        let old = leader(&cluster.bootstrap(), "cut", 0, None).await;
        let others: Vec<usize> = (1..=3).filter(|&node| node != old).collect();
        cluster.net().cut(&[old], &others);
        let number = 1_000_000_000 + 2 * round;
        let alone = write_to(&cluster, old, "cut", 1, &number.to_string());
        let all = write_to(&cluster, old, "cut", -1, &(number + 1).to_string());
        assert_ne!(all.0, ErrorCode::NONE, "acknowledged by one of three");
        leader(&cluster.address(others[0]), "cut", 0, Some(old)).await;
        answers_more(&load, 100).await;
        cluster.net().mend();
        in_sync(&cluster.address(old), "cut", 0).await;
        if alone.0 == ErrorCode::NONE {
            lonely.push((old, alone.1));
            if lonely.len() == rounds(1) {
                break;
            }
        }
    }
    let (last, _) = *lonely.last().expect("a record that the leader alone has taken");
    let told = load.stop().await;
    told.no_error();
    // What the old leader has now is what the others have: it serves it.
    let replicas: Vec<i32> = [last, last % 3 + 1, (last + 1) % 3 + 1].iter().map(|&node| node as i32).collect();
    assert_eq!(reassign(&mut connect(&cluster, 1), "cut", 0, Some(replicas.clone())), ErrorCode::NONE);
    arrived(&cluster, 1, "cut", &replicas).await;
    while leader(&cluster.bootstrap(), "cut", 0, None).await != last {
        elect(&mut connect(&cluster, 1), 0, "cut", &[0]);
    }
    told.check(&cluster.bootstrap()).await;
    let found = history::read(&cluster.bootstrap(), "cut", 0).await;
    for (_, offset) in lonely {
        let there = found.iter().find(|(at, _)| *at == offset).expect("the load's record of that offset");
        assert!(there.1 < 1_000_000_000, "a record that no majority had is at {offset}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes_split_evenly_acknowledge_nothing_until_one_half_has_a_majority() {
    if skip_unless_leat("five_nodes_split_evenly_acknowledge_nothing_until_one_half_has_a_majority") {
        return;
    }
    let mut cluster = Cluster::start_with_net(5, &[]);
    placed(&cluster, "split", &[1, 2, 3, 4, 5]).await;
    let load = Load::start(&cluster.bootstrap(), "split", 0).await;
    answers_more(&load, 100).await;
    cluster.kill(5);
    cluster.net().cut(&[1, 2], &[3, 4]);
    // What three had may still be answered.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let split = load.answered();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(load.answered(), split, "neither half decides");
    // The fifth comes back to one of the halves.
    cluster.net().mend();
    cluster.net().cut(&[1, 2], &[3, 4, 5]);
    cluster.restart(5);
    answers_more(&load, 100).await;
    cluster.net().mend();
    in_sync(&cluster.address(1), "split", 0).await;
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.address(2)).await;
}

/// A newcomer that dies anywhere on its way in, also while old and new decide together, holds nobody up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_dies_on_its_way_in_is_given_up() {
    if skip_unless_leat("a_newcomer_that_dies_on_its_way_in_is_given_up") {
        return;
    }
    let mut cluster = Cluster::start(4, &[]);
    placed(&cluster, "dies", &[1, 2, 3]).await;
    let load = Load::start(&cluster.bootstrap(), "dies", 0).await;
    for round in 0..rounds(3) as u64 {
        answers_more(&load, 50).await;
        assert_eq!(reassign(&mut connect(&cluster, 2), "dies", 0, Some(vec![1, 4, 2])), ErrorCode::NONE);
        tokio::time::sleep(Duration::from_millis(round * 37 % 200)).await;
        cluster.kill(4);
        let taken_back = reassign(&mut connect(&cluster, 2), "dies", 0, None);
        if taken_back == ErrorCode::NO_REASSIGNMENT_IN_PROGRESS {
            assert_eq!(reassign(&mut connect(&cluster, 2), "dies", 0, Some(vec![1, 2, 3])), ErrorCode::NONE);
        } else {
            assert_eq!(taken_back, ErrorCode::NONE);
        }
        arrived(&cluster, 2, "dies", &[1, 2, 3]).await;
        answers_more(&load, 50).await;
        cluster.restart(4);
    }
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.address(4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_killed_and_started_at_once_lose_nothing() {
    if skip_unless_leat("two_of_three_killed_and_started_at_once_lose_nothing") {
        return;
    }
    let mut cluster = Cluster::start(3, &[]);
    create(&cluster, "two", 1).await;
    let load = Load::start(&cluster.bootstrap(), "two", 0).await;
    for round in 0..rounds(3) {
        answers_more(&load, 100).await;
        let two = [round % 3 + 1, (round + 1) % 3 + 1];
        two.iter().for_each(|&node| cluster.kill(node));
        cluster.restart_these(&two);
    }
    answers_more(&load, 100).await;
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.bootstrap()).await;
}

/// A folder that is lost is replaced by another broker, which gets all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_brokers_place_is_taken_by_a_new_one() {
    if skip_unless_leat("a_wiped_brokers_place_is_taken_by_a_new_one") {
        return;
    }
    let mut cluster = Cluster::start(3, &[]);
    placed(&cluster, "wiped", &[3, 1, 2]).await;
    let load = Load::start(&cluster.bootstrap(), "wiped", 0).await;
    answers_more(&load, 100).await;
    cluster.kill(3);
    std::fs::remove_dir_all(cluster.folder(3)).unwrap();
    assert_eq!(cluster.add(), 4);
    assert_eq!(reassign(&mut connect(&cluster, 1), "wiped", 0, Some(vec![4, 1, 2])), ErrorCode::NONE);
    arrived(&cluster, 1, "wiped", &[4, 1, 2]).await;
    // The new one counts: with one of the old ones it is a majority.
    cluster.kill(1);
    answers_more(&load, 100).await;
    cluster.restart(1);
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.address(4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_is_full_lets_another_lead_until_there_is_room() {
    const TEST: &str = "a_leader_whose_disk_is_full_lets_another_lead_until_there_is_room";
    if skip_unless_leat(TEST) {
        return;
    }
    let sets = ["log.segment.bytes=1048576"];
    let Some(mut cluster) = Cluster::start_with_disks(TEST, 3, "24m", &sets) else { return };
    placed(&cluster, "full", &[1, 2, 3]).await;
    let load = Load::start(&cluster.bootstrap(), "full", 0).await;
    answers_more(&load, 100).await;
    let full = leader(&cluster.bootstrap(), "full", 0, None).await;
    cluster.disk(full).fill(0);
    let next = leader(&cluster.bootstrap(), "full", 0, Some(full)).await;
    answers_more(&load, 500).await;
    // The metadata goes on too, wherever it was led.
    let own = admin(&cluster.bootstrap()).await;
    own.create_topic(NewTopic::new("meanwhile").replicas(&[next as i32])).await.unwrap();
    own.close().await;
    let (code, _) = write_to(&cluster, full, "full", -1, "0");
    assert_eq!(code, ErrorCode::NOT_LEADER_OR_FOLLOWER, "a client of the full one is sent to the other");
    // With room it follows again: it and the third are a majority.
    cluster.disk(full).empty();
    cluster.kill(next);
    answers_more(&load, 100).await;
    cluster.restart(next);
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.bootstrap()).await;
}
