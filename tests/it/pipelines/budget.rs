//! A state that outgrows its budget: the pipeline stops, says which setting to raise, and goes on there without loss.

use leat_client::{Admin, ConfigOperation, ConfigResource, ConsumerRecord, ProducerRecord, ResourceKind};
use serde_json::json;

use super::{Bench, fold, read};
use crate::harness::skip_unless_leat;

const GROUPS: i64 = 6_000;
const KEY: &str = "leat.pipeline.state.bytes";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_past_its_budget_stops_its_pipeline_until_that_is_raised() {
    if skip_unless_leat("a_state_past_its_budget_stops_its_pipeline_until_that_is_raised") {
        return;
    }
    let mut bench = Bench::with(&[(KEY, "400000"), ("leat.pipeline.base.bytes", "50000")]).await;
    bench
        .execute(
            "CREATE STREAM visits (who VARCHAR, n BIGINT) WITH (kafka_topic='visits', value_format='JSON', partitions=2, idle='never');
             CREATE TABLE visitors AS SELECT who, COUNT(*) AS visits, SUM(n) AS n FROM visits GROUP BY who EMIT CHANGES;",
        )
        .await;
    // Each group twice: what was counted before the stop has to be there after it.
    for round in 0..2 {
        let mut deliveries = Vec::new();
        for group in 0..GROUPS {
            let value = format!(r#"{{"who":"visitor-{group}","n":{}}}"#, round + 1);
            let record = ProducerRecord::to("visits").partition(i32::try_from(group % 2).expect("small")).value(value);
            deliveries.push(bench.producer.send(record).await.expect("room"));
        }
        for delivery in deliveries {
            delivery.await.expect("an acknowledgement");
        }
    }
    let mut state = String::new();
    for _ in 0..600 {
        state = bench.rows("SHOW PIPELINES;").await[0][1].as_str().expect("a state").to_owned();
        if state.starts_with("stopped") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(state.contains(KEY) && state.contains("400000") && state.contains("raised"), "{state}");
    let error =
        bench.sql.clone().until_end(true).execute("SELECT who, COUNT(*) FROM visits GROUP BY who EMIT CHANGES;").await;
    assert!(error.expect_err("a query has the same budget").to_string().contains(KEY));

    let admin = Admin::builder().bootstrap(bench.broker.bootstrap()).build().await.expect("an admin");
    let raised = [(KEY.into(), ConfigOperation::Set("100000000".into()))];
    admin
        .incremental_alter_configs(&ConfigResource { kind: ResourceKind::Broker, name: "".into() }, &raised, false)
        .await
        .expect("a budget");
    let due = json!({ "visits": 2, "n": 3 });
    let is_done = |records: &[ConsumerRecord]| {
        let newest = fold(records);
        newest.len() as i64 == GROUPS && newest.values().all(|value| *value == due)
    };
    read(&bench.broker.bootstrap(), "visitors", is_done).await;
    assert_eq!(bench.rows("SHOW PIPELINES;").await[0][1], json!("runs"));
    bench.stop();
}
