//! CreatePartitions, and what is told about partitions.

use leat_protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use leat_protocol::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};
use leat_protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use leat_protocol::{ErrorCode, Str};

use super::super::{create_partitions, describe_log_dirs, describe_producers};
use super::Cluster;

fn grow(name: &str, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let assignments = assignments.map(|assignments| {
        assignments.iter().map(|nodes| CreatePartitionsAssignment { broker_ids: nodes.to_vec() }).collect()
    });
    CreatePartitionsTopic { name: name.into(), count, assignments }
}

fn results(cluster: &mut Cluster, topics: Vec<CreatePartitionsTopic>) -> Vec<(ErrorCode, String)> {
    let request = CreatePartitionsRequest { topics, ..CreatePartitionsRequest::default() };
    let plan = create_partitions::plan(&cluster.image, &cluster.config, &request);
    let results = cluster.apply(plan).results.into_iter();
    results.map(|result| (result.error_code, result.error_message.unwrap_or_default().to_string())).collect()
}

#[test]
fn a_topic_grows_and_keeps_what_it_has() {
    let mut cluster = Cluster::of(1).with_topic("a", 2);
    let before = cluster.image.topic("a").expect("a topic").partitions.clone();
    assert_eq!(results(&mut cluster, vec![grow("a", 4, None)])[0].0, ErrorCode::NONE);
    let after = cluster.image.topic("a").expect("a topic");
    assert_eq!((&after.partitions[..2], after.partition_count()), (before.as_slice(), 4));
}

#[test]
fn a_count_that_is_no_increase_is_refused() {
    let mut cluster = Cluster::of(1).with_topic("a", 2);
    for count in [2, 1, 0, -1] {
        assert_eq!(results(&mut cluster, vec![grow("a", count, None)])[0].0, ErrorCode::INVALID_PARTITIONS, "{count}");
    }
    assert_eq!(results(&mut cluster, vec![grow("nope", 3, None)])[0].0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(results(&mut cluster, vec![grow("a", i32::MAX, None)])[0].0, ErrorCode::POLICY_VIOLATION);
    let twice = results(&mut cluster, vec![grow("a", 3, None), grow("a", 4, None)]);
    assert_eq!((twice.len(), twice[0].0), (1, ErrorCode::INVALID_REQUEST));
    assert_eq!(cluster.image.partition_count(), 2);
}

#[test]
fn manual_assignments_must_fit_the_topic() {
    let mut cluster = Cluster::of(2).with_topic("a", 1);
    let wrong: [(i32, &[&[i32]]); 5] = [(3, &[&[0]]), (2, &[&[9]]), (2, &[&[]]), (2, &[&[0, 1]]), (2, &[&[0, 0]])];
    for (count, assignments) in wrong {
        let refused = results(&mut cluster, vec![grow("a", count, Some(assignments))]);
        assert_eq!(refused[0].0, ErrorCode::INVALID_REPLICA_ASSIGNMENT, "{assignments:?}");
    }
    assert_eq!(results(&mut cluster, vec![grow("a", 2, Some(&[&[1]]))])[0].0, ErrorCode::NONE);
    assert_eq!(cluster.image.topic("a").expect("a topic").partitions[1].nodes(), [1]);
}

#[test]
fn validate_only_adds_nothing() {
    let mut cluster = Cluster::of(1).with_topic("a", 1);
    let request =
        CreatePartitionsRequest { topics: vec![grow("a", 2, None)], validate_only: true, ..Default::default() };
    let plan = create_partitions::plan(&cluster.image, &cluster.config, &request);
    assert_eq!(cluster.apply(plan).results[0].error_code, ErrorCode::NONE);
    assert_eq!(cluster.image.partition_count(), 1);
}

#[test]
fn log_dirs_tells_sizes_of_what_is_here_and_leaves_out_the_rest() {
    let cluster = Cluster::of(1).with_topic("a", 2).with_topic("b", 1);
    let all = describe_log_dirs::respond(&cluster.view(), &DescribeLogDirsRequest { topics: None });
    assert_eq!((all.results.len(), all.throttle_time_ms), (1, 7));
    let folder = &all.results[0];
    assert_eq!((folder.topics.len(), folder.total_bytes, folder.usable_bytes), (2, 10, 4));
    assert_eq!(folder.topics[0].partitions[1].partition_size, 101);
    let asked = |topic: &str, partitions: &[i32]| DescribableLogDirTopic {
        topic: topic.into(),
        partitions: partitions.to_vec(),
    };
    let some = DescribeLogDirsRequest { topics: Some(vec![asked("a", &[0, 9, -1]), asked("nope", &[0])]) };
    let some = describe_log_dirs::respond(&cluster.view(), &some);
    assert_eq!((some.results[0].topics.len(), some.results[0].topics[0].partitions.len()), (1, 1));
    let none = describe_log_dirs::respond(&cluster.view(), &DescribeLogDirsRequest { topics: Some(vec![]) });
    assert_eq!((none.results.len(), none.results[0].topics.len()), (1, 0));
}

#[test]
fn producers_are_told_per_partition_with_its_own_error() {
    let cluster = Cluster::of(1).with_topic("a", 2);
    let asked = |name: &str, indexes: &[i32]| TopicRequest { name: name.into(), partition_indexes: indexes.to_vec() };
    let request =
        DescribeProducersRequest { topics: vec![asked("a", &[0, 1, 7]), asked("nope", &[0]), asked("a b", &[0])] };
    let id = cluster.id_of("a");
    assert_eq!(describe_producers::wanted(&cluster.image, &request), [(id, 0), (id, 1)]);
    let response = describe_producers::respond(&cluster.view(), &request);
    let codes: Vec<_> =
        response.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code).collect();
    assert_eq!(
        codes,
        [
            ErrorCode::NONE,
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode::INVALID_TOPIC_EXCEPTION
        ]
    );
    assert_eq!(response.topics[0].partitions[0].active_producers[0].producer_id, 9);
    assert_eq!(response.topics[1].name, Str::from("nope"));
}
