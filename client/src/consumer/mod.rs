//! The consumer: reads partitions that it is told to read, or that its group gives it, from where it is told.
//!
//! ```text
//! Keeper (one task)             Fetcher (a task per broker)            poll
//!   offsets for starts            one fetch on its way, the next         takes chunks in order of arrival,
//!   leaders, epochs checked       as soon as it is answered and          decodes batch by batch,
//!   fetchers started              queued.max.messages.kbytes allows      moves positions
//!          └──────────────► State (one short lock) ◄──────────────────────────┘
//! ```
//!
//! With a `group.id` the member of [`group`] assigns to the same state. Every seek gives its partition a new generation; what was fetched for an older one is dropped.

mod chunk;
mod fetcher;
mod group;
mod keeper;
mod lookup;
mod record;
mod session;
mod starts;
mod state;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream;
use leat_protocol::Str;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use group::{Commit, RebalanceListener};
pub use record::{ConsumerRecord, Header, Start, TimestampType};

use crate::cluster::Cluster;
use crate::{ConsumerConfig, Error, TopicPartition};
use chunk::Drained;
use group::Group;
use starts::{reset_start, resolve};
use state::State;

/// Room made for a poll's records at once; a larger `max.poll.records` grows as needed.
const RECORDS_AT_ONCE: usize = 1024;

/// How long a close waits for the last commit and for the group to hear of it, as in Java.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads records from the partitions assigned to it. All methods take `&self`; share it by reference or in an `Arc`.
#[derive(Debug)]
pub struct Consumer {
    inner: Arc<Inner>,
    /// The one that a [`RebalanceListener`] is given ends nothing.
    owned: bool,
}

/// What the consumer shares with its tasks.
#[derive(Debug)]
struct Inner {
    config: ConsumerConfig,
    cluster: Arc<Cluster>,
    state: Mutex<State>,
    /// With a `group.id`.
    group: Option<Arc<Group>>,
    /// Only one poll decodes at a time, so that records stay in order.
    polling: Mutex<()>,
    /// Records or an error arrived.
    arrived: Notify,
    /// Positions, assignment or room changed: keeper and fetchers look again.
    changed: watch::Sender<u64>,
    closed: watch::Sender<bool>,
}

impl ConsumerConfig {
    /// Connects and starts the consumer, with no partition assigned.
    ///
    /// # Errors
    /// A property is not right, or no broker answers within `default.api.timeout.ms`.
    pub async fn build(self) -> Result<Consumer, Error> {
        self.check()?;
        let cluster = Cluster::connect(self.common.clone(), self.allow_auto_create_topics).await?;
        let group = Group::new(&self, &cluster);
        let inner = Arc::new(Inner {
            group,
            config: self,
            cluster,
            state: Mutex::default(),
            polling: Mutex::default(),
            arrived: Notify::new(),
            changed: watch::Sender::default(),
            closed: watch::Sender::default(),
        });
        tokio::spawn(keeper::run(inner.clone()));
        if let Some(group) = &inner.group {
            group.start(&inner);
        }
        Ok(Consumer { inner, owned: true })
    }
}

impl Consumer {
    /// Properties with Kafka's defaults.
    pub fn builder() -> ConsumerConfig {
        ConsumerConfig::default()
    }

    /// The partitions of a topic, waiting for its metadata at most `default.api.timeout.ms`.
    ///
    /// # Errors
    /// The topic does not exist, or no broker said so in time.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<TopicPartition>, Error> {
        let topic = self.inner.cluster.topic(&Str::from(topic), self.api_timeout()).await?;
        let indexes = 0..topic.partitions.len() as i32;
        Ok(indexes.map(|partition| TopicPartition { topic: topic.name.clone(), partition }).collect())
    }

    /// Reads exactly these partitions from now on. Those that were assigned before keep their positions; new ones start
    /// where the group of `group.id` has committed, else where `auto.offset.reset` says, unless
    /// [`seek`](Consumer::seek) comes first. This is no part in the group: nobody else is kept from reading them.
    ///
    /// # Errors
    /// The consumer is closed, or subscribed to topics.
    pub async fn assign(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.inner.check_open()?;
        if self.inner.group.as_ref().is_some_and(|group| group.is_subscribed()) {
            let reason = "the consumer is subscribed to topics; unsubscribe before assigning partitions by hand";
            return Err(Error::Invalid(reason.to_owned()));
        }
        self.inner.take_over(partitions);
        Ok(())
    }

    /// The partitions being read.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.inner.state.lock().assigned()
    }

    /// Moves a partition's position. When this returns the position is fixed: with [`Start::Latest`], everything that is
    /// produced afterwards will be read.
    ///
    /// # Errors
    /// The partition is not assigned, or its offsets could not be asked for within `default.api.timeout.ms`.
    pub async fn seek(&self, partition: &TopicPartition, start: Start) -> Result<(), Error> {
        self.seek_many(&[(partition.clone(), start)]).await
    }

    /// Moves all assigned partitions, asking each broker once.
    ///
    /// # Errors
    /// As [`seek`](Consumer::seek).
    pub async fn seek_all(&self, start: Start) -> Result<(), Error> {
        let all: Vec<_> = self.assignment().into_iter().map(|partition| (partition, start)).collect();
        self.seek_many(&all).await
    }

    /// Moves several partitions, asking each broker once.
    ///
    /// # Errors
    /// As [`seek`](Consumer::seek). On an error no position has changed.
    pub async fn seek_many(&self, starts: &[(TopicPartition, Start)]) -> Result<(), Error> {
        self.inner.check_open()?;
        for (partition, start) in starts {
            if !self.inner.state.lock().is_assigned(partition) {
                return Err(not_assigned(partition));
            }
            if let Start::Offset(offset) = start
                && *offset < 0
            {
                return Err(Error::Invalid(format!("offset {offset} is negative")));
            }
        }
        let resolved = resolve(&self.inner, starts, self.api_timeout()).await?;
        let mut state = self.inner.state.lock();
        for (partition, offset) in &resolved {
            state.seek(partition, *offset);
        }
        drop(state);
        self.inner.change();
        Ok(())
    }

    /// The offset of the next record that [`poll`](Consumer::poll) returns; waits until it is known.
    ///
    /// # Errors
    /// The partition is not assigned, or its position was not known within `default.api.timeout.ms`.
    pub async fn position(&self, partition: &TopicPartition) -> Result<i64, Error> {
        let limit = self.api_timeout();
        let deadline = Instant::now() + limit;
        let mut changed = self.inner.changed.subscribe();
        loop {
            {
                let state = self.inner.state.lock();
                if !state.is_assigned(partition) {
                    return Err(not_assigned(partition));
                }
                if let Some(position) = state.position(partition) {
                    return Ok(position);
                }
                if let Some(error) = state.stuck_at(partition) {
                    return Err(error);
                }
            }
            if tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
                return Err(Error::timeout(format!("the position of {partition}"), limit, None));
            }
        }
    }

    /// How many offsets lie between the position and the end (with `read_committed`: the last stable offset), as of the
    /// last fetch; `None` until one was answered.
    pub fn lag(&self, partition: &TopicPartition) -> Option<u64> {
        self.inner.state.lock().lag(partition, self.inner.config.isolation_level)
    }

    /// Returns no records of these partitions until they are resumed; positions stay.
    pub fn pause(&self, partitions: &[TopicPartition]) {
        self.inner.state.lock().set_paused(partitions, true);
        self.inner.change();
    }

    /// Goes on reading paused partitions.
    pub fn resume(&self, partitions: &[TopicPartition]) {
        self.inner.state.lock().set_paused(partitions, false);
        self.inner.change();
        self.inner.arrived.notify_one();
    }

    /// Bytes fetched and not polled yet.
    pub fn buffered_bytes(&self) -> usize {
        self.inner.state.lock().buffered_bytes()
    }

    /// The partitions that are paused.
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.inner.state.lock().paused()
    }

    /// Up to `max.poll.records` records, those of each partition in order. Waits for the first one for at most
    /// `timeout`, then returns none. Losing the future loses no records.
    ///
    /// # Errors
    /// What keeps a partition from being read: no offset to start from, damaged data, missing rights. The others can still
    /// be read by polling again. Errors that pass are retried inside and never returned.
    pub async fn poll(&self, timeout: Duration) -> Result<Vec<ConsumerRecord>, Error> {
        let deadline = Instant::now() + timeout;
        // A program that always finds records must not keep the fetchers from running beside it.
        tokio::task::coop::consume_budget().await;
        loop {
            let arrived = self.inner.arrived.notified();
            if self.inner.may_drain() {
                let records = self.inner.drain(self.inner.config.max_poll_records)?;
                if !records.is_empty() {
                    return Ok(records);
                }
            }
            self.inner.check_open()?;
            if tokio::time::timeout_at(deadline, arrived).await.is_err() {
                return Ok(Vec::new());
            }
        }
    }

    /// The records as a stream that ends when the consumer is closed. An error does not end it.
    pub fn stream(&self) -> impl Stream<Item = Result<ConsumerRecord, Error>> + Send + Unpin + '_ {
        Box::pin(stream::unfold(VecDeque::new(), move |mut ready: VecDeque<ConsumerRecord>| async move {
            loop {
                if let Some(record) = ready.pop_front() {
                    return Some((Ok(record), ready));
                }
                match self.poll(Duration::from_secs(60)).await {
                    Ok(records) => ready = records.into(),
                    Err(Error::Closed) => return None,
                    Err(error) => return Some((Err(error), ready)),
                }
            }
        }))
    }

    /// Leaves the group, after a commit with `enable.auto.commit`; a static member keeps its place. Then ends the fetches and
    /// the connections; a waiting poll returns [`Error::Closed`]. A member that is dropped without this is missed by its
    /// group only after `session.timeout.ms`.
    pub async fn close(&self) {
        if let Some(group) = self.inner.group.as_ref().filter(|_| self.inner.check_open().is_ok()) {
            _ = tokio::time::timeout(LEAVE_TIMEOUT, group.close(&self.inner)).await;
        }
        let mut changed = self.inner.changed.subscribe();
        self.inner.close();
        // The fetchers tell their brokers to forget their sessions; a broker that is gone is not waited for.
        let ended = async {
            while !self.inner.state.lock().fetchers.is_empty() {
                _ = changed.changed().await;
            }
        };
        _ = tokio::time::timeout(Duration::from_secs(1), ended).await;
        self.inner.cluster.close();
    }

    /// For a listener.
    fn borrowed(inner: &Arc<Inner>) -> Self {
        Self { inner: inner.clone(), owned: false }
    }

    fn api_timeout(&self) -> Duration {
        self.inner.config.common.default_api_timeout
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if self.owned {
            self.inner.close();
            self.inner.cluster.close();
        }
    }
}

impl Inner {
    fn check_open(&self) -> Result<(), Error> {
        if *self.closed.borrow() { Err(Error::Closed) } else { Ok(()) }
    }

    /// Whether the program may have records now, and not its group has to have its say first.
    fn may_drain(&self) -> bool {
        self.group.as_ref().is_none_or(|group| group.polled(self))
    }

    /// Reads exactly these partitions.
    fn take_over(&self, partitions: &[TopicPartition]) {
        let topics: BTreeSet<Str> = partitions.iter().map(|partition| partition.topic.clone()).collect();
        self.cluster.track_only(topics);
        let start = reset_start(self.config.auto_offset_reset);
        self.state.lock().assign(partitions, self.group.is_some(), start);
        self.change();
    }

    fn close(&self) {
        self.closed.send_replace(true);
        self.arrived.notify_waiters();
        self.arrived.notify_one();
    }

    /// Has keeper and fetchers look at the state again.
    fn change(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Decodes up to `most` records of what has arrived.
    fn drain(&self, most: usize) -> Result<Vec<ConsumerRecord>, Error> {
        let _order = self.polling.lock();
        let mut records = Vec::new();
        while records.len() < most {
            let Some(mut chunk) = self.state.lock().next_chunk() else { break };
            let first = records.len();
            records.reserve(most.min(RECORDS_AT_ONCE).saturating_sub(first));
            let drained = chunk.drain(&mut records, most, &self.config);
            let done = !matches!(drained, Ok(Drained::Part));
            let mut state = self.state.lock();
            let had_room = state.has_room(&self.config);
            let valid = state.drained(chunk, done, drained.as_ref().err());
            if !valid {
                records.truncate(first);
            }
            if done && (!had_room || drained.is_err()) && state.has_room(&self.config) {
                drop(state);
                self.change();
            }
        }
        if records.is_empty()
            && let Some(error) = self.state.lock().next_error()
        {
            return Err(error);
        }
        Ok(records)
    }
}

fn not_assigned(partition: &TopicPartition) -> Error {
    Error::Invalid(format!("partition {partition} is not assigned to this consumer"))
}
