//! A pipeline that is replaced goes on with its state, at one place of each log, whatever is killed.

use std::time::Duration;

use leat_client::Producer;
use serde_json::{Value as Json, json};

use super::exactly_once::{END, ROWS, STATEMENTS, check, send, start};
use super::{Bench, fold, read, text};
use crate::harness::{free_port, skip_unless_leat};

const TWICE: &str =
    "CREATE OR REPLACE TABLE sums AS SELECT k, COUNT(*) AS n, SUM(v) AS total, SUM(v) * 2 AS twice FROM clicks
    WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 10 SECONDS) GROUP BY k EMIT FINAL;";
const THRICE: &str =
    "CREATE OR REPLACE TABLE sums AS SELECT k, COUNT(*) AS n, SUM(v) AS total, SUM(v) * 3 AS thrice FROM clicks
    WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 10 SECONDS) GROUP BY k EMIT FINAL;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_that_is_replaced_gives_each_window_once_under_kill_9() {
    if skip_unless_leat("a_pipeline_that_is_replaced_gives_each_window_once_under_kill_9") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (kafka, http) = (free_port(), free_port());
    let mut broker = start(&data, kafka, http);
    broker.sql.execute(STATEMENTS).await.expect("a pipeline");
    let bootstrap = format!("127.0.0.1:{kafka}");
    let producer = Producer::builder().bootstrap(&bootstrap).build().await.expect("a producer");
    for (round, replaced) in [Some(TWICE), Some(THRICE), None].into_iter().enumerate() {
        let round = i64::try_from(round).expect("small");
        send(&producer, round * ROWS / 3..(round + 1) * ROWS / 3).await;
        if let Some(replaced) = replaced {
            broker.sql.execute(replaced).await.expect("another generation");
        }
        // At once, and in the middle of the switch.
        tokio::time::sleep(Duration::from_millis(u64::try_from(round * 15).expect("small"))).await;
        broker.process.kill();
        broker = start(&data, kafka, http);
    }
    broker.sql.execute(END).await.expect("an end");
    check(&bootstrap).await;
    let records = read(&bootstrap, "sums", |records| !records.is_empty()).await;
    let values = records.iter().map(|record| serde_json::from_str::<Json>(&text(record.value.as_ref())).expect("JSON"));
    for value in values {
        let total = value["total"].as_i64().expect("a number");
        let twice = value.get("twice").is_none_or(|twice| *twice == json!(total * 2));
        let thrice = value.get("thrice").is_none_or(|thrice| *thrice == json!(total * 3));
        assert!(twice && thrice, "{value}");
    }
    let newest = fold(
        &read(&bootstrap, "sums", |records| fold(records).values().any(|value| value.get("thrice").is_some())).await,
    );
    assert!(newest.values().any(|value| value.get("thrice").is_some()), "the last generation has gone on");
    producer.close().await;
    broker.process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_does_not_fit_needs_a_start_and_what_reads_it_is_not_broken() {
    if skip_unless_leat("a_state_that_does_not_fit_needs_a_start_and_what_reads_it_is_not_broken") {
        return;
    }
    let mut bench = Bench::new().await;
    bench
        .execute(
            "CREATE STREAM bids (item STRING, price BIGINT) WITH (kafka_topic='bids', value_format='JSON', partitions=2);
             CREATE TABLE best AS SELECT item, MAX(price) AS high, COUNT(*) AS n FROM bids GROUP BY item EMIT CHANGES;
             INSERT INTO bids VALUES ('vase', 10), ('vase', 30), ('lamp', 5);",
        )
        .await;
    bench.newest("best", 2).await;
    const SAME: &str =
        "TABLE best AS SELECT item, MAX(price) AS high, COUNT(*) * 10 AS tens FROM bids GROUP BY item EMIT CHANGES";
    const OTHER: &str = "TABLE best AS SELECT item, MIN(price) AS low FROM bids GROUP BY item EMIT CHANGES";
    let what = |rows: Vec<Vec<Json>>| rows.last().expect("a row")[1].to_string();
    let explained = bench.rows(&format!("EXPLAIN CREATE OR REPLACE {SAME};")).await;
    assert!(what(explained).contains("goes on"));
    let explained = bench.rows(&format!("EXPLAIN CREATE OR REPLACE {OTHER};")).await;
    assert!(what(explained).contains("needs START FROM: an aggregate"));
    let error = bench.sql.execute(&format!("CREATE OR REPLACE {OTHER};")).await.expect_err("another aggregate");
    assert!(error.to_string().contains("START FROM"), "{error}");

    bench.execute(&format!("CREATE OR REPLACE {SAME}; INSERT INTO bids VALUES ('vase', 20);")).await;
    let is_new = |records: &[leat_client::ConsumerRecord]| {
        fold(records).get(r#"{"item":"vase"}"#).is_some_and(|value| *value == json!({ "high": 30, "tens": 30 }))
    };
    read(&bench.broker.bootstrap(), "best", is_new).await;

    // What reads it needs the column that would go.
    bench
        .execute(
            "CREATE STREAM seen (item STRING KEY, tens BIGINT) WITH (kafka_topic='best', format='JSON');
             CREATE STREAM copied AS SELECT item, high FROM best EMIT CHANGES;",
        )
        .await;
    let renamed = SAME.replace("AS high", "AS higher");
    let error = bench.sql.execute(&format!("CREATE OR REPLACE {renamed};")).await.expect_err("copied reads it");
    assert!(error.to_string().contains("copied"), "{error}");
    bench.execute("DROP STREAM copied;").await;

    bench.execute(&format!("CREATE OR REPLACE {OTHER} START FROM EARLIEST;")).await;
    let is_anew = |records: &[leat_client::ConsumerRecord]| {
        let newest = fold(records);
        let low = |item: &str| newest.get(&format!(r#"{{"item":"{item}"}}"#)).and_then(|value| value["low"].as_i64());
        (low("vase"), low("lamp")) == (Some(10), Some(5))
    };
    read(&bench.broker.bootstrap(), "best", is_anew).await;
    for savepoint in
        ["SAVEPOINT best 'before';".to_owned(), format!("CREATE OR REPLACE {OTHER} START FROM SAVEPOINT 'before';")]
    {
        assert!(bench.sql.execute(&savepoint).await.expect_err("none yet").to_string().contains("savepoints"));
    }
    bench.stop();
}
