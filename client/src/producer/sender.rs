//! Turns waiting batches into requests.
//!
//! A *pass* takes what may be sent now and sends it; it never blocks, and one runs at a time. Whoever has a reason runs
//! it: with `linger.ms=0` the task that appended the record or read the answer, so that nothing waits for another task;
//! else the sender's own task, which also keeps the time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use leat_protocol::messages::InitProducerIdRequest;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::identity::{Identity, ProducerId};
use super::memory::Memory;
use super::queue::{Limits, Take};
use super::request::{Request, Sent};
use super::topics::{Partition, Topics};
use crate::cluster::{Cluster, Lane, Metadata};
use crate::net::Connection;
use crate::{Error, ProducerConfig};

/// What all clones of a producer share.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) config: ProducerConfig,
    pub(super) limits: Limits,
    pub(super) cluster: Arc<Cluster>,
    pub(super) memory: Memory,
    pub(super) topics: Topics,
    pub(super) identity: Mutex<Identity>,
    /// Partitions that got their first record since they were last idle.
    news: Mutex<Vec<Arc<Partition>>>,
    pass: Mutex<Pass>,
    again: AtomicBool,
    wake: Notify,
    nodes: Mutex<HashMap<i32, Arc<Node>>>,
    flushing: AtomicUsize,
    closing: AtomicBool,
    closed: AtomicBool,
    runtime: Handle,
}

/// What a pass keeps for the next.
#[derive(Debug, Default)]
struct Pass {
    /// Partitions with something waiting or in flight.
    active: Vec<Arc<Partition>>,
    /// Where the next pass begins, so that each partition is first in turn.
    start: usize,
    /// When a pass has something to do even if nothing happens.
    next: Option<Instant>,
    /// What the sender's task sleeps until.
    sleeping_until: Option<Instant>,
}

/// A broker as far as produce requests go.
#[derive(Debug, Default)]
pub(super) struct Node {
    in_flight: AtomicUsize,
    connecting: AtomicBool,
    /// Since when it could have taken a batch and did not.
    blocked_since: Mutex<Option<Instant>>,
}

/// Lingering is off while one of these lives.
pub(super) struct Flushing<'a>(&'a Sender);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.flushing.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Sender {
    pub(super) fn start(config: ProducerConfig, cluster: Arc<Cluster>) -> Arc<Self> {
        let limits = Limits {
            batch_size: config.batch_size,
            linger: config.linger,
            delivery_timeout: config.delivery_timeout,
            compression: config.compression,
            level: config.compression_level(),
            idempotent: config.idempotent(),
            one_at_a_time: config.max_in_flight == 1,
        };
        let sender = Arc::new(Self {
            limits,
            memory: Memory::new(config.buffer_memory),
            config,
            cluster,
            topics: Topics::default(),
            identity: Mutex::default(),
            news: Mutex::default(),
            pass: Mutex::default(),
            again: AtomicBool::new(false),
            wake: Notify::new(),
            nodes: Mutex::default(),
            flushing: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            runtime: Handle::current(),
        });
        if sender.limits.idempotent {
            sender.ask_identity();
        }
        tokio::spawn(sender.clone().run());
        sender
    }

    /// The sender's own task: runs a pass when woken, when one is due and when metadata is new.
    async fn run(self: Arc<Self>) {
        let mut answers = self.cluster.answers();
        while !self.is_closed() {
            self.kick();
            let next = {
                let mut pass = self.pass.lock();
                pass.sleeping_until = pass.next;
                pass.next
            };
            if self.again.load(Ordering::SeqCst) {
                // A kick found the lock held just now and left the pass to this task.
                continue;
            }
            let due = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = due => {}
                _ = answers.changed() => self.adopt_metadata(),
            }
        }
    }

    /// Topics that grew get queues for their new partitions.
    fn adopt_metadata(&self) {
        let metadata = self.cluster.metadata();
        for partition in self.topics.first_partitions() {
            if let Some(Ok(topic)) = metadata.topic(&partition.id.topic) {
                self.topics.update(topic);
            }
        }
    }

    /// A partition has a new or a full batch.
    pub(super) fn records_wait(self: &Arc<Self>, partition: &Arc<Partition>) {
        let listed = std::mem::replace(&mut partition.queue.lock().listed, true);
        if !listed {
            self.news.lock().push(partition.clone());
        }
        self.something_changed();
    }

    /// Has a pass run soon: here if nothing is to wait, else on the sender's task.
    fn something_changed(self: &Arc<Self>) {
        if self.limits.linger.is_zero() { self.kick() } else { self.wake.notify_one() }
    }

    /// Runs a pass now, or has the one that runs go round again.
    pub(super) fn kick(self: &Arc<Self>) {
        self.again.store(true, Ordering::SeqCst);
        while self.again.load(Ordering::SeqCst) {
            // Whoever holds the lock looks at `again` after letting go of it.
            let Some(mut pass) = self.pass.try_lock() else { return };
            while self.again.swap(false, Ordering::SeqCst) {
                pass.next = self.pass(&mut pass);
            }
            let sooner = pass.next.is_some_and(|next| pass.sleeping_until.is_none_or(|until| next < until));
            if sooner {
                pass.sleeping_until = pass.next;
                self.wake.notify_one();
            }
        }
    }

    /// Sends what may be sent. Returns when there is something to do again.
    fn pass(self: &Arc<Self>, pass: &mut Pass) -> Option<Instant> {
        pass.active.append(&mut self.news.lock());
        let metadata = self.cluster.metadata();
        loop {
            let mut round = Round { now: Instant::now(), urgent: self.is_urgent(), next: None, requests: Vec::new() };
            let count = pass.active.len();
            pass.start = if count == 0 { 0 } else { (pass.start + 1) % count };
            let mut idle = Vec::new();
            for turn in 0..count {
                let at = (pass.start + turn) % count;
                if !self.take(&pass.active[at], &metadata, &mut round) {
                    idle.push(at);
                }
            }
            idle.sort_unstable();
            for at in idle.into_iter().rev() {
                pass.active.swap_remove(at);
            }
            if round.requests.is_empty() {
                return round.next;
            }
            for request in round.requests {
                self.send(request);
            }
        }
    }

    /// Takes a partition's next batch into the round, if it may be sent. `false`: the partition is idle.
    fn take(self: &Arc<Self>, partition: &Arc<Partition>, metadata: &Metadata, round: &mut Round) -> bool {
        let mut queue = partition.queue.lock();
        for expired in queue.expire(round.now, &self.limits) {
            self.memory.release(expired.reserved);
        }
        if queue.is_idle() {
            queue.listed = false;
            return false;
        }
        round.at(queue.next_expiry(&self.limits));
        if queue.len() == 0 {
            return true;
        }
        let topic = metadata.topic(&partition.id.topic).and_then(|topic| topic.as_ref().ok());
        let leader = topic
            .and_then(|topic| topic.partitions.get(partition.id.partition as usize))
            .map_or(-1, |found| found.leader);
        let Some(topic) = topic.filter(|_| leader >= 0) else {
            drop(queue);
            self.cluster.request_refresh();
            return true;
        };
        let Some((node, connection)) = self.ready(leader, round.now) else { return true };
        let request = round.requests.iter_mut().find(|request| request.node_id == leader);
        if request.as_ref().is_some_and(|request| request.size + queue.front_size() > self.config.max_request_size) {
            return true;
        }
        let mut identity = self.identity.lock();
        if let Some(error) = identity.fatal.clone() {
            drop(identity);
            for failed in queue.fail_all(&error) {
                self.memory.release(failed.reserved);
            }
            return true;
        }
        match queue.take(round.now, round.urgent, connection.id(), &mut identity, &self.limits) {
            Take::Batch(batch) => {
                drop((queue, identity));
                *node.blocked_since.lock() = None;
                let sent = Sent { partition: partition.clone(), topic_id: topic.id, batch };
                match request {
                    Some(request) => request.push(sent),
                    None => round.requests.push(Request::new(leader, node, connection, sent)),
                }
            }
            Take::At(at) => round.at(Some(at)),
            Take::NeedsIdentity => {
                drop((queue, identity));
                self.ask_identity();
            }
            Take::Later | Take::Empty => {}
        }
        true
    }

    /// A connection to the broker that may take one more request now.
    fn ready(self: &Arc<Self>, node_id: i32, now: Instant) -> Option<(Arc<Node>, Arc<Connection>)> {
        let node = self.nodes.lock().entry(node_id).or_default().clone();
        let connection = self.cluster.connected(node_id, Lane::Calls);
        if connection.is_none() {
            self.connect(node_id, &node);
        }
        let connection = connection.filter(|_| node.in_flight.load(Ordering::Acquire) < self.config.max_in_flight);
        if connection.is_none() {
            node.blocked_since.lock().get_or_insert(now);
        }
        connection.map(|connection| (node, connection))
    }

    /// Connects in the background; a pass follows.
    fn connect(self: &Arc<Self>, node_id: i32, node: &Arc<Node>) {
        if node.connecting.swap(true, Ordering::AcqRel) {
            return;
        }
        let (sender, node) = (self.clone(), node.clone());
        self.runtime.spawn(async move {
            if let Err(error) = sender.cluster.connection(node_id, Lane::Calls).await {
                tracing::debug!(%error, node_id, "leader can't be reached");
                tokio::time::sleep(sender.config.common.retry_backoff).await;
            }
            node.connecting.store(false, Ordering::Release);
            if !sender.is_closed() {
                sender.kick();
            }
        });
    }

    fn send(self: &Arc<Self>, request: Request) {
        let node = request.node.clone();
        node.in_flight.fetch_add(1, Ordering::AcqRel);
        let sender = self.clone();
        request.send(self, move || {
            node.in_flight.fetch_sub(1, Ordering::AcqRel);
            sender.something_changed();
        });
    }

    /// Asks for a producer id in the background, unless that is under way; a pass follows.
    fn ask_identity(self: &Arc<Self>) {
        if std::mem::replace(&mut self.identity.lock().asking, true) {
            return;
        }
        let sender = self.clone();
        self.runtime.spawn(async move {
            let mut failures = 0;
            while !sender.is_closed() {
                match sender.init_producer_id().await {
                    Ok(producer) => {
                        tracing::debug!(?producer, "producer id");
                        sender.identity.lock().set(producer);
                        break;
                    }
                    Err(error) if error.is_retryable() => {
                        tracing::debug!(%error, "no producer id yet");
                        failures += 1;
                        tokio::time::sleep(sender.cluster.retry_backoff().after(failures)).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "no producer id can be had");
                        sender.identity.lock().fatal = Some(error);
                        break;
                    }
                }
            }
            sender.kick();
        });
    }

    async fn init_producer_id(&self) -> Result<ProducerId, Error> {
        let connection = self.cluster.any_connection().await?;
        let request = InitProducerIdRequest { transaction_timeout_ms: i32::MAX, ..Default::default() };
        let response = connection.call(&request, self.config.common.request_timeout).await?;
        Error::check(response.error_code, None, || "InitProducerId".to_owned())?;
        Ok(ProducerId { id: response.producer_id, epoch: response.producer_epoch })
    }

    /// Whether batches leave without waiting for more records.
    fn is_urgent(&self) -> bool {
        self.flushing.load(Ordering::Acquire) > 0 || self.memory.is_exhausted() || self.is_closing()
    }

    pub(super) fn flushing(&self) -> Flushing<'_> {
        self.flushing.fetch_add(1, Ordering::AcqRel);
        Flushing(self)
    }

    /// Whether the broker took what it was offered within `partitioner.availability.timeout.ms`.
    pub(super) fn is_available(&self, node_id: i32) -> bool {
        let timeout = self.config.partitioner_availability_timeout;
        if timeout == Duration::ZERO {
            return true;
        }
        let node = self.nodes.lock().get(&node_id).cloned();
        node.is_none_or(|node| node.blocked_since.lock().is_none_or(|since| since.elapsed() < timeout))
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Takes no more records.
    pub(super) fn begin_close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Ends everything; what was not delivered fails.
    pub(super) fn abandon(&self) {
        self.begin_close();
        self.closed.store(true, Ordering::Release);
        self.memory.close();
        self.cluster.close();
        for partition in self.topics.partitions() {
            partition.queue.lock().fail_all(&Error::Closed);
        }
        self.wake.notify_one();
    }
}

/// One go through all active partitions.
struct Round {
    now: Instant,
    urgent: bool,
    next: Option<Instant>,
    requests: Vec<Request>,
}

impl Round {
    fn at(&mut self, time: Option<Instant>) {
        self.next = [self.next, time].into_iter().flatten().min();
    }
}
