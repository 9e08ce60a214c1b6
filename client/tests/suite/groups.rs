//! What is committed, and where a group goes on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use leat_client::{CommittedOffset, Consumer, ConsumerConfig, Error, ErrorCode, Start, TopicPartition};

use super::{admin, fill, first, numbers, read, topic, unique};

/// A member to be, that starts at the earliest record.
pub(super) fn member(bootstrap: &str, group: &str) -> ConsumerConfig {
    let builder = Consumer::builder().bootstrap(bootstrap).group_id(group.to_owned());
    let builder = builder.set("auto.offset.reset", "earliest").unwrap().set("retry.backoff.ms", "20").unwrap();
    builder.heartbeat_interval(Duration::from_millis(100)).session_timeout(Duration::from_secs(10))
}

/// What the group has committed for the topic's first partition.
async fn committed(consumer: &Consumer, topic: &str) -> Option<i64> {
    consumer.committed(&[first(topic)]).await.unwrap().get(&first(topic)).map(|committed| committed.offset)
}

pub(crate) async fn a_group_goes_on_where_it_has_committed(bootstrap: &str) {
    let (topic, group) = (topic(bootstrap, "goes-on", 1).await, unique("goes-on"));
    fill(bootstrap, &topic, 100).await;
    let builder = || member(bootstrap, &group).enable_auto_commit(false).max_poll_records(30);
    let consumer = builder().build().await.unwrap();
    consumer.subscribe(&[&topic]).await.unwrap();
    let records = read(&consumer, 60).await;
    assert!(numbers(&records).into_iter().eq(0..60));
    assert_eq!(committed(&consumer, &topic).await, None);
    consumer.commit().await.unwrap();
    let found = consumer.committed(&[first(&topic)]).await.unwrap();
    assert_eq!(found[&first(&topic)].offset, 60);
    assert_eq!(found[&first(&topic)].leader_epoch, Some(records[59].leader_epoch));
    assert_eq!(read(&consumer, 30).await[0].offset, 60);
    assert_eq!(consumer.lag(&first(&topic)), Some(10));
    consumer.close().await;
    assert!(matches!(consumer.poll(Duration::ZERO).await, Err(Error::Closed)));

    // What was read and not committed comes again.
    let consumer = builder().build().await.unwrap();
    consumer.subscribe(&[&topic]).await.unwrap();
    assert!(numbers(&read(&consumer, 40).await).into_iter().eq(60..100));
    consumer.close().await;
}

pub(crate) async fn positions_are_committed_in_the_background_and_on_close(bootstrap: &str) {
    let (topic, group) = (topic(bootstrap, "auto", 1).await, unique("auto"));
    fill(bootstrap, &topic, 100).await;
    let builder = || member(bootstrap, &group).auto_commit_interval(Duration::from_millis(50)).max_poll_records(10);
    let consumer = builder().build().await.unwrap();
    consumer.subscribe(&[&topic]).await.unwrap();
    read(&consumer, 50).await;
    let paused = [first(&topic)];
    consumer.pause(&paused);
    let deadline = Instant::now() + Duration::from_secs(20);
    while committed(&consumer, &topic).await != Some(50) {
        assert!(Instant::now() < deadline, "nothing is committed in the background");
        assert!(consumer.poll(Duration::from_millis(20)).await.unwrap().is_empty());
    }
    consumer.resume(&paused);
    read(&consumer, 20).await;
    consumer.close().await;
    let consumer = builder().build().await.unwrap();
    assert_eq!(committed(&consumer, &topic).await, Some(70), "committed on close");
    consumer.subscribe(&[&topic]).await.unwrap();
    assert_eq!(read(&consumer, 30).await[0].offset, 70);
    consumer.close().await;
}

pub(crate) async fn records_and_offsets_are_committed_one_by_one(bootstrap: &str) {
    let (topic, group) = (topic(bootstrap, "one-by-one", 1).await, unique("one-by-one"));
    fill(bootstrap, &topic, 10).await;
    let consumer = member(bootstrap, &group).enable_auto_commit(false).build().await.unwrap();
    consumer.subscribe(&[&topic]).await.unwrap();
    let records = read(&consumer, 10).await;
    for record in &records[..3] {
        consumer.commit_records([record]).await.unwrap();
        assert_eq!(committed(&consumer, &topic).await, Some(record.offset + 1));
    }
    // The order of the records does not matter.
    consumer.commit_records(records[..6].iter().rev()).await.unwrap();
    assert_eq!(committed(&consumer, &topic).await, Some(6));
    let own = CommittedOffset { offset: 2, leader_epoch: None, metadata: "naïve".into() };
    consumer.commit_offsets([(first(&topic), own.clone())]).await.unwrap();
    assert_eq!(consumer.committed(&[first(&topic)]).await.unwrap()[&first(&topic)], own);
    consumer.commit_async().unwrap().await.unwrap();
    assert_eq!(committed(&consumer, &topic).await, Some(10));
    consumer.close().await;
}

pub(crate) async fn commits_never_overtake_each_other(bootstrap: &str) {
    let (topic, group) = (topic(bootstrap, "overtake", 1).await, unique("overtake"));
    fill(bootstrap, &topic, 500).await;
    let consumer = member(bootstrap, &group).enable_auto_commit(false).max_poll_records(1).build().await.unwrap();
    consumer.subscribe(&[&topic]).await.unwrap();
    let mut commits = Vec::new();
    for _ in 0..500 {
        read(&consumer, 1).await;
        commits.push(consumer.commit_async().unwrap());
    }
    let last = commits.pop().unwrap();
    last.await.unwrap();
    assert_eq!(committed(&consumer, &topic).await, Some(500));
    for commit in commits {
        commit.await.unwrap();
    }
    assert_eq!(committed(&consumer, &topic).await, Some(500));
    consumer.close().await;
}

pub(crate) async fn a_seek_inside_a_group_wins_over_what_was_committed(bootstrap: &str) {
    let (topic, group) = (topic(bootstrap, "group-seek", 1).await, unique("group-seek"));
    fill(bootstrap, &topic, 100).await;
    let consumer = member(bootstrap, &group).build().await.unwrap();
    consumer.subscribe(&[&topic]).await.unwrap();
    read(&consumer, 100).await;
    for (start, from) in [(Start::Timestamp(50_000), 49), (Start::Last(10), 90), (Start::Earliest, 0)] {
        consumer.seek_all(start).await.unwrap();
        assert_eq!(consumer.position(&first(&topic)).await.unwrap(), from);
        assert!(numbers(&read(&consumer, 100 - from as usize).await).into_iter().eq(from..100));
    }
    consumer.seek(&first(&topic), Start::Offset(33)).await.unwrap();
    consumer.commit().await.unwrap();
    assert_eq!(committed(&consumer, &topic).await, Some(33));
    consumer.close().await;
}

pub(crate) async fn partitions_assigned_by_hand_start_where_the_group_has_committed(bootstrap: &str) {
    let (topic, group) = (topic(bootstrap, "by-hand", 1).await, unique("by-hand"));
    fill(bootstrap, &topic, 20).await;
    let consumer = member(bootstrap, &group).build().await.unwrap();
    consumer.assign(&[first(&topic)]).await.unwrap();
    assert_eq!(consumer.position(&first(&topic)).await.unwrap(), 0);
    assert!(matches!(consumer.subscribe(&[&topic]).await, Err(Error::Invalid(_))));
    consumer.commit_offsets([(first(&topic), 15.into())]).await.unwrap();
    consumer.assign(&[]).await.unwrap();
    consumer.assign(&[first(&topic)]).await.unwrap();
    assert!(numbers(&read(&consumer, 5).await).into_iter().eq(15..20));
    consumer.close().await;
    let consumer = member(bootstrap, &group).build().await.unwrap();
    assert_eq!(committed(&consumer, &topic).await, Some(20), "committed on close");
    let none = member(bootstrap, &group).set("auto.offset.reset", "none").unwrap().build().await.unwrap();
    none.assign(&[first(&topic)]).await.unwrap();
    assert_eq!(none.position(&first(&topic)).await.unwrap(), 20);
}

pub(crate) async fn without_a_group_there_is_no_subscription(bootstrap: &str) {
    let consumer = Consumer::builder().bootstrap(bootstrap).build().await.unwrap();
    for error in [consumer.subscribe(&["t"]).await, consumer.commit().await] {
        assert_eq!(error.unwrap_err().to_string(), "this needs a group.id");
    }
    let consumer = member(bootstrap, &unique("invalid")).build().await.unwrap();
    assert!(matches!(consumer.subscribe_pattern("(").await, Err(Error::Invalid(_))));
    consumer.subscribe(&[unique("not-there")]).await.unwrap();
    assert!(matches!(consumer.assign(&[]).await, Err(Error::Invalid(_))));
}

pub(crate) async fn admin_lists_describes_alters_and_deletes_groups(bootstrap: &str) {
    let (topic, group) = (topic(bootstrap, "admin", 2).await, unique("admin-group"));
    fill(bootstrap, &topic, 10).await;
    let admin = admin(bootstrap).await;
    let describe = async || admin.describe_groups(&[&group]).await.remove(0).unwrap();
    assert_eq!(describe().await.state, "Dead");
    let consumer = member(bootstrap, &group).client_id("tester").build().await.unwrap();
    consumer.subscribe(&[&topic]).await.unwrap();
    read(&consumer, 10).await;
    consumer.commit().await.unwrap();

    let listed = admin.list_groups().await.unwrap().into_iter().find(|listed| listed.group == group).unwrap();
    assert_eq!((&*listed.protocol_type, listed.state.as_deref()), ("consumer", Some("Stable")));
    let described = describe().await;
    assert_eq!((&*described.state, &*described.assignor), ("Stable", "range"));
    assert_eq!(described.members.len(), 1);
    let member_now = &described.members[0];
    assert!(member_now.id.starts_with("tester-"), "{}", member_now.id);
    assert_eq!((&*member_now.client_id, &member_now.instance), ("tester", &None));
    assert_eq!(member_now.assignment, consumer.assignment());
    assert!(admin.describe_cluster().await.unwrap().brokers.iter().any(|node| node.id == described.coordinator.id));

    let offsets = admin.list_group_offsets(&group).await.unwrap();
    assert_eq!(offsets[&first(&topic)].offset, 10);
    let code = |result: Result<(), Error>| result.unwrap_err().code();
    let refused = admin.alter_group_offsets(&group, &[(first(&topic), 3.into())]).await.unwrap().remove(0);
    assert_eq!(code(refused), Some(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(code(admin.delete_groups(&[&group]).await.remove(0)), Some(ErrorCode::NON_EMPTY_GROUP));
    let refused = admin.delete_group_offsets(&group, &[first(&topic)]).await.unwrap().remove(0);
    assert_eq!(code(refused), Some(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC));
    consumer.close().await;

    assert_eq!(describe().await.state, "Empty");
    let second = TopicPartition::new(topic.as_str(), 1);
    let altered = [(first(&topic), 3.into()), (second.clone(), 0.into())];
    for result in admin.alter_group_offsets(&group, &altered).await.unwrap() {
        result.unwrap();
    }
    let offsets = admin.list_group_offsets(&group).await.unwrap();
    assert_eq!(offsets.keys().collect::<BTreeSet<_>>(), BTreeSet::from([&first(&topic), &second]));
    admin.delete_group_offsets(&group, &[second]).await.unwrap().remove(0).unwrap();
    assert_eq!(admin.list_group_offsets(&group).await.unwrap()[&first(&topic)].offset, 3);
    assert_eq!(admin.list_group_offsets(&group).await.unwrap().len(), 1);
    admin.delete_groups(&[&group]).await.remove(0).unwrap();
    assert!(admin.list_group_offsets(&group).await.unwrap().is_empty());
    assert_eq!(code(admin.delete_groups(&[&group]).await.remove(0)), Some(ErrorCode::GROUP_ID_NOT_FOUND));
    assert!(!admin.list_groups().await.unwrap().iter().any(|listed| listed.group == group));
    let missing = TopicPartition::new(unique("not-there"), 0);
    let refused = admin.alter_group_offsets(&group, &[(missing, 1.into())]).await.unwrap().remove(0);
    assert_eq!(code(refused), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}
