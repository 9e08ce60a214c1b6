//! The client library of Leat: a producer, a consumer and an admin client for any Kafka-compatible broker.
//!
//! ```no_run
//! use std::time::Duration;
//! use leat_client::{Consumer, Producer, ProducerRecord, Start};
//!
//! # async fn guide() -> Result<(), leat_client::Error> {
//! let producer = Producer::builder().bootstrap("localhost:9092").build().await?;
//! producer.send(ProducerRecord::to("flights").key("UA").value("EWR,IAH")).await?.await?;
//!
//! let consumer = Consumer::builder().bootstrap("localhost:9092").build().await?;
//! consumer.assign(&consumer.partitions("flights").await?).await?;
//! consumer.seek_all(Start::Earliest).await?;
//! for record in consumer.poll(Duration::from_secs(1)).await? {
//!     println!("{} {:?}", record.offset, record.value);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Properties
//!
//! Each client is built from properties under Kafka's own names, with Kafka's own defaults (those of Java's clients, 4.3). Set
//! them by name, as text, or by a typed method; a key that is misspelt is an error that names the nearest right one.
//!
//! ```
//! use std::time::Duration;
//! use leat_client::{Compression, Producer};
//!
//! # fn guide() -> Result<(), leat_client::Error> {
//! let by_name = Producer::builder().set("linger.ms", "20")?.set("compression.type", "zstd")?;
//! let typed = Producer::builder().linger(Duration::from_millis(20)).compression(Compression::Zstd);
//! assert_eq!(by_name.get("linger.ms"), typed.get("linger.ms"));
//!
//! let slip = Producer::builder().set("linger_ms", "20").unwrap_err();
//! assert_eq!(slip.to_string(), r#"unknown property "linger_ms"; did you mean "linger.ms"?"#);
//! # Ok(())
//! # }
//! # guide().unwrap();
//! ```
//!
//! # Producing
//!
//! [`Producer::send`] hands a record over and returns a [`Delivery`], a future of the record's offset. Hand over many, then
//! wait for them: records that wait together travel together. A producer is idempotent unless told otherwise: what it
//! sends again after a lost answer is written once, and each partition keeps its order.
//!
//! ```no_run
//! # use leat_client::{Error, Producer, ProducerRecord};
//! # async fn guide(producer: Producer) -> Result<(), Error> {
//! let mut deliveries = Vec::new();
//! for number in 0..1000 {
//!     let record = ProducerRecord::to("numbers").value(number.to_string());
//!     deliveries.push(producer.send(record).await?); // waits only when buffer.memory is full
//! }
//! for delivery in deliveries {
//!     println!("offset {}", delivery.await?.offset);
//! }
//! producer.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Records with a key go to the partition that Java's producer would pick ([`partition_for_key`]); those without one stay with
//! a partition for about a batch, then go on to another, sooner to those that keep up.
//!
//! # Consuming
//!
//! A [`Consumer`] reads the partitions it is assigned, from where [`Consumer::seek`] puts it: the earliest or latest
//! record, an offset, a time, or the last so many.
//!
//! ```no_run
//! # use leat_client::{Consumer, Error, Start, TopicPartition};
//! # use futures_util::StreamExt;
//! # async fn guide(consumer: Consumer) -> Result<(), Error> {
//! let partition = TopicPartition::new("flights", 0);
//! consumer.assign(&[partition.clone()]).await?;
//! consumer.seek(&partition, Start::Timestamp(1_357_020_000_000)).await?;
//! let mut records = consumer.stream();
//! while let Some(record) = records.next().await {
//!     let record = record?;
//!     println!("{} {:?}, {:?} behind", record.timestamp, record.key, consumer.lag(&partition));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Keys and values are slices of what the broker sent: nothing is copied, and a record that is kept keeps its fetch in
//! memory. What is fetched ahead is bounded by `queued.max.messages.kbytes`.
//!
//! # Administration
//!
//! ```no_run
//! # use leat_client::{Admin, Error, NewTopic};
//! # async fn guide() -> Result<(), Error> {
//! let admin = Admin::builder().bootstrap("localhost:9092").build().await?;
//! admin.create_topic(NewTopic::new("flights").partitions(4).config("retention.ms", "-1")).await?;
//! for topic in admin.list_topics().await? {
//!     println!("{} {}", topic.name, topic.id);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! There is one [`Error`]. What can pass (a leader that moves, a broker that restarts, a connection that breaks) is retried
//! inside, as long as `delivery.timeout.ms` or `default.api.timeout.ms` allows; what is returned after that says by
//! [`Error::is_retryable`] whether trying again later makes sense.
//!
//! # How it is made
//!
//! ```text
//! producer  consumer  admin      what programs see
//!      │        │       │
//!      └── leaders, offsets      asking many partitions' leaders
//!               │
//!            cluster             who is there, who leads; a connection to each, made when needed
//!               │
//!              net               one connection: versions, pipelined requests, frames
//! ```
//!
//! Arrows point down. Nothing here blocks a thread; nothing read from a socket can panic.

#![forbid(unsafe_code)]

mod admin;
mod cluster;
mod config;
mod consumer;
mod error;
mod leaders;
mod net;
mod offsets;
mod producer;
mod topic_partition;

pub use admin::{
    Admin, ClusterDescription, ConfigEntry, ConfigOperation, ConfigResource, ConfigSource, ConfigSynonym, ConfigType,
    CreatedTopic, ListedOffset, LogDir, LogDirPartition, NewPartitions, NewTopic, Node, OffsetSpec,
    PartitionDescription, ProducerState, ResourceKind, TopicDescription, TopicListing,
};
pub use config::{Acks, AdminConfig, ConsumerConfig, IsolationLevel, OffsetReset, ProducerConfig};
pub use consumer::{Consumer, ConsumerRecord, Header, Start, TimestampType};
pub use error::Error;
pub use leat_protocol::records::Compression;
pub use leat_protocol::{Bytes, ErrorCode, Str, Uuid};
pub use producer::{Delivery, Producer, ProducerRecord, RecordMetadata, partition_for_key};
pub use topic_partition::TopicPartition;
