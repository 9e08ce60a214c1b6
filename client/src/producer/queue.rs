//! One partition's batches: being filled, waiting, in flight. No I/O; time is passed in to all that decides by it.
//!
//! Invariants: batches that were sent before stand in front of those that were not, in the order of their first
//! attempt. What is in flight is all on one connection. Of batches with a sequence, one is sent again only when none with a lower sequence is in flight. A new epoch
//! starts only when nothing is in flight. So a partition's order survives any retry.

mod sequences;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use leat_protocol::Str;
use leat_protocol::records::{BatchError, Builder, Compression, next_sequence};
use tokio::time::Instant;

use super::batch::{Batch, Body, Sequence};
use super::delivery::{Completion, Outcome};
use super::identity::Identity;
use super::{Delivery, ProducerRecord};
use crate::Error;
use sequences::{Clear, Sequences};

/// Leaves room between two batches' places for the parts that the first may be split into.
const ORDER_STEP: u64 = 1 << 32;

/// What the settings say about batches.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) batch_size: usize,
    pub(super) linger: Duration,
    pub(super) delivery_timeout: Duration,
    pub(super) compression: Compression,
    pub(super) level: Option<i32>,
    pub(super) idempotent: bool,
    /// One request at a time: then order is kept without sequences too.
    pub(super) one_at_a_time: bool,
}

#[derive(Debug)]
struct Flight {
    order: u64,
    /// The connection that it was sent on.
    connection: u64,
    deadline: Instant,
    completion: Arc<Completion>,
}

#[derive(Debug)]
pub(super) struct Queue {
    topic: Str,
    partition: i32,
    waiting: VecDeque<Batch>,
    in_flight: VecDeque<Flight>,
    sequences: Option<Sequences>,
    next_order: u64,
    retry_at: Option<Instant>,
    /// Whether the sender has this partition on its list.
    pub(super) listed: bool,
    /// The size of the last closed batch: the room to give to the next.
    room: usize,
    /// Compressed over plain size of recent batches.
    ratio: f64,
}

/// What an append did.
pub(super) struct Appended {
    pub(super) delivery: Delivery,
    pub(super) bytes: usize,
    /// A batch is new, or full: the sender may have something to do.
    pub(super) wake: bool,
    /// No batch waits for more records.
    pub(super) batches_full: bool,
    /// Closed batches to compress outside the lock and hand to [`Queue::sealed`].
    pub(super) to_seal: Vec<(Arc<Completion>, Builder)>,
}

/// What the sender may do with a partition now.
pub(super) enum Take {
    Batch(Batch),
    /// Nothing before this time.
    At(Instant),
    /// Nothing until an answer, a record or metadata comes.
    Later,
    /// An id has to be asked for.
    NeedsIdentity,
    /// Nothing is waiting.
    Empty,
}

impl Queue {
    pub(super) fn new(topic: Str, partition: i32) -> Self {
        Self {
            topic,
            partition,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            sequences: None,
            next_order: 0,
            retry_at: None,
            listed: false,
            room: 0,
            ratio: 1.0,
        }
    }

    /// Batches that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits and nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// Bytes of the batch to send next.
    pub(super) fn front_size(&self) -> usize {
        self.waiting.front().map_or(0, Batch::size)
    }

    /// Adds a record whose share of memory is reserved.
    pub(super) fn append(
        &mut self,
        record: &ProducerRecord,
        timestamp: i64,
        reserved: usize,
        limits: &Limits,
    ) -> Appended {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let need = Builder::record_size(key, value, &record.headers);
        let mut to_seal = Vec::new();
        let ratio = self.ratio;
        let size = |builder: &Builder, more: usize| ((builder.estimated_size() + more) as f64 * ratio) as usize;
        let fits = match self.waiting.back() {
            Some(Batch { body: Body::Open(builder), closed: false, .. }) => size(builder, need) <= limits.batch_size,
            _ => false,
        };
        let mut wake = false;
        if !fits {
            self.close(limits, &mut to_seal);
            let room = self.room.max(need).min(limits.batch_size.max(need));
            let builder = Builder::with_capacity(limits.compression, limits.level, room);
            let completion = Completion::new(self.topic.clone(), self.partition);
            self.waiting.push_back(Batch::new(builder, completion, Instant::now()));
            wake = true;
        }
        let before = self.waiting.len();
        let Some(Batch { body: Body::Open(builder), completion, records, reserved: share, .. }) =
            self.waiting.back_mut()
        else {
            unreachable!("an open batch was found or pushed above");
        };
        let written = builder.estimated_size();
        builder.push(timestamp, key, value, &record.headers);
        let index = *records;
        *records += 1;
        *share += reserved;
        let delivery = Delivery::new(completion.clone(), index, timestamp);
        let bytes = builder.estimated_size() - written;
        let full = size(builder, 0) >= limits.batch_size;
        if full {
            self.close(limits, &mut to_seal);
            wake = true;
        }
        debug_assert_eq!(before, self.waiting.len());
        Appended { delivery, bytes, wake, batches_full: full, to_seal }
    }

    /// Closes the batch at the back, if there is one that grows.
    fn close(&mut self, limits: &Limits, to_seal: &mut Vec<(Arc<Completion>, Builder)>) {
        let Some(batch) = self.waiting.back_mut().filter(|batch| !batch.closed) else { return };
        batch.closed = true;
        if let Body::Open(builder) = &batch.body {
            self.room = builder.estimated_size();
        }
        if limits.compression != Compression::None
            && let Body::Open(builder) = std::mem::replace(&mut batch.body, Body::Sealing)
        {
            to_seal.push((batch.completion.clone(), builder));
        }
    }

    /// Takes back a batch that was compressed. `plain` was its size before. An error is its end; the batch is returned.
    pub(super) fn sealed(
        &mut self,
        completion: &Arc<Completion>,
        plain: usize,
        result: Result<bytes::Bytes, BatchError>,
    ) -> Option<Batch> {
        let at = self.waiting.iter().position(|batch| Arc::ptr_eq(&batch.completion, completion))?;
        match result {
            Ok(bytes) => {
                self.observe(bytes.len(), plain);
                self.waiting[at].body = Body::Sealed(bytes);
                None
            }
            Err(error) => {
                let error = Error::corrupt(format!("batch for {}-{}", self.topic, self.partition), error);
                let batch = self.waiting.remove(at)?;
                batch.completion.set(Outcome::Failed(error));
                Some(batch)
            }
        }
    }

    /// Follows the compression ratio as Java's `CompressionRatioEstimator` does: up at once, down slowly.
    fn observe(&mut self, compressed: usize, plain: usize) {
        let seen = compressed as f64 / plain.max(1) as f64;
        self.ratio =
            if seen > self.ratio { seen.max(self.ratio + 0.05) } else { seen.max(self.ratio - 0.005) }.clamp(0.05, 1.0);
    }

    /// Ends batches that waited or flew longer than `delivery.timeout.ms`. Returns those whose memory is free now.
    pub(super) fn expire(&mut self, now: Instant, limits: &Limits) -> Vec<Batch> {
        let expired = |what: &str| {
            let what = format!("delivery to {}-{} ({what})", self.topic, self.partition);
            Outcome::Failed(Error::timeout(what, limits.delivery_timeout, None))
        };
        for flight in &self.in_flight {
            if flight.deadline <= now && !flight.completion.is_set() {
                flight.completion.set(expired("sent, not answered"));
            }
        }
        let mut done = Vec::new();
        while let Some(front) = self.waiting.front()
            && front.created + limits.delivery_timeout <= now
            && !matches!(front.body, Body::Sealing)
        {
            front.completion.set(expired(if front.attempts == 0 { "never sent" } else { "sent, not acknowledged" }));
            if front.sequence.is_some()
                && let Some(sequences) = &mut self.sequences
            {
                sequences.unresolved = true;
            }
            done.extend(self.waiting.pop_front());
        }
        done
    }

    /// When [`Queue::expire`] next has something to do.
    pub(super) fn next_expiry(&self, limits: &Limits) -> Option<Instant> {
        let waiting = self.waiting.front().map(|front| front.created + limits.delivery_timeout);
        let flying = self.in_flight.iter().filter(|flight| !flight.completion.is_set());
        waiting.into_iter().chain(flying.map(|flight| flight.deadline)).min()
    }

    /// The next batch to send on this connection, if there is one now. `urgent`: linger does not count.
    pub(super) fn take(
        &mut self,
        now: Instant,
        urgent: bool,
        connection: u64,
        identity: &mut Identity,
        limits: &Limits,
    ) -> Take {
        let alone = self.waiting.len() == 1;
        let Some(front) = self.waiting.front() else {
            return if self.in_flight.is_empty() { Take::Empty } else { Take::Later };
        };
        if matches!(front.body, Body::Sealing) {
            return Take::Later;
        }
        if let Some(at) = self.retry_at.filter(|at| *at > now && front.attempts > 0) {
            return Take::At(at);
        }
        let ripe = front.created + limits.linger;
        if !(urgent || front.closed || !alone || ripe <= now) {
            return Take::At(ripe);
        }
        if limits.one_at_a_time && !self.in_flight.is_empty() {
            return Take::Later;
        }
        // A connection may be there before the failure of all that was sent on the one before it was dealt with. What
        // is sent on it now would come before what has to be sent again.
        if self.in_flight.iter().any(|flight| flight.connection != connection) {
            return Take::Later;
        }
        if limits.idempotent {
            match self.next_sequence_is_clear(identity) {
                Clear::Yes => {}
                Clear::Later => return Take::Later,
                Clear::NeedsIdentity => return Take::NeedsIdentity,
            }
        }
        let Some(mut batch) = self.waiting.pop_front() else { return Take::Empty };
        if let Some(sequences) = &mut self.sequences
            && batch.sequence.is_none()
        {
            batch.sequence = Some(Sequence { producer: sequences.producer, base: sequences.next });
            sequences.next = next_sequence(sequences.next, batch.records as i32);
        }
        let order = *batch.order.get_or_insert_with(|| {
            self.next_order += ORDER_STEP;
            self.next_order
        });
        batch.closed = true;
        batch.attempts += 1;
        self.retry_at = None;
        if let Body::Open(builder) = &batch.body {
            self.room = builder.estimated_size();
        }
        let deadline = batch.created + limits.delivery_timeout;
        self.in_flight.push_back(Flight { order, connection, deadline, completion: batch.completion.clone() });
        Take::Batch(batch)
    }

    fn landed(&mut self, batch: &Batch) {
        self.in_flight.retain(|flight| Some(flight.order) != batch.order);
    }

    /// The broker has the batch.
    pub(super) fn acknowledged(&mut self, batch: &Batch) {
        self.landed(batch);
        if let (Some(sequences), Some(sequence)) = (&mut self.sequences, batch.sequence)
            && sequences.producer == sequence.producer
        {
            sequences.acked = next_sequence(sequence.base, batch.records as i32);
        }
    }

    /// Puts a batch back to be sent again, unless its time is over; then it is returned.
    pub(super) fn again(&mut self, batch: Batch, at: Instant) -> Option<Batch> {
        self.landed(&batch);
        if batch.completion.is_set() {
            if let (Some(sequences), true) = (&mut self.sequences, batch.sequence.is_some()) {
                sequences.unresolved = true;
            }
            return Some(batch);
        }
        self.retry_at = Some(at);
        self.put_back(batch);
        None
    }

    fn put_back(&mut self, batch: Batch) {
        let behind = |other: &Batch| other.order.is_none_or(|other| batch.order.is_some_and(|order| other > order));
        let at = self.waiting.iter().position(behind).unwrap_or(self.waiting.len());
        self.waiting.insert(at, batch);
    }

    /// The broker refused the batch for good: its sequence will never be used, which leaves a gap.
    pub(super) fn refused(&mut self, batch: &Batch) {
        self.landed(batch);
        self.gap(batch);
    }

    /// Puts a batch's parts in its place.
    pub(super) fn replace(&mut self, whole: &Batch, parts: Vec<(u32, Batch)>) {
        self.landed(whole);
        let completions = parts.iter().map(|(first, part)| (*first, part.completion.clone())).collect();
        for (_, part) in parts {
            self.put_back(part);
        }
        whole.completion.set(Outcome::Split(completions));
    }

    /// Ends every batch that waits. Returns them for their memory.
    pub(super) fn fail_all(&mut self, error: &Error) -> Vec<Batch> {
        let batches: Vec<Batch> = self.waiting.drain(..).collect();
        for batch in &batches {
            batch.completion.set(Outcome::Failed(error.clone()));
        }
        batches
    }

    /// Everything that is not settled yet.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = Arc<Completion>> {
        let flying = self.in_flight.iter().map(|flight| &flight.completion);
        flying.chain(self.waiting.iter().map(|batch| &batch.completion)).cloned()
    }
}

#[cfg(test)]
mod tests;
