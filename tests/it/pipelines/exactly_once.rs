//! Every window once, with every row that was not late, whatever happens to the broker.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use leat_client::sql::Sql;
use leat_client::{ConsumerRecord, Producer, ProducerRecord};

use super::{fold, read};
use crate::harness::{Cluster, Process, free_port, skip_unless_leat};

const PARTITIONS: i32 = 3;
pub(super) const ROWS: i64 = 12_000;
pub(super) const KEYS: i64 = 7;
/// Of event time, between two rows.
const STEP_MS: i64 = 10;
const WINDOW_MS: i64 = 1_000;

pub(super) const STATEMENTS: &str = "
    CREATE STREAM clicks (k VARCHAR, v BIGINT, t BIGINT)
      WITH (kafka_topic='clicks', value_format='JSON', timestamp='t', partitions=3, idle='never');
    CREATE TABLE sums AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM clicks
      WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 10 SECONDS) GROUP BY k EMIT FINAL;";

/// What every window holds, by the definition.
pub(super) fn expected() -> BTreeMap<(String, i64), (i64, i64)> {
    let mut windows: BTreeMap<(String, i64), (i64, i64)> = BTreeMap::new();
    for row in 0..ROWS {
        let (key, time) = (format!("k{}", row % KEYS), time(row));
        let window = windows.entry((key, time.div_euclid(WINDOW_MS) * WINDOW_MS)).or_default();
        *window = (window.0 + 1, window.1 + row);
    }
    windows
}

/// Out of order, within the grace.
fn time(row: i64) -> i64 {
    1_700_000_000_000 + row * STEP_MS - row * 7_919 % 3_000
}

fn results(records: &[ConsumerRecord]) -> BTreeMap<(String, i64), (i64, i64)> {
    let newest = fold(records);
    let results = newest.iter().map(|(key, value)| {
        let key: serde_json::Value = serde_json::from_str(key).expect("JSON");
        let field = |name: &str| value[name].as_i64().expect("a number");
        let start = key["WINDOWSTART"].as_i64().or(key["window_start"].as_i64()).expect("a window");
        ((key["k"].as_str().expect("a key").to_owned(), start), (field("n"), field("total")))
    });
    results.collect()
}

/// Sends rows and waits for their acknowledgements.
pub(super) async fn send(producer: &Producer, rows: Range<i64>) {
    let mut deliveries = Vec::new();
    for row in rows {
        let value = format!(r#"{{"k":"k{}","v":{row},"t":{}}}"#, row % KEYS, time(row));
        let partition = i32::try_from(row % i64::from(PARTITIONS)).expect("small");
        let record = ProducerRecord::to("clicks").partition(partition).value(value);
        deliveries.push(producer.send(record).await.expect("room"));
    }
    for delivery in deliveries {
        delivery.await.expect("an acknowledgement");
    }
}

/// Every window is there, as it should be, and once.
pub(super) async fn check(bootstrap: &str) {
    let expected = expected();
    let records = read(bootstrap, "sums", |records| records.len() >= expected.len()).await;
    assert_eq!(results(&records), expected);
    // What would follow, follows within a moment.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let again = read(bootstrap, "sums", |records| records.len() >= expected.len()).await;
    assert_eq!((records.len(), again.len()), (expected.len(), expected.len()), "each window once");
}

/// All windows close.
pub(super) const END: &str = "ADVANCE clicks TO TIMESTAMP '2033-01-01 00:00:00';";

pub(super) struct Broker {
    pub(super) process: Process,
    pub(super) sql: Sql,
}

pub(super) fn start(folder: &Path, kafka: u16, http: u16) -> Broker {
    let listen = format!("127.0.0.1:{kafka}");
    let http = format!("127.0.0.1:{http}");
    let process =
        Process::start(folder, &listen, &[&format!("leat.http.listen={http}"), "leat.pipeline.base.bytes=20000"]);
    Broker { process, sql: Sql::new(http) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_changes_no_result_and_repeats_none() {
    if skip_unless_leat("kill_9_changes_no_result_and_repeats_none") {
        return;
    }
    let rounds: i64 = std::env::var("LEAT_TEST_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (kafka, http) = (free_port(), free_port());
    let mut broker = start(&data, kafka, http);
    broker.sql.execute(STATEMENTS).await.expect("a pipeline");
    let bootstrap = format!("127.0.0.1:{kafka}");
    let producer = Producer::builder().bootstrap(&bootstrap).build().await.expect("a producer");
    for round in 0..rounds {
        send(&producer, round * ROWS / rounds..(round + 1) * ROWS / rounds).await;
        // Somewhere between the stages.
        tokio::time::sleep(Duration::from_millis(u64::try_from(round * 37 % 150).expect("small"))).await;
        broker.process.kill();
        broker = start(&data, kafka, http);
    }
    broker.sql.execute(END).await.expect("an end");
    check(&bootstrap).await;
    producer.close().await;
    broker.process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_that_are_killed_change_no_result_and_repeat_none() {
    if skip_unless_leat("leaders_that_are_killed_change_no_result_and_repeat_none") {
        return;
    }
    let mut cluster = Cluster::start(3, &["leat.pipeline.base.bytes=20000"]);
    let mut sql = Sql::new(cluster.http_address(1));
    sql.execute(STATEMENTS).await.expect("a pipeline");
    let bootstrap = cluster.bootstrap();
    let producer = Producer::builder().bootstrap(&bootstrap).build().await.expect("a producer");
    for round in 0..3 {
        send(&producer, round * ROWS / 3..(round + 1) * ROWS / 3).await;
        let node = usize::try_from(round).expect("small") + 1;
        cluster.kill(node);
        cluster.restart(node);
    }
    let mut sql = Sql::new(cluster.http_address(2));
    let begun = Instant::now();
    // A partition may be without a leader for a moment.
    while let Err(error) = sql.execute(END).await {
        assert!(begun.elapsed() < super::PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    check(&bootstrap).await;
    producer.close().await;
}
