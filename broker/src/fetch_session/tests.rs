//! The rules of KIP-227, each as Apache Kafka 4.3.1 answered the same raw requests; then eviction and bounds.

use leat_protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic, PartitionData,
};
use leat_protocol::{Bytes, ErrorCode, Records, Str, Uuid};

use super::{Context, SessionCache, TopicKey, failed};

const MINUTE_MS: i64 = 60_000;

fn cache(slots: usize) -> SessionCache {
    SessionCache::new(0, 1, slots, 7)
}

fn partition(number: i32, fetch_offset: i64) -> FetchPartition {
    FetchPartition { partition: number, fetch_offset, partition_max_bytes: 1 << 20, ..FetchPartition::default() }
}

/// A request for partitions of topics, as (topic, partition, offset).
fn request(session_id: i32, session_epoch: i32, wanted: &[(&str, i32, i64)]) -> FetchRequest {
    let topics = wanted
        .iter()
        .map(|&(topic, number, offset)| FetchTopic {
            topic: Str::from(topic),
            topic_id: Uuid::nil(),
            partitions: vec![partition(number, offset)],
        })
        .collect();
    FetchRequest { session_id, session_epoch, topics, ..FetchRequest::default() }
}

fn forgetting(mut request: FetchRequest, forgotten: &[(&str, i32)]) -> FetchRequest {
    request.forgotten_topics_data = forgotten
        .iter()
        .map(|&(topic, number)| ForgottenTopic {
            topic: Str::from(topic),
            topic_id: Uuid::nil(),
            partitions: vec![number],
        })
        .collect();
    request
}

/// A partition with this high watermark and so many bytes of records.
fn data(high_watermark: i64, bytes: usize) -> PartitionData {
    PartitionData {
        high_watermark,
        log_start_offset: 0,
        records: Some(Records::from(Bytes::from(vec![0; bytes]))),
        ..PartitionData::default()
    }
}

fn asked(context: &Context) -> Vec<(String, i32)> {
    let name = |topic: &TopicKey| match topic {
        TopicKey::Name(name) => name.to_string(),
        TopicKey::Id(id) => id.to_string(),
    };
    context.partitions().iter().map(|read| (name(&read.topic), read.partition)).collect()
}

/// The partitions in a response, as "topic partition".
fn told(response: &FetchResponse) -> Vec<String> {
    let of_topic = |topic: &leat_protocol::messages::fetch::FetchableTopicResponse| {
        let name = topic.topic.clone();
        topic.partitions.iter().map(move |data| format!("{name}{}", data.partition_index)).collect::<Vec<_>>()
    };
    response.responses.iter().flat_map(of_topic).collect()
}

/// Answers a request from a table of what each partition has.
fn fetch(
    cache: &mut SessionCache,
    request: &FetchRequest,
    at_ms: i64,
    has: impl Fn(&str, i32) -> PartitionData,
) -> Result<FetchResponse, ErrorCode> {
    let context = cache.begin(request, 12, at_ms)?;
    let wanted = asked(&context);
    let data = wanted
        .iter()
        .map(|(topic, number)| PartitionData { partition_index: *number, ..has(topic, *number) })
        .collect();
    Ok(context.respond(cache, data, at_ms))
}

fn quiet(_: &str, _: i32) -> PartitionData {
    data(9, 0)
}

/// A new session of these partitions, which have nothing new.
fn open(cache: &mut SessionCache, wanted: &[(&str, i32, i64)]) -> i32 {
    fetch(cache, &request(0, 0, wanted), 0, quiet).unwrap().session_id
}

#[test]
fn a_full_fetch_is_told_all_and_gets_a_session() {
    let mut cache = cache(10);
    let response = fetch(&mut cache, &request(0, 0, &[("a", 0, 9), ("b", 1, 9), ("a", 1, 9)]), 0, quiet).unwrap();
    assert_eq!(told(&response), ["a0", "b1", "a1"]);
    assert_eq!(response.responses.len(), 3, "neighbours of the same topic only are put together");
    assert!(response.session_id > 0);
    assert_eq!((cache.len(), cache.partitions()), (1, 3));
}

#[test]
fn a_repeated_partition_counts_once_by_its_last_word() {
    let mut cache = cache(10);
    let context = cache.begin(&request(0, 0, &[("a", 0, 9), ("a", 1, 9), ("a", 0, 3)]), 12, 0).unwrap();
    let offsets: Vec<_> = context.partitions().iter().map(|read| (read.partition, read.fetch_offset)).collect();
    assert_eq!(offsets, [(0, 3), (1, 9)]);
}

#[test]
fn without_a_session_all_is_told_each_time() {
    let mut cache = cache(10);
    for _ in 0..2 {
        let response = fetch(&mut cache, &request(0, -1, &[("a", 0, 9)]), 0, quiet).unwrap();
        assert_eq!((told(&response), response.session_id), (vec!["a0".to_owned()], 0));
    }
    assert!(cache.is_empty());
}

#[test]
fn versions_before_sessions_have_none() {
    let mut cache = cache(10);
    let defaults = FetchRequest::default();
    assert_eq!((defaults.session_id, defaults.session_epoch), (0, -1));
    cache.begin(&defaults, 4, 0).unwrap();
    assert!(cache.is_empty());
}

#[test]
fn an_incremental_fetch_is_told_what_changed() {
    let mut cache = cache(10);
    let id = open(&mut cache, &[("a", 0, 9), ("a", 1, 9), ("b", 0, 9)]);
    let mut epoch = 0;
    let mut next = |has: &dyn Fn(&str, i32) -> PartitionData| {
        epoch += 1;
        told(&fetch(&mut cache, &request(id, epoch, &[]), 0, has).unwrap())
    };
    assert!(next(&quiet).is_empty());
    assert_eq!(next(&|_, number| data(9 + i64::from(number), 0)), ["a1"], "a high watermark");
    assert_eq!(next(&|_, number| data(9 + i64::from(number), 0)), [] as [&str; 0], "once");
    let trimmed = |topic: &str, number: i32| PartitionData {
        log_start_offset: i64::from(topic == "b"),
        ..data(9 + i64::from(number), 0)
    };
    assert_eq!(next(&trimmed), ["b0"], "a log start");
    let records = |topic: &str, number: i32| PartitionData {
        records: data(0, usize::from(topic == "b")).records,
        ..trimmed(topic, number)
    };
    assert_eq!(next(&records), ["b0"], "records");
    assert_eq!(next(&records), ["b0"], "again, as the client did not move on");
}

#[test]
fn errors_are_told_until_they_are_gone_and_then_that_they_are() {
    let mut cache = cache(10);
    let lost = |_: &str, number| failed(number, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let id = fetch(&mut cache, &request(0, 0, &[("a", 0, 9)]), 0, lost).unwrap().session_id;
    for epoch in 1..3 {
        assert_eq!(told(&fetch(&mut cache, &request(id, epoch, &[]), 0, lost).unwrap()), ["a0"]);
    }
    assert_eq!(told(&fetch(&mut cache, &request(id, 3, &[]), 0, quiet).unwrap()), ["a0"]);
    assert!(told(&fetch(&mut cache, &request(id, 4, &[]), 0, quiet).unwrap()).is_empty());
}

#[test]
fn partitions_are_added_moved_on_and_forgotten() {
    let mut cache = cache(10);
    let id = open(&mut cache, &[("a", 0, 9), ("a", 1, 9)]);
    let context = cache.begin(&request(id, 1, &[("a", 0, 12), ("b", 3, 0)]), 12, 0).unwrap();
    let offsets: Vec<_> = context.partitions().iter().map(|read| read.fetch_offset).collect();
    assert_eq!(offsets, [12, 9, 0], "known ones keep their place, new ones go last");

    let forgotten = forgetting(request(id, 2, &[]), &[("a", 0), ("nobody", 7)]);
    let context = cache.begin(&forgotten, 12, 0).unwrap();
    assert_eq!(asked(&context), [("a".to_owned(), 1), ("b".to_owned(), 3)]);
    let both = forgetting(request(id, 3, &[("c", 0, 0)]), &[("c", 0)]);
    assert_eq!(cache.begin(&both, 12, 0).unwrap().partitions().len(), 2, "named and forgotten is forgotten");
    assert_eq!(cache.partitions(), 2);
}

#[test]
fn partitions_whose_records_were_sent_go_last() {
    let mut cache = cache(10);
    let id = open(&mut cache, &[("a", 0, 0), ("a", 1, 0), ("a", 2, 0), ("a", 3, 0)]);
    let mut served = Vec::new();
    for epoch in 1..=4 {
        let context = cache.begin(&request(id, epoch, &[]), 12, 0).unwrap();
        // There is room for the records of two.
        let data = (0..4).map(|place| PartitionData {
            partition_index: context.partitions()[place].partition,
            ..data(9, if place < 2 { 100 } else { 0 })
        });
        let data = data.collect();
        served.push(told(&context.respond(&mut cache, data, 0)));
    }
    assert_eq!(served, [["a0", "a1"], ["a2", "a3"], ["a0", "a1"], ["a2", "a3"]]);
}

#[test]
fn an_emptied_session_ends() {
    let mut cache = cache(10);
    let id = open(&mut cache, &[("a", 0, 9)]);
    let response = fetch(&mut cache, &forgetting(request(id, 1, &[]), &[("a", 0)]), 0, quiet).unwrap();
    assert_eq!((response.session_id, told(&response).len()), (0, 0));
    assert_eq!(fetch(&mut cache, &request(id, 2, &[]), 0, quiet), Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
}

#[test]
fn a_wrong_epoch_is_refused_and_changes_nothing() {
    let mut cache = cache(10);
    let id = open(&mut cache, &[("a", 0, 9)]);
    for epoch in [2, -5, i32::MIN] {
        let refused = fetch(&mut cache, &request(id, epoch, &[("b", 0, 0)]), 0, quiet);
        assert_eq!(refused, Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
    }
    fetch(&mut cache, &request(id, 1, &[]), 0, quiet).unwrap();
    assert_eq!(cache.partitions(), 1);
    let repeated = fetch(&mut cache, &request(id, 1, &[]), 0, quiet);
    assert_eq!(repeated, Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
}

#[test]
fn an_unknown_session_is_not_found() {
    let mut cache = cache(10);
    for id in [0, 5, -1] {
        let refused = fetch(&mut cache, &request(id, 3, &[]), 0, quiet);
        assert_eq!(refused, Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    }
}

#[test]
fn a_full_fetch_closes_the_session_it_names() {
    let mut cache = cache(10);
    let first = open(&mut cache, &[("a", 0, 9)]);
    let second = fetch(&mut cache, &request(first, 0, &[("a", 0, 9)]), 0, quiet).unwrap().session_id;
    assert_ne!(first, second);
    assert_eq!(cache.len(), 1);
    fetch(&mut cache, &request(second, -1, &[]), 0, quiet).unwrap();
    assert!(cache.is_empty());
    assert!(open(&mut cache, &[]) > 0, "one without partitions is a session too, until its next request");
}

#[test]
fn the_epoch_after_the_largest_is_one() {
    let mut cache = cache(10);
    let id = open(&mut cache, &[("a", 0, 9)]);
    cache.set_epoch(id, i32::MAX);
    fetch(&mut cache, &request(id, i32::MAX, &[]), 0, quiet).unwrap();
    fetch(&mut cache, &request(id, 1, &[]), 0, quiet).unwrap();
}

#[test]
fn names_and_ids_do_not_share_a_session() {
    let mut cache = cache(10);
    let named = open(&mut cache, &[("a", 0, 9)]);
    assert_eq!(cache.begin(&request(named, 1, &[]), 13, 0).unwrap_err(), ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);

    let topic_id = Uuid::from_u128(5);
    let topics = vec![FetchTopic { topic_id, topic: Str::default(), partitions: vec![partition(0, 0)] }];
    let full = FetchRequest { session_epoch: 0, topics, ..FetchRequest::default() };
    let context = cache.begin(&full, 13, 0).unwrap();
    assert_eq!(context.partitions()[0].topic, TopicKey::Id(topic_id));
    let response = context.respond(&mut cache, vec![data(1, 0)], 0);
    assert_eq!(response.responses[0].topic_id, topic_id);
    let with_id = request(response.session_id, 1, &[]);
    assert_eq!(cache.begin(&with_id, 12, 0).unwrap_err(), ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
    assert_eq!(cache.begin(&with_id, 13, 0).unwrap().partitions()[0].topic, TopicKey::Id(topic_id));
}

#[test]
fn of_two_fetches_of_a_session_the_overtaken_one_is_refused() {
    let mut cache = cache(10);
    let id = open(&mut cache, &[("a", 0, 9)]);
    let waiting = cache.begin(&request(id, 1, &[]), 12, 0).unwrap();
    cache.begin(&request(id, 2, &[("a", 1, 0)]), 12, 0).unwrap();
    let response = waiting.respond(&mut cache, vec![data(10, 5)], 0);
    assert_eq!(response.error_code, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    assert!(response.responses.is_empty());
}

#[test]
fn a_fetch_whose_session_was_evicted_is_still_told_its_records() {
    let mut cache = cache(1);
    let id = open(&mut cache, &[("a", 0, 9)]);
    let waiting = cache.begin(&request(id, 1, &[]), 12, 0).unwrap();
    fetch(&mut cache, &request(0, 0, &[("b", 0, 0)]), 3 * MINUTE_MS, quiet).unwrap();
    let response = waiting.respond(&mut cache, vec![data(10, 5)], 0);
    assert_eq!(told(&response), ["a0"]);
    assert_eq!(fetch(&mut cache, &request(id, 2, &[]), 0, quiet), Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
}

#[test]
fn a_full_cache_gives_no_session_while_those_in_it_are_young() {
    let mut cache = cache(2);
    open(&mut cache, &[("a", 0, 9)]);
    open(&mut cache, &[("b", 0, 9)]);
    let response = fetch(&mut cache, &request(0, 0, &[("c", 0, 9), ("c", 1, 9)]), MINUTE_MS, quiet).unwrap();
    assert_eq!((response.session_id, told(&response).len()), (0, 2));
}

#[test]
fn the_stalest_session_goes_first() {
    let mut cache = cache(2);
    let first = open(&mut cache, &[("a", 0, 9)]);
    let second = open(&mut cache, &[("b", 0, 9)]);
    fetch(&mut cache, &request(first, 1, &[]), 2 * MINUTE_MS, quiet).unwrap();
    let third = fetch(&mut cache, &request(0, 0, &[("c", 0, 9)]), 3 * MINUTE_MS, quiet).unwrap().session_id;
    assert!(third > 0);
    fetch(&mut cache, &request(first, 2, &[]), 3 * MINUTE_MS, quiet).unwrap();
    let gone = fetch(&mut cache, &request(second, 1, &[]), 3 * MINUTE_MS, quiet);
    assert_eq!(gone, Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
}

#[test]
fn an_old_session_gives_way_to_one_no_smaller() {
    let mut cache = cache(1);
    let old = open(&mut cache, &[("a", 0, 9), ("a", 1, 9)]);
    fetch(&mut cache, &request(old, 1, &[]), 3 * MINUTE_MS, quiet).unwrap();
    let mut at = |wanted: &[_]| fetch(&mut cache, &request(0, 0, wanted), 3 * MINUTE_MS, quiet).unwrap().session_id;
    assert_eq!(at(&[("b", 0, 9)]), 0);
    assert!(at(&[("b", 0, 9), ("b", 1, 9)]) > 0);
    assert_eq!(cache.len(), 1);
}

#[test]
fn cached_partitions_are_bounded() {
    let mut cache = cache(10);
    cache.bound_partitions(3);
    let id = open(&mut cache, &[("a", 0, 9), ("a", 1, 9)]);
    assert_eq!(open(&mut cache, &[("b", 0, 9), ("b", 1, 9)]), 0);
    let grown = request(id, 1, &[("a", 2, 0), ("a", 3, 0)]);
    assert_eq!(cache.begin(&grown, 12, 0).unwrap_err(), ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!((cache.len(), cache.partitions()), (0, 0));
}

#[test]
fn no_slots_no_sessions() {
    assert_eq!(open(&mut cache(0), &[("a", 0, 9)]), 0);
}

#[test]
fn shards_draw_from_ranges_that_do_not_meet() {
    let shards = 3;
    let width = i32::MAX / shards;
    for shard in 0..shards {
        let mut cache = SessionCache::new(shard as usize, shards as usize, 3000, 99);
        for _ in 0..1000 {
            let id = open(&mut cache, &[("a", 0, 9)]);
            assert!(id > shard * width && id <= (shard + 1) * width);
        }
    }
}

#[test]
fn a_session_does_not_keep_the_frame_of_its_request() {
    let frame = Bytes::from(vec![b'a'; 1 << 20]);
    let name = Str::try_from(frame.slice(..5)).unwrap();
    let topics = vec![FetchTopic { topic: name, topic_id: Uuid::nil(), partitions: vec![partition(0, 0)] }];
    let full = FetchRequest { session_epoch: 0, topics, ..FetchRequest::default() };
    let mut cache = cache(1);
    let context = cache.begin(&full, 12, 0).unwrap();
    drop(full);
    context.respond(&mut cache, vec![data(0, 0)], 0);
    assert_eq!(cache.len(), 1);
    assert!(frame.is_unique());
}
