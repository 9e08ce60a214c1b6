//! Pipelines over pipelines: windows over windows, and `OVER` over those, closed in turn and exactly once.

use std::collections::BTreeMap;
use std::time::Duration;

use leat_client::{ConsumerRecord, Producer};
use serde_json::{Value as Json, json};

use super::exactly_once::{END, KEYS, ROWS, STATEMENTS, expected, send, start};
use super::{Bench, read, text};
use crate::harness::{free_port, skip_unless_leat};

const MORE: &str = "
    CREATE TABLE tens AS SELECT k, SUM(n) AS n, SUM(total) AS total FROM sums
      WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY k EMIT FINAL;
    CREATE STREAM lasts AS SELECT k, n, total,
        SUM(total) OVER (PARTITION BY k ORDER BY ROWTIME ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS last_three
      FROM tens EMIT CHANGES;";

/// Each key's windows of ten seconds, in order: count, total, and that of the last three.
fn of_ten_seconds() -> BTreeMap<String, Vec<Json>> {
    let mut tens: BTreeMap<(String, i64), (i64, i64)> = BTreeMap::new();
    for ((key, start), (n, total)) in expected() {
        let window = tens.entry((key, start.div_euclid(10_000))).or_default();
        *window = (window.0 + n, window.1 + total);
    }
    let mut by_key: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    tens.into_iter().for_each(|((key, _), values)| by_key.entry(key).or_default().push(values));
    let row = |all: &[(i64, i64)], at: usize| {
        let last: i64 = all[at.saturating_sub(2)..=at].iter().map(|(_, total)| total).sum();
        json!({ "n": all[at].0, "total": all[at].1, "last_three": last })
    };
    by_key.into_iter().map(|(key, all)| (key, (0..all.len()).map(|at| row(&all, at)).collect())).collect()
}

fn by_key(records: &[ConsumerRecord]) -> BTreeMap<String, Vec<Json>> {
    let mut found: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for record in records {
        let key: Json = serde_json::from_str(&text(record.key.as_ref())).expect("JSON");
        let value = serde_json::from_str(&text(record.value.as_ref())).expect("JSON");
        found.entry(key["k"].as_str().expect("a key").to_owned()).or_default().push(value);
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_changes_nothing_in_three_stages_that_one_advance_closes() {
    if skip_unless_leat("kill_9_changes_nothing_in_three_stages_that_one_advance_closes") {
        return;
    }
    let rounds: i64 = std::env::var("LEAT_TEST_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (kafka, http) = (free_port(), free_port());
    let mut broker = start(&data, kafka, http);
    broker.sql.execute(&format!("{STATEMENTS}{MORE}")).await.expect("three pipelines");
    let bootstrap = format!("127.0.0.1:{kafka}");
    let producer = Producer::builder().bootstrap(&bootstrap).build().await.expect("a producer");
    for round in 0..rounds {
        send(&producer, round * ROWS / rounds..(round + 1) * ROWS / rounds).await;
        tokio::time::sleep(Duration::from_millis(u64::try_from(round * 53 % 190).expect("small"))).await;
        broker.process.kill();
        broker = start(&data, kafka, http);
    }
    broker.sql.execute(END).await.expect("an end");
    // Once more while the stages close in turn.
    tokio::time::sleep(Duration::from_millis(30)).await;
    broker.process.kill();
    broker = start(&data, kafka, http);
    let due = of_ten_seconds();
    let count: usize = due.values().map(Vec::len).sum();
    assert_eq!(due.len(), usize::try_from(KEYS).expect("small"));
    let records = read(&bootstrap, "lasts", |records| records.len() >= count).await;
    assert_eq!(by_key(&records), due);
    // What would follow, follows within a moment.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for (topic, count) in [("lasts", count), ("tens", count), ("sums", expected().len())] {
        let records = read(&bootstrap, topic, |records| records.len() >= count).await;
        assert_eq!(records.len(), count, "{topic}: each once");
    }
    producer.close().await;
    broker.process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_over_windows_close_in_turn_in_both_dialects() {
    if skip_unless_leat("windows_over_windows_close_in_turn_in_both_dialects") {
        return;
    }
    let mut bench = Bench::new().await;
    bench
        .execute(
            "CREATE STREAM pages (id STRING, at BIGINT)
               WITH (kafka_topic='pages', value_format='JSON', partitions=2, timestamp='at', idle='never');
             CREATE TABLE minutes AS SELECT id, COUNT(*) AS n FROM pages
               WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 0 SECONDS) GROUP BY id HAVING COUNT(*) > 1 EMIT CHANGES;
             CREATE TABLE hours AS SELECT id, SUM(n) AS n, COUNT(*) AS minutes FROM minutes
               WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 0 SECONDS) GROUP BY id EMIT FINAL;
             CREATE STREAM each_hour (id STRING KEY, window_start BIGINT KEY, window_end BIGINT KEY, n BIGINT)
               WITH (kafka_topic='hours', format='JSON', timestamp='window_start', idle='never');
             CREATE TABLE days AS SELECT id, MAX(n) AS busiest FROM each_hour
               WINDOW TUMBLING (SIZE 1 DAY, GRACE PERIOD 0 SECONDS) GROUP BY id EMIT FINAL;
             CREATE TABLE clicks (word STRING, at TIMESTAMP(3), WATERMARK FOR at AS at)
               WITH ('connector'='kafka', 'topic'='clicks', 'format'='json', 'partitions'='2', 'idle'='never',
                     'scan.startup.mode'='earliest-offset');
             CREATE VIEW fives AS SELECT window_start, window_end, window_time AS rowtime, word, COUNT(*) AS n
               FROM TABLE(HOP(TABLE clicks, DESCRIPTOR(at), INTERVAL '5' SECOND, INTERVAL '10' SECOND))
               GROUP BY window_start, window_end, window_time, word;
             CREATE TABLE halves AS SELECT window_start, window_end, SUM(n) AS n
               FROM TABLE(TUMBLE(TABLE fives, DESCRIPTOR(rowtime), INTERVAL '30' SECOND)) GROUP BY window_start, window_end;",
        )
        .await;
    const MINUTE: i64 = 60_000;
    // Minute 0 twice, 1 once (which HAVING leaves out), 2 three times, and 70 twice.
    for minute in [0, 0, 1, 2, 2, 2, 70, 70] {
        bench.send("pages", 0, &format!(r#"{{"id":"a","at":{}}}"#, minute * MINUTE)).await;
    }
    for second in [1, 7, 29, 33] {
        bench.send("clicks", 1, &format!(r#"{{"word":"w","at":"2026-01-01 00:00:{second:02}"}}"#)).await;
    }
    bench
        .execute("ADVANCE pages TO TIMESTAMP '1971-01-01 00:00:00'; ADVANCE clicks TO TIMESTAMP '2027-01-01 00:00:00';")
        .await;
    let key =
        |start: i64, length: i64| format!(r#"{{"id":"a","window_start":{start},"window_end":{}}}"#, start + length);
    let hours = bench.newest("hours", 2).await;
    let of = |start: i64| hours[&key(start, 60 * MINUTE)].clone();
    assert_eq!((of(0), of(60 * MINUTE)), (json!({ "n": 5, "minutes": 2 }), json!({ "n": 2, "minutes": 1 })));
    // Its time is another column than the record's, so that no stage can say how far it is.
    bench.execute("ADVANCE each_hour TO TIMESTAMP '1971-01-01 00:00:00';").await;
    let days = bench.newest("days", 1).await;
    assert_eq!(days[&key(0, 24 * 60 * MINUTE)], json!({ "busiest": 5 }));
    // Windows of ten seconds that end at 5, 10, ... by the half minute in which their last millisecond lies.
    let halves = bench.newest("halves", 2).await;
    let totals: Vec<&Json> = halves.values().map(|value| &value["n"]).collect();
    assert_eq!(totals, [&json!(5), &json!(3)], "{halves:?}");
    bench.stop();
}
