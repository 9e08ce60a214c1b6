//! Partitions that move to other brokers while they are written to.

use std::time::Duration;

use leat_client::{Consumer, NewTopic, TopicPartition};
use leat_protocol::ErrorCode;
use leat_protocol::messages::{ListPartitionReassignmentsRequest, OngoingPartitionReassignment};

use super::history::Load;
use super::{admin, create, described, in_sync, leader, wait_until};
use crate::harness::{Cluster, Connection, skip_unless_leat};
use crate::reassignments::{elect, reassign};

pub(super) fn connect(cluster: &Cluster, node: usize) -> Connection {
    Connection::open(cluster.address(node).parse().expect("an address"))
}

/// What is under way.
fn ongoing(connection: &mut Connection) -> Vec<OngoingPartitionReassignment> {
    let request = ListPartitionReassignmentsRequest { topics: None, timeout_ms: 10_000 };
    connection.call(0, &request).topics.into_iter().flat_map(|topic| topic.partitions).collect()
}

/// Moves partition 0 and waits until it is there.
async fn move_to(cluster: &Cluster, node: usize, topic: &str, replicas: &[i32]) {
    let mut connection = connect(cluster, node);
    assert_eq!(reassign(&mut connection, topic, 0, Some(replicas.to_vec())), ErrorCode::NONE);
    arrived(cluster, node, topic, replicas).await;
}

pub(super) async fn arrived(cluster: &Cluster, node: usize, topic: &str, replicas: &[i32]) {
    for _ in 0..600 {
        let mut connection = connect(cluster, node);
        if ongoing(&mut connection).is_empty() {
            let there = described(&cluster.address(node), topic, 0).await;
            assert_eq!(there.replicas, replicas);
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let left = ongoing(&mut connect(cluster, node));
    panic!("{topic} is not on {replicas:?}: {left:?}");
}

pub(super) async fn placed(cluster: &Cluster, topic: &str, replicas: &[i32]) {
    let own = admin(&cluster.bootstrap()).await;
    let topic = NewTopic::new(topic).replicas(replicas).config("min.insync.replicas", "1");
    own.create_topic(topic).await.unwrap();
    own.close().await;
}

fn holds(cluster: &Cluster, node: usize, topic: &str) -> bool {
    cluster.folder(node).join(format!("{topic}-0")).exists()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_moves_under_load_and_leaves_nothing_behind() {
    if skip_unless_leat("a_partition_moves_under_load_and_leaves_nothing_behind") {
        return;
    }
    let mut cluster = Cluster::start(4, &[]);
    placed(&cluster, "moves", &[1, 2, 3]).await;
    let load = Load::start(&cluster.bootstrap(), "moves", 0).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Its leader goes, then all but one go.
    for replicas in [[4, 2, 3], [1, 4, 2], [3, 1, 2]] {
        move_to(&cluster, 2, "moves", &replicas).await;
        let gone = (1..=4).find(|node| !replicas.contains(node)).unwrap() as usize;
        wait_until("the folder goes", || !holds(&cluster, gone, "moves")).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.address(4)).await;
    // Nobody has to remember who held it before.
    (1..=4).for_each(|node| cluster.kill(node));
    cluster.restart_all();
    in_sync(&cluster.bootstrap(), "moves", 0).await;
    told.check(&cluster.bootstrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_grows_to_three_replicas_and_shrinks_to_another_one() {
    if skip_unless_leat("a_partition_grows_to_three_replicas_and_shrinks_to_another_one") {
        return;
    }
    let mut cluster = Cluster::start(3, &[]);
    placed(&cluster, "grows", &[1]).await;
    let load = Load::start(&cluster.bootstrap(), "grows", 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for replicas in [&[2, 1, 3][..], &[3], &[1], &[1, 2]] {
        move_to(&cluster, 1, "grows", replicas).await;
        assert!((1..=3).all(|node| !replicas.contains(&node) || holds(&cluster, node as usize, "grows")));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    move_to(&cluster, 3, "grows", &[3]).await;
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.address(1)).await;
    cluster.kill(3);
    cluster.restart(3);
    told.check(&cluster.bootstrap()).await;
    wait_until("folders go", || !holds(&cluster, 1, "grows") && !holds(&cluster, 2, "grows")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_to_a_dead_broker_is_taken_back() {
    if skip_unless_leat("a_move_to_a_dead_broker_is_taken_back") {
        return;
    }
    let mut cluster = Cluster::start(4, &[]);
    placed(&cluster, "back", &[1, 2, 3]).await;
    let load = Load::start(&cluster.bootstrap(), "back", 0).await;
    cluster.kill(4);
    let mut connection = connect(&cluster, 2);
    assert_eq!(reassign(&mut connection, "back", 0, Some(vec![1, 4, 2])), ErrorCode::NONE);
    let under_way = ongoing(&mut connection).remove(0);
    assert_eq!(under_way.replicas, [1, 4, 2, 3]);
    assert_eq!((under_way.adding_replicas, under_way.removing_replicas), (vec![4], vec![3]));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(reassign(&mut connection, "back", 0, None), ErrorCode::NONE);
    arrived(&cluster, 2, "back", &[1, 2, 3]).await;
    assert_eq!(reassign(&mut connection, "back", 0, None), ErrorCode::NO_REASSIGNMENT_IN_PROGRESS);
    cluster.restart(4);
    in_sync(&cluster.bootstrap(), "back", 0).await;
    assert!(!holds(&cluster, 4, "back"));
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.address(4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_goes_on_after_everybody_was_killed() {
    if skip_unless_leat("a_move_goes_on_after_everybody_was_killed") {
        return;
    }
    let mut cluster = Cluster::start(4, &[]);
    placed(&cluster, "on", &[1, 2, 3]).await;
    let load = Load::start(&cluster.bootstrap(), "on", 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.kill(4);
    assert_eq!(reassign(&mut connect(&cluster, 1), "on", 0, Some(vec![2, 3, 4])), ErrorCode::NONE);
    tokio::time::sleep(Duration::from_millis(300)).await;
    (1..=3).for_each(|node| cluster.kill(node));
    cluster.restart_all();
    arrived(&cluster, 3, "on", &[2, 3, 4]).await;
    wait_until("the folder goes", || !holds(&cluster, 1, "on")).await;
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.address(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preferred_leader_is_elected_when_asked_for() {
    if skip_unless_leat("a_preferred_leader_is_elected_when_asked_for") {
        return;
    }
    let mut cluster = Cluster::start(3, &[]);
    create(&cluster, "elected", 1).await;
    let preferred = described(&cluster.bootstrap(), "elected", 0).await.replicas[0] as usize;
    let other = preferred % 3 + 1;
    cluster.kill(preferred);
    leader(&cluster.address(other), "elected", 0, Some(preferred)).await;
    let asked = elect(&mut connect(&cluster, other), 0, "elected", &[0]);
    assert_eq!(asked, [ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE]);
    assert_eq!(elect(&mut connect(&cluster, other), 1, "elected", &[0]), [ErrorCode::ELECTION_NOT_NEEDED]);
    cluster.restart(preferred);
    in_sync(&cluster.address(other), "elected", 0).await;
    // It may have been given back already: a balance of leaders comes by itself now and then.
    let asked = elect(&mut connect(&cluster, other), 0, "elected", &[0]);
    assert!([ErrorCode::NONE, ErrorCode::ELECTION_NOT_NEEDED].contains(&asked[0]), "{asked:?}");
    assert_eq!(leader(&cluster.address(other), "elected", 0, None).await, preferred);
}

/// The partition of a group's offsets goes to another broker, and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_on_where_its_offsets_go() {
    if skip_unless_leat("a_group_goes_on_where_its_offsets_go") {
        return;
    }
    let cluster = Cluster::start(3, &["offsets.topic.num.partitions=1"]);
    create(&cluster, "read", 1).await;
    let load = Load::start(&cluster.bootstrap(), "read", 0).await;
    let builder = Consumer::builder().bootstrap(cluster.bootstrap()).group_id("readers".to_owned());
    let builder = builder.set("auto.offset.reset", "earliest").unwrap().enable_auto_commit(false);
    let consumer = builder.set("retry.backoff.ms", "20").unwrap().build().await.unwrap();
    consumer.subscribe(&["read"]).await.unwrap();
    let partition = TopicPartition::new("read", 0);
    let mut next = 0;
    for node in [1, 2, 1, 3] {
        let upto = next + 50;
        while next < upto {
            for record in consumer.poll(Duration::from_secs(30)).await.unwrap() {
                assert_eq!(record.offset, next, "each record once, in order");
                next += 1;
            }
        }
        consumer.commit().await.unwrap();
        move_to(&cluster, 2, "__consumer_offsets", &[node]).await;
        let committed = consumer.committed(std::slice::from_ref(&partition)).await.unwrap();
        assert_eq!(committed[&partition].offset, next);
    }
    consumer.close().await;
    load.stop().await.no_error();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_one_grows_to_five_and_outlives_its_founder() {
    if skip_unless_leat("a_cluster_of_one_grows_to_five_and_outlives_its_founder") {
        return;
    }
    let mut cluster = Cluster::start(1, &[]);
    placed(&cluster, "first", &[1]).await;
    let load = Load::start(&cluster.bootstrap(), "first", 0).await;
    for node in 2..=5 {
        assert_eq!(cluster.add(), node);
    }
    move_to(&cluster, 5, "first", &[4, 5, 2]).await;
    wait_until("the folder goes", || !holds(&cluster, 1, "first")).await;
    // The metadata is on five by now: the founder's end changes nothing.
    cluster.kill(1);
    create(&cluster, "later", 4).await;
    (2..=5).for_each(|node| cluster.kill(node));
    cluster.restart_all();
    in_sync(&cluster.address(3), "first", 0).await;
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.address(2)).await;
}
