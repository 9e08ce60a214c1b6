//! Metadata, DescribeCluster, DescribeTopicPartitions, ApiVersions, InitProducerId.

use leat_protocol::messages::api_versions::ApiVersionsRequest;
use leat_protocol::messages::describe_cluster::DescribeClusterRequest;
use leat_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use leat_protocol::messages::init_producer_id::InitProducerIdRequest;
use leat_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use leat_protocol::{ErrorCode, Str, Uuid};

use super::super::{api_versions, describe_cluster, describe_topic_partitions, init_producer_id, metadata};
use super::Cluster;
use crate::metadata::Outcome;

fn names(names: &[&str]) -> MetadataRequest {
    let topics = names.iter().map(|name| MetadataRequestTopic { name: Some(Str::from(*name)), topic_id: Uuid::nil() });
    MetadataRequest { topics: Some(topics.collect()), ..MetadataRequest::default() }
}

#[test]
fn metadata_tells_brokers_topics_and_leaders() {
    let cluster = Cluster::of(2).with_topic("a", 4);
    let mut request = names(&["a", "a"]);
    request.include_topic_authorized_operations = true;
    let response = metadata::respond(&cluster.view(), 12, &request);
    assert_eq!(
        (response.brokers.len(), response.controller_id, response.cluster_id.as_deref()),
        (2, 0, Some("cluster"))
    );
    assert_eq!((response.topics.len(), response.throttle_time_ms), (1, 7));
    let topic = &response.topics[0];
    assert_eq!((topic.topic_id, topic.topic_authorized_operations), (cluster.id_of("a"), 3576));
    let led = &topic.partitions[0];
    assert_eq!((led.error_code, led.leader_epoch, led.replica_nodes == led.isr_nodes), (ErrorCode::NONE, 5, true));
    let leaderless = &topic.partitions[3];
    assert_eq!((leaderless.error_code, leaderless.leader_id), (ErrorCode::LEADER_NOT_AVAILABLE, -1));
}

#[test]
fn metadata_without_a_list_is_all_topics_and_with_an_empty_one_none_except_in_version_0() {
    let cluster = Cluster::of(1).with_topic("a", 1).with_topic("b", 1);
    let count = |version, topics| {
        let request = MetadataRequest { topics, ..MetadataRequest::default() };
        metadata::respond(&cluster.view(), version, &request).topics.len()
    };
    assert_eq!((count(0, Some(vec![])), count(1, Some(vec![])), count(13, Some(vec![]))), (2, 0, 0));
    assert_eq!((count(1, None), count(13, None)), (2, 2));
}

#[test]
fn metadata_has_an_error_for_each_topic_that_is_not_there() {
    let cluster = Cluster::of(1).with_topic("a", 1);
    let response = metadata::respond(&cluster.view(), 12, &names(&["nope", "a b", ""]));
    let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(
        codes,
        [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::INVALID_TOPIC_EXCEPTION, ErrorCode::INVALID_TOPIC_EXCEPTION]
    );
    let by_id = |version, topic_id, name: Option<&str>| {
        let topics = Some(vec![MetadataRequestTopic { name: name.map(Str::from), topic_id }]);
        let mut response =
            metadata::respond(&cluster.view(), version, &MetadataRequest { topics, ..MetadataRequest::default() });
        let topic = response.topics.remove(0);
        (topic.error_code, topic.name)
    };
    assert_eq!(by_id(12, cluster.id_of("a"), None), (ErrorCode::NONE, Some("a".into())));
    assert_eq!(by_id(12, Uuid::from_u128(99), None), (ErrorCode::UNKNOWN_TOPIC_ID, None));
    assert_eq!(by_id(12, Uuid::nil(), None).0, ErrorCode::INVALID_REQUEST);
    assert_eq!(by_id(10, cluster.id_of("a"), Some("a")), (ErrorCode::INVALID_REQUEST, Some("a".into())));
}

#[test]
fn metadata_creates_what_is_asked_for_where_client_and_broker_allow_it() {
    let mut cluster = Cluster::of(1).with_topic("a", 1);
    let planned = |cluster: &Cluster, request: &MetadataRequest| {
        metadata::plan(&cluster.image, &cluster.config, request, &mut || Uuid::from_u128(77))
    };
    let mut request = names(&["new", "a", "a b", "new", "__cluster_metadata"]);
    let records = planned(&cluster, &request);
    assert_eq!(records.len(), 1);
    assert_eq!(cluster.image.apply(&records[0]), Ok(Outcome::Done));
    let response = metadata::respond(&cluster.view(), 12, &request);
    assert_eq!((response.topics[0].error_code, response.topics[0].partitions.len()), (ErrorCode::NONE, 1));
    request = names(&["other"]);
    request.allow_auto_topic_creation = false;
    assert!(planned(&cluster, &request).is_empty());
    let closed = Cluster::of(1).set("auto.create.topics.enable", "false");
    assert!(planned(&closed, &names(&["other"])).is_empty());
}

#[test]
fn describe_cluster_tells_brokers_and_refuses_other_endpoints() {
    let cluster = Cluster::of(2);
    let mut request = DescribeClusterRequest { include_cluster_authorized_operations: true, ..Default::default() };
    let response = describe_cluster::respond(&cluster.view(), &request);
    assert_eq!(
        (response.brokers.len(), &*response.cluster_id, response.cluster_authorized_operations),
        (2, "cluster", 8096)
    );
    request.endpoint_type = 2;
    assert_eq!(describe_cluster::respond(&cluster.view(), &request).error_code, ErrorCode::MISMATCHED_ENDPOINT_TYPE);
    request.endpoint_type = 9;
    assert_eq!(describe_cluster::respond(&cluster.view(), &request).error_code, ErrorCode::UNSUPPORTED_ENDPOINT_TYPE);
}

fn page(
    cluster: &Cluster,
    topics: &[&str],
    limit: i32,
    cursor: Option<(&str, i32)>,
) -> DescribeTopicPartitionsResponse {
    let request = DescribeTopicPartitionsRequest {
        topics: topics.iter().map(|name| TopicRequest { name: Str::from(*name) }).collect(),
        response_partition_limit: limit,
        cursor: cursor.map(|(topic, partition_index)| Cursor { topic_name: topic.into(), partition_index }),
    };
    describe_topic_partitions::respond(&cluster.view(), &request)
}

fn shape(response: &DescribeTopicPartitionsResponse) -> Vec<(String, i16, Vec<i32>)> {
    let topics = response.topics.iter();
    topics
        .map(|topic| {
            let indexes = topic.partitions.iter().map(|partition| partition.partition_index).collect();
            (topic.name.clone().unwrap_or_default().to_string(), topic.error_code.0, indexes)
        })
        .collect()
}

#[test]
fn topics_are_paged_by_cursor_until_all_have_been_told_once() {
    let cluster = Cluster::of(1).with_topic("a", 1).with_topic("b", 3).with_topic("c", 2);
    for asked in [&[][..], &["c", "a", "b", "a"]] {
        for limit in [0, 1, 2, 3, 100] {
            let (mut told, mut cursor) = (Vec::new(), None::<(String, i32)>);
            loop {
                let next = page(&cluster, asked, limit, cursor.as_ref().map(|(topic, index)| (topic.as_str(), *index)));
                let indexes = shape(&next)
                    .into_iter()
                    .flat_map(|(name, _, indexes)| indexes.into_iter().map(move |index| (name.clone(), index)));
                let before = told.len();
                told.extend(indexes);
                assert!(told.len() - before <= limit.max(1) as usize);
                match next.next_cursor {
                    Some(at) => cursor = Some((at.topic_name.to_string(), at.partition_index)),
                    None => break,
                }
            }
            let expected = [("a", 0), ("b", 0), ("b", 1), ("b", 2), ("c", 0), ("c", 1)]
                .map(|(name, index)| (name.to_owned(), index));
            assert_eq!(told, expected, "limit {limit}");
        }
    }
}

#[test]
fn a_page_has_errors_for_unknown_topics_and_bad_cursors() {
    let cluster = Cluster::of(1).with_topic("cp", 4);
    let response = page(&cluster, &["cp", "auto1", "a b"], 2, None);
    assert_eq!(
        shape(&response),
        [("a b".into(), 17, vec![]), ("auto1".into(), 3, vec![]), ("cp".into(), 0, vec![0, 1])]
    );
    assert_eq!(response.next_cursor.map(|cursor| cursor.partition_index), Some(2));
    assert_eq!(shape(&page(&cluster, &["cp"], 2, Some(("b", 1)))), [("cp".into(), 42, vec![])]);
    assert_eq!(shape(&page(&cluster, &["cp"], 2, Some(("cp", -1)))), [("cp".into(), 42, vec![])]);
    assert_eq!(shape(&page(&cluster, &["cp"], 2, Some(("cp", 99)))), [("cp".into(), 0, vec![])]);
    assert_eq!(shape(&page(&cluster, &[], 9, Some(("deleted", 2)))), []);
    assert_eq!(shape(&page(&cluster, &[], 9, Some(("b", 2)))), [("cp".into(), 0, vec![0, 1, 2, 3])]);
}

#[test]
fn api_versions_falls_back_to_version_0_with_the_list() {
    assert_eq!((api_versions::version(4), api_versions::version(5), api_versions::version(-1)), (4, 0, 0));
    let fallback = api_versions::unsupported();
    assert_eq!(fallback.error_code, ErrorCode::UNSUPPORTED_VERSION);
    let produce = fallback.api_keys.iter().find(|api| api.api_key == 0).expect("Produce");
    assert_eq!((produce.min_version, produce.max_version), (0, 13));
    let request = |name: &str, version: &str| ApiVersionsRequest {
        client_software_name: name.into(),
        client_software_version: version.into(),
    };
    assert_eq!(api_versions::respond(0, 4, &request("librdkafka", "2.3.0-rc1")).error_code, ErrorCode::NONE);
    for (name, version) in [("", ""), ("x y!", "1"), ("-x", "1"), ("x", "1.")] {
        assert_eq!(
            api_versions::respond(0, 3, &request(name, version)).error_code,
            ErrorCode::INVALID_REQUEST,
            "{name} {version}"
        );
    }
    assert_eq!(api_versions::respond(0, 2, &request("", "")).error_code, ErrorCode::NONE);
}

#[test]
fn producer_ids_come_in_blocks_and_transactions_are_refused() {
    let mut cluster = Cluster::of(1);
    let mut ids = init_producer_id::ProducerIds::default();
    assert_eq!(ids.take(), None);
    for first in [0, 1000] {
        let Ok(Outcome::ProducerIds(block)) = cluster.image.apply(&init_producer_id::block(0)) else {
            panic!("a block")
        };
        ids.refill(block);
        let taken: Vec<i64> = std::iter::from_fn(|| ids.take()).collect();
        assert_eq!((taken.len(), taken[0]), (1000, first));
    }
    let request = |transactional_id: Option<&str>, producer_id, producer_epoch| InitProducerIdRequest {
        transactional_id: transactional_id.map(Str::from),
        transaction_timeout_ms: 1000,
        producer_id,
        producer_epoch,
    };
    assert_eq!(init_producer_id::check(&request(None, -1, -1)), Ok(()));
    assert_eq!(init_producer_id::check(&request(None, 5, 3)), Ok(()));
    assert_eq!(init_producer_id::check(&request(None, 5, -1)), Err(ErrorCode::INVALID_REQUEST));
    assert_eq!(init_producer_id::check(&request(None, -1, 5)), Err(ErrorCode::INVALID_REQUEST));
    assert_eq!(init_producer_id::check(&request(Some(""), -1, -1)), Err(ErrorCode::INVALID_REQUEST));
    assert_eq!(init_producer_id::check(&request(Some("t"), -1, -1)), Err(ErrorCode::UNSUPPORTED_VERSION));
    let refused = init_producer_id::respond(0, Err(ErrorCode::UNSUPPORTED_VERSION));
    assert_eq!((refused.producer_id, refused.producer_epoch), (-1, -1));
    assert_eq!(init_producer_id::respond(0, Ok(4)).producer_epoch, 0);
}
