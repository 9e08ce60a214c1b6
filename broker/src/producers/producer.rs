//! One producer on one partition: its epoch, its last batches, and what of them is not committed yet.

use std::collections::VecDeque;

use leat_protocol::records::BatchHeader;

use super::clock::Clock;
use super::verdict::{Rejection, Verdict};
use super::{ActiveProducer, BATCHES_REMEMBERED};

/// Kafka's `NO_PRODUCER_EPOCH`: nothing is known. A producer that sends it is never told that it is out of order.
const NO_EPOCH: i16 = -1;

/// What is remembered of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) base_offset: i64,
    pub(super) timestamp: i64,
    pub(super) last_offset_delta: i32,
    pub(super) base_sequence: i32,
}

impl Batch {
    fn of(header: &BatchHeader) -> Self {
        Self {
            base_offset: header.base_offset,
            timestamp: header.max_timestamp,
            last_offset_delta: header.last_offset_delta,
            base_sequence: header.base_sequence,
        }
    }

    fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Sequences go on at 0 after `i32::MAX`.
    pub(super) fn last_sequence(&self) -> i32 {
        self.base_sequence.wrapping_add(self.last_offset_delta) & i32::MAX
    }

    fn is_repeated_by(&self, batch: &BatchHeader) -> bool {
        self.base_sequence == batch.base_sequence && self.last_offset_delta == batch.last_offset_delta
    }
}

/// The last committed batches, oldest first; all are of the producer's committed epoch.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    batches: [Batch; BATCHES_REMEMBERED],
    len: u8,
}

impl Window {
    pub(super) fn push(&mut self, batch: Batch) {
        if usize::from(self.len) == BATCHES_REMEMBERED {
            self.batches.rotate_left(1);
        } else {
            self.len += 1;
        }
        self.batches[usize::from(self.len) - 1] = batch;
    }

    pub(super) fn as_slice(&self) -> &[Batch] {
        &self.batches[..usize::from(self.len)]
    }
}

#[derive(Debug)]
struct PendingBatch {
    index: u64,
    epoch: i16,
    batch: Batch,
}

#[derive(Debug)]
pub(super) struct Producer {
    epoch: i16,
    window: Window,
    /// The log's time when its last batch was committed.
    seen_ms: i64,
    pending: VecDeque<PendingBatch>,
}

impl Default for Producer {
    fn default() -> Self {
        Self { epoch: NO_EPOCH, window: Window::default(), seen_ms: 0, pending: VecDeque::new() }
    }
}

impl Producer {
    /// As saved.
    pub(super) fn restore(epoch: i16, seen_ms: i64, window: Window) -> Self {
        Self { epoch, window, seen_ms, pending: VecDeque::new() }
    }

    pub(super) fn check(&self, batch: &BatchHeader) -> Verdict {
        let (epoch, last) = self.latest();
        if batch.producer_epoch < epoch {
            return Verdict::Reject(Rejection::StaleEpoch { epoch: batch.producer_epoch, current: epoch });
        }
        if batch.producer_epoch > epoch {
            return if batch.base_sequence == 0 || epoch == NO_EPOCH {
                Verdict::Append
            } else {
                Verdict::Reject(Rejection::EpochNotFromZero {
                    epoch: batch.producer_epoch,
                    sequence: batch.base_sequence,
                })
            };
        }
        if let Some(duplicate) = self.find_repeated(batch) {
            return duplicate;
        }
        match last.map(|last| last.last_sequence()) {
            Some(last) if epoch != NO_EPOCH && batch.base_sequence != last.wrapping_add(1) & i32::MAX => {
                Verdict::Reject(Rejection::OutOfOrder { sequence: batch.base_sequence, last })
            }
            _ => Verdict::Append,
        }
    }

    /// The same for a pipeline's emissions: records are numbered from 0 for as long as the pipeline lives, and what has a lower
    /// number is there already.
    pub(super) fn check_emission(&self, batch: &BatchHeader) -> Verdict {
        let (_, latest) = self.latest();
        let next = latest.map_or(0, |latest| latest.last_sequence().wrapping_add(1) & i32::MAX);
        // The distance from here, either way, in numbers that go on at 0.
        let ahead = batch.base_sequence.wrapping_sub(next) & i32::MAX;
        let pending = self.pending.back().map(|pending| pending.index);
        match (ahead, latest) {
            (0, _) => Verdict::Append,
            (ahead, Some(latest)) if ahead > i32::MAX / 2 && i32::MAX - ahead >= batch.last_offset_delta => {
                Verdict::Duplicate { base_offset: -1, timestamp: latest.timestamp, pending }
            }
            _ => Verdict::Reject(Rejection::OutOfOrder { sequence: batch.base_sequence, last: next.wrapping_sub(1) }),
        }
    }

    pub(super) fn append(&mut self, index: u64, header: &BatchHeader) {
        self.pending.push_back(PendingBatch { index, epoch: header.producer_epoch, batch: Batch::of(header) });
    }

    /// Moves the first pending batch to the committed ones.
    pub(super) fn commit_first(&mut self, clock: &mut Clock) {
        let Some(PendingBatch { epoch, batch, .. }) = self.pending.pop_front() else {
            return;
        };
        if epoch != self.epoch {
            self.epoch = epoch;
            self.window = Window::default();
        }
        self.window.push(batch);
        clock.observe(batch.timestamp);
        self.seen_ms = clock.now_ms();
    }

    /// Drops the last pending batch.
    pub(super) fn drop_last(&mut self) {
        self.pending.pop_back();
    }

    /// Drops what is committed.
    pub(super) fn forget(&mut self) {
        self.epoch = NO_EPOCH;
        self.window = Window::default();
    }

    /// Nothing of it is committed.
    pub(super) fn is_forgotten(&self) -> bool {
        self.window.as_slice().is_empty()
    }

    pub(super) fn is_unused(&self) -> bool {
        self.is_forgotten() && self.pending.is_empty()
    }

    pub(super) fn seen(&self) -> i64 {
        self.seen_ms
    }

    pub(super) fn epoch(&self) -> i16 {
        self.epoch
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    pub(super) fn last_committed_offset(&self) -> Option<i64> {
        self.window.as_slice().last().map(Batch::last_offset)
    }

    pub(super) fn last_committed_sequence(&self) -> Option<i32> {
        self.window.as_slice().last().map(Batch::last_sequence)
    }

    pub(super) fn describe(&self, producer_id: i64) -> Option<ActiveProducer> {
        let (epoch, last) = self.latest();
        last.map(|batch| ActiveProducer {
            producer_id,
            epoch,
            last_sequence: batch.last_sequence(),
            last_timestamp: batch.timestamp,
        })
    }

    /// The epoch and the last batch, pending ones included.
    fn latest(&self) -> (i16, Option<&Batch>) {
        match self.pending.back() {
            Some(pending) => (pending.epoch, Some(&pending.batch)),
            None => (self.epoch, self.window.as_slice().last()),
        }
    }

    /// The batch of the same epoch that this one repeats, among the last five, newest first.
    fn find_repeated(&self, header: &BatchHeader) -> Option<Verdict> {
        let pending = self
            .pending
            .iter()
            .rev()
            .take_while(|pending| pending.epoch == header.producer_epoch)
            .map(|pending| (&pending.batch, Some(pending.index)));
        let committed = (self.epoch == header.producer_epoch)
            .then(|| self.window.as_slice().iter().rev().map(|batch| (batch, None)))
            .into_iter()
            .flatten();
        pending.chain(committed).take(BATCHES_REMEMBERED).find(|(batch, _)| batch.is_repeated_by(header)).map(
            |(batch, pending)| Verdict::Duplicate {
                base_offset: batch.base_offset,
                timestamp: batch.timestamp,
                pending,
            },
        )
    }
}
