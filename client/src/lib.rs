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
//! # Groups
//!
//! With a `group.id`, consumers share topics: each reads a part, what one has committed another goes on from, and when one
//! comes or goes the parts change. Any client's members can be in the same group.
//!
//! ```no_run
//! use std::time::Duration;
//! use leat_client::{Consumer, Error, RebalanceListener, TopicPartition};
//!
//! struct Results;
//!
//! impl RebalanceListener for Results {
//!     async fn revoked(&self, consumer: &Consumer, partitions: &[TopicPartition]) {
//!         // The last moment to store what was made of these partitions, and to commit that.
//!         let _ = consumer.commit().await;
//!     }
//! }
//!
//! # async fn guide() -> Result<(), Error> {
//! let builder = Consumer::builder().bootstrap("localhost:9092").group_id("report".to_owned());
//! let consumer = builder.enable_auto_commit(false).set("auto.offset.reset", "earliest")?.build().await?;
//! consumer.subscribe_with(&["flights"], Results).await?;
//! loop {
//!     let records = consumer.poll(Duration::from_secs(1)).await?;
//!     // ... do something with them, then say so: what is not committed comes again.
//!     consumer.commit_records(&records).await?;
//! #   break;
//! }
//! consumer.close().await; // leaves the group, so that others take over at once
//! # Ok(())
//! # }
//! ```
//!
//! Positions are committed by themselves every `auto.commit.interval.ms` unless `enable.auto.commit` is off: at a poll, when the
//! records before it are done with. Heartbeats go on in the background, but partitions are taken away only while the
//! program polls; one that does not poll for `max.poll.interval.ms` loses them. `partition.assignment.strategy` names the
//! assignors ([`Assignor`]); with `cooperative-sticky` alone, members read on while the group rebalances.
//! `group.instance.id` makes a static member, which may restart without a rebalance.
//!
//! To read again, seek: [`Consumer::seek`] works in a group too, and [`Consumer::commit_offsets`] and
//! [`Admin::alter_group_offsets`] set where a group goes on. The examples `replay_earliest`, `replay_latest`, `replay_timestamp` and
//! `replay_committed` show each way.
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
//! for (partition, committed) in admin.list_group_offsets("report").await? {
//!     println!("{partition} {}", committed.offset);
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
//!          coordinator, committed   asking a group's coordinator
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
mod committed;
mod config;
mod consumer;
mod coordinator;
mod error;
mod leaders;
mod net;
mod offsets;
mod producer;
pub mod sql;
mod topic_partition;

pub use admin::{
    Admin, ClusterDescription, ConfigEntry, ConfigOperation, ConfigResource, ConfigSource, ConfigSynonym, ConfigType,
    CreatedTopic, GroupDescription, GroupListing, GroupMember, ListedOffset, LogDir, LogDirPartition, NewPartitions,
    NewTopic, Node, OffsetSpec, PartitionDescription, ProducerState, ResourceKind, TopicDescription, TopicListing,
};
pub use committed::CommittedOffset;
pub use config::{Acks, AdminConfig, Assignor, ConsumerConfig, IsolationLevel, OffsetReset, ProducerConfig};
pub use consumer::{Commit, Consumer, ConsumerRecord, Header, RebalanceListener, Start, TimestampType};
pub use error::Error;
pub use leat_protocol::records::Compression;
pub use leat_protocol::{Bytes, ErrorCode, Str, Uuid};
pub use producer::{Delivery, Producer, ProducerRecord, RecordMetadata, partition_for_key};
pub use topic_partition::TopicPartition;
