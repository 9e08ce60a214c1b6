//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources.

use leat_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
};
use leat_protocol::messages::list_config_resources::ListConfigResourcesRequest;
use leat_protocol::messages::{alter_configs, incremental_alter_configs};
use leat_protocol::{ErrorCode, Str};

use super::super::{
    alter_configs as alter_handler, describe_configs, incremental_alter_configs as incremental, list_config_resources,
};
use super::Cluster;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Change<'a> = (&'a str, i8, Option<&'a str>);

fn request(
    resource_type: i8,
    name: &str,
    changes: &[Change<'_>],
) -> incremental_alter_configs::IncrementalAlterConfigsRequest {
    let configs = changes.iter().map(|(name, config_operation, value)| incremental_alter_configs::AlterableConfig {
        name: Str::from(*name),
        config_operation: *config_operation,
        value: value.map(Str::from),
    });
    let resource = incremental_alter_configs::AlterConfigsResource {
        resource_type,
        resource_name: name.into(),
        configs: configs.collect(),
    };
    incremental_alter_configs::IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false }
}

fn change(cluster: &mut Cluster, resource_type: i8, name: &str, changes: &[Change<'_>]) -> (ErrorCode, String) {
    let plan = incremental::plan(&cluster.image, &cluster.config, &request(resource_type, name, changes));
    let response = cluster.apply(plan);
    let result = &response.responses[0];
    (result.error_code, result.error_message.clone().unwrap_or_default().to_string())
}

fn describe(cluster: &Cluster, resource_type: i8, name: &str, keys: &[&str]) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: Some(keys.iter().map(|key| Str::from(*key)).collect()),
    };
    let request =
        DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, include_documentation: true };
    describe_configs::respond(&cluster.view(), &request).results.remove(0)
}

fn value(cluster: &Cluster, resource_type: i8, name: &str, key: &str) -> DescribeConfigsResourceResult {
    let mut result = describe(cluster, resource_type, name, &[key]);
    assert_eq!((result.error_code, result.configs.len()), (ErrorCode::NONE, 1));
    result.configs.remove(0)
}

#[test]
fn every_key_is_told_with_type_source_synonyms_and_documentation() {
    let cluster = Cluster::of(1).with_topic("a", 1);
    assert_eq!(describe(&cluster, TOPIC, "a", &[]).configs.len(), 33);
    let retention = value(&cluster, TOPIC, "a", "retention.ms");
    assert_eq!((retention.value.as_deref(), retention.config_source, retention.config_type), (Some("604800000"), 5, 5));
    let synonyms: Vec<_> =
        retention.synonyms.iter().map(|synonym| (&*synonym.name, synonym.value.as_deref(), synonym.source)).collect();
    assert_eq!(synonyms, [("log.retention.hours", Some("168"), 5)]);
    assert!(retention.documentation.is_some_and(|text| text.contains("deleted")));
    let brokers = describe(&cluster, BROKER, "0", &[]).configs;
    assert!(brokers.len() > 330, "{}", brokers.len());
    let node = value(&cluster, BROKER, "0", "node.id");
    assert_eq!((node.value.as_deref(), node.read_only, node.config_source), (Some("0"), true, 5));
    let inert = value(&cluster, BROKER, "0", "num.network.threads");
    assert_eq!((inert.value.as_deref(), inert.read_only), (Some("3"), true));
}

#[test]
fn what_is_not_there_can_not_be_described() {
    let cluster = Cluster::of(1).with_topic("a", 1);
    for (resource_type, name, code) in [
        (TOPIC, "nope", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "a b", ErrorCode::INVALID_TOPIC_EXCEPTION),
        (TOPIC, "", ErrorCode::INVALID_TOPIC_EXCEPTION),
        (BROKER, "9", ErrorCode::INVALID_REQUEST),
        (BROKER, "x", ErrorCode::INVALID_REQUEST),
        (99, "x", ErrorCode::INVALID_REQUEST),
    ] {
        assert_eq!(describe(&cluster, resource_type, name, &[]).error_code, code, "{name}");
    }
    assert!(describe(&cluster, TOPIC, "a", &["nope"]).configs.is_empty());
    assert!(describe(&cluster, BROKER, "", &[]).configs.is_empty());
}

#[test]
fn a_topics_key_is_set_and_deleted() {
    let mut cluster = Cluster::of(1).with_topic("a", 1);
    assert_eq!(change(&mut cluster, TOPIC, "a", &[("retention.ms", SET, Some("10"))]).0, ErrorCode::NONE);
    let set = value(&cluster, TOPIC, "a", "retention.ms");
    assert_eq!((set.value.as_deref(), set.config_source, set.synonyms.len()), (Some("10"), 1, 2));
    assert_eq!(change(&mut cluster, TOPIC, "a", &[("retention.ms", DELETE, None)]).0, ErrorCode::NONE);
    assert_eq!(value(&cluster, TOPIC, "a", "retention.ms").config_source, 5);
    assert_eq!(change(&mut cluster, TOPIC, "a", &[("nope", DELETE, None)]).0, ErrorCode::NONE);
}

#[test]
fn lists_are_appended_to_and_subtracted_from() {
    let mut cluster = Cluster::of(1).with_topic("a", 1);
    assert_eq!(change(&mut cluster, TOPIC, "a", &[("cleanup.policy", APPEND, Some("delete"))]).0, ErrorCode::NONE);
    assert_eq!(value(&cluster, TOPIC, "a", "cleanup.policy").value.as_deref(), Some("delete"));
    assert_eq!(change(&mut cluster, TOPIC, "a", &[("cleanup.policy", SUBTRACT, Some("delete"))]).0, ErrorCode::NONE);
    let empty = value(&cluster, TOPIC, "a", "cleanup.policy");
    assert_eq!((empty.value.as_deref(), empty.config_source), (Some(""), 1));
    let (code, text) = change(&mut cluster, TOPIC, "a", &[("retention.ms", APPEND, Some("1"))]);
    assert_eq!(
        (code, text.as_str()),
        (ErrorCode::INVALID_CONFIG, "Can't APPEND to key retention.ms because its type is not LIST.")
    );
    assert_eq!(
        change(&mut cluster, TOPIC, "a", &[("cleanup.policy", APPEND, Some("zap"))]).0,
        ErrorCode::INVALID_CONFIG
    );
}

#[test]
fn a_bad_change_is_refused_and_nothing_of_its_resource_is_changed() {
    let mut cluster = Cluster::of(1).with_topic("a", 1);
    let bad: [(&str, &[Change<'_>], ErrorCode); 9] = [
        ("a", &[("retention.bytes", SET, Some("1")), ("retension.ms", SET, Some("10"))], ErrorCode::INVALID_CONFIG),
        ("a", &[("retention.ms", SET, Some("x"))], ErrorCode::INVALID_CONFIG),
        ("a", &[("retention.ms", SET, None)], ErrorCode::INVALID_REQUEST),
        ("a", &[("cleanup.policy", APPEND, None)], ErrorCode::INVALID_REQUEST),
        ("a", &[("cleanup.policy", 7, Some("x"))], ErrorCode::INVALID_REQUEST),
        ("a", &[("retention.ms", SET, Some("1")), ("retention.ms", SET, Some("2"))], ErrorCode::INVALID_REQUEST),
        ("nope", &[("retention.ms", SET, Some("1"))], ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ("a b", &[("retention.ms", SET, Some("1"))], ErrorCode::INVALID_TOPIC_EXCEPTION),
        ("", &[("retention.ms", SET, Some("1"))], ErrorCode::INVALID_REQUEST),
    ];
    for (name, changes, code) in bad {
        assert_eq!(change(&mut cluster, TOPIC, name, changes).0, code, "{changes:?}");
    }
    assert!(cluster.image.topic("a").expect("a topic").configs.is_empty());
    let mut twice = request(TOPIC, "a", &[("retention.ms", SET, Some("1"))]);
    twice.resources.push(twice.resources[0].clone());
    let plan = incremental::plan(&cluster.image, &cluster.config, &twice);
    let response = cluster.apply(plan);
    let codes: Vec<_> = response.responses.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [ErrorCode::INVALID_REQUEST; 2]);
}

#[test]
fn validate_only_changes_nothing() {
    let mut cluster = Cluster::of(1).with_topic("a", 1);
    let mut asked = request(TOPIC, "a", &[("retention.ms", SET, Some("1"))]);
    asked.validate_only = true;
    let plan = incremental::plan(&cluster.image, &cluster.config, &asked);
    assert_eq!(cluster.apply(plan).responses[0].error_code, ErrorCode::NONE);
    assert!(cluster.image.topic("a").expect("a topic").configs.is_empty());
}

#[test]
fn a_brokers_key_wins_over_the_clusters_and_a_topics_over_both() {
    let mut cluster = Cluster::of(1).with_topic("a", 1);
    assert_eq!(change(&mut cluster, BROKER, "", &[("log.retention.ms", SET, Some("2000"))]).0, ErrorCode::NONE);
    assert_eq!(change(&mut cluster, BROKER, "0", &[("log.retention.ms", SET, Some("1000"))]).0, ErrorCode::NONE);
    let own = value(&cluster, BROKER, "0", "log.retention.ms");
    assert_eq!((own.value.as_deref(), own.config_source, own.read_only), (Some("1000"), 2, false));
    assert_eq!(value(&cluster, BROKER, "", "log.retention.ms").config_source, 3);
    let topic = value(&cluster, TOPIC, "a", "retention.ms");
    assert_eq!((topic.value.as_deref(), topic.config_source), (Some("1000"), 2));
    let sources: Vec<_> = topic.synonyms.iter().map(|synonym| synonym.source).collect();
    assert_eq!(sources, [2, 3, 5]);
    assert_eq!(change(&mut cluster, BROKER, "0", &[("log.retention.ms", DELETE, None)]).0, ErrorCode::NONE);
    assert_eq!(value(&cluster, TOPIC, "a", "retention.ms").value.as_deref(), Some("2000"));
}

#[test]
fn a_brokers_key_that_is_read_at_start_can_not_be_altered() {
    let mut cluster = Cluster::of(1);
    let (code, text) = change(&mut cluster, BROKER, "0", &[("num.partitions", SET, Some("3"))]);
    assert_eq!(
        (code, text.as_str()),
        (ErrorCode::INVALID_REQUEST, "Cannot update these configs dynamically: [num.partitions]")
    );
    assert_eq!(
        change(&mut cluster, BROKER, "0", &[("log.retention.ms", SET, Some("x"))]).0,
        ErrorCode::INVALID_REQUEST
    );
    assert_eq!(
        change(&mut cluster, BROKER, "0", &[("log.retention.ms", SET, Some("0"))]).0,
        ErrorCode::INVALID_REQUEST
    );
    let (code, text) = change(&mut cluster, BROKER, "0", &[("log.retension.ms", SET, Some("1"))]);
    assert_eq!(code, ErrorCode::INVALID_CONFIG);
    assert!(text.contains("did you mean `log.retention.ms`"), "{text}");
    assert_eq!(
        change(&mut cluster, BROKER, "9", &[("log.retention.ms", SET, Some("1"))]).0,
        ErrorCode::INVALID_REQUEST
    );
    assert_eq!(change(&mut cluster, 8, "0", &[("root", SET, Some("INFO"))]).0, ErrorCode::INVALID_REQUEST);
}

#[test]
fn alter_configs_replaces_all_that_was_set() {
    let mut cluster = Cluster::of(1).with_topic("a", 1);
    change(&mut cluster, TOPIC, "a", &[("retention.ms", SET, Some("10"))]);
    let mut alter = |configs: &[(&str, Option<&str>)]| {
        let configs = configs.iter().map(|(name, value)| alter_configs::AlterableConfig {
            name: Str::from(*name),
            value: value.map(Str::from),
        });
        let resource = alter_configs::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "a".into(),
            configs: configs.collect(),
        };
        let request = alter_configs::AlterConfigsRequest { resources: vec![resource], validate_only: false };
        let plan = alter_handler::plan(&cluster.image, &cluster.config, &request);
        let code = cluster.apply(plan).responses[0].error_code;
        (code, cluster.image.topic("a").expect("a topic").configs.clone().into_iter().collect::<Vec<_>>())
    };
    let only = vec![("retention.bytes".to_owned(), "99".to_owned())];
    assert_eq!(alter(&[("retention.bytes", Some("99"))]), (ErrorCode::NONE, only.clone()));
    assert_eq!(alter(&[("retention.bytes", None)]), (ErrorCode::INVALID_REQUEST, only.clone()));
    assert_eq!(alter(&[("nope", Some("1"))]), (ErrorCode::INVALID_CONFIG, only));
    assert_eq!(alter(&[]), (ErrorCode::NONE, vec![]));
}

#[test]
fn resources_are_listed_by_type() {
    let cluster = Cluster::of(1).with_topic("a", 1);
    let list = |version, types: &[i8]| {
        let request = ListConfigResourcesRequest { resource_types: types.to_vec() };
        let response = list_config_resources::respond(&cluster.view(), version, &request);
        let names: Vec<_> = response
            .config_resources
            .iter()
            .map(|found| (found.resource_type, found.resource_name.to_string()))
            .collect();
        (response.error_code, names)
    };
    let (broker, topic) = ((BROKER, "0".to_owned()), (TOPIC, "a".to_owned()));
    assert_eq!(list(1, &[]), (ErrorCode::NONE, vec![broker, topic.clone()]));
    assert_eq!(list(1, &[TOPIC, 16]), (ErrorCode::NONE, vec![topic]));
    assert_eq!(list(0, &[]), (ErrorCode::NONE, vec![]));
    assert_eq!(list(1, &[99]), (ErrorCode::UNSUPPORTED_VERSION, vec![]));
}
