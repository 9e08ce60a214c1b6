//! Who of a group reads what, and how that changes.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use leat_client::{
    Assignor, Consumer, ConsumerConfig, ConsumerRecord, ErrorCode, NewPartitions, NewTopic, ProducerRecord,
    RebalanceListener, TopicPartition,
};
use leat_protocol::ApiKey;

use super::groups::member;
use super::{admin, faults, fill, first, numbers, producer, proxy, read, topic, unique};

/// What a member was told, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
}

#[derive(Debug, Default, Clone)]
struct Log(Arc<Mutex<Vec<Told>>>);

impl Log {
    fn note(&self, told: Told) {
        self.0.lock().unwrap().push(told);
    }

    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl RebalanceListener for Log {
    async fn assigned(&self, _: &Consumer, partitions: &[TopicPartition]) {
        self.note(Told::Assigned(partitions.to_vec()));
    }

    async fn revoked(&self, _: &Consumer, partitions: &[TopicPartition]) {
        self.note(Told::Revoked(partitions.to_vec()));
    }

    async fn lost(&self, _: &Consumer, partitions: &[TopicPartition]) {
        self.note(Told::Lost(partitions.to_vec()));
    }
}

/// All partitions of a topic.
fn partitions(topic: &str, count: i32) -> Vec<TopicPartition> {
    (0..count).map(|partition| TopicPartition::new(topic, partition)).collect()
}

/// Polls all members until `done`, for at most 30 s. Returns the records that came.
async fn until(members: &[&Consumer], done: impl Fn() -> bool) -> Vec<ConsumerRecord> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut records = Vec::new();
    while !done() {
        let now: Vec<_> = members.iter().map(|member| member.assignment()).collect();
        assert!(Instant::now() < deadline, "not done; assigned: {now:?}");
        for member in members {
            records.extend(member.poll(Duration::from_millis(10)).await.unwrap());
        }
    }
    records
}

/// Polls until the members have all of these partitions among them, each so many.
async fn settle(members: &[&Consumer], all: &[TopicPartition], sizes: &[usize]) {
    until(members, || {
        let mut assigned: Vec<_> = members.iter().flat_map(|member| member.assignment()).collect();
        assigned.sort();
        let mut found: Vec<_> = members.iter().map(|member| member.assignment().len()).collect();
        found.sort();
        assigned == all && found == sizes
    })
    .await;
}

fn with(bootstrap: &str, group: &str, assignor: Assignor) -> ConsumerConfig {
    member(bootstrap, group).partition_assignment_strategy(vec![assignor])
}

pub(crate) async fn members_share_partitions_with_every_assignor(bootstrap: &str) {
    for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky] {
        let (topic, group) = (topic(bootstrap, "shared", 6).await, unique("shared"));
        let all = partitions(&topic, 6);
        let join = async || {
            let member = with(bootstrap, &group, assignor).build().await.unwrap();
            member.subscribe(&[&topic]).await.unwrap();
            member
        };
        let a = join().await;
        settle(&[&a], &all, &[6]).await;
        let b = join().await;
        settle(&[&a, &b], &all, &[3, 3]).await;
        let c = join().await;
        settle(&[&a, &b, &c], &all, &[2, 2, 2]).await;
        let described = admin(bootstrap).await.describe_groups(&[&group]).await.remove(0).unwrap();
        assert_eq!(described.assignor, assignor.name());
        b.close().await;
        settle(&[&a, &c], &all, &[3, 3]).await;
        a.close().await;
        settle(&[&c], &all, &[6]).await;
        c.close().await;
    }
}

pub(crate) async fn eager_members_give_up_everything_and_cooperative_ones_only_what_moves(bootstrap: &str) {
    for assignor in [Assignor::Sticky, Assignor::CooperativeSticky] {
        let (topic, group, log) = (topic(bootstrap, "moves", 4).await, unique("moves"), Log::default());
        let all = partitions(&topic, 4);
        let a = with(bootstrap, &group, assignor).build().await.unwrap();
        a.subscribe_with(&[&topic], log.clone()).await.unwrap();
        settle(&[&a], &all, &[4]).await;
        let b = with(bootstrap, &group, assignor).build().await.unwrap();
        b.subscribe(&[&topic]).await.unwrap();
        settle(&[&a, &b], &all, &[2, 2]).await;
        let kept = a.assignment();
        let moved: Vec<_> = all.iter().filter(|partition| !kept.contains(partition)).cloned().collect();
        let told = log.take();
        assert_eq!(told[0], Told::Assigned(all.clone()));
        let revoked: Vec<_> = told.iter().filter(|told| matches!(told, Told::Revoked(_))).collect();
        let expected = if assignor == Assignor::Sticky { &all } else { &moved };
        assert_eq!(revoked[0], &Told::Revoked(expected.clone()), "{assignor:?}");
        assert!(!told.iter().any(|told| matches!(told, Told::Lost(_))), "{told:?}");
        a.close().await;
        assert_eq!(log.take().last(), Some(&Told::Revoked(kept)));
        b.close().await;
    }
}

/// Commits what it has counted, as a program would whose results are elsewhere.
#[derive(Debug, Default, Clone)]
struct Commits(Arc<Mutex<Vec<ConsumerRecord>>>);

impl RebalanceListener for Commits {
    async fn revoked(&self, consumer: &Consumer, _: &[TopicPartition]) {
        let done = std::mem::take(&mut *self.0.lock().unwrap());
        consumer.commit_records(&done).await.unwrap();
    }
}

pub(crate) async fn a_listener_commits_before_partitions_move(bootstrap: &str) {
    for assignor in [Assignor::Range, Assignor::CooperativeSticky] {
        let (topic, group, commits) = (topic(bootstrap, "commits", 2).await, unique("commits"), Commits::default());
        let producer = producer(bootstrap).await;
        for i in 0..200 {
            let record = ProducerRecord::to(topic.as_str()).partition(i % 2).value((i / 2).to_string());
            drop(producer.send(record).await.unwrap());
        }
        producer.close().await;
        let builder = || with(bootstrap, &group, assignor).enable_auto_commit(false).max_poll_records(7);
        let a = builder().build().await.unwrap();
        a.subscribe_with(&[&topic], commits.clone()).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 40 {
            let records = a.poll(Duration::from_secs(10)).await.unwrap();
            commits.0.lock().unwrap().extend(records.iter().cloned());
            seen.extend(records);
        }
        let b = builder().build().await.unwrap();
        b.subscribe(&[&topic]).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while seen.len() < 200 {
            assert!(Instant::now() < deadline, "only {} records came", seen.len());
            let records = a.poll(Duration::from_millis(5)).await.unwrap();
            commits.0.lock().unwrap().extend(records.iter().cloned());
            seen.extend(records);
            seen.extend(b.poll(Duration::from_millis(5)).await.unwrap());
        }
        let all: BTreeSet<_> = seen.iter().map(|record| (record.partition, record.offset)).collect();
        assert_eq!(all.len(), 200, "{assignor:?}: some record came twice");
        a.close().await;
        b.close().await;
    }
}

pub(crate) async fn a_static_member_comes_back_to_what_it_had(bootstrap: &str) {
    let (topic, group, log) = (topic(bootstrap, "static", 4).await, unique("static"), Log::default());
    let all = partitions(&topic, 4);
    let join = async |name: &str, log: Log| {
        let member = member(bootstrap, &group).group_instance_id(name.to_owned()).build().await.unwrap();
        member.subscribe_with(&[&topic], log).await.unwrap();
        member
    };
    let a = join("a", log.clone()).await;
    let b = join("b", Log::default()).await;
    settle(&[&a, &b], &all, &[2, 2]).await;
    let had = b.assignment();
    let instances = async || {
        let described = admin(bootstrap).await.describe_groups(&[&group]).await.remove(0).unwrap();
        described
            .members
            .iter()
            .filter_map(|member| member.instance.as_deref().map(str::to_owned))
            .collect::<BTreeSet<_>>()
    };
    b.close().await;
    assert_eq!(instances().await, BTreeSet::from(["a".to_owned(), "b".to_owned()]), "it keeps its place");
    log.take();
    let b = join("b", Log::default()).await;
    until(&[&a, &b], || b.assignment() == had).await;
    assert_eq!(log.take(), [], "the others notice nothing");
    a.close().await;
    b.close().await;
}

pub(crate) async fn a_second_static_member_of_the_same_name_fences_the_first(bootstrap: &str) {
    let (topic, group) = (topic(bootstrap, "fenced", 1).await, unique("fenced"));
    let join = async || {
        let member = member(bootstrap, &group).group_instance_id("one".to_owned()).build().await.unwrap();
        member.subscribe(&[&topic]).await.unwrap();
        member
    };
    let a = join().await;
    settle(&[&a], &partitions(&topic, 1), &[1]).await;
    let b = join().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let error = loop {
        assert!(Instant::now() < deadline, "the first member is not fenced");
        match a.poll(Duration::from_millis(50)).await {
            Ok(_) => _ = b.poll(Duration::from_millis(50)).await.unwrap(),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Some(ErrorCode::FENCED_INSTANCE_ID));
    assert_eq!(a.poll(Duration::ZERO).await.unwrap_err().code(), Some(ErrorCode::FENCED_INSTANCE_ID), "for good");
    assert!(a.commit_offsets([(first(&topic), 1.into())]).await.is_err());
    settle(&[&b], &partitions(&topic, 1), &[1]).await;
    a.close().await;
    b.close().await;
}

pub(crate) async fn a_program_that_does_not_poll_loses_its_place_until_it_polls(bootstrap: &str) {
    let (topic, group, log) = (topic(bootstrap, "stuck", 2).await, unique("stuck"), Log::default());
    fill(bootstrap, &topic, 20).await;
    let all = partitions(&topic, 2);
    let builder = member(bootstrap, &group).max_poll_interval(Duration::from_millis(600)).enable_auto_commit(false);
    let stuck = builder.build().await.unwrap();
    stuck.subscribe_with(&[&topic], log.clone()).await.unwrap();
    settle(&[&stuck], &all, &[2]).await;
    let other = member(bootstrap, &group).build().await.unwrap();
    other.subscribe(&[&topic]).await.unwrap();
    settle(&[&other], &all, &[2]).await;
    log.take();
    let refused = stuck.commit_offsets([(first(&topic), 5.into())]).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::UNKNOWN_MEMBER_ID));
    settle(&[&stuck, &other], &all, &[1, 1]).await;
    assert_eq!(log.take()[0], Told::Lost(all.clone()));
    stuck.close().await;
    other.close().await;
}

pub(crate) async fn a_pattern_finds_topics_that_appear_later(bootstrap: &str) {
    let (prefix, group) = (unique("pattern"), unique("pattern"));
    let name = |suffix: &str| format!("{prefix}-{suffix}");
    let admin = admin(bootstrap).await;
    for suffix in ["a", "b", "other"] {
        admin.create_topic(NewTopic::new(name(suffix)).partitions(1)).await.unwrap();
    }
    let builder = member(bootstrap, &group).set("metadata.max.age.ms", "200").unwrap();
    let consumer = builder.build().await.unwrap();
    consumer.subscribe_pattern(&format!("{prefix}-.")).await.unwrap();
    settle(&[&consumer], &[first(&name("a")), first(&name("b"))], &[2]).await;
    admin.create_topic(NewTopic::new(name("c")).partitions(1)).await.unwrap();
    settle(&[&consumer], &[first(&name("a")), first(&name("b")), first(&name("c"))], &[3]).await;
    consumer.close().await;
}

pub(crate) async fn a_group_takes_up_new_partitions(bootstrap: &str) {
    let (topic, group) = (topic(bootstrap, "grows", 1).await, unique("grows"));
    let builder = || member(bootstrap, &group).set("metadata.max.age.ms", "200").unwrap();
    let (a, b) = (builder().build().await.unwrap(), builder().build().await.unwrap());
    a.subscribe(&[&topic]).await.unwrap();
    b.subscribe(&[&topic]).await.unwrap();
    settle(&[&a, &b], &partitions(&topic, 1), &[0, 1]).await;
    let grown = NewPartitions::increase_to(topic.as_str(), 4);
    admin(bootstrap).await.create_partitions(&[grown], false).await.unwrap().remove(0).unwrap();
    settle(&[&a, &b], &partitions(&topic, 4), &[2, 2]).await;
    a.close().await;
    b.close().await;
}

pub(crate) async fn a_member_may_change_its_subscription_and_leave(bootstrap: &str) {
    for assignor in [Assignor::Range, Assignor::CooperativeSticky] {
        let (one, two, group) = (topic(bootstrap, "one", 2).await, topic(bootstrap, "two", 1).await, unique("change"));
        fill(bootstrap, &one, 10).await;
        let consumer = with(bootstrap, &group, assignor).build().await.unwrap();
        consumer.subscribe(&[&one]).await.unwrap();
        settle(&[&consumer], &partitions(&one, 2), &[2]).await;
        consumer.subscribe(&[&two]).await.unwrap();
        settle(&[&consumer], &partitions(&two, 1), &[1]).await;
        consumer.subscribe(&[&one, &two]).await.unwrap();
        let mut both = [partitions(&one, 2), partitions(&two, 1)].concat();
        both.sort();
        settle(&[&consumer], &both, &[3]).await;
        consumer.unsubscribe().await.unwrap();
        assert!(consumer.assignment().is_empty());
        let described = admin(bootstrap).await.describe_groups(&[&group]).await.remove(0).unwrap();
        assert_eq!((&*described.state, described.members.len()), ("Empty", 0));
        consumer.assign(&[first(&one)]).await.unwrap();
        consumer.seek_all(leat_client::Start::Earliest).await.unwrap();
        assert_eq!(read(&consumer, 10).await.len(), 10);
        consumer.unsubscribe().await.unwrap();
        consumer.subscribe(&[&two]).await.unwrap();
        settle(&[&consumer], &partitions(&two, 1), &[1]).await;
        consumer.close().await;
    }
}

pub(crate) async fn a_group_survives_broken_connections(bootstrap: &str) {
    if !faults::is_one_broker(bootstrap).await {
        return;
    }
    for (api, one_in) in [
        (ApiKey::JoinGroup, 3),
        (ApiKey::SyncGroup, 3),
        (ApiKey::Heartbeat, 3),
        (ApiKey::OffsetCommit, 3),
        (ApiKey::OffsetFetch, 2),
        (ApiKey::FindCoordinator, 2),
    ] {
        let (topic, group) = (topic(bootstrap, "breaks", 2).await, unique("breaks"));
        fill(bootstrap, &topic, 400).await;
        let (address, broken) = proxy::start(bootstrap, api, one_in).await;
        let builder = || {
            let builder = member(&address, &group).enable_auto_commit(false).max_poll_records(10);
            let builder = builder.session_timeout(Duration::from_secs(6)).heartbeat_interval(Duration::from_millis(20));
            builder.set("retry.backoff.ms", "5").unwrap().set("reconnect.backoff.ms", "5").unwrap()
        };
        let mut next = 0;
        for round in 0..4 {
            let consumer = builder().build().await.unwrap();
            consumer.subscribe(&[&topic]).await.unwrap();
            let records = read(&consumer, if round < 3 { 100 } else { 400 - next as usize }).await;
            assert!(numbers(&records).into_iter().zip(next..).all(|(found, expected)| found == expected), "{api}");
            next += records.len() as i64;
            consumer.commit().await.unwrap();
            consumer.close().await;
        }
        assert_eq!(next, 400);
        let broken = broken.broken.load(Ordering::Relaxed);
        assert!(broken > 0, "{api}: no connection broke");
    }
}
