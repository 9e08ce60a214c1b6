//! Nothing is dropped silently: what became of rows adds up, whatever is killed.

use std::collections::BTreeMap;
use std::time::Duration;

use leat_client::sql::{Event, Sql};
use leat_client::{ConsumerRecord, Producer, ProducerRecord};
use serde_json::Value as Json;

use super::exactly_once::start;
use super::{PATIENCE, read, text};
use crate::harness::{free_port, skip_unless_leat};

const PARTITIONS: i64 = 3;
const ROUNDS: i64 = 4;
const ROWS: i64 = 4_000;

const STATEMENTS: &str = "
    CREATE STREAM steps (k VARCHAR, v BIGINT, t BIGINT)
      WITH (kafka_topic='steps', value_format='JSON', timestamp='t', partitions=3, idle='never');
    CREATE TABLE walked AS SELECT k, COUNT(*) AS n FROM steps WHERE v % 5 <> 0
      WINDOW HOPPING (SIZE 2 SECONDS, ADVANCE BY 1 SECOND, GRACE PERIOD 500 MILLISECONDS) GROUP BY k EMIT FINAL;
    CREATE STREAM paced AS SELECT k, v, COUNT(*) OVER (PARTITION BY k ORDER BY t ROWS 3 PRECEDING) AS n FROM steps EMIT CHANGES;";

/// A record of a partition: its value's text, and key, number and time where it is a row. Some are no rows, some have no key, some
/// lie so far behind that they are late for some windows or for all.
fn record(row: i64) -> (String, Option<(Option<String>, i64, i64)>) {
    if row % 97 == 0 {
        return ("{".to_owned(), None);
    }
    let key = (row % 41 != 0).then(|| format!("k{}", row % 7));
    let behind = if row % 11 == 0 { row * 7_919 % 6_000 } else { 0 };
    let time = 1_700_000_000_000 + row * 10 - behind;
    let field = key.as_ref().map_or("null".to_owned(), |key| format!(r#""{key}""#));
    (format!(r#"{{"k":{field},"v":{row},"t":{time}}}"#), Some((key, row, time)))
}

/// What the counts of both pipelines are, over all partitions, by the definitions.
fn expected() -> [BTreeMap<&'static str, i64>; 2] {
    let mut counts = [const { BTreeMap::new() }; 2];
    let mut newest = [i64::MIN; PARTITIONS as usize];
    for row in 0..ROWS {
        let [walked, paced] = &mut counts;
        let mut both = |what: &'static str| [&mut *walked, &mut *paced].map(|of| *of.entry(what).or_insert(0) += 1);
        both("rows");
        let Some((key, v, time)) = record(row).1 else {
            both("rejected");
            continue;
        };
        let watermark = &mut newest[usize::try_from(row % PARTITIONS).expect("small")];
        let add = |of: &mut BTreeMap<&'static str, i64>, what, count| *of.entry(what).or_insert(0) += count;
        if key.is_none() || v % 5 == 0 {
            add(walked, "filtered", 1);
        } else {
            let starts = [time.div_euclid(1_000) * 1_000, time.div_euclid(1_000) * 1_000 - 1_000];
            let late = starts.iter().filter(|&&start| start + 2_000 + 500 <= *watermark).count() as i64;
            add(walked, "assigned", 2);
            add(walked, "window_late", late);
            add(walked, if late == 2 { "late" } else { "applied" }, 1);
        }
        if key.is_none() {
            add(paced, "filtered", 1);
        } else {
            let is_late = i64::from(time < *watermark);
            add(paced, "assigned", 1);
            add(paced, "window_late", is_late);
            add(paced, if is_late == 1 { "late" } else { "applied" }, 1);
        }
        *watermark = (*watermark).max(time);
    }
    counts
}

/// The counts of a pipeline's stage, over all partitions.
async fn counted(sql: &mut Sql, pipeline: &str, stage: &str) -> BTreeMap<String, i64> {
    let mut events =
        sql.run(&format!("SELECT * FROM {pipeline}$counts WHERE stage = '{stage}';")).await.expect("counts");
    let (mut names, mut sums): (Vec<String>, BTreeMap<String, i64>) = (Vec::new(), BTreeMap::new());
    while let Some(event) = events.next().await.expect("an event") {
        match event {
            Event::Columns(columns) => names = columns.into_iter().map(|column| column.name).collect(),
            Event::Row(row) => {
                for (name, value) in names.iter().zip(&row).skip(2) {
                    *sums.entry(name.clone()).or_insert(0) += value.as_i64().unwrap_or(0);
                }
            }
            _ => {}
        }
    }
    sums
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_rows_adds_up_under_kill_9() {
    if skip_unless_leat("what_became_of_rows_adds_up_under_kill_9") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (kafka, http) = (free_port(), free_port());
    let mut broker = start(&data, kafka, http);
    broker.sql.execute(STATEMENTS).await.expect("two pipelines");
    let bootstrap = format!("127.0.0.1:{kafka}");
    let producer = Producer::builder().bootstrap(&bootstrap).build().await.expect("a producer");
    for round in 0..ROUNDS {
        let mut deliveries = Vec::new();
        for row in round * ROWS / ROUNDS..(round + 1) * ROWS / ROUNDS {
            let partition = i32::try_from(row % PARTITIONS).expect("small");
            let sent = ProducerRecord::to("steps").partition(partition).value(record(row).0);
            deliveries.push(producer.send(sent).await.expect("room"));
        }
        for delivery in deliveries {
            delivery.await.expect("an acknowledgement");
        }
        tokio::time::sleep(Duration::from_millis(u64::try_from(round * 61 % 170).expect("small"))).await;
        broker.process.kill();
        broker = start(&data, kafka, http);
    }
    broker.sql.execute("ADVANCE steps TO TIMESTAMP '2033-01-01 00:00:00';").await.expect("an end");
    for (pipeline, due) in ["walked", "paced"].into_iter().zip(expected()) {
        let kept = |what: &str| due.get(what).copied().unwrap_or(0);
        let begun = std::time::Instant::now();
        let (source, merge) = loop {
            let source = counted(&mut broker.sql, pipeline, "source").await;
            let merge = counted(&mut broker.sql, pipeline, "merge").await;
            // It has come to its end where everything has closed.
            if source.get("rows") == Some(&ROWS)
                && merge.get("closed") == Some(&(kept("assigned") - kept("window_late")))
            {
                break (source, merge);
            }
            assert!(begun.elapsed() < PATIENCE, "{pipeline}: {source:?} {merge:?}, {due:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        for what in ["rows", "applied", "late", "filtered", "rejected", "assigned", "window_late"] {
            assert_eq!(source[what], kept(what), "{pipeline}: {what}");
        }
        assert_eq!(source["rows"], source["applied"] + source["late"] + source["filtered"] + source["rejected"]);
        assert_eq!(merge["rows"], source["applied"]);
        assert_eq!(source["assigned"], merge["aggregated"] + source["window_late"]);
        assert_eq!(merge["aggregated"], merge["closed"]);
        assert!(kept("late") > 0 && kept("filtered") > 0 && kept("rejected") > 0, "{due:?}");
        // They are what the topics say.
        for (topic, what) in [(format!("{pipeline}-rejected"), "rejected"), (format!("{pipeline}-late"), "late")] {
            let least = usize::try_from(kept(what)).expect("small");
            let records = read(&bootstrap, &topic, |records| records.len() >= least).await;
            assert!(what == "late" || records.len() == least, "{topic}: {} and not {least}", records.len());
        }
    }
    let n = |value: &str| serde_json::from_str::<Json>(value).expect("JSON")["n"].as_i64().expect("a number");
    let sum = |records: &[ConsumerRecord]| records.iter().map(|record| n(&text(record.value.as_ref()))).sum::<i64>();
    let due = expected()[0]["assigned"] - expected()[0]["window_late"];
    let records = read(&bootstrap, "walked", |records| sum(records) >= due).await;
    assert_eq!(sum(&records), due, "each row in each of its windows, once");
    producer.close().await;
    broker.process.kill();
}
