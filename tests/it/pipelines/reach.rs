//! What statements reach: records that compaction has left, and partitions that other nodes lead.

use std::collections::BTreeSet;
use std::time::Duration;

use leat_client::sql::Sql;
use leat_client::{Admin, ConsumerRecord, NewTopic, ProducerRecord};
use serde_json::json;

use super::{Bench, read};
use crate::harness::{Cluster, skip_unless_leat};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_reads_what_compaction_has_left() {
    if skip_unless_leat("a_query_reads_what_compaction_has_left") {
        return;
    }
    let mut bench = Bench::with(&[("log.cleaner.backoff.ms", "20")]).await;
    let admin = Admin::builder().bootstrap(bench.broker.bootstrap()).build().await.expect("an admin");
    // Every record gets a segment of its own, and all but the last can be cleaned.
    let topic = NewTopic::new("prices")
        .partitions(1)
        .config("cleanup.policy", "compact")
        .config("segment.ms", "1")
        .config("min.cleanable.dirty.ratio", "0.01");
    admin.create_topic(topic).await.expect("a topic");
    for n in 0..40 {
        let record = ProducerRecord::to("prices").key(format!("{}", n % 3)).value(format!(r#"{{"price":{n}}}"#));
        bench.producer.send(record).await.expect("room").await.expect("an acknowledgement");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let count = async || {
        let all = read(&bench.broker.bootstrap(), "prices", |records| records.iter().any(|r| r.offset == 39)).await;
        all.len()
    };
    while count().await > 6 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.sql = bench.sql.clone().until_end(true);
    let rows = bench
        .rows(
            "SET 'auto.offset.reset' = 'earliest';
             CREATE STREAM prices (price BIGINT) WITH (kafka_topic='prices', value_format='JSON');
             SELECT price FROM prices EMIT CHANGES;",
        )
        .await;
    let newest: Vec<_> = rows.iter().rev().take(3).rev().cloned().collect();
    assert_eq!(newest, [[json!(37)], [json!(38)], [json!(39)]]);
    assert!(rows.len() <= 6, "{rows:?}");
    bench.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_inserted_through_any_node() {
    if skip_unless_leat("rows_are_inserted_through_any_node") {
        return;
    }
    let cluster = Cluster::start(3, &[]);
    let mut sql = Sql::new(cluster.http_address(1));
    sql.execute("CREATE STREAM s (k VARCHAR KEY, n BIGINT) WITH (kafka_topic='s', value_format='JSON', partitions=6);")
        .await
        .expect("a stream");
    for node in 1..=3 {
        let mut sql = Sql::new(cluster.http_address(node));
        let rows: Vec<_> = (0..10).map(|row| format!("('{node}-{row}', {row})")).collect();
        let insert = format!("INSERT INTO s (k, n) VALUES {};", rows.join(", "));
        let (begun, mut done) = (std::time::Instant::now(), sql.execute(&insert).await);
        // A node may not know the new stream yet, or not who leads all of its partitions: some rows may be there then.
        while done.is_err() && begun.elapsed() < super::PATIENCE {
            tokio::time::sleep(Duration::from_millis(50)).await;
            done = sql.execute(&insert).await;
        }
        done.expect("rows");
    }
    let keys = |records: &[ConsumerRecord]| -> BTreeSet<_> {
        records.iter().map(|record| super::text(record.key.as_ref())).collect()
    };
    let records = read(&cluster.bootstrap(), "s", |records| keys(records).len() >= 30).await;
    assert_eq!(keys(&records).len(), 30);
    assert!(records.iter().map(|record| record.partition).collect::<BTreeSet<_>>().len() > 1);
}
