//! Shows the last ten records of each partition, then follows what is produced from now on.
//!
//! `cargo run -p leat-client --example replay_latest -- localhost:9092 flights`

use futures_util::StreamExt as _;
use leat_client::{Consumer, Error, Start};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let (bootstrap, topic) = (args.next().unwrap_or("localhost:9092".into()), args.next().unwrap_or("flights".into()));

    let consumer = Consumer::builder().bootstrap(bootstrap).build().await?;
    consumer.assign(&consumer.partitions(&topic).await?).await?;
    // `Start::Latest` would show only what is new.
    consumer.seek_all(Start::Last(10)).await?;

    let mut records = consumer.stream();
    while let Some(record) = records.next().await {
        let record = record?;
        println!("{}-{} @ {}: {:?}", record.topic, record.partition, record.offset, record.value.unwrap_or_default());
    }
    Ok(())
}
