//! One broker's fetches: one request on its way at any time, the next as soon as there is room for its answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use leat_protocol::messages::{FetchRequest, FetchResponse, PartitionData};
use leat_protocol::records::{BatchHeader, split};
use leat_protocol::{ErrorCode, Str};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Inner;
use super::chunk::Chunk;
use super::keeper;
use super::session::{Session, Wanted};
use super::state::Fetched;
use crate::cluster::{Answer, Lane, until_closed};
use crate::net::Connection;
use crate::{Error, TopicPartition};

/// Fetch refers to topics by id from this version on; sessions are there from 7.
const TOPIC_IDS_SINCE: i16 = 13;
const SESSIONS_SINCE: i16 = 7;

/// A seek or a resume waits no longer than this for a fetch that waits for records at the broker; then that fetch is
/// given up together with its connection.
const PATIENCE: Duration = Duration::from_millis(50);

/// What was asked for: the generation and offset of each partition.
type Asked = HashMap<TopicPartition, (u64, i64)>;

pub(super) struct Fetcher {
    inner: Arc<Inner>,
    node: i32,
    session: Session,
    changed: watch::Receiver<u64>,
    answers: watch::Receiver<Answer>,
}

impl Fetcher {
    pub(super) fn new(inner: Arc<Inner>, node: i32) -> Self {
        let changed = inner.changed.subscribe();
        let answers = inner.cluster.answers();
        Self { inner, node, session: Session::default(), changed, answers }
    }

    /// Runs until the consumer is closed, or this broker has nothing to be read any more.
    pub(super) async fn run(mut self) {
        let closed = self.inner.closed.subscribe();
        tokio::select! {
            () = self.fetch_on() => {}
            () = until_closed(closed) => {}
        }
        self.end_session();
        self.inner.state.lock().fetchers.remove(&self.node);
        self.inner.change();
    }

    async fn fetch_on(&mut self) {
        let mut failures = 0;
        loop {
            // What changes from here on, and every retry that is not due at this moment, ends the wait below.
            self.changed.borrow_and_update();
            self.answers.borrow_and_update();
            let now = Instant::now();
            let (wanted, asked) = wanted(&self.inner, self.node, now);
            if wanted.is_empty() {
                if self.wait_for_work(now).await { continue } else { return }
            }
            match self.fetch(&wanted, &asked).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    tracing::debug!(%error, node = self.node, "fetch failed");
                    self.session.reset();
                    self.inner.cluster.request_refresh();
                    failures += 1;
                    tokio::time::sleep(self.inner.cluster.retry_backoff().after(failures)).await;
                }
            }
        }
    }

    /// Waits until something may be different from how it was at `seen`. `false`: this broker leads none of the partitions
    /// any more.
    async fn wait_for_work(&mut self, seen: Instant) -> bool {
        let next = {
            let state = self.inner.state.lock();
            let led = state.parts.iter().any(|(partition, part)| {
                let leader = self.inner.cluster.leader(partition).map_or(-1, |(leader, _)| leader);
                part.node(leader, seen) == self.node
            });
            if !led {
                return false;
            }
            state.next_retry(seen)
        };
        let due = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.changed.changed() => changed.is_ok(),
            answer = self.answers.changed() => answer.is_ok(),
            () = due => true,
        }
    }

    async fn fetch(&mut self, wanted: &[Wanted], asked: &Asked) -> Result<(), Error> {
        let config = &self.inner.config;
        let connection = self.inner.cluster.connection(self.node, Lane::Fetches).await?;
        let with_ids = wanted.iter().all(|one| !one.topic_id.is_nil());
        let version = connection.version::<FetchRequest>((!with_ids).then_some(TOPIC_IDS_SINCE - 1))?;
        if version < SESSIONS_SINCE {
            self.session.reset();
        }
        let ask = self.session.ask(wanted, version >= TOPIC_IDS_SINCE);
        let request = FetchRequest {
            max_wait_ms: i32::try_from(config.fetch_max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: config.fetch_min_bytes,
            max_bytes: config.fetch_max_bytes,
            isolation_level: config.isolation_level.wire(),
            session_id: ask.id,
            session_epoch: ask.epoch,
            topics: ask.topics,
            forgotten_topics_data: ask.forgotten,
            rack_id: Str::from(config.client_rack.as_str()),
            ..Default::default()
        };
        let timeout = config.common.request_timeout + config.fetch_max_wait;
        let call = connection.call_version(&request, version, timeout);
        let response = match wait(call, &mut self.changed, &self.inner, self.node, asked).await {
            Some(response) => response?,
            None => {
                // The broker would hold up what is wanted now until it has records for what was wanted before.
                connection.close();
                self.session.reset();
                return Ok(());
            }
        };
        if response.error_code.is_err() {
            self.session.reset();
            return match response.error_code {
                // Evicted, or lost with a restart: simply start over.
                ErrorCode::FETCH_SESSION_ID_NOT_FOUND | ErrorCode::INVALID_FETCH_SESSION_EPOCH => Ok(()),
                code => Err(Error::broker(code, None, format!("fetch from broker {}", connection.address()))),
            };
        }
        self.session.answered(if version < SESSIONS_SINCE { 0 } else { response.session_id });
        self.take_in(response, asked, &connection);
        Ok(())
    }

    fn take_in(&self, response: FetchResponse, asked: &Asked, connection: &Connection) {
        let metadata = self.inner.cluster.metadata();
        let mut news = false;
        for topic in response.responses {
            let name = if topic.topic_id.is_nil() { Some(topic.topic) } else { metadata.name(topic.topic_id).cloned() };
            let Some(name) = name else {
                self.inner.cluster.request_refresh();
                continue;
            };
            for data in topic.partitions {
                let partition = TopicPartition { topic: name.clone(), partition: data.partition_index };
                let Some((generation, offset)) = asked.get(&partition) else { continue };
                news |= if data.error_code.is_err() {
                    tracing::debug!(%partition, error = data.error_code.name(), address = connection.address(), "fetch refused");
                    keeper::fetch_refused(&self.inner, &partition, *generation, *offset, data.error_code)
                } else {
                    self.take_in_partition(&partition, *generation, *offset, data)
                };
            }
        }
        if news {
            self.inner.arrived.notify_one();
        }
    }

    fn take_in_partition(&self, partition: &TopicPartition, generation: u64, offset: i64, data: PartitionData) -> bool {
        let records = data.records.as_ref().and_then(|records| records.bytes()).cloned().unwrap_or_default();
        let next = last_batch(&records).filter(|last| last.next_offset() > offset);
        let chunk = next.as_ref().map(|_| {
            let aborted = data.aborted_transactions.unwrap_or_default();
            Chunk::new(partition.clone(), generation, offset, &records, aborted)
        });
        let fetched = Fetched {
            high_watermark: data.high_watermark,
            last_stable: if data.last_stable_offset >= 0 { data.last_stable_offset } else { data.high_watermark },
            next: next.map(|last| (last.next_offset(), last.partition_leader_epoch)),
            chunk,
        };
        let mut state = self.inner.state.lock();
        if data.preferred_read_replica >= 0
            && let Some(part) = state.parts.get_mut(partition).filter(|part| part.generation == generation)
        {
            part.preferred =
                Some((data.preferred_read_replica, Instant::now() + self.inner.config.common.metadata_max_age));
            self.inner.change();
        }
        // Bytes that are no whole batch are damage that decoding will name.
        if next.is_none() && !records.is_empty() {
            drop(state);
            let error = Error::corrupt(format!("{partition} at offset {offset}"), "the answer holds no whole batch");
            return keeper::damaged(&self.inner, partition, generation, error);
        }
        state.fetched(partition, generation, fetched)
    }

    /// Has the broker forget the session, without waiting for the answer.
    fn end_session(&self) {
        if self.session.id == 0 {
            return;
        }
        let Some(connection) = self.inner.cluster.connected(self.node, Lane::Fetches) else { return };
        let Ok(version) = connection.version::<FetchRequest>(None) else { return };
        let request = FetchRequest { session_id: self.session.id, session_epoch: -1, ..Default::default() };
        connection.send(&request, version, self.inner.config.common.request_timeout, Some(Box::new(|_| ())));
    }
}

/// What to fetch from this broker now; nothing while the program has enough to poll.
fn wanted(inner: &Inner, node: i32, now: Instant) -> (Vec<Wanted>, Asked) {
    let metadata = inner.cluster.metadata();
    let state = inner.state.lock();
    let (mut wanted, mut asked) = (Vec::new(), Asked::new());
    if !state.has_room(&inner.config) {
        return (wanted, asked);
    }
    for (partition, part) in state.fetchable(now) {
        let Some(Ok(topic)) = metadata.topic(&partition.topic) else { continue };
        let Some(found) = topic.partitions.get(partition.partition as usize) else { continue };
        if part.node(found.leader, now) != node || !part.is_checked(found.leader_epoch) {
            continue;
        }
        asked.insert(partition.clone(), (part.generation, part.fetch_from));
        wanted.push(Wanted {
            partition: partition.clone(),
            topic_id: topic.id,
            offset: part.fetch_from,
            leader_epoch: found.leader_epoch,
            max_bytes: inner.config.max_partition_fetch_bytes,
        });
    }
    wanted.sort_by(|a, b| a.partition.cmp(&b.partition));
    (wanted, asked)
}

/// Waits for the answer. `None`: some partition is now to be read that the fetch does not ask for as it should be.
async fn wait(
    call: impl Future<Output = Result<FetchResponse, Error>>,
    changed: &mut watch::Receiver<u64>,
    inner: &Inner,
    node: i32,
    asked: &Asked,
) -> Option<Result<FetchResponse, Error>> {
    tokio::pin!(call);
    loop {
        tokio::select! {
            biased;
            response = &mut call => return Some(response),
            Ok(()) = changed.changed() => {}
        }
        if moved(inner, node, asked) {
            let last = tokio::time::timeout(PATIENCE, &mut call).await;
            return last.ok();
        }
    }
}

/// Whether a partition that was asked for is to be read from elsewhere now, or another one is to be read too.
fn moved(inner: &Inner, node: i32, asked: &Asked) -> bool {
    let gone = {
        let state = inner.state.lock();
        let same = |partition, generation| state.parts.get(partition).is_some_and(|part| part.generation == generation);
        asked.iter().any(|(partition, (generation, _))| !same(partition, *generation))
    };
    gone || wanted(inner, node, Instant::now()).0.iter().any(|one| !asked.contains_key(&one.partition))
}

/// The last whole batch of an answer.
fn last_batch(records: &bytes::Bytes) -> Option<BatchHeader> {
    split(records).map_while(Result::ok).last().map(|(header, _)| header)
}
