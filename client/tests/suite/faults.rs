//! What producers and consumers promise when connections break. For clusters of one broker.

use std::sync::atomic::Ordering;
use std::time::Duration;

use leat_client::{Consumer, Producer, ProducerRecord, Start};
use leat_protocol::ApiKey;

use super::{admin, consumer, fill, first, numbers, proxy, read, topic};

pub(super) async fn is_one_broker(bootstrap: &str) -> bool {
    let one = admin(bootstrap).await.describe_cluster().await.unwrap().brokers.len() == 1;
    if !one {
        eprintln!("skipped: the proxy stands before one broker only");
    }
    one
}

pub(crate) async fn what_is_sent_again_is_written_once_and_in_order(bootstrap: &str) {
    if !is_one_broker(bootstrap).await {
        return;
    }
    let topic = topic(bootstrap, "broken", 2).await;
    let (address, faults) = proxy::start(bootstrap, ApiKey::Produce, 5).await;
    let builder = Producer::builder().bootstrap(address).set("retry.backoff.ms", "5").unwrap();
    let builder = builder.set("reconnect.backoff.ms", "5").unwrap().set("reconnect.backoff.max.ms", "20").unwrap();
    let builder = builder.linger(Duration::ZERO).batch_size(400);
    let producer = builder.build().await.unwrap();
    let mut deliveries = Vec::new();
    for i in 0..6000 {
        let record = ProducerRecord::to(topic.as_str()).partition(i % 2).value((i / 2).to_string());
        deliveries.push(producer.send(record).await.unwrap());
        if i % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    let broken = faults.broken.load(Ordering::Relaxed);
    assert!(broken >= 5, "only {broken} connections broke");
    let records = read(&consumer(bootstrap, &topic, Start::Earliest).await, 6000).await;
    for partition in 0..2 {
        let own: Vec<_> = records.iter().filter(|record| record.partition == partition).cloned().collect();
        let wrong = numbers(&own).into_iter().zip(0..).find(|(found, expected)| found != expected);
        assert_eq!((wrong, own.len()), (None, 3000), "partition {partition}, {broken} connections broke");
    }
}

pub(crate) async fn a_consumer_reads_on_when_connections_break(bootstrap: &str) {
    if !is_one_broker(bootstrap).await {
        return;
    }
    let topic = topic(bootstrap, "broken-reads", 1).await;
    fill(bootstrap, &topic, 20_000).await;
    let (address, faults) = proxy::start(bootstrap, ApiKey::Fetch, 3).await;
    let builder = Consumer::builder().bootstrap(address).set("retry.backoff.ms", "5").unwrap();
    let builder = builder.set("reconnect.backoff.ms", "5").unwrap().set("max.partition.fetch.bytes", "10000").unwrap();
    let consumer = builder.build().await.unwrap();
    consumer.assign(&[first(&topic)]).await.unwrap();
    consumer.seek_all(Start::Earliest).await.unwrap();
    let records = read(&consumer, 20_000).await;
    assert!(numbers(&records).into_iter().eq(0..20_000));
    assert!(faults.broken.load(Ordering::Relaxed) >= 5);
}
