//! A producer and a consumer that go on through whatever happens, and the check that what they were told is what is there.
//!
//! Found are records that were acknowledged and are lost, that come twice or in another order, that a consumer passed over, and
//! that it read before they were decided, so that they are not there or not where it read them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use leat_client::{Consumer, ConsumerRecord, Producer, ProducerRecord, RecordMetadata, Start, TopicPartition};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Records numbered from 0 in one partition, sent until told to stop.
pub(super) struct Load {
    topic: String,
    partition: i32,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    telling: JoinHandle<Vec<Result<RecordMetadata, String>>>,
    reading: JoinHandle<Vec<(i64, usize)>>,
}

/// How a load ended.
#[derive(Debug)]
pub(super) struct Told {
    topic: String,
    partition: i32,
    /// Offset of each record, by its number, or why it was not taken.
    pub(super) records: Vec<Result<RecordMetadata, String>>,
    /// Offset and number of each record that was read meanwhile, in the order in which it came.
    seen: Vec<(i64, usize)>,
}

impl Load {
    pub(super) async fn start(bootstrap: &str, topic: &str, partition: i32) -> Load {
        let builder = Producer::builder().bootstrap(bootstrap).set("retry.backoff.ms", "20").unwrap();
        let producer = builder.set("reconnect.backoff.ms", "20").unwrap().build().await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (name, stopped) = (topic.to_owned(), stop.clone());
        let (sent, mut deliveries) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut numbers = 0..;
            while !stopped.load(Ordering::Relaxed) {
                let number = numbers.next().map_or_else(String::new, |number: u64| number.to_string());
                let record = ProducerRecord::to(name.as_str()).partition(partition).value(number);
                let delivery = producer.send(record).await.expect("room for a record");
                sent.send(delivery).expect("who takes the answers");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            producer.flush().await;
        });
        let answered = Arc::new(AtomicUsize::new(0));
        let count = answered.clone();
        let telling = tokio::spawn(async move {
            let mut told = Vec::new();
            while let Some(delivery) = deliveries.recv().await {
                told.push(delivery.await.map_err(|error| error.to_string()));
                count.fetch_add(1, Ordering::Relaxed);
            }
            told
        });
        let reading = tokio::spawn(follow(bootstrap.to_owned(), TopicPartition::new(topic, partition), stop.clone()));
        Load { topic: topic.to_owned(), partition, stop, answered, telling, reading }
    }

    /// Records that were answered by now.
    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Sends no more, and waits for every answer.
    pub(super) async fn stop(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        let records = tokio::time::timeout(Duration::from_secs(150), self.telling).await.expect("an end").unwrap();
        let seen = self.reading.await.unwrap();
        Told { topic: self.topic, partition: self.partition, records, seen }
    }
}

impl Told {
    /// Nothing was refused.
    pub(super) fn no_error(&self) {
        let refused: Vec<_> = self.records.iter().filter_map(|told| told.as_ref().err()).collect();
        assert!(refused.is_empty(), "{} of {}: {:?}", refused.len(), self.records.len(), refused[0]);
    }

    /// What was acknowledged is there once, at the offset that was told, and all is in order; what was read before is its beginning.
    pub(super) async fn check(&self, bootstrap: &str) {
        let found = read(bootstrap, &self.topic, self.partition).await;
        let numbers: Vec<usize> = found.iter().map(|(_, number)| *number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "repeated or out of order: {numbers:?}");
        for (number, told) in self.records.iter().enumerate() {
            let Ok(told) = told else { continue };
            let at = found.iter().find(|(_, found)| *found == number).map(|(offset, _)| *offset);
            assert_eq!(at, Some(told.offset), "record {number} of {}", self.records.len());
        }
        let differs = self.seen.iter().zip(&found).position(|(seen, found)| seen != found);
        let at = differs.or((self.seen.len() > found.len()).then_some(found.len()));
        if let Some(at) = at {
            panic!("read as {}: {:?}, which is {:?}", at, &self.seen[at..], found.get(at));
        }
    }
}

/// Reads a partition from its beginning until told to stop.
async fn follow(bootstrap: String, partition: TopicPartition, stop: Arc<AtomicBool>) -> Vec<(i64, usize)> {
    let builder = Consumer::builder().bootstrap(bootstrap).set("retry.backoff.ms", "20").unwrap();
    let consumer = builder.set("reconnect.backoff.ms", "20").unwrap().build().await.unwrap();
    consumer.assign(std::slice::from_ref(&partition)).await.unwrap();
    consumer.seek(&partition, Start::Earliest).await.unwrap();
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let records = consumer.poll(Duration::from_millis(100)).await.expect("errors that pass are not shown");
        seen.extend(records.iter().map(numbered));
    }
    consumer.close().await;
    seen
}

fn numbered(record: &ConsumerRecord) -> (i64, usize) {
    let value = record.value.as_deref().expect("a value");
    (record.offset, std::str::from_utf8(value).unwrap().parse().unwrap())
}

/// Offset and number of each record of a partition.
pub(super) async fn read(bootstrap: &str, topic: &str, partition: i32) -> Vec<(i64, usize)> {
    let consumer = Consumer::builder().bootstrap(bootstrap).build().await.unwrap();
    let partition = TopicPartition::new(topic, partition);
    consumer.assign(std::slice::from_ref(&partition)).await.unwrap();
    consumer.seek(&partition, Start::Latest).await.unwrap();
    let end = consumer.position(&partition).await.unwrap();
    consumer.seek(&partition, Start::Earliest).await.unwrap();
    let mut found = Vec::new();
    while consumer.position(&partition).await.unwrap() < end {
        found.extend(consumer.poll(Duration::from_secs(10)).await.unwrap().iter().map(numbered));
    }
    consumer.close().await;
    found
}
