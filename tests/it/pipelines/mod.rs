//! Pipelines as a user sees them: SQL over HTTP, records by an ordinary producer, results in ordinary topics.

mod budget;
mod counts;
mod exactly_once;
mod examples;
mod joins;
mod reach;
mod replace;
mod stages;
mod statements;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use leat_broker::Broker;
use leat_client::sql::{Event, Sql};
use leat_client::{Consumer, ConsumerRecord, Producer, ProducerRecord, Start};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::harness::start;

/// The longest that a result is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker with HTTP, a session with it, and a producer.
struct Bench {
    broker: Broker,
    sql: Sql,
    producer: Producer,
    _folder: TempDir,
}

impl Bench {
    async fn new() -> Bench {
        Bench::with(&[]).await
    }

    async fn with(sets: &[(&str, &str)]) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let sets = [&[("leat.http.listen", "127.0.0.1:0")], sets].concat();
        let broker = start(folder.path(), &sets).expect("a broker");
        let sql = Sql::new(broker.http_addresses()[0].to_string());
        let producer = Producer::builder().bootstrap(broker.bootstrap()).build().await.expect("a producer");
        Bench { broker, sql, producer, _folder: folder }
    }

    async fn execute(&mut self, text: &str) -> Vec<String> {
        self.sql.execute(text).await.expect("statements that are carried out")
    }

    async fn send(&self, topic: &str, partition: i32, value: &str) {
        let record = ProducerRecord::to(topic).partition(partition).value(value.to_owned());
        self.producer.send(record).await.expect("room").await.expect("an acknowledgement");
    }

    /// The rows of a query that ends.
    async fn rows(&mut self, text: &str) -> Vec<Vec<Json>> {
        let mut rows = Vec::new();
        let mut events = self.sql.run(text).await.expect("a query");
        while let Some(event) = events.next().await.expect("an event") {
            if let Event::Row(row) = event {
                rows.push(row);
            }
        }
        rows
    }

    /// The newest value of each key of a topic, once there are `count` of them.
    async fn newest(&self, topic: &str, count: usize) -> BTreeMap<String, Json> {
        let records = read(&self.broker.bootstrap(), topic, |records| fold(records).len() >= count).await;
        fold(&records)
    }

    fn stop(self) {
        self.broker.stop();
    }
}

fn text(bytes: Option<&leat_client::Bytes>) -> String {
    String::from_utf8(bytes.expect("bytes").to_vec()).expect("text")
}

fn fold(records: &[ConsumerRecord]) -> BTreeMap<String, Json> {
    let mut newest = BTreeMap::new();
    for record in records {
        let key = text(record.key.as_ref());
        match &record.value {
            Some(value) => newest.insert(key, serde_json::from_slice(value).expect("JSON")),
            None => newest.remove(&key),
        };
    }
    newest
}

/// A topic from its start, until there is enough.
async fn read(bootstrap: &str, topic: &str, enough: impl Fn(&[ConsumerRecord]) -> bool) -> Vec<ConsumerRecord> {
    let consumer = Consumer::builder().bootstrap(bootstrap).build().await.expect("a consumer");
    let partitions = consumer.partitions(topic).await.expect("partitions");
    consumer.assign(&partitions).await.expect("partitions");
    consumer.seek_all(Start::Earliest).await.expect("a start");
    let (begun, mut records) = (Instant::now(), Vec::new());
    while !enough(&records) {
        assert!(begun.elapsed() < PATIENCE, "{topic} has only {} records: {:?}", records.len(), fold(&records));
        records.extend(consumer.poll(Duration::from_millis(100)).await.expect("records"));
    }
    consumer.close().await;
    records
}
