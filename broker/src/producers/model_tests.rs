//! Random histories against a model that keeps the whole log and looks everything up in it.

use leat_protocol::records::BatchHeader;
use proptest::prelude::*;

use super::tests::header;
use super::{BATCHES_REMEMBERED, ProducerState, Rejection, Verdict};

/// Every entry of the log; the first `committed` are committed.
#[derive(Default)]
struct Model {
    log: Vec<BatchHeader>,
    committed: usize,
}

impl Model {
    fn check(&self, batch: &BatchHeader) -> Verdict {
        let index = |at: usize| (at >= self.committed).then_some(at as u64 + 1);
        let own = || self.log.iter().enumerate().rev().filter(|(_, other)| other.producer_id == batch.producer_id);
        let Some((_, last)) = own().next() else {
            return Verdict::Append;
        };
        let (epoch, current) = (batch.producer_epoch, last.producer_epoch);
        if epoch < current {
            return Verdict::Reject(Rejection::StaleEpoch { epoch, current });
        }
        let sequence = batch.base_sequence;
        if epoch > current {
            return match sequence {
                0 => Verdict::Append,
                _ => Verdict::Reject(Rejection::EpochNotFromZero { epoch, sequence }),
            };
        }
        let recent = own().take_while(|(_, other)| other.producer_epoch == epoch).take(BATCHES_REMEMBERED);
        for (at, other) in recent {
            if (other.base_sequence, other.records_count) == (sequence, batch.records_count) {
                return Verdict::Duplicate {
                    base_offset: other.base_offset,
                    timestamp: other.max_timestamp,
                    pending: index(at),
                };
            }
        }
        let next = (i64::from(last.base_sequence) + i64::from(last.records_count)) % (1 << 31);
        if i64::from(sequence) == next {
            Verdict::Append
        } else {
            let last = ((next + (1 << 31) - 1) % (1 << 31)) as i32;
            Verdict::Reject(Rejection::OutOfOrder { sequence, last })
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Sends a batch, at this distance from the next sequence.
    Produce {
        producer_id: i64,
        epoch: i16,
        distance: i32,
        records: i32,
        timestamp: i64,
    },
    Commit {
        entries: usize,
    },
    Truncate {
        entries: usize,
    },
    /// Saves, and rebuilds from what was saved and the log after it.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let distance = prop_oneof![6 => Just(0), 3 => -6..0, 1 => 1..4];
    let produce = (0..4i64, prop_oneof![5 => Just(0i16), 1 => 0..3i16], distance, 1..4i32, 0..1_000_000i64);
    prop_oneof![
        8 => produce.prop_map(|(producer_id, epoch, distance, records, timestamp)| {
            Step::Produce { producer_id, epoch, distance, records, timestamp }
        }),
        3 => (0..6usize).prop_map(|entries| Step::Commit { entries }),
        1 => (1..6usize).prop_map(|entries| Step::Truncate { entries }),
        1 => Just(Step::Reopen),
    ]
}

struct Run {
    model: Model,
    producers: ProducerState,
    /// Where sequences begin, near the wrap in some runs.
    first_sequence: i32,
}

impl Run {
    fn produce(&mut self, producer_id: i64, epoch: i16, distance: i32, records: i32, timestamp: i64) {
        let last = self.model.log.iter().rev().find(|other| other.producer_id == producer_id);
        let next = match last {
            Some(last) if last.producer_epoch == epoch => last.base_sequence.wrapping_add(last.records_count),
            Some(_) => 0,
            None => self.first_sequence,
        };
        let sequence = next.wrapping_add(distance) & i32::MAX;
        let base_offset = self.model.log.last().map_or(0, |last| last.base_offset + i64::from(last.records_count));
        let batch =
            BatchHeader { base_offset, max_timestamp: timestamp, ..header(producer_id, epoch, sequence, records) };
        let verdict = self.producers.check(&batch);
        assert_eq!(verdict, self.model.check(&batch), "{batch:?}");
        if verdict == Verdict::Append {
            self.model.log.push(batch);
            self.producers.append(self.model.log.len() as u64, &batch);
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Produce { producer_id, epoch, distance, records, timestamp } => {
                self.produce(producer_id, epoch, distance, records, timestamp);
            }
            Step::Commit { entries } => {
                self.model.committed = (self.model.committed + entries).min(self.model.log.len());
                self.producers.commit(self.model.committed as u64);
            }
            Step::Truncate { entries } => {
                let len = self.model.log.len().saturating_sub(entries).max(self.model.committed);
                self.model.log.truncate(len);
                self.producers.truncate(len as u64 + 1);
            }
            Step::Reopen => {
                let saved = self.producers.encode();
                self.producers = ProducerState::decode(&saved).unwrap();
                for (index, batch) in (1..).zip(&self.model.log).skip(self.model.committed) {
                    self.producers.append(index, batch);
                }
            }
        }
    }

    /// The saved form is that of a replica which only ever saw the committed prefix.
    fn assert_function_of_committed_prefix(&self) {
        let mut fresh = ProducerState::default();
        for (index, batch) in (1..).zip(&self.model.log[..self.model.committed]) {
            fresh.append(index, batch);
        }
        fresh.commit(self.model.committed as u64);
        assert_eq!(self.producers.encode(), fresh.encode());
    }
}

proptest! {
    #[test]
    fn any_history_answers_as_the_model_and_saves_the_committed_prefix(
        steps in prop::collection::vec(step(), 1..120),
        first_sequence in prop_oneof![Just(0), Just(i32::MAX - 5), 0..100],
    ) {
        let mut run = Run { model: Model::default(), producers: ProducerState::default(), first_sequence };
        for step in &steps {
            run.step(step);
        }
        run.assert_function_of_committed_prefix();
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ProducerState::decode(&bytes);
    }
}
