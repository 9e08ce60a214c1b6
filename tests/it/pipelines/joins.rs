//! A stream joined with a table, as a user sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use leat_client::{ConsumerRecord, Producer, ProducerRecord};
use serde_json::{Value as Json, json};

use super::exactly_once::start;
use super::{Bench, read, text};
use crate::harness::{free_port, skip_unless_leat};

const SOURCES: &str = "
    CREATE STREAM clicks (userid VARCHAR, page VARCHAR, n BIGINT) WITH (kafka_topic='clicks', value_format='JSON', partitions=3);
    CREATE TABLE profiles (id VARCHAR PRIMARY KEY, city VARCHAR) WITH (kafka_topic='profiles', value_format='JSON', partitions=2);";

async fn put(producer: &Producer, topic: &str, key: &str, value: Option<Json>) {
    let record = ProducerRecord::to(topic).key(key.to_owned());
    let record = match value {
        Some(value) => record.value(value.to_string()),
        None => record,
    };
    producer.send(record).await.expect("room").await.expect("an acknowledgement");
}

/// The results by what they are of.
fn by_number(records: &[ConsumerRecord]) -> BTreeMap<i64, (String, Json)> {
    let result = |record: &ConsumerRecord| {
        let value: Json = serde_json::from_slice(record.value.as_ref().expect("a value")).expect("JSON");
        (value["n"].as_i64().expect("a number"), (text(record.key.as_ref()), value["city"].clone()))
    };
    records.iter().map(result).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_finds_the_profile_that_there_is() {
    if skip_unless_leat("a_click_finds_the_profile_that_there_is") {
        return;
    }
    let mut bench = Bench::new().await;
    bench.execute(SOURCES).await;
    let click = |n: i64, user: &str| json!({ "userid": user, "page": "p", "n": n });
    // What is in the table when the pipeline begins is there before any click, also one that is older.
    for (n, user) in [(0, "a"), (1, "b")] {
        put(&bench.producer, "clicks", user, Some(click(n, user))).await;
    }
    put(&bench.producer, "profiles", "a", Some(json!({ "city": "Oslo" }))).await;
    bench
        .execute(
            "CREATE STREAM left_joined AS SELECT c.userid, n, city FROM clicks c LEFT JOIN profiles p ON c.userid = p.id;
             CREATE STREAM inner_joined AS SELECT c.userid, n, city FROM clicks c JOIN profiles p ON c.userid = p.id WHERE p.city <> 'Rome' AND n < 100;",
        )
        .await;
    let bootstrap = bench.broker.bootstrap();
    read(&bootstrap, "left_joined", |records| records.len() >= 2).await;
    put(&bench.producer, "profiles", "b", Some(json!({ "city": "Rome" }))).await;
    put(&bench.producer, "profiles", "a", None).await;
    // What comes now is behind it once the internal topic has it: a click is sent until it shows.
    let mut n = 2;
    loop {
        for user in ["a", "b"] {
            put(&bench.producer, "clicks", user, Some(click(n, user))).await;
            n += 1;
        }
        let sent = usize::try_from(n).expect("small");
        let results = by_number(&read(&bootstrap, "left_joined", |records| records.len() >= sent).await);
        if results[&(n - 2)].1.is_null() && results[&(n - 1)].1 == "Rome" {
            assert_eq!((&results[&0], &results[&1].1), (&("a".to_owned(), json!("Oslo")), &Json::Null));
            break;
        }
    }
    let inner = by_number(&read(&bootstrap, "inner_joined", |records| !records.is_empty()).await);
    assert!(inner.values().all(|(user, city)| user == "a" && city == "Oslo"), "{inner:?}");
    let rows =
        bench.rows("SELECT n, p.city FROM clicks c JOIN profiles p ON c.userid = p.id EMIT CHANGES LIMIT 1;").await;
    assert_eq!(rows, [[json!(1), json!("Rome")]], "what the table has now");
    let plan = bench.rows("EXPLAIN left_joined;").await;
    assert!(plan.iter().any(|row| row[0] == "join" && row[1].as_str().is_some_and(|what| what.contains("LEFT"))));
    let failed = bench.sql.execute("DROP TABLE profiles;").await.expect_err("it is read");
    assert!(failed.to_string().contains("reads profiles"), "{failed}");
    bench.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_joins_each_click_once() {
    if skip_unless_leat("kill_9_joins_each_click_once") {
        return;
    }
    const CLICKS: i64 = 3_000;
    const ROUNDS: i64 = 4;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (kafka, http) = (free_port(), free_port());
    let mut broker = start(&data, kafka, http);
    broker.sql.execute(SOURCES).await.expect("sources");
    let bootstrap = format!("127.0.0.1:{kafka}");
    let producer = Producer::builder().bootstrap(&bootstrap).build().await.expect("a producer");
    for user in 0..50 {
        put(&producer, "profiles", &format!("u{user}"), Some(json!({ "city": format!("c{user}") }))).await;
    }
    let join =
        "CREATE STREAM joined AS SELECT c.userid, n, city FROM clicks c LEFT JOIN profiles p ON c.userid = p.id;";
    broker.sql.execute(join).await.expect("a join");
    for round in 0..ROUNDS {
        let mut deliveries = Vec::new();
        for n in round * CLICKS / ROUNDS..(round + 1) * CLICKS / ROUNDS {
            let value = json!({ "userid": format!("u{}", n % 60), "page": "p", "n": n }).to_string();
            let partition = i32::try_from(n % 3).expect("small");
            let record = ProducerRecord::to("clicks").partition(partition).value(value);
            deliveries.push(producer.send(record).await.expect("room"));
        }
        for delivery in deliveries {
            delivery.await.expect("an acknowledgement");
        }
        // Somewhere between the stages.
        tokio::time::sleep(Duration::from_millis(u64::try_from(round * 41 % 150).expect("small"))).await;
        broker.process.kill();
        broker = start(&data, kafka, http);
    }
    let all = usize::try_from(CLICKS).expect("small");
    let records = read(&bootstrap, "joined", |records| records.len() >= all).await;
    let city = |n: i64| if n % 60 < 50 { json!(format!("c{}", n % 60)) } else { Json::Null };
    let expected: BTreeMap<i64, (String, Json)> = (0..CLICKS).map(|n| (n, (format!("u{}", n % 60), city(n)))).collect();
    assert_eq!((records.len(), by_number(&records)), (all, expected), "each once, with its profile");
    producer.close().await;
    broker.process.kill();
}
