//! CreateTopics and DeleteTopics.

use leat_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult,
};
use leat_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use leat_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use leat_protocol::{ErrorCode, Str, Uuid};

use super::super::{create_topics, delete_topics};
use super::Cluster;

pub(super) fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { name: name.into(), num_partitions, replication_factor, ..CreatableTopic::default() }
}

pub(super) fn request(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, ..CreateTopicsRequest::default() }
}

fn with_config(mut topic: CreatableTopic, name: &str, value: Option<&str>) -> CreatableTopic {
    topic.configs.push(CreatableTopicConfig { name: name.into(), value: value.map(Str::from) });
    topic
}

/// Partitions and the brokers that hold them.
type Assignments<'a> = &'a [(i32, &'a [i32])];

fn assigned(assignments: Assignments<'_>) -> CreatableTopic {
    let mut topic = topic("q", -1, -1);
    topic.assignments = assignments
        .iter()
        .map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
            partition_index: *partition_index,
            broker_ids: broker_ids.to_vec(),
        })
        .collect();
    topic
}

fn one(cluster: &mut Cluster, topic: CreatableTopic) -> CreatableTopicResult {
    let response = cluster.create(&request(vec![topic]));
    assert_eq!(response.topics.len(), 1);
    response.topics.into_iter().next().expect("one result")
}

fn refusal(topic: CreatableTopic) -> (ErrorCode, String) {
    let mut cluster = Cluster::of(1);
    let result = one(&mut cluster, topic);
    assert_eq!((cluster.image.topic_count(), result.num_partitions, result.topic_id), (0, -1, Uuid::nil()));
    (result.error_code, result.error_message.unwrap_or_default().to_string())
}

#[test]
fn a_topic_is_created_with_counts_and_every_config_in_the_answer() {
    let mut cluster = Cluster::of(1);
    let result = one(&mut cluster, with_config(topic("a", 2, 1), "retention.ms", Some("5")));
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (ErrorCode::NONE, 2, 1));
    assert_eq!(result.topic_id, cluster.id_of("a"));
    let configs = result.configs.expect("configs");
    assert_eq!(configs.len(), crate::config::topic::KEYS.len());
    let retention = configs.iter().find(|config| config.name == "retention.ms").expect("retention.ms");
    assert_eq!((retention.value.as_deref(), retention.config_source, retention.read_only), (Some("5"), 1, false));
    let flush = configs.iter().find(|config| config.name == "flush.messages").expect("flush.messages");
    assert_eq!((flush.value.as_deref(), flush.config_source), (Some("1"), 5));
    assert!(configs.iter().find(|config| config.name == "preallocate").expect("preallocate").read_only);
}

#[test]
fn minus_one_takes_the_brokers_defaults() {
    let mut cluster = Cluster::of(1).set("num.partitions", "3");
    let result = one(&mut cluster, topic("a", -1, -1));
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (ErrorCode::NONE, 3, 1));
}

#[test]
fn validate_only_answers_the_same_and_changes_nothing() {
    let mut cluster = Cluster::of(1);
    let response = cluster.create(&CreateTopicsRequest { validate_only: true, ..request(vec![topic("a", 2, 1)]) });
    assert_eq!((response.topics[0].error_code, response.topics[0].num_partitions), (ErrorCode::NONE, 2));
    assert_eq!(cluster.image.topic_count(), 0);
}

#[test]
fn a_name_that_exists_is_refused_and_one_that_is_asked_for_twice_is_answered_once() {
    let mut cluster = Cluster::of(1).with_topic("a", 1);
    let result = one(&mut cluster, topic("a", 1, 1));
    assert_eq!(result.error_code, ErrorCode::TOPIC_ALREADY_EXISTS);
    assert_eq!(result.error_message.as_deref(), Some("Topic 'a' already exists."));
    let response = cluster.create(&request(vec![topic("d", 1, 1), topic("e", 1, 1), topic("d", 2, 1)]));
    let codes: Vec<_> = response.topics.iter().map(|result| (&*result.name, result.error_code)).collect();
    assert_eq!(codes, [("d", ErrorCode::INVALID_REQUEST), ("e", ErrorCode::NONE)]);
    assert!(cluster.image.topic("d").is_none());
}

#[test]
fn counts_are_checked() {
    assert_eq!(refusal(topic("q", 0, 1)).0, ErrorCode::INVALID_PARTITIONS);
    assert_eq!(refusal(topic("q", -2, 1)).0, ErrorCode::INVALID_PARTITIONS);
    assert_eq!(refusal(topic("q", 1, 0)).0, ErrorCode::INVALID_REPLICATION_FACTOR);
    assert_eq!(refusal(topic("q", 1, -2)).0, ErrorCode::INVALID_REPLICATION_FACTOR);
    let (code, text) = refusal(topic("q", 1, 3));
    assert_eq!(code, ErrorCode::INVALID_REPLICATION_FACTOR);
    assert_eq!(text, "Unable to replicate the partition 3 time(s): only 1 broker(s) are registered.");
    assert_eq!(refusal(topic("q", 10_001, 1)).0, ErrorCode::POLICY_VIOLATION);
    assert_eq!(refusal(topic("q", i32::MAX, 1)).0, ErrorCode::POLICY_VIOLATION);
}

#[test]
fn ten_thousand_partitions_in_one_request_are_the_most_and_the_cluster_has_a_bound() {
    let mut cluster = Cluster::of(1);
    let response = cluster.create(&request(vec![topic("a", 6_000, 1), topic("b", 6_000, 1)]));
    assert!(response.topics.iter().all(|result| result.error_code == ErrorCode::POLICY_VIOLATION));
    let mut cluster = Cluster::of(1).set("leat.max.partitions", "5");
    let response = cluster.create(&request(vec![topic("a", 3, 1), topic("b", 3, 1)]));
    assert_eq!(response.topics[0].error_code, ErrorCode::NONE);
    assert_eq!(response.topics[1].error_code, ErrorCode::POLICY_VIOLATION);
    assert!(response.topics[1].error_message.as_deref().is_some_and(|text| text.contains("leat.max.partitions")));
}

#[test]
fn names_are_checked_by_kafkas_rules() {
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "ü", long.as_str()] {
        assert_eq!(refusal(topic(name, 1, 1)).0, ErrorCode::INVALID_TOPIC_EXCEPTION, "{name}");
    }
    assert_eq!(refusal(topic("__cluster_metadata", 1, 1)).0, ErrorCode::INVALID_REQUEST);
    let mut cluster = Cluster::of(1);
    for name in ["a.b_c-D9", &"x".repeat(249), "..."] {
        assert_eq!(one(&mut cluster, topic(name, 1, 1)).error_code, ErrorCode::NONE, "{name}");
    }
}

#[test]
fn a_bad_config_is_refused_by_its_key() {
    let (code, text) = refusal(with_config(topic("q", 1, 1), "retension.ms", Some("5")));
    assert_eq!(
        (code, text.as_str()),
        (ErrorCode::INVALID_CONFIG, "Unknown topic config name: retension.ms; did you mean `retention.ms`?")
    );
    let (code, text) = refusal(with_config(topic("q", 1, 1), "retention.ms", Some("abc")));
    assert_eq!(code, ErrorCode::INVALID_CONFIG);
    assert_eq!(text, "Invalid value abc for configuration retention.ms: must be a whole number of at least -1");
    let (code, text) = refusal(with_config(topic("q", 1, 1), "retention.ms", None));
    assert_eq!(
        (code, text.as_str()),
        (ErrorCode::INVALID_CONFIG, "Null value not supported for topic configs: retention.ms")
    );
    let (code, text) = refusal(with_config(topic("q", 1, 1), "preallocate", Some("true")));
    assert_eq!(code, ErrorCode::INVALID_CONFIG);
    assert!(text.contains("preallocate") && text.contains("default, false"), "{text}");
    assert_eq!(
        one(&mut Cluster::of(1), with_config(topic("q", 1, 1), "preallocate", Some("false"))).error_code,
        ErrorCode::NONE
    );
}

#[test]
fn a_manual_assignment_is_taken_as_it_is() {
    let mut cluster = Cluster::of(3);
    let result = one(&mut cluster, assigned(&[(1, &[2, 0]), (0, &[1, 2])]));
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (ErrorCode::NONE, 2, 2));
    let nodes: Vec<_> =
        cluster.image.topic("q").expect("a topic").partitions.iter().map(|partition| partition.nodes()).collect();
    assert_eq!(nodes, [vec![1, 2], vec![2, 0]]);
}

#[test]
fn a_bad_manual_assignment_is_refused() {
    let wrong: [(Assignments<'_>, &str); 6] = [
        (&[(0, &[0]), (2, &[0])], "consecutive 0-based"),
        (&[(0, &[0]), (0, &[0])], "multiple manual partition assignments for partition 0"),
        (&[(0, &[9])], "includes broker 9, but no such broker"),
        (&[(0, &[0, 0])], "includes the broker 0 more than once"),
        (&[(0, &[])], "empty replica list"),
        (&[(-1, &[0])], "consecutive 0-based"),
    ];
    for (assignments, text) in wrong {
        let refused = refusal(assigned(assignments));
        assert_eq!(refused.0, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        assert!(refused.1.contains(text), "{}", refused.1);
    }
    let uneven = one(&mut Cluster::of(2), assigned(&[(0, &[0]), (1, &[0, 1])]));
    assert_eq!(uneven.error_code, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    let with_count = CreatableTopic { num_partitions: 1, ..assigned(&[(0, &[0])]) };
    assert_eq!(refusal(with_count).0, ErrorCode::INVALID_REQUEST);
    let with_factor = CreatableTopic { replication_factor: 1, ..assigned(&[(0, &[0])]) };
    assert_eq!(refusal(with_factor).0, ErrorCode::INVALID_REQUEST);
}

#[test]
fn replicas_are_spread_evenly_and_never_twice_on_one_broker() {
    let mut cluster = Cluster::of(5);
    cluster.create(&request(vec![topic("a", 20, 3)]));
    let topic = cluster.image.topic("a").expect("a topic").clone();
    let (mut leaders, mut held) = ([0; 5], [0; 5]);
    for partition in &topic.partitions {
        let nodes = partition.nodes();
        leaders[nodes[0] as usize] += 1;
        nodes.iter().for_each(|node| held[*node as usize] += 1);
        assert_eq!(nodes.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    }
    assert_eq!((leaders, held), ([4; 5], [12; 5]));
}

#[test]
fn of_two_plans_for_one_name_the_second_is_refused_when_it_is_applied() {
    let mut cluster = Cluster::of(1);
    let asked = request(vec![topic("a", 1, 1)]);
    let first = create_topics::plan(&cluster.image, &cluster.config, &asked, &mut || Uuid::from_u128(1));
    let second = create_topics::plan(&cluster.image, &cluster.config, &asked, &mut || Uuid::from_u128(2));
    assert_eq!(cluster.apply(first).topics[0].error_code, ErrorCode::NONE);
    let refused = &cluster.apply(second).topics[0];
    assert_eq!((refused.error_code, refused.topic_id), (ErrorCode::TOPIC_ALREADY_EXISTS, Uuid::nil()));
}

#[test]
fn a_plan_that_is_not_applied_in_time_says_so_where_it_would_have_changed_something() {
    let cluster = Cluster::of(1);
    let asked = request(vec![topic("a", 1, 1), topic("b", 0, 1)]);
    let plan = create_topics::plan(&cluster.image, &cluster.config, &asked, &mut || Uuid::from_u128(1));
    let response: CreateTopicsResponse = plan.fail(ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(response.topics[0].error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(response.topics[1].error_code, ErrorCode::INVALID_PARTITIONS);
}

fn delete(cluster: &mut Cluster, version: i16, request: &DeleteTopicsRequest) -> Vec<(Option<Str>, ErrorCode)> {
    let plan = delete_topics::plan(&cluster.image, &cluster.config, version, request);
    cluster.apply(plan).responses.into_iter().map(|result| (result.name, result.error_code)).collect()
}

fn by_name(names: &[&str]) -> DeleteTopicsRequest {
    DeleteTopicsRequest {
        topic_names: names.iter().map(|name| Str::from(*name)).collect(),
        ..DeleteTopicsRequest::default()
    }
}

fn states(states: Vec<(Option<&str>, Uuid)>) -> DeleteTopicsRequest {
    let topics = states.into_iter().map(|(name, topic_id)| DeleteTopicState { name: name.map(Str::from), topic_id });
    DeleteTopicsRequest { topics: topics.collect(), ..DeleteTopicsRequest::default() }
}

#[test]
fn topics_are_deleted_by_name() {
    let mut cluster = Cluster::of(1).with_topic("a", 1).with_topic("b", 1);
    let results = delete(&mut cluster, 5, &by_name(&["a", "nope", "b", "b"]));
    let codes: Vec<_> = results.iter().map(|(_, code)| *code).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::INVALID_REQUEST]);
    assert_eq!((cluster.image.topic("a").is_none(), cluster.image.topic("b").is_some()), (true, true));
}

#[test]
fn topics_are_deleted_by_id_and_a_stale_id_is_an_error() {
    let mut cluster = Cluster::of(1).with_topic("a", 1);
    let id = cluster.id_of("a");
    let asked = states(vec![(None, id), (None, Uuid::from_u128(99)), (None, Uuid::nil()), (Some("a"), id)]);
    let results = delete(&mut cluster, 6, &asked);
    assert_eq!(results[0], (Some("a".into()), ErrorCode::NONE));
    assert_eq!(results[1], (None, ErrorCode::UNKNOWN_TOPIC_ID));
    assert_eq!((results[2].1, results[3].1), (ErrorCode::INVALID_REQUEST, ErrorCode::INVALID_REQUEST));
    let mut cluster = cluster.with_topic("a", 1);
    assert_ne!(cluster.id_of("a"), id);
    assert_eq!(delete(&mut cluster, 6, &states(vec![(None, id)]))[0].1, ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn a_topic_named_by_name_and_by_id_is_deleted_once() {
    let mut cluster = Cluster::of(1).with_topic("a", 1);
    let asked = states(vec![(Some("a"), Uuid::nil()), (None, cluster.id_of("a"))]);
    let codes: Vec<_> = delete(&mut cluster, 6, &asked).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::INVALID_REQUEST]);
}

#[test]
fn nothing_is_deleted_where_deletion_is_disabled() {
    let mut cluster = Cluster::of(1).with_topic("a", 1).set("delete.topic.enable", "false");
    assert_eq!(delete(&mut cluster, 2, &by_name(&["a"]))[0].1, ErrorCode::INVALID_REQUEST);
    assert_eq!(delete(&mut cluster, 5, &by_name(&["a"]))[0].1, ErrorCode::TOPIC_DELETION_DISABLED);
}
