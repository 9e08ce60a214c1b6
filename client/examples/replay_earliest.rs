//! Replays a topic from its first record to where it ends now.
//!
//! `cargo run -p leat-client --example replay_earliest -- localhost:9092 flights`

use std::time::Duration;

use leat_client::{Consumer, Error, Start};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let (bootstrap, topic) = (args.next().unwrap_or("localhost:9092".into()), args.next().unwrap_or("flights".into()));

    let consumer = Consumer::builder().bootstrap(bootstrap).build().await?;
    let partitions = consumer.partitions(&topic).await?;
    consumer.assign(&partitions).await?;
    consumer.seek_all(Start::Earliest).await?;

    // Where each partition ends now: a replay that followed the live end would never finish.
    let ends = consumer.end_offsets(&partitions).await?;
    let mut count = 0;
    loop {
        let mut left = 0;
        for partition in &partitions {
            left += (ends[partition] - consumer.position(partition).await?).max(0);
        }
        if left == 0 {
            break;
        }
        for record in consumer.poll(Duration::from_secs(1)).await? {
            if record.offset < ends[&leat_client::TopicPartition::new(record.topic.clone(), record.partition)] {
                count += 1;
                println!(
                    "{}-{} @ {}: {:?}",
                    record.topic,
                    record.partition,
                    record.offset,
                    record.value.unwrap_or_default()
                );
            }
        }
    }
    println!("{count} records");
    consumer.close().await;
    Ok(())
}
