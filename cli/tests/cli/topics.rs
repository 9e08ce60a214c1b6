//! `leat topic`, `leat offsets`, `leat records delete`.

use serde_json::Value;

use crate::leat::{client, client_reading, topic, unique};

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_topic_is_created_described_altered_and_deleted() {
    let name = unique("life");
    client(&["topic", "create", &name, "--partitions", "3", "--config", "retention.ms=-1"]).ok();

    let listed = json_lines(&client(&["topic", "list", "--json"]).ok());
    let entry = listed.iter().find(|entry| entry["name"] == *name).unwrap();
    assert_eq!(entry["partitions"], 3);
    assert_eq!(entry["replication_factor"], 1);

    let described: Value = serde_json::from_str(&client(&["topic", "describe", &name, "--json"]).ok()).unwrap();
    assert_eq!(described["partitions"].as_array().unwrap().len(), 3);
    let retention =
        described["config"].as_array().unwrap().iter().find(|entry| entry["name"] == "retention.ms").unwrap();
    assert_eq!((retention["value"].as_str(), retention["source"].as_str()), (Some("-1"), Some("topic")));
    let shown = client(&["topic", "describe", &name]).ok();
    assert!(shown.contains("retention.ms") && shown.contains("LEADER"), "{shown}");

    client(&[
        "topic",
        "alter",
        &name,
        "--partitions",
        "5",
        "--config",
        "max.message.bytes=2000",
        "--unset",
        "retention.ms",
    ])
    .ok();
    let described: Value = serde_json::from_str(&client(&["topic", "describe", &name, "--json"]).ok()).unwrap();
    assert_eq!(described["partitions"].as_array().unwrap().len(), 5);
    let own: Vec<_> = described["config"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["source"] == "topic")
        .map(|entry| (entry["name"].as_str().unwrap(), entry["value"].as_str().unwrap()))
        .collect();
    assert_eq!(own, [("max.message.bytes", "2000")]);

    client(&["topic", "delete", &name]).ok();
    assert!(client(&["topic", "describe", &name, "--timeout", "2"]).failed(4).contains(&name));
}

#[test]
fn a_topic_that_is_there_or_is_not_is_an_error_unless_it_may_be() {
    let name = topic("twice", 1);
    assert!(client(&["topic", "create", &name]).failed(1).contains("TOPIC_ALREADY_EXISTS"));
    client(&["topic", "create", &name, "--if-not-exists"]).ok();

    let missing = unique("missing");
    client(&["topic", "delete", &missing]).failed(4);
    client(&["topic", "delete", &missing, "--if-exists"]).ok();
    client(&["topic", "alter", &missing, "--config", "retention.ms=1"]).failed(4);
}

#[test]
fn what_the_broker_refuses_is_1_with_its_reason() {
    assert!(client(&["topic", "create", "not/a/name"]).failed(1).contains("INVALID_TOPIC_EXCEPTION"));
    let name = unique("refused");
    let error = client(&["topic", "create", &name, "--config", "retention.ms=soon"]).failed(1);
    assert!(error.contains("INVALID_CONFIG"), "{error}");
    client(&["topic", "create", &name, "--validate-only"]).ok();
    assert!(!client(&["topic", "list"]).ok().contains(&name), "it was only to be checked");
}

#[test]
fn offsets_are_shown_at_the_ends_and_at_a_time() {
    let name = topic("offsets", 2);
    let input = b"{\"t\":\"2013-01-01T00:00Z\"}\n{\"t\":\"2013-01-03T00:00Z\"}\n{\"t\":\"2013-01-02T00:00Z\"}\n";
    client_reading(&["produce", &name, "--input", "json", "--timestamp", "t", "--partition", "1"], input).ok();

    let ends = json_lines(&client(&["offsets", &name, "--json"]).ok());
    assert_eq!(ends.len(), 2);
    assert_eq!((&ends[0]["earliest"], &ends[0]["latest"]), (&0.into(), &0.into()));
    assert_eq!((&ends[1]["earliest"], &ends[1]["latest"]), (&0.into(), &3.into()));

    let at = |time: &str| json_lines(&client(&["offsets", &name, "--json", "--partition", "1", "--at", time]).ok());
    assert_eq!(at("2013-01-01T12:00Z")[0]["offset"], 1);
    assert_eq!(at("2013-01-01T12:00Z")[0]["timestamp"], 1_357_171_200_000_i64);
    assert_eq!(at("@1357171200001")[0]["offset"], Value::Null, "nothing is that late");
    assert_eq!(at("-2")[0]["offset"], 1);
    assert_eq!(at("latest")[0]["offset"], 3);
    client(&["offsets", &name, "--partition", "7"]).failed(4);
}

#[test]
fn records_are_deleted_up_to_a_place() {
    let name = topic("trim", 1);
    client_reading(&["produce", &name], b"a\nb\nc\nd\n").ok();
    let deleted = json_lines(&client(&["records", "delete", &name, "--before", "2", "--json"]).ok());
    assert_eq!((&deleted[0]["partition"], &deleted[0]["earliest"]), (&0.into(), &2.into()));
    assert_eq!(client(&["consume", &name, "--until", "latest"]).ok(), "c\nd\n");
    assert!(client(&["consume", &name, "--from", "0", "--until", "latest"]).failed(4).contains("offset 0"));
    assert!(client(&["records", "delete", &name, "--before", "9"]).failed(4).contains("OFFSET_OUT_OF_RANGE"));
    client(&["records", "delete", &name, "--before", "latest"]).ok();
    assert_eq!(client(&["consume", &name, "--until", "latest"]).ok(), "");
}
