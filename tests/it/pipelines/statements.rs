//! The statements that everybody writes first, and what is said of wrong ones.

use leat_client::Admin;
use leat_protocol::ErrorCode;
use serde_json::json;

use super::Bench;
use crate::harness::{Target, skip_unless_leat, wait_until};
use crate::topics::delete_records;

const PAGE_VIEWS: &str = "CREATE STREAM page_views (
    viewtime BIGINT,
    userid VARCHAR,
    pageid VARCHAR
) WITH (
    kafka_topic='page_views',
    value_format='JSON'
);
CREATE TABLE page_view_counts AS
    SELECT pageid, COUNT(*) AS view_count
    FROM page_views
    WINDOW TUMBLING (SIZE 1 MINUTE)
    GROUP BY pageid
    EMIT CHANGES;";

const ORDERS: &str = "CREATE TABLE orders (
    order_id STRING,
    product STRING,
    amount DOUBLE,
    order_time TIMESTAMP(3),
    WATERMARK FOR order_time AS order_time - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kafka',
    'topic' = 'orders',
    'properties.bootstrap.servers' = 'localhost:9092',
    'properties.group.id' = 'order_consumer',
    'format' = 'json',
    'scan.startup.mode' = 'earliest-offset'
);
SELECT window_start, window_end, product, SUM(amount) as total_amount, COUNT(*) as order_count
FROM TABLE(
    TUMBLE(TABLE orders, DESCRIPTOR(order_time), INTERVAL '1' HOURS)
)
GROUP BY window_start, window_end, product;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_views_are_counted_as_they_come() {
    if skip_unless_leat("page_views_are_counted_as_they_come") {
        return;
    }
    let mut bench = Bench::new().await;
    bench.execute(PAGE_VIEWS).await;
    for (user, page) in [("ann", "home"), ("bob", "home"), ("ann", "cart")] {
        let value = format!(r#"{{"viewtime":1,"userid":"{user}","pageid":"{page}"}}"#);
        bench.send("page_views", 0, &value).await;
    }
    // By hand, within a minute or across its end: in one window or in two, all are counted.
    let newest = bench.newest("page_view_counts", 2).await;
    let views: i64 = newest.values().map(|value| value["view_count"].as_i64().expect("a count")).sum();
    let pages: Vec<_> = newest.keys().map(|key| key.contains(r#""pageid":"home""#)).collect();
    assert!(views <= 3 && pages.contains(&true) && pages.contains(&false), "{newest:?}");
    let mut total = 0;
    for _ in 0..100 {
        let rows = bench.rows("SELECT pageid, view_count FROM page_view_counts;").await;
        total = rows.iter().map(|row| row[1].as_i64().expect("a count")).sum();
        if total == 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(total, 3);
    bench.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_summed_by_the_hour_in_flinks_dialect() {
    if skip_unless_leat("orders_are_summed_by_the_hour_in_flinks_dialect") {
        return;
    }
    let mut bench = Bench::new().await;
    bench.execute("SET 'auto.offset.reset' = 'earliest';").await;
    let orders = [
        ("pen", 1.5, "2026-01-01 10:00:00"),
        ("pen", 2.25, "2026-01-01 10:59:59.999"),
        ("ink", 0.1, "2026-01-01 10:30:00"),
        ("pen", 4.0, "2026-01-01 11:00:00"),
        // Late: its hour has ended, five seconds and more ago.
        ("ink", 100.0, "2026-01-01 09:59:59"),
        ("ink", 0.2, "2026-01-01 11:10:00"),
    ];
    for (at, (product, amount, time)) in orders.iter().enumerate() {
        let value = format!(r#"{{"order_id":"{at}","product":"{product}","amount":{amount},"order_time":"{time}"}}"#);
        bench.send("orders", 0, &value).await;
    }
    bench.sql = bench.sql.clone().until_end(true);
    let mut rows = bench.rows(ORDERS).await;
    rows.sort_by_key(|row| row[0].to_string() + &row[2].to_string());
    let hour = |hour: u32| json!(format!("2026-01-01 {hour}:00:00.000"));
    assert_eq!(
        rows,
        [
            vec![hour(10), hour(11), json!("ink"), json!(0.1), json!(1)],
            vec![hour(10), hour(11), json!("pen"), json!(3.75), json!(2)],
            vec![hour(11), hour(12), json!("ink"), json!(0.2), json!(1)],
            vec![hour(11), hour(12), json!("pen"), json!(4.0), json!(1)],
        ]
    );
    bench.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_statement_is_pointed_at_and_makes_nothing() {
    if skip_unless_leat("a_wrong_statement_is_pointed_at_and_makes_nothing") {
        return;
    }
    let mut bench = Bench::new().await;
    bench.execute("CREATE STREAM s (a BIGINT) WITH (kafka_topic='s', value_format='JSON', partitions=2);").await;
    let error =
        bench.sql.execute("CREATE STREAM t AS\n  SELECT b FROM s EMIT CHANGES;").await.expect_err("no column b");
    let text = error.to_string();
    assert!(text.contains("line 2") && text.contains('^'), "{text}");
    let error = bench.sql.execute("CREATE STREAM t (a BIGINT) WITH (kafka_topic='x', value_fromat='JSON');").await;
    assert!(error.expect_err("a misspelt option").to_string().contains("value_format"));
    assert_eq!(bench.rows("SHOW STREAMS;").await.len(), 1);
    bench.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_filtered_and_changed_on_their_way_and_what_is_no_row_is_kept_aside() {
    if skip_unless_leat("rows_are_filtered_and_changed_on_their_way_and_what_is_no_row_is_kept_aside") {
        return;
    }
    let mut bench = Bench::new().await;
    bench
        .execute(
            "CREATE STREAM readings (device VARCHAR, celsius DOUBLE) WITH (kafka_topic='readings', value_format='JSON');
             CREATE STREAM hot AS SELECT UCASE(device) AS device, celsius * 1.8 + 32 AS fahrenheit
               FROM readings WHERE celsius > 30 EMIT CHANGES;",
        )
        .await;
    for value in [
        r#"{"device":"a","celsius":31.0}"#,
        r#"{"device":"b","celsius":20}"#,
        "not json",
        r#"{"device":"c","celsius":35}"#,
    ] {
        bench.send("readings", 0, value).await;
    }
    let hot = super::read(&bench.broker.bootstrap(), "hot", |records| records.len() >= 2).await;
    let values: Vec<String> = hot.iter().map(|record| super::text(record.value.as_ref())).collect();
    assert_eq!(values[1], r#"{"device":"C","fahrenheit":95.0}"#, "{values:?}");
    let rejected = super::read(&bench.broker.bootstrap(), "hot-rejected", |records| !records.is_empty()).await;
    assert_eq!(super::text(rejected[0].value.as_ref()), "not json");
    assert!(rejected[0].headers.iter().any(|header| &*header.key == "leat.reason"));
    let counts = bench.rows("DESCRIBE hot EXTENDED;").await;
    let source = counts.iter().find(|row| row[0] == "source").expect("a stage");
    assert_eq!(
        source[5..10],
        [json!(4), json!(2), json!(0), json!(1), json!(1)],
        "rows = applied + late + filtered + rejected"
    );
    bench.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_row_after_a_long_quiet_is_not_taken_for_one_of_the_future() {
    if skip_unless_leat("the_first_row_after_a_long_quiet_is_not_taken_for_one_of_the_future") {
        return;
    }
    let mut bench = Bench::new().await;
    bench
        .execute(
            "CREATE STREAM pulses (id VARCHAR) WITH (kafka_topic='pulses', value_format='JSON', future='3 seconds');
             CREATE STREAM beats AS SELECT id FROM pulses EMIT CHANGES;",
        )
        .await;
    bench.send("pulses", 0, r#"{"id":"a"}"#).await;
    super::read(&bench.broker.bootstrap(), "beats", |records| !records.is_empty()).await;
    // Longer than what is believed: that much time has to pass.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    bench.send("pulses", 0, r#"{"id":"b"}"#).await;
    super::read(&bench.broker.bootstrap(), "beats", |records| records.len() == 2).await;
    bench.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_keeps_what_its_pipeline_needs_and_what_it_writes() {
    if skip_unless_leat("a_topic_keeps_what_its_pipeline_needs_and_what_it_writes") {
        return;
    }
    let mut bench = Bench::new().await;
    bench
        .execute(
            "CREATE STREAM kept (a BIGINT) WITH (kafka_topic='kept', value_format='JSON', partitions=1);
             CREATE STREAM doubled AS SELECT a * 2 AS b FROM kept EMIT CHANGES;
             INSERT INTO kept (a) VALUES (1), (2);",
        )
        .await;
    super::read(&bench.broker.bootstrap(), "doubled", |records| records.len() >= 2).await;
    let mut connection = Target::of(&bench.broker).connect();
    assert_eq!(delete_records(&mut connection, "kept", 2), Err(ErrorCode::POLICY_VIOLATION));
    bench.execute("PAUSE doubled;").await;
    assert_eq!(delete_records(&mut connection, "kept", 2), Err(ErrorCode::POLICY_VIOLATION));
    let admin = Admin::builder().bootstrap(bench.broker.bootstrap()).build().await.expect("an admin");
    let refused = admin.delete_topics(&["doubled"]).await.expect("an answer").remove(0).expect_err("it is written to");
    assert_eq!(refused.code(), Some(ErrorCode::POLICY_VIOLATION));
    bench.execute("DROP STREAM doubled DELETE TOPIC;").await;
    wait_until("the log is free", super::PATIENCE, || delete_records(&mut connection, "kept", 2) == Ok(2));
    admin.close().await;
    bench.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_advance_counts_in_a_partition_without_rows_however_late_a_pipeline_begins_there() {
    if skip_unless_leat("an_advance_counts_in_a_partition_without_rows_however_late_a_pipeline_begins_there") {
        return;
    }
    let mut bench = Bench::new().await;
    bench
        .execute(
            "CREATE STREAM ferries (id VARCHAR, at BIGINT) WITH (kafka_topic='ferries', value_format='JSON', partitions=2,
                 timestamp='at', idle='never', future='never');",
        )
        .await;
    bench.send("ferries", 0, r#"{"id":"a","at":1000}"#).await;
    bench
        .execute(
            "ADVANCE ferries TO TIMESTAMP '1970-01-02 00:00:00';
             CREATE TABLE crossings AS SELECT id, COUNT(*) AS n FROM ferries
                 WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 0 SECONDS) GROUP BY id EMIT FINAL;",
        )
        .await;
    let newest = bench.newest("crossings", 1).await;
    assert_eq!(newest.values().collect::<Vec<_>>(), [&json!({"n": 1})]);
    bench.stop();
}
