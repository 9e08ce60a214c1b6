//! A partition's queue against a model of a broker and of a connection that breaks.
//!
//! The broker has Kafka's rules for sequences. Whatever breaks, its log must hold each record at most once and in order;
//! with enough time, exactly once.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use leat_protocol::records::{self, Compression, next_sequence};
use tokio::time::Instant;

use super::super::batch::Batch;
use super::super::identity::{Identity, ProducerId};
use super::{Limits, Queue, Take};
use crate::ProducerRecord;

fn limits(idempotent: bool, one_at_a_time: bool) -> Limits {
    Limits {
        batch_size: 200,
        linger: Duration::ZERO,
        delivery_timeout: Duration::from_secs(100),
        compression: Compression::None,
        level: None,
        idempotent,
        one_at_a_time,
    }
}

/// A small generator: the same seed, the same run.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % bound
    }
}

#[derive(Default)]
struct Broker {
    log: Vec<i64>,
    producer: Option<ProducerId>,
    next: i32,
    /// Base sequences of the last five batches.
    recent: VecDeque<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    Written,
    OutOfOrder,
    Refused,
    /// The connection broke.
    Lost,
}

impl Broker {
    fn produce(&mut self, bytes: &Bytes, refuse: bool) -> Answer {
        let header = records::check(bytes).unwrap();
        let producer = ProducerId { id: header.producer_id, epoch: header.producer_epoch };
        if producer.id >= 0 {
            let newer = self.producer.is_none_or(|known| known.epoch < producer.epoch);
            if self.producer == Some(producer) && self.recent.contains(&header.base_sequence) {
                return Answer::Written;
            }
            // A broker that knows nothing of a producer takes any sequence.
            let expected = match self.producer {
                None => header.base_sequence,
                Some(_) if newer => 0,
                Some(_) => self.next,
            };
            if self.producer.is_some_and(|known| known.epoch > producer.epoch) || header.base_sequence != expected {
                return Answer::OutOfOrder;
            }
            if refuse {
                return Answer::Refused;
            }
            if newer {
                self.recent.clear();
            }
            self.producer = Some(producer);
            self.next = next_sequence(header.base_sequence, header.records_count);
            self.recent.push_back(header.base_sequence);
            if self.recent.len() > 5 {
                self.recent.pop_front();
            }
        } else if refuse {
            return Answer::Refused;
        }
        let value =
            |record: records::Record| std::str::from_utf8(&record.value.unwrap()).unwrap().parse::<i64>().unwrap();
        self.log.extend(records::records(bytes, usize::MAX).unwrap().map(|record| value(record.unwrap())));
        Answer::Written
    }
}

struct Run {
    queue: Queue,
    limits: Limits,
    identity: Identity,
    broker: Broker,
    /// Sent, not seen by the broker; seen, answer not read.
    going: VecDeque<Batch>,
    coming: VecDeque<(Batch, Answer)>,
    /// What was on a connection that broke; each failure reaches the queue by itself.
    lost: VecDeque<Batch>,
    connection: u64,
    max_in_flight: usize,
    refused: i64,
}

impl Run {
    fn new(limits: Limits, max_in_flight: usize) -> Self {
        let mut identity = Identity::default();
        identity.set(ProducerId { id: 7, epoch: 0 });
        Self {
            queue: Queue::new("t".into(), 0),
            limits,
            identity,
            broker: Broker::default(),
            going: VecDeque::new(),
            coming: VecDeque::new(),
            lost: VecDeque::new(),
            connection: 0,
            max_in_flight,
            refused: 0,
        }
    }

    fn append(&mut self, value: i64) -> super::Delivery {
        let record = ProducerRecord::to("t").value(value.to_string());
        self.queue.append(&record, 0, 100, &self.limits).delivery
    }

    fn send(&mut self) -> bool {
        if self.going.len() + self.coming.len() >= self.max_in_flight {
            return false;
        }
        match self.queue.take(Instant::now(), false, self.connection, &mut self.identity, &self.limits) {
            Take::Batch(mut batch) => {
                batch.encode().unwrap();
                self.going.push_back(batch);
                true
            }
            _ => false,
        }
    }

    fn reach_broker(&mut self, refuse: bool) {
        if let Some(mut batch) = self.going.pop_front() {
            let answer = self.broker.produce(&batch.encode().unwrap(), refuse);
            self.coming.push_back((batch, answer));
        }
    }

    fn answer(&mut self) {
        if let Some(batch) = self.lost.pop_front() {
            self.settle(batch, Answer::Lost);
        } else if let Some((batch, answer)) = self.coming.pop_front() {
            self.settle(batch, answer);
        }
    }

    /// The connection breaks: everything on its way is lost, oldest first. There is a new one at once.
    fn cut(&mut self) {
        self.lost.extend(self.coming.drain(..).map(|(batch, _)| batch));
        self.lost.extend(self.going.drain(..));
        self.connection += 1;
    }

    /// The oldest batch's time is over, be it waiting or in flight.
    fn expire_oldest(&mut self) {
        let long_ago = Duration::from_secs(200);
        if let Some(flight) = self.queue.in_flight.front_mut() {
            flight.deadline -= long_ago;
        } else if let Some(front) = self.queue.waiting.front_mut() {
            front.created -= long_ago;
        }
        let expired = self.queue.expire(Instant::now(), &self.limits);
        assert!(expired.iter().all(|batch| batch.completion.is_set()));
    }

    fn settle(&mut self, batch: Batch, answer: Answer) {
        match answer {
            Answer::Written => self.queue.acknowledged(&batch),
            Answer::Refused => {
                self.refused += i64::from(batch.records);
                self.queue.refused(&batch);
            }
            Answer::OutOfOrder => {
                self.queue.out_of_order(&batch);
                self.queue.again(batch, Instant::now());
            }
            Answer::Lost => _ = self.queue.again(batch, Instant::now()),
        }
    }

    /// Lets everything arrive.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            let sent = self.send();
            self.reach_broker(false);
            self.answer();
            if !sent && self.queue.is_idle() {
                return;
            }
        }
        panic!(
            "the queue never empties: {} wait, {:?} fly, {:?}",
            self.queue.len(),
            self.queue.in_flight,
            self.queue.sequences
        );
    }
}

#[test]
fn an_idempotent_producer_writes_each_record_once_and_in_order_whatever_breaks() {
    for seed in 1..300 {
        let mut random = Random::new(seed);
        let mut run = Run::new(limits(true, false), 5);
        let mut next = 0;
        for _ in 0..400 {
            match random.below(10) {
                0..4 => {
                    drop(run.append(next));
                    next += 1;
                }
                4..6 => _ = run.send(),
                6..8 => run.reach_broker(false),
                8 => run.answer(),
                _ if random.below(4) == 0 => run.cut(),
                _ => {}
            }
        }
        run.finish();
        assert!(run.broker.log.iter().copied().eq(0..next), "seed {seed}: {:?}", run.broker.log);
    }
}

#[test]
fn a_refused_batch_is_missing_and_the_rest_keeps_its_order() {
    for seed in 1..300 {
        let mut random = Random::new(seed);
        let mut run = Run::new(limits(true, false), 5);
        let mut next = 0;
        for _ in 0..400 {
            match random.below(10) {
                0..4 => {
                    drop(run.append(next));
                    next += 1;
                }
                4..6 => _ = run.send(),
                6..8 => run.reach_broker(random.below(8) == 0),
                8 => run.answer(),
                _ => {}
            }
        }
        run.finish();
        assert!(run.broker.log.is_sorted_by(|a, b| a < b), "seed {seed}: {:?}", run.broker.log);
        assert_eq!(run.broker.log.len() as i64 + run.refused, next, "seed {seed}: only what was refused is missing");
    }
}

#[test]
fn expired_batches_never_make_others_repeat_or_change_places() {
    for seed in 1..300 {
        let mut random = Random::new(seed);
        let mut run = Run::new(limits(true, false), 5);
        let mut next = 0;
        for _ in 0..400 {
            match random.below(12) {
                0..4 => {
                    drop(run.append(next));
                    next += 1;
                }
                4..6 => _ = run.send(),
                6..8 => run.reach_broker(false),
                8 => run.answer(),
                9 => run.cut(),
                _ => run.expire_oldest(),
            }
        }
        run.finish();
        assert!(run.broker.log.is_sorted_by(|a, b| a < b), "seed {seed}: {:?}", run.broker.log);
    }
}

#[test]
fn one_request_at_a_time_keeps_the_order_without_sequences() {
    for seed in 1..100 {
        let mut random = Random::new(seed);
        let mut run = Run::new(limits(false, true), 5);
        let mut next = 0;
        for _ in 0..400 {
            match random.below(10) {
                0..4 => {
                    drop(run.append(next));
                    next += 1;
                }
                4..6 => _ = run.send(),
                6..8 => run.reach_broker(false),
                8 => run.answer(),
                _ if random.below(4) == 0 => run.cut(),
                _ => {}
            }
        }
        run.finish();
        // A lost answer makes a repeat; but no record comes after a later one for the first time.
        let mut seen = run.broker.log.clone();
        seen.dedup();
        let mut highest = -1;
        for value in seen {
            assert!(value <= highest + 1, "seed {seed}");
            highest = highest.max(value);
        }
        assert_eq!(highest, next - 1);
    }
}

#[test]
fn a_batch_waits_for_linger_unless_it_is_full_or_urgent() {
    let mut run = Run::new(limits(true, false), 5);
    run.limits.linger = Duration::from_secs(10);
    drop(run.append(1));
    let now = Instant::now();
    assert!(matches!(run.queue.take(now, false, 0, &mut run.identity, &run.limits), Take::At(at) if at > now));
    assert!(matches!(run.queue.take(now, true, 0, &mut run.identity, &run.limits), Take::Batch(_)));
    for value in 0..100 {
        drop(run.append(value));
    }
    assert!(matches!(run.queue.take(now, false, 0, &mut run.identity, &run.limits), Take::Batch(_)), "full");
}

#[test]
fn sequences_wrap_where_javas_do() {
    let mut run = Run::new(limits(true, false), 5);
    drop(run.append(0));
    run.finish();
    run.queue.sequences.as_mut().unwrap().next = i32::MAX;
    run.queue.sequences.as_mut().unwrap().acked = i32::MAX;
    run.broker.next = i32::MAX;
    run.broker.recent.clear();
    for value in 1..3 {
        drop(run.append(value));
        run.finish();
    }
    assert_eq!((run.broker.log.clone(), run.broker.next), (vec![0, 1, 2], 1));
}
