//! Reads on from where a group has committed: stop it and start it again, or start several, and each record is done once.
//!
//! `cargo run -p leat-client --example replay_committed -- localhost:9092 flights my-group`

use std::time::Duration;

use leat_client::{Consumer, Error, RebalanceListener, TopicPartition};

/// Says what this member of the group reads.
struct Say;

impl RebalanceListener for Say {
    async fn assigned(&self, consumer: &Consumer, partitions: &[TopicPartition]) {
        for partition in partitions {
            match consumer.position(partition).await {
                Ok(offset) => println!("{partition}: on from offset {offset}"),
                Err(error) => println!("{partition}: {error}"),
            }
        }
    }

    async fn revoked(&self, _: &Consumer, partitions: &[TopicPartition]) {
        partitions.iter().for_each(|partition| println!("{partition}: given up"));
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let mut next = |default: &str| args.next().unwrap_or_else(|| default.to_owned());
    let (bootstrap, topic, group) = (next("localhost:9092"), next("flights"), next("replay"));

    let builder = Consumer::builder().bootstrap(bootstrap).group_id(group);
    // What has no commit yet starts at the first record; what has one goes on there.
    let consumer = builder.set("auto.offset.reset", "earliest")?.enable_auto_commit(false).build().await?;
    consumer.subscribe_with(&[topic], Say).await?;

    let mut silent = 0;
    while silent < 5 {
        let records = consumer.poll(Duration::from_secs(1)).await?;
        silent = if records.is_empty() { silent + 1 } else { 0 };
        for record in &records {
            println!("{}-{} @ {}: {:?}", record.topic, record.partition, record.offset, record.value);
        }
        // Only now they are done with: what is not committed comes again.
        consumer.commit_records(&records).await?;
    }
    consumer.close().await;
    Ok(())
}
