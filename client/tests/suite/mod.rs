//! What the client must do against any Kafka-compatible broker. Each function takes the bootstrap servers, makes its own
//! topics and panics where something is wrong; `for_each_test!` names them all.

mod admin;
mod consume;
mod faults;
mod groups;
mod memberships;
mod produce;
mod proxy;

use std::time::Duration;

use leat_client::{Admin, Consumer, ConsumerRecord, NewTopic, Producer, ProducerRecord, Start, TopicPartition};

pub(crate) use admin::*;
pub(crate) use consume::*;
pub(crate) use faults::*;
pub(crate) use groups::*;
pub(crate) use memberships::*;
pub(crate) use produce::*;

/// Calls a macro with the name of every test.
macro_rules! for_each_test {
    ($then:ident) => {
        $then! {
            admin_manages_topics,
            admin_manages_configs,
            admin_deletes_records,
            admin_describes_the_cluster,
            admin_lists_offsets,
            a_record_keeps_key_value_headers_and_timestamp,
            every_codec_round_trips,
            keys_go_where_java_puts_them,
            records_without_keys_reach_every_partition,
            a_partition_keeps_its_order_with_many_batches_in_flight,
            idempotent_producers_have_an_id_and_sequences,
            a_full_buffer_makes_send_wait,
            large_records_pass_and_too_large_ones_are_refused,
            a_batch_too_large_for_the_broker_is_split,
            flush_does_not_wait_for_linger,
            acks_none_and_leader,
            sending_to_an_unknown_topic_or_partition_fails,
            a_closed_producer_refuses,
            replay_from_earliest_latest_offset_timestamp_and_last,
            seeking_while_polling_takes_effect_at_once,
            paused_partitions_keep_their_position,
            position_lag_and_ends_agree,
            auto_offset_reset_decides_where_to_start,
            prefetch_is_bounded,
            a_stream_yields_every_record,
            a_position_within_a_batch_is_exact,
            deleted_records_are_skipped_by_reset,
            a_live_consumer_sees_records_soon,
            what_is_sent_again_is_written_once_and_in_order,
            a_consumer_reads_on_when_connections_break,
            a_group_goes_on_where_it_has_committed,
            positions_are_committed_in_the_background_and_on_close,
            records_and_offsets_are_committed_one_by_one,
            commits_never_overtake_each_other,
            a_seek_inside_a_group_wins_over_what_was_committed,
            partitions_assigned_by_hand_start_where_the_group_has_committed,
            without_a_group_there_is_no_subscription,
            admin_lists_describes_alters_and_deletes_groups,
            members_share_partitions_with_every_assignor,
            eager_members_give_up_everything_and_cooperative_ones_only_what_moves,
            a_listener_commits_before_partitions_move,
            a_static_member_comes_back_to_what_it_had,
            a_second_static_member_of_the_same_name_fences_the_first,
            a_program_that_does_not_poll_loses_its_place_until_it_polls,
            a_pattern_finds_topics_that_appear_later,
            a_group_takes_up_new_partitions,
            a_member_may_change_its_subscription_and_leave,
            a_group_survives_broken_connections,
        }
    };
}

pub(crate) use for_each_test;

/// A topic name that no other test has.
fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{name}-{:x}-{}-{}", now.as_millis(), std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn admin(bootstrap: &str) -> Admin {
    Admin::builder().bootstrap(bootstrap).build().await.unwrap()
}

/// A new topic.
async fn topic(bootstrap: &str, name: &str, partitions: i32) -> String {
    let name = unique(name);
    create(bootstrap, NewTopic::new(name.as_str()).partitions(partitions)).await;
    name
}

/// Creates a topic and waits until the broker knows it: Apache Kafka's controller answers before its brokers have heard.
/// Records are kept for ever: some tests date them to 1970, and retention comes by whenever it likes.
async fn create(bootstrap: &str, new: NewTopic) {
    let (admin, name) = (admin(bootstrap).await, new.name.clone());
    admin.create_topic(new.config("retention.ms", "-1")).await.unwrap();
    for _ in 0..100 {
        let described = admin.describe_topics(&[&name]).await.unwrap().remove(0);
        if described.is_ok_and(|topic| topic.partitions.iter().all(|partition| partition.leader.is_some())) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} has no leaders after 5 s");
}

async fn producer(bootstrap: &str) -> Producer {
    Producer::builder().bootstrap(bootstrap).build().await.unwrap()
}

/// A consumer of all partitions from the start given.
async fn consumer(bootstrap: &str, topic: &str, start: Start) -> Consumer {
    let consumer = Consumer::builder().bootstrap(bootstrap).build().await.unwrap();
    consumer.assign(&consumer.partitions(topic).await.unwrap()).await.unwrap();
    consumer.seek_all(start).await.unwrap();
    consumer
}

/// Polls until there are `count` records; fails after 30 s.
async fn read(consumer: &Consumer, count: usize) -> Vec<ConsumerRecord> {
    let mut records = Vec::new();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while records.len() < count {
        assert!(std::time::Instant::now() < deadline, "only {} of {count} records came", records.len());
        records.extend(consumer.poll(Duration::from_millis(500)).await.unwrap());
    }
    assert_eq!(records.len(), count, "more records than were produced");
    records
}

/// Sends numbered records to one partition with timestamps 1000, 2000, 3000...
async fn fill(bootstrap: &str, topic: &str, count: i64) {
    let producer = producer(bootstrap).await;
    let mut last = None;
    for i in 0..count {
        let record = ProducerRecord::to(topic).partition(0).value(i.to_string()).timestamp((i + 1) * 1000);
        last = Some(producer.send(record).await.unwrap());
    }
    producer.flush().await;
    if let Some(last) = last {
        assert_eq!(last.await.unwrap().offset, count - 1);
    }
    producer.close().await;
}

fn first(topic: &str) -> TopicPartition {
    TopicPartition::new(topic, 0)
}

fn numbers(records: &[ConsumerRecord]) -> Vec<i64> {
    let number =
        |record: &ConsumerRecord| std::str::from_utf8(record.value.as_ref().unwrap()).unwrap().parse().unwrap();
    records.iter().map(number).collect()
}
