//! `leat group`, and `leat consume --group`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::leat::{bootstrap, client, client_reading, command, signal, topic, unique};

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn filled(name: &str, partitions: u32, lines: usize) -> String {
    let topic = topic(name, partitions);
    let input: String = (0..lines).map(|i| format!("{i}\n")).collect();
    client_reading(&["produce", &topic, "--partition", "0"], input.as_bytes()).ok();
    topic
}

#[test]
fn a_group_goes_on_where_it_was_and_is_shown_reset_and_deleted() {
    let (topic, group) = (filled("report", 2, 10), unique("report"));
    let consume = |args: &[&str]| client(&[&["consume", &topic, "--group", &group], args].concat()).ok();
    assert_eq!(consume(&["--count", "3"]), "0\n1\n2\n");
    assert_eq!(consume(&["--count", "5"]), "3\n4\n5\n6\n7\n");

    let listed = json_lines(&client(&["group", "list", "--json"]).ok());
    let entry = listed.iter().find(|entry| entry["group"] == *group).unwrap();
    assert_eq!((&entry["state"], &entry["protocol_type"]), (&"Empty".into(), &"consumer".into()));
    assert!(client(&["group", "list"]).ok().contains(&group));
    let describe =
        || -> Value { serde_json::from_str(&client(&["group", "describe", &group, "--json"]).ok()).unwrap() };
    let described = describe();
    assert_eq!((&described["state"], described["members"].as_array().unwrap().len()), (&"Empty".into(), 0));
    let place = &described["partitions"][0];
    assert_eq!((&place["committed"], &place["latest"], &place["lag"]), (&8.into(), &10.into(), &2.into()));
    let shown = client(&["group", "describe", &group]).ok();
    assert!(shown.contains("LAG") && shown.contains("coordinator") && shown.contains("0 members"), "{shown}");

    let reset = |args: &[&str]| client(&[&["group", "reset", &group], args].concat());
    let dry = reset(&["--to", "earliest"]);
    assert!(dry.err.contains("nothing was changed"), "{dry:?}");
    assert!(dry.ok().lines().nth(1).unwrap().split_whitespace().eq([&*topic, "0", "8", "0"]));
    assert_eq!(describe()["partitions"][0]["committed"], 8);
    let done = json_lines(&reset(&["--shift", "-3", "--execute", "--json"]).ok());
    assert_eq!((&done[0]["from"], &done[0]["to"], &done[0]["executed"]), (&8.into(), &5.into(), &true.into()));
    assert_eq!(consume(&["--count", "2"]), "5\n6\n");
    reset(&["--to", "99", "--execute"]).ok();
    assert_eq!(describe()["partitions"][0]["committed"], 10, "moved to the end");
    let both = json_lines(&reset(&["--topic", &topic, "--to", "-4", "--execute", "--json"]).ok());
    assert_eq!((both.len(), &both[0]["to"], &both[1]["from"]), (2, &6.into(), &Value::Null));
    assert_eq!(consume(&["--until", "latest"]), "6\n7\n8\n9\n");
    assert_eq!(consume(&["--until", "latest"]), "");

    client(&["group", "delete", &group]).ok();
    assert!(client(&["group", "describe", &group]).failed(4).contains(&group));
    client(&["group", "delete", &group]).failed(4);
    client(&["group", "delete", &group, "--if-exists"]).ok();
    reset(&["--to", "earliest"]).failed(4);
    reset(&["--topic", &topic, "--partition", "0", "--to", "7", "--execute"]).ok();
    assert_eq!(consume(&["--until", "latest"]), "7\n8\n9\n");
}

#[test]
fn a_member_is_shown_guards_its_group_and_leaves_when_interrupted() {
    let (topic, group) = (filled("guarded", 1, 2), unique("guarded"));
    let mut child = command(&["consume", &topic, "--group", &group])
        .env("LEAT_BOOTSTRAP_SERVER", bootstrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!((lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()), ("0".to_owned(), "1".to_owned()));

    let described: Value = serde_json::from_str(&client(&["group", "describe", &group, "--json"]).ok()).unwrap();
    assert_eq!((&described["state"], &described["assignor"]), (&"Stable".into(), &"range".into()));
    let member = &described["members"][0];
    assert_eq!((&member["client_id"], &member["assignment"][0]["partition"]), (&"leat".into(), &0.into()));
    assert_eq!(described["partitions"][0]["member"], member["id"]);
    assert!(client(&["group", "describe", &group]).ok().contains("1 member "));
    let error = client(&["group", "reset", &group, "--to", "earliest", "--topic", &topic, "--execute"]).failed(1);
    assert!(error.contains("has 1 member: stop"), "{error}");
    assert!(client(&["group", "delete", &group]).failed(1).contains("NON_EMPTY_GROUP"));

    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let described: Value = serde_json::from_str(&client(&["group", "describe", &group, "--json"]).ok()).unwrap();
    assert_eq!((&described["state"], &described["partitions"][0]["committed"]), (&"Empty".into(), &2.into()));
}

#[test]
fn a_group_ends_before_a_place_and_goes_on_there() {
    let (topic, group) = (filled("until", 1, 2000), unique("until"));
    let consume = |until: &str| client(&["consume", &topic, "--group", &group, "--until", until]).ok();
    let expected = |numbers: std::ops::Range<i32>| numbers.map(|i| format!("{i}\n")).collect::<String>();
    assert_eq!(consume("1234"), expected(0..1234));
    assert_eq!(consume("-1"), expected(1234..1999));
    assert_eq!(consume("latest"), "1999\n");
}

#[test]
fn a_place_that_a_group_cannot_start_from_is_refused() {
    let name = topic("refused", 1);
    let error = client(&["consume", &name, "--group", "g", "--from", "5"]).failed(2);
    assert!(error.contains("leat group reset"), "{error}");
}
