//! Replays a topic from an exact time, given in milliseconds since 1970 (here: one hour ago), for at most 100 records.
//!
//! `cargo run -p leat-client --example replay_timestamp -- localhost:9092 flights 1357020000000`

use std::time::{Duration, SystemTime};

use leat_client::{Consumer, Error, Start};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let (bootstrap, topic) = (args.next().unwrap_or("localhost:9092".into()), args.next().unwrap_or("flights".into()));
    let hour_ago = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(Duration::from_secs(3600)).as_millis() as i64
    };
    let time = args.next().and_then(|time| time.parse().ok()).unwrap_or_else(hour_ago);

    let consumer = Consumer::builder().bootstrap(bootstrap).set("max.poll.records", "100")?.build().await?;
    let partitions = consumer.partitions(&topic).await?;
    consumer.assign(&partitions).await?;
    // In each partition: the first record whose timestamp is `time` or later. Records after it may be older than it,
    // where producers sent them out of order.
    consumer.seek_all(Start::Timestamp(time)).await?;
    for partition in &partitions {
        println!("{partition} starts at offset {}", consumer.position(partition).await?);
    }
    for record in consumer.poll(Duration::from_secs(5)).await? {
        println!(
            "{}-{} @ {} ({}): {:?}",
            record.topic, record.partition, record.offset, record.timestamp, record.value
        );
    }
    consumer.close().await;
    Ok(())
}
