//! The sequences of an idempotent producer in one partition (KIP-98, KIP-360): which batch may go, and when a new epoch
//! has to start.

use leat_protocol::records::next_sequence;

use super::super::batch::{Batch, Sequence};
use super::super::identity::{Identity, ProducerId};
use super::Queue;

/// Brokers remember this many batches of a producer, so no more may be in flight per partition.
const SEQUENCED_IN_FLIGHT_MAX: usize = 5;

/// Where the partition's sequences stand.
#[derive(Debug)]
pub(super) struct Sequences {
    pub(super) producer: ProducerId,
    pub(super) next: i32,
    /// What `next` would be if only acknowledged batches had been sent.
    pub(super) acked: i32,
    /// A batch expired without an answer: whether the broker has it shows when its followers are answered.
    pub(super) unresolved: bool,
    /// There is a gap: start again under a new epoch as soon as nothing is in flight.
    pub(super) bump: bool,
}

/// Whether the sequences let the next batch go.
pub(super) enum Clear {
    Yes,
    Later,
    NeedsIdentity,
}

impl Queue {
    /// Whether the front batch may be sent as far as sequences go; starts a new epoch where one is due.
    pub(super) fn next_sequence_is_clear(&mut self, identity: &mut Identity) -> Clear {
        let quiet = self.in_flight.is_empty();
        let fresh = self.waiting.front().is_some_and(|front| front.sequence.is_none());
        if let Some(sequences) = &mut self.sequences {
            if fresh && sequences.unresolved {
                if !quiet {
                    return Clear::Later;
                }
                sequences.bump |= sequences.acked != sequences.next;
                sequences.unresolved = false;
            }
            if sequences.bump {
                if !quiet {
                    return Clear::Later;
                }
                identity.bump(sequences.producer);
            }
        }
        let Some(current) = identity.current() else { return Clear::NeedsIdentity };
        let Some(sequences) = &self.sequences else {
            self.start_sequences(current);
            return Clear::Yes;
        };
        // Another partition may have moved on to a new epoch: this one follows when nothing of the old is outstanding.
        if sequences.bump || (fresh && sequences.producer != current) {
            if !quiet {
                return Clear::Later;
            }
            self.start_sequences(current);
            return Clear::Yes;
        }
        let order = self.waiting.front().and_then(|front| front.order);
        let lower = order.is_some_and(|order| self.in_flight.iter().any(|flight| flight.order < order));
        if lower || self.in_flight.len() >= SEQUENCED_IN_FLIGHT_MAX { Clear::Later } else { Clear::Yes }
    }

    /// Sequences from 0 under `producer`, those of batches to be sent again first.
    fn start_sequences(&mut self, producer: ProducerId) {
        let mut next = 0;
        for batch in self.waiting.iter_mut().filter(|batch| batch.sequence.is_some()) {
            batch.sequence = Some(Sequence { producer, base: next });
            next = next_sequence(next, batch.records as i32);
        }
        self.sequences = Some(Sequences { producer, next, acked: 0, unresolved: false, bump: false });
    }

    /// Has a new epoch start, if the batch belongs to the current one.
    pub(in super::super) fn gap(&mut self, batch: &Batch) {
        if let (Some(sequences), Some(sequence)) = (&mut self.sequences, batch.sequence)
            && sequences.producer == sequence.producer
        {
            sequences.bump = true;
        }
    }

    /// The broker missed a sequence before this batch's. If none before it is outstanding, none will come.
    pub(in super::super) fn out_of_order(&mut self, batch: &Batch) {
        let lower = |order: Option<u64>| order.is_some() && order < batch.order;
        let outstanding = self.in_flight.iter().any(|flight| lower(Some(flight.order)))
            || self.waiting.iter().any(|waiting| lower(waiting.order));
        if !outstanding {
            self.gap(batch);
        }
    }
}
