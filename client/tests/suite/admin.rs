//! Topics, configs, offsets, brokers.

use std::time::Duration;

use leat_client::{
    ConfigOperation, ConfigResource, ErrorCode, IsolationLevel, NewPartitions, NewTopic, OffsetSpec, ResourceKind,
    TopicPartition,
};

use super::{admin, fill, first, topic, unique};

pub(crate) async fn admin_manages_topics(bootstrap: &str) {
    let admin = admin(bootstrap).await;
    let name = unique("topics");
    let new = NewTopic::new(name.as_str()).partitions(3).replication_factor(1).config("retention.ms", "-1");
    admin.create_topics(std::slice::from_ref(&new), true).await.unwrap()[0].as_ref().unwrap();
    assert!(admin.describe_topics(&[&name]).await.unwrap()[0].is_err(), "validation must not create");

    let results = admin.create_topics(&[new.clone(), NewTopic::new("not/a/name")], false).await.unwrap();
    assert_eq!(results[0].as_ref().unwrap().partitions, 3);
    assert_eq!(results[1].as_ref().unwrap_err().code(), Some(ErrorCode::INVALID_TOPIC_EXCEPTION));
    let again = admin.create_topic(new).await.unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::TOPIC_ALREADY_EXISTS));
    assert!(!again.is_retryable());

    let listed = admin.list_topics().await.unwrap();
    let id = listed.iter().find(|topic| topic.name == *name).expect("the new topic is listed").id;
    assert!(!id.is_nil());

    admin.create_partitions(&[NewPartitions::increase_to(name.as_str(), 5)], false).await.unwrap()[0].as_ref().unwrap();
    let fewer = admin.create_partitions(&[NewPartitions::increase_to(name.as_str(), 2)], false).await.unwrap();
    assert_eq!(fewer[0].as_ref().unwrap_err().code(), Some(ErrorCode::INVALID_PARTITIONS));

    // A broker may answer from metadata that lags behind the controller's.
    let mut described = admin.describe_topics(&[&name, "no-such-topic-anywhere"]).await.unwrap();
    for _ in 0..50 {
        if described[0].as_ref().is_ok_and(|topic| topic.partitions.len() == 5) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        described = admin.describe_topics(&[&name, "no-such-topic-anywhere"]).await.unwrap();
    }
    let found = described[0].as_ref().unwrap();
    assert_eq!((found.id, found.internal, found.partitions.len()), (id, false, 5));
    for (index, partition) in found.partitions.iter().enumerate() {
        assert_eq!(partition.partition as usize, index);
        assert!(partition.leader.is_some() && partition.replicas == partition.in_sync, "{partition:?}");
    }
    assert!(described[1].is_err());

    let deleted = admin.delete_topics(&[&name, "no-such-topic-anywhere"]).await.unwrap();
    deleted[0].as_ref().unwrap();
    assert_eq!(deleted[1].as_ref().unwrap_err().code(), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    for _ in 0..50 {
        if !admin.list_topics().await.unwrap().iter().any(|topic| topic.name == *name) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the deleted topic is still listed");
}

pub(crate) async fn admin_manages_configs(bootstrap: &str) {
    let admin = admin(bootstrap).await;
    let name = topic(bootstrap, "configs", 1).await;
    let resource = ConfigResource::topic(name.as_str());
    let value = async |key: &str| {
        let entries = admin.describe_configs(std::slice::from_ref(&resource)).await.unwrap().remove(0).unwrap();
        entries.into_iter().find(|entry| entry.name == *key).expect("the config exists").value
    };
    // A broker may answer from metadata that lags behind what it has just accepted.
    let becomes = async |key: &str, right: &dyn Fn(Option<&str>) -> bool| {
        for _ in 0..50 {
            if right(value(key).await.as_deref()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{key} is still {:?}", value(key).await);
    };
    let set = |value: &str| ConfigOperation::Set(value.into());
    admin.incremental_alter_configs(&resource, &[("retention.ms".into(), set("1234"))], true).await.unwrap();
    assert_ne!(value("retention.ms").await.as_deref(), Some("1234"), "validation must not change");
    let changes = [("retention.ms".into(), set("1234")), ("segment.bytes".into(), set("1048576"))];
    admin.incremental_alter_configs(&resource, &changes, false).await.unwrap();
    becomes("retention.ms", &|value| value == Some("1234")).await;
    admin
        .incremental_alter_configs(&resource, &[("retention.ms".into(), ConfigOperation::Delete)], false)
        .await
        .unwrap();
    becomes("retention.ms", &|value| value != Some("1234")).await;
    becomes("segment.bytes", &|value| value == Some("1048576")).await;

    admin.alter_configs(&resource, &[("retention.ms".into(), Some("99999".into()))], false).await.unwrap();
    becomes("retention.ms", &|value| value == Some("99999")).await;
    // What is not named goes back to its default.
    becomes("segment.bytes", &|value| value != Some("1048576")).await;

    let bad =
        admin.incremental_alter_configs(&resource, &[("retention.ms".into(), set("soon"))], false).await.unwrap_err();
    assert_eq!(bad.code(), Some(ErrorCode::INVALID_CONFIG));

    let node = admin.describe_cluster().await.unwrap().brokers[0].id;
    let broker = admin.describe_configs(&[ConfigResource::broker(node)]).await.unwrap().remove(0).unwrap();
    assert!(broker.iter().any(|entry| entry.name == "num.partitions"));
    let listed = admin.list_config_resources(&[ResourceKind::Topic]).await.unwrap();
    assert!(listed.contains(&resource), "{listed:?}");
}

pub(crate) async fn admin_deletes_records(bootstrap: &str) {
    let admin = admin(bootstrap).await;
    let name = topic(bootstrap, "delete-records", 1).await;
    fill(bootstrap, &name, 10).await;
    let missing = TopicPartition::new(name.as_str(), 7);
    let results = admin.delete_records(&[(first(&name), 4)]).await;
    assert_eq!(results[0].as_ref().unwrap(), &4);
    let results = admin.delete_records(&[(first(&name), 100)]).await;
    assert_eq!(results[0].as_ref().unwrap_err().code(), Some(ErrorCode::OFFSET_OUT_OF_RANGE));
    let results = admin.delete_records(&[(first(&name), -1)]).await;
    assert_eq!(results[0].as_ref().unwrap(), &10);

    let impatient = leat_client::Admin::builder().bootstrap(bootstrap).set("default.api.timeout.ms", "300").unwrap();
    let impatient = impatient.build().await.unwrap();
    assert!(impatient.delete_records(&[(missing, 0)]).await[0].is_err());
}

pub(crate) async fn admin_describes_the_cluster(bootstrap: &str) {
    let admin = admin(bootstrap).await;
    let cluster = admin.describe_cluster().await.unwrap();
    assert!(cluster.cluster_id.is_some_and(|id| !id.is_empty()));
    assert!(!cluster.brokers.is_empty());
    assert!(cluster.controller.is_some_and(|id| cluster.brokers.iter().any(|broker| broker.id == id)));

    let name = topic(bootstrap, "log-dirs", 2).await;
    fill(bootstrap, &name, 10).await;
    let dirs = admin.describe_log_dirs(&[]).await.unwrap();
    assert_eq!(dirs.len(), cluster.brokers.len());
    let partitions = dirs.iter().flat_map(|(_, dirs)| dirs.as_ref().unwrap()).flat_map(|dir| &dir.partitions);
    let size: i64 = partitions.filter(|row| row.partition.topic == *name).map(|row| row.size_bytes).sum();
    assert!(size > 0);
}

pub(crate) async fn admin_lists_offsets(bootstrap: &str) {
    let admin = admin(bootstrap).await;
    let name = topic(bootstrap, "offsets", 1).await;
    fill(bootstrap, &name, 10).await;
    let specs = [
        (OffsetSpec::Earliest, Some(0)),
        (OffsetSpec::Latest, Some(10)),
        (OffsetSpec::Timestamp(3001), Some(3)),
        (OffsetSpec::Timestamp(10_001), None),
        (OffsetSpec::MaxTimestamp, Some(9)),
    ];
    let asked: Vec<_> = specs.iter().map(|(spec, _)| (first(&name), *spec)).collect();
    let found = admin.list_offsets(&asked, IsolationLevel::ReadUncommitted).await.unwrap();
    for ((spec, expected), found) in specs.iter().zip(found) {
        assert_eq!(found.offset, *expected, "{spec:?}");
    }
}
