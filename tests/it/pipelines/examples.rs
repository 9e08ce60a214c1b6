//! The exercises of `examples/`: the commands that each README names, and the records that they leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use leat_client::{ConsumerRecord, ProducerRecord};
use serde_json::{Value as Json, json};

use super::{Bench, fold, read, text};
use crate::harness::skip_unless_leat;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn file(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn lines(path: &Path) -> Vec<Json> {
    file(path).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Carries out a command of a README.
async fn run(bench: &mut Bench, folder: &Path, command: &str) {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        ["leat", "sql", "--file", statements] => drop(bench.execute(&file(&folder.join(statements))).await),
        ["leat", "sql", "-e", ..] => drop(bench.execute(command.split('"').nth(1).expect("a statement")).await),
        ["leat", "produce", topic, data, "--input", "json", ref rest @ ..] => {
            let key = match rest {
                ["--key", field] => Some(field),
                _ => None,
            };
            for (line, row) in file(&folder.join(data)).lines().zip(lines(&folder.join(data))) {
                let mut record = ProducerRecord::to(topic).value(line.to_owned());
                if let Some(key) = key.and_then(|field| row[field].as_str()) {
                    record = record.key(key.to_owned());
                }
                bench.producer.send(record).await.expect("room").await.expect("an acknowledgement");
            }
        }
        ["leat", "consume", topic, "--count", count] => {
            let count: usize = count.parse().expect("a number");
            read(&bench.broker.bootstrap(), topic, |records| records.len() >= count).await;
        }
        _ => panic!("what is '{command}'?"),
    }
}

/// What a topic holds, in the form of `expected.jsonl`: the newest record of a table's keys, each record of a stream.
fn found(topic: &str, records: &[ConsumerRecord], is_table: bool) -> Vec<String> {
    let line = |key: Json, value: Json| json!({ "topic": topic, "key": key, "value": value }).to_string();
    let mut found: Vec<String> = if is_table {
        let newest = fold(records).into_iter();
        newest.map(|(key, value)| line(serde_json::from_str(&key).expect("JSON"), value)).collect()
    } else {
        let value = |record: &ConsumerRecord| serde_json::from_str(&text(record.value.as_ref())).expect("JSON");
        let key = |record: &ConsumerRecord| record.key.as_ref().map_or(Json::Null, |key| json!(text(Some(key))));
        records.iter().map(|record| line(key(record), value(record))).collect()
    };
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exercise_gives_what_was_calculated_without_leat() {
    if skip_unless_leat("every_exercise_gives_what_was_calculated_without_leat") {
        return;
    }
    let index = file(&folder().join("README.md"));
    let named = index.lines().filter_map(|line| line.strip_prefix("| [")?.split(']').next());
    let entries = fs::read_dir(folder()).expect("a folder").map(|entry| entry.expect("an entry"));
    let folders =
        entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().expect("text"));
    let folders: BTreeSet<String> = folders.collect();
    assert_eq!(named.map(str::to_owned).collect::<BTreeSet<_>>(), folders, "README.md names them");
    // One broker for all: none takes another's names.
    let mut bench = Bench::new().await;
    for name in folders {
        exercise(&mut bench, &folder().join(name)).await;
    }
    bench.stop();
}

async fn exercise(bench: &mut Bench, folder: &Path) {
    let readme = file(&folder.join("README.md"));
    let commands = readme.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("commands");
    for command in commands.lines() {
        run(bench, folder, command).await;
    }
    let mut expected: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for line in lines(&folder.join("expected.jsonl")) {
        expected.entry(line["topic"].as_str().expect("a topic").to_owned()).or_default().push(line);
    }
    for (topic, lines) in expected {
        let is_table = lines.iter().all(|line| line["key"].is_object());
        let mut lines: Vec<String> = lines.iter().map(Json::to_string).collect();
        lines.sort();
        let bootstrap = bench.broker.bootstrap();
        let records = read(&bootstrap, &topic, |records| found(&topic, records, is_table) == lines).await;
        // Windows that are final come once, so that no more can follow.
        let are_final = records.iter().all(|record| record.headers.iter().any(|header| &*header.key == "leat.final"));
        assert!(!are_final || records.len() == lines.len(), "{topic}: {records:?}");
    }
}
