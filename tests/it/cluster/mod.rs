//! Three brokers, each a process: what users see when one of them ends, hangs, comes back.

mod faults;
mod history;
mod leaving;
mod members;
mod quorum;

use std::time::Duration;

use leat_client::{Admin, Consumer, NewTopic, PartitionDescription, Producer, ProducerRecord, TopicPartition};

use self::history::Load;
use crate::harness::{Cluster, Process, skip_unless_leat};
use crate::http::{get, sample};

/// More of them by hand: `LEAT_TEST_KILL_ROUNDS=100`.
fn rounds(usual: usize) -> usize {
    std::env::var("LEAT_TEST_KILL_ROUNDS").map_or(usual, |rounds| rounds.parse().expect("a number of rounds"))
}

async fn admin(bootstrap: &str) -> Admin {
    Admin::builder().bootstrap(bootstrap).build().await.unwrap()
}

async fn create(cluster: &Cluster, topic: &str, partitions: i32) {
    let admin = admin(&cluster.bootstrap()).await;
    admin.create_topic(NewTopic::new(topic).partitions(partitions)).await.unwrap();
    admin.close().await;
}

/// A partition as one broker describes it.
async fn described(bootstrap: &str, topic: &str, partition: usize) -> PartitionDescription {
    let admin = admin(bootstrap).await;
    let described = admin.describe_topics(&[topic]).await.unwrap().remove(0).unwrap();
    admin.close().await;
    described.partitions[partition].clone()
}

/// The node that leads, once one does that is not `but`.
async fn leader(bootstrap: &str, topic: &str, partition: usize, but: Option<usize>) -> usize {
    for _ in 0..600 {
        let leader = described(bootstrap, topic, partition).await.leader.and_then(|node| usize::try_from(node).ok());
        match leader {
            Some(leader) if Some(leader) != but => return leader,
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("nobody leads {topic}-{partition}");
}

/// Waits until a partition has all its replicas in sync.
async fn in_sync(bootstrap: &str, topic: &str, partition: usize) {
    for _ in 0..600 {
        let described = described(bootstrap, topic, partition).await;
        if described.in_sync.len() == described.replicas.len() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{topic}-{partition} is not in sync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_brokers_are_one_cluster() {
    if skip_unless_leat("three_brokers_are_one_cluster") {
        return;
    }
    let cluster = Cluster::start(3, &[]);
    let mut seen = Vec::new();
    for node in 1..=3 {
        let admin = admin(&cluster.address(node)).await;
        admin.create_topic(NewTopic::new(format!("by-{node}")).partitions(3)).await.unwrap();
        let described = admin.describe_cluster().await.unwrap();
        seen.push((described.cluster_id.clone(), described.controller, described.brokers.len()));
        admin.close().await;
    }
    assert!(seen.iter().all(|other| *other == seen[0] && other.2 == 3), "{seen:?}");
    for node in 1..=3 {
        let topic = format!("by-{node}");
        for partition in 0..3 {
            in_sync(&cluster.address(1), &topic, partition).await;
        }
        let load = Load::start(&cluster.address(node), &topic, 1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let told = load.stop().await;
        told.no_error();
        told.check(&cluster.address(node % 3 + 1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_takes_nothing_with_it() {
    if skip_unless_leat("a_killed_leader_takes_nothing_with_it") {
        return;
    }
    let mut cluster = Cluster::start(3, &[]);
    create(&cluster, "killed", 1).await;
    kill_leaders(&mut cluster, "killed").await;
}

/// What a majority has written, and not yet synced, is kept by every kill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_of_a_relaxed_topic_takes_nothing_with_it() {
    if skip_unless_leat("a_killed_leader_of_a_relaxed_topic_takes_nothing_with_it") {
        return;
    }
    let mut cluster = Cluster::start(3, &[]);
    let admin = admin(&cluster.bootstrap()).await;
    let topic = NewTopic::new("relaxed").partitions(1).config("flush.messages", "1000000");
    admin.create_topic(topic).await.unwrap();
    admin.close().await;
    kill_leaders(&mut cluster, "relaxed").await;
}

/// Kills the leader of a topic's partition again and again while it is written to.
async fn kill_leaders(cluster: &mut Cluster, topic: &str) {
    let load = Load::start(&cluster.bootstrap(), topic, 0).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let node = leader(&cluster.bootstrap(), topic, 0, None).await;
        cluster.kill(node);
        tokio::time::sleep(Duration::from_millis(300)).await;
        leader(&cluster.bootstrap(), topic, 0, Some(node)).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.restart(node);
        in_sync(&cluster.bootstrap(), topic, 0).await;
    }
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.bootstrap()).await;
}

/// A relaxed topic is answered when a majority has written: nobody waits for a disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relaxed_topic_is_answered_without_a_sync_on_any_node() {
    if skip_unless_leat("a_relaxed_topic_is_answered_without_a_sync_on_any_node") {
        return;
    }
    let cluster = Cluster::start(3, &[]);
    let admin = admin(&cluster.bootstrap()).await;
    let topic = NewTopic::new("relaxed").partitions(1).config("flush.messages", "1000000");
    admin.create_topic(topic).await.unwrap();
    admin.close().await;
    write(&cluster.bootstrap(), "relaxed", 0..1).await;
    let syncs = || -> f64 {
        let of = |node| {
            let address = cluster.http_address(node).parse().expect("an address");
            sample(&get(address, "/metrics").1, "leat_log_sync_duration_seconds_count").expect("syncs")
        };
        (1..=3).map(of).sum()
    };
    let before = syncs();
    let producer = Producer::builder().bootstrap(cluster.bootstrap()).build().await.unwrap();
    for number in 0..200 {
        let record = ProducerRecord::to("relaxed").value(number.to_string());
        producer.send(record).await.unwrap().await.unwrap();
    }
    let during = syncs() - before;
    assert!(during < 60.0, "{during} syncs for 200 records, each answered before the next was sent");
    producer.close().await;
}

/// A leader that hangs answers nobody, and what it had not replicated is gone when it wakes up: it follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_hangs_is_replaced_and_follows_later() {
    if skip_unless_leat("a_leader_that_hangs_is_replaced_and_follows_later") {
        return;
    }
    let cluster = Cluster::start(3, &[]);
    create(&cluster, "hangs", 1).await;
    let load = Load::start(&cluster.bootstrap(), "hangs", 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let node = leader(&cluster.bootstrap(), "hangs", 0, None).await;
    cluster.pause(node);
    let others: Vec<String> = (1..=3).filter(|&other| other != node).map(|other| cluster.address(other)).collect();
    leader(&others[0], "hangs", 0, Some(node)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.resume(node);
    in_sync(&others[1], "hangs", 0).await;
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.address(node)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_shows_clients_no_error() {
    if skip_unless_leat("a_rolling_restart_shows_clients_no_error") {
        return;
    }
    let mut cluster = Cluster::start(3, &[]);
    create(&cluster, "rolling", 3).await;
    let mut loads = Vec::new();
    for partition in 0..3 {
        loads.push(Load::start(&cluster.bootstrap(), "rolling", partition).await);
    }
    for node in (1..=3).cycle().take(3 * rounds(3)) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cluster.terminate(node);
        cluster.restart(node);
        for partition in 0..3 {
            in_sync(&cluster.bootstrap(), "rolling", partition).await;
        }
    }
    for load in loads {
        let told = load.stop().await;
        told.no_error();
        told.check(&cluster.bootstrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_brokers_killed_at_once_come_back_with_everything() {
    if skip_unless_leat("all_brokers_killed_at_once_come_back_with_everything") {
        return;
    }
    let mut cluster = Cluster::start(3, &[]);
    create(&cluster, "all", 2).await;
    let load = Load::start(&cluster.bootstrap(), "all", 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    (1..=3).for_each(|node| cluster.kill(node));
    cluster.restart_all();
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.bootstrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_acknowledged_and_with_it_all_goes_on() {
    if skip_unless_leat("without_a_majority_nothing_is_acknowledged_and_with_it_all_goes_on") {
        return;
    }
    let mut cluster = Cluster::start(3, &[]);
    create(&cluster, "minority", 1).await;
    let load = Load::start(&cluster.bootstrap(), "minority", 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left = leader(&cluster.bootstrap(), "minority", 0, None).await;
    let lost: Vec<usize> = (1..=3).filter(|&node| node != left).collect();
    lost.iter().for_each(|&node| cluster.kill(node));
    // What was on its way to all of them may still be answered.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let alone = load.answered();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(load.answered(), alone, "nothing is acknowledged by one of three");
    lost.iter().for_each(|&node| cluster.restart(node));
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.bootstrap()).await;
}

/// What a replica missed is gone from every log by the time it comes back: it gets the log itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_away_for_too_long_is_seeded() {
    if skip_unless_leat("a_replica_that_was_away_for_too_long_is_seeded") {
        return;
    }
    let mut cluster = Cluster::start(3, &["log.cleaner.backoff.ms=100", "log.cleaner.min.cleanable.ratio=0.1"]);
    let own = admin(&cluster.bootstrap()).await;
    for (topic, policy) in [("deleted", "delete"), ("compacted", "compact")] {
        let topic = NewTopic::new(topic).replicas(&[2, 1, 3]).config("segment.bytes", "4096");
        own.create_topic(topic.config("cleanup.policy", policy)).await.unwrap();
    }
    let first = write(&cluster.bootstrap(), "deleted", 0..100).await;
    write(&cluster.bootstrap(), "compacted", 0..100).await;
    cluster.kill(2);
    write(&cluster.bootstrap(), "deleted", 100..3000).await;
    write(&cluster.bootstrap(), "compacted", 100..3000).await;
    let partition = TopicPartition::new("deleted", 0);
    let start = own.delete_records(&[(partition, 2000)]).await.remove(0).unwrap();
    assert!(start == 2000 && first < start);
    wait_until("compaction", || std::fs::exists(cluster.folder(1).join("compacted-0/manifest")).unwrap()).await;
    cluster.restart(2);
    for topic in ["deleted", "compacted"] {
        in_sync(&cluster.bootstrap(), topic, 0).await;
        write(&cluster.bootstrap(), topic, 3000..3100).await;
        in_sync(&cluster.bootstrap(), topic, 0).await;
    }
    let compacted = history::read(&cluster.bootstrap(), "compacted", 0).await;
    // It leads again after a while, as the first in the list.
    for topic in ["deleted", "compacted"] {
        while leader(&cluster.bootstrap(), topic, 0, None).await != 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let found = history::read(&cluster.bootstrap(), "deleted", 0).await;
    assert!(found.iter().map(|(offset, number)| (*offset, *number as i64)).eq((2000..3100).map(|n| (n, n))));
    let last = compacted.last().unwrap();
    assert_eq!(history::read(&cluster.bootstrap(), "compacted", 0).await.last().unwrap(), last);
    let oldest = cluster.folder(2).join("deleted-0/00000000000000000000.log");
    assert!(!oldest.exists(), "what was deleted did not come back");
    let log = std::fs::read_to_string(cluster.folder(2).with_extension("log")).unwrap();
    assert!(!log.contains("could not be fetched"), "{log}");
    own.close().await;
}

/// Writes numbered records under a few keys, in small batches; the last offset.
async fn write(bootstrap: &str, topic: &str, numbers: std::ops::Range<usize>) -> i64 {
    let producer = Producer::builder().bootstrap(bootstrap).set("batch.size", "512").unwrap().build().await.unwrap();
    let mut deliveries = Vec::new();
    for number in numbers {
        let record =
            ProducerRecord::to(topic).partition(0).key(format!("key {}", number % 7)).value(number.to_string());
        deliveries.push(producer.send(record).await.unwrap());
    }
    let mut last = -1;
    for delivery in deliveries {
        last = delivery.await.unwrap().offset;
    }
    producer.close().await;
    last
}

async fn wait_until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1200 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: not after a minute");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_on_when_its_coordinator_is_killed() {
    if skip_unless_leat("a_group_goes_on_when_its_coordinator_is_killed") {
        return;
    }
    let mut cluster = Cluster::start(3, &["offsets.topic.num.partitions=1"]);
    create(&cluster, "grouped", 2).await;
    let load = Load::start(&cluster.bootstrap(), "grouped", 0).await;
    let builder = Consumer::builder().bootstrap(cluster.bootstrap()).group_id("members".to_owned());
    let builder = builder.set("auto.offset.reset", "earliest").unwrap().enable_auto_commit(false);
    let consumer = builder.set("retry.backoff.ms", "20").unwrap().build().await.unwrap();
    consumer.subscribe(&["grouped"]).await.unwrap();
    let partition = TopicPartition::new("grouped", 0);
    let mut next = 0;
    for _ in 0..3 {
        let upto = next + 100;
        while next < upto {
            for record in consumer.poll(Duration::from_secs(30)).await.unwrap() {
                assert_eq!(record.offset, next, "each record once, in order");
                next += 1;
            }
        }
        consumer.commit().await.unwrap();
        let coordinator = leader(&cluster.bootstrap(), "__consumer_offsets", 0, None).await;
        cluster.kill(coordinator);
        let committed = consumer.committed(std::slice::from_ref(&partition)).await.unwrap();
        assert_eq!(committed[&partition].offset, next);
        cluster.restart(coordinator);
        in_sync(&cluster.bootstrap(), "__consumer_offsets", 0).await;
    }
    consumer.close().await;
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.bootstrap()).await;
}

#[test]
fn an_empty_folder_does_not_take_a_used_number() {
    if skip_unless_leat("an_empty_folder_does_not_take_a_used_number") {
        return;
    }
    let mut cluster = Cluster::start(3, &[]);
    cluster.kill(2);
    std::fs::remove_dir_all(cluster.folder(2)).unwrap();
    let settings = cluster.settings(2);
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let said = Process::refused(&cluster.folder(2), &settings);
    assert!(said.contains("node 2 is in cluster") && said.contains("another data folder"), "{said}");
}

#[test]
fn a_broker_without_the_secret_is_not_heard() {
    if skip_unless_leat("a_broker_without_the_secret_is_not_heard") {
        return;
    }
    let cluster = Cluster::start(3, &["leat.peer.secret=open sesame"]);
    let stranger = tempfile::tempdir().unwrap();
    let mut settings = cluster.settings(2);
    settings.push("leat.peer.secret=open barley".into());
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    // Its port is taken by the true one, so that it can not even listen.
    let said = Process::refused(&stranger.path().join("data"), &settings);
    assert!(said.contains("leat.peer.listen"), "{said}");
    let mut bytes = std::net::TcpStream::connect(cluster.peer_address(1)).unwrap();
    std::io::Write::write_all(&mut bytes, &[0xff; 64]).unwrap();
    bytes.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    assert_eq!(std::io::Read::read_to_end(&mut bytes, &mut answer).unwrap_or(0), 0, "nothing is said to a stranger");
}
