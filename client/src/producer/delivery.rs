//! The future of one record. All records of a batch share one outcome, so a send allocates nothing for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use leat_protocol::Str;
use parking_lot::Mutex;

use super::RecordMetadata;
use crate::Error;

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The first record's offset (-1: not known) and the broker's time of append (-1: the records' own count).
    Written {
        base_offset: i64,
        append_time: i64,
    },
    Failed(Error),
    /// Some records are at fault, by their index; the others failed with them.
    Refused {
        records: Vec<(u32, Error)>,
        others: Error,
    },
    /// The batch was cut up: each part's first index, ascending.
    Split(Vec<(u32, Arc<Completion>)>),
}

/// Where a batch's outcome appears, once.
#[derive(Debug)]
pub(super) struct Completion {
    topic: Str,
    partition: i32,
    outcome: OnceLock<Outcome>,
    waiting: Mutex<Vec<Waker>>,
}

impl Completion {
    pub(super) fn new(topic: Str, partition: i32) -> Arc<Self> {
        Arc::new(Self { topic, partition, outcome: OnceLock::new(), waiting: Mutex::default() })
    }

    pub(super) fn is_set(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// The first outcome counts; later ones are ignored.
    pub(super) fn set(&self, outcome: Outcome) {
        if self.outcome.set(outcome).is_ok() {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            for waker in waiting {
                waker.wake();
            }
        }
    }

    fn poll(&self, cx: &mut Context<'_>, slot: &mut Option<usize>) -> Poll<&Outcome> {
        if let Some(outcome) = self.outcome.get() {
            return Poll::Ready(outcome);
        }
        let mut waiting = self.waiting.lock();
        // Set between the look above and the lock: nobody would wake us.
        if let Some(outcome) = self.outcome.get() {
            return Poll::Ready(outcome);
        }
        match slot.and_then(|slot| waiting.get_mut(slot)) {
            Some(waker) => waker.clone_from(cx.waker()),
            None => {
                *slot = Some(waiting.len());
                waiting.push(cx.waker().clone());
            }
        }
        Poll::Pending
    }

    /// Waits until the batch, or all that it was split into, is settled.
    pub(super) async fn settled(self: Arc<Self>) {
        let mut rest = vec![self];
        while let Some(next) = rest.pop() {
            let mut slot = None;
            let parts = std::future::poll_fn(|cx| {
                next.poll(cx, &mut slot).map(|outcome| match outcome {
                    Outcome::Split(parts) => parts.iter().map(|(_, part)| part.clone()).collect(),
                    _ => Vec::new(),
                })
            });
            rest.extend(parts.await);
        }
    }
}

/// Resolves when the record is delivered, or has failed for good. Dropping it does not cancel the record.
#[derive(Debug)]
#[must_use = "a failed delivery is seen only here"]
pub struct Delivery {
    completion: Arc<Completion>,
    index: u32,
    timestamp: i64,
    slot: Option<usize>,
}

impl Delivery {
    pub(super) fn new(completion: Arc<Completion>, index: u32, timestamp: i64) -> Self {
        Self { completion, index, timestamp, slot: None }
    }

    /// The partition that the record was given.
    pub fn partition(&self) -> i32 {
        self.completion.partition
    }

    fn result(&self, outcome: &Outcome) -> Result<RecordMetadata, Error> {
        match outcome {
            Outcome::Written { base_offset, append_time } => Ok(RecordMetadata {
                topic: self.completion.topic.clone(),
                partition: self.completion.partition,
                offset: if *base_offset < 0 { -1 } else { base_offset + i64::from(self.index) },
                timestamp: if *append_time < 0 { self.timestamp } else { *append_time },
            }),
            Outcome::Failed(error) => Err(error.clone()),
            Outcome::Refused { records, others } => {
                let own = records.iter().find(|(index, _)| *index == self.index);
                Err(own.map_or(others, |(_, error)| error).clone())
            }
            Outcome::Split(_) => Err(Error::Closed),
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let completion = self.completion.clone();
            let mut slot = self.slot;
            let polled = completion.poll(cx, &mut slot);
            self.slot = slot;
            let outcome = std::task::ready!(polled);
            let Outcome::Split(parts) = outcome else {
                return Poll::Ready(self.result(outcome));
            };
            let Some((first, part)) = parts.iter().rev().find(|(first, _)| *first <= self.index) else {
                return Poll::Ready(self.result(outcome));
            };
            self.index -= first;
            self.completion = part.clone();
            self.slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(base_offset: i64) -> Outcome {
        Outcome::Written { base_offset, append_time: -1 }
    }

    #[tokio::test]
    async fn each_record_gets_its_own_offset_from_the_shared_outcome() {
        let completion = Completion::new("t".into(), 2);
        let late = Delivery::new(completion.clone(), 7, 99);
        let waiting = tokio::spawn(Delivery::new(completion.clone(), 3, 50));
        tokio::task::yield_now().await;
        completion.set(written(100));
        completion.set(Outcome::Failed(Error::Closed));
        assert_eq!(waiting.await.unwrap().unwrap().offset, 103);
        let metadata = late.await.unwrap();
        assert_eq!((metadata.offset, metadata.partition, metadata.timestamp), (107, 2, 99));
    }

    #[tokio::test]
    async fn a_split_batch_is_followed_to_its_parts() {
        let whole = Completion::new("t".into(), 0);
        let parts = [Completion::new("t".into(), 0), Completion::new("t".into(), 0)];
        let delivery = Delivery::new(whole.clone(), 5, 0);
        let flush = tokio::spawn(whole.clone().settled());
        whole.set(Outcome::Split(vec![(0, parts[0].clone()), (4, parts[1].clone())]));
        parts[1].set(written(40));
        assert_eq!(delivery.await.unwrap().offset, 41);
        assert!(!flush.is_finished());
        parts[0].set(written(36));
        flush.await.unwrap();
    }
}
