//! What one partition knows about its idempotent producers: Kafka's rules for repeats, gaps and epochs.
//!
//! ```text
//!   committed: a function of the committed prefix     overlay: appended, not committed
//!   producer -> epoch, last five batches              (index, producer), in index order
//!   saved by `encode`, never goes back                `commit` moves its front over, `truncate` cuts its end
//! ```
//!
//! Nothing here reads a clock, does I/O or decides what is committed, and committed state never depends on the
//! overlay: replicas that applied the same entries hold, and encode, the same bytes.
//!
//! The rules are those that Apache Kafka 4.3.1 shows on the wire (KIP-98, KIP-360): an unknown producer may start at any
//! sequence, a new epoch starts at 0, a batch that repeats one of the last five gets its first answer, and what
//! is older than those five is out of order. DUPLICATE_SEQUENCE_NUMBER and UNKNOWN_PRODUCER_ID are never answered.

mod clock;
mod codec;
mod overlay;
mod producer;
mod verdict;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use leat_protocol::records::BatchHeader;

pub use self::codec::DecodeError;
pub use self::verdict::{Rejection, Verdict};

use self::clock::Clock;
use self::overlay::{Overlay, Pending};
use self::producer::Producer;

/// Batches of a producer that a repeat is compared with. Kafka's `NUM_BATCHES_TO_RETAIN`, and the bound of
/// `max.in.flight.requests.per.connection` for idempotent producers.
pub const BATCHES_REMEMBERED: usize = 5;

/// Producers that a partition remembers. At the bound, the sixteenth that wrote longest ago is forgotten at once:
/// such a producer is then unknown, so it may go on, but its repeats are not found.
pub const PRODUCERS_MAX: usize = 65_536;

/// From here on, ids are those of the broker's own pipelines: sequences are counted from 0, a batch that was appended before
/// is a repeat however long ago, and they are never forgotten.
pub(crate) const PIPELINE_IDS: i64 = 1 << 62;

/// The idempotent producers of one partition. Empty, it is one null pointer.
#[derive(Debug, Default)]
pub struct ProducerState(Option<Box<State>>);

#[derive(Debug, Default)]
struct State {
    producers: HashMap<i64, Producer>,
    /// Producers with a committed batch; the others live as long as their pending ones.
    remembered: usize,
    overlay: Overlay,
    clock: Clock,
}

/// A producer as DescribeProducers lists it, with what is appended but not yet committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    pub producer_id: i64,
    pub epoch: i16,
    pub last_sequence: i32,
    /// Largest record timestamp of the last batch, in milliseconds.
    pub last_timestamp: i64,
}

impl ProducerState {
    /// What to do with a batch that a client sent, before it is numbered. Changes nothing.
    #[must_use]
    pub fn check(&self, batch: &BatchHeader) -> Verdict {
        if !batch.has_producer() {
            return Verdict::Append;
        }
        if batch.base_sequence < 0 {
            return Verdict::Reject(Rejection::NegativeSequence { sequence: batch.base_sequence });
        }
        let known = self.0.as_ref().and_then(|state| state.producers.get(&batch.producer_id));
        if batch.producer_id >= PIPELINE_IDS {
            return known
                .map_or_else(|| Producer::default().check_emission(batch), |known| known.check_emission(batch));
        }
        known.map_or_else(|| Producer::default().check(batch), |producer| producer.check(batch))
    }

    /// Takes note of the batch at `index`, checked or read back from the log. Batches without a producer and control
    /// batches (ours, and later transaction markers) leave no trace.
    ///
    /// # Panics
    /// If `index` is not above every pending one: entries are appended in order, and replaced ones truncated first.
    pub fn append(&mut self, index: u64, batch: &BatchHeader) {
        if !batch.has_producer() || batch.is_control() || batch.base_sequence < 0 || batch.last_offset_delta < 0 {
            return;
        }
        let state = self.0.get_or_insert_default();
        state.overlay.push(Pending { index, producer_id: batch.producer_id });
        state.producers.entry(batch.producer_id).or_default().append(index, batch);
    }

    /// Entries up to and including `index` are committed.
    pub fn commit(&mut self, index: u64) {
        let Some(state) = &mut self.0 else { return };
        while let Some(pending) = state.overlay.pop_front_through(index) {
            let Some(producer) = state.producers.get_mut(&pending.producer_id) else {
                continue;
            };
            let first = producer.is_forgotten();
            producer.commit_first(&mut state.clock);
            if first {
                state.remembered += 1;
                if state.remembered > PRODUCERS_MAX {
                    state.forget_quietest(PRODUCERS_MAX / 16);
                }
            }
        }
    }

    /// Entries from `index` on were cut from the log, uncommitted.
    pub fn truncate(&mut self, index: u64) {
        let Some(state) = &mut self.0 else { return };
        while let Some(pending) = state.overlay.pop_back_from(index) {
            if let Some(producer) = state.producers.get_mut(&pending.producer_id) {
                producer.drop_last();
                if producer.is_unused() {
                    state.producers.remove(&pending.producer_id);
                }
            }
        }
        self.shrink();
    }

    /// Forgets producers that committed nothing for more than `expiration_ms` (`producer.id.expiration.ms`) of the log's own
    /// time, and returns how many. Cheap when there are none. What that time is, `clock.rs` says.
    ///
    /// To keep replicas alike, call it at the same committed entry with the same setting on each.
    pub fn expire(&mut self, expiration_ms: u64) -> usize {
        let Some(state) = &mut self.0 else { return 0 };
        let Some(horizon) = state.clock.horizon(expiration_ms) else {
            return 0;
        };
        let before = state.remembered;
        state.forget_where(|producer| producer.seen() < horizon);
        let clients = state.producers.iter().filter(|(id, producer)| **id < PIPELINE_IDS && !producer.is_forgotten());
        let oldest = clients.map(|(_, producer)| producer.seen()).min();
        state.clock.set_oldest(oldest);
        let expired = before - state.remembered;
        self.shrink();
        expired
    }

    /// The producers, by id, as DescribeProducers lists them.
    #[must_use]
    pub fn active(&self) -> Vec<ActiveProducer> {
        let Some(state) = &self.0 else {
            return Vec::new();
        };
        let mut active: Vec<_> = state.producers.iter().filter_map(|(&id, producer)| producer.describe(id)).collect();
        active.sort_unstable_by_key(|producer| producer.producer_id);
        active
    }

    /// The number of the next emission of a pipeline, as far as is committed.
    pub(crate) fn next_emission(&self, producer_id: i64) -> u32 {
        let known = self.0.as_ref().and_then(|state| state.producers.get(&producer_id));
        known
            .and_then(Producer::last_committed_sequence)
            .map_or(0, |last| last.cast_unsigned().wrapping_add(1) & i32::MAX.cast_unsigned())
    }

    /// The last committed offset of each producer: compaction leaves its batch, for its sequence.
    #[must_use]
    pub fn last_offsets(&self) -> HashMap<i64, i64> {
        let known = self.0.iter().flat_map(|state| &state.producers);
        known.filter_map(|(&id, producer)| Some((id, producer.last_committed_offset()?))).collect()
    }

    /// Number of producers known, pending ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |state| state.producers.len())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shrink(&mut self) {
        if self.is_empty() {
            self.0 = None;
        }
    }
}

impl State {
    /// Forgets the committed batches of those chosen; pending ones stay, as they are not this state's to drop.
    fn forget_where(&mut self, chosen: impl Fn(&Producer) -> bool) {
        let remembered = &mut self.remembered;
        self.producers.retain(|&id, producer| {
            if id < PIPELINE_IDS && !producer.is_forgotten() && chosen(producer) {
                producer.forget();
                *remembered -= 1;
            }
            !producer.is_unused()
        });
        if self.remembered == 0 {
            self.clock = Clock::default();
        }
    }

    fn forget_quietest(&mut self, count: usize) {
        let mut last_offsets: Vec<i64> = self.producers.values().filter_map(Producer::last_committed_offset).collect();
        if count < last_offsets.len() {
            let (_, &mut horizon, _) = last_offsets.select_nth_unstable(count);
            self.forget_where(|producer| producer.last_committed_offset().is_some_and(|offset| offset < horizon));
        }
    }
}
