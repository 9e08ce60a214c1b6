//! Idempotent producers: each sends its batches in order, a few in flight, and repeats them until they are answered.

use std::collections::VecDeque;

use bytes::BytesMut;
use leat_protocol::ErrorCode;
use leat_protocol::records::{BatchHeader, Builder, Compression};

use super::random::{Random, mixed};
use crate::replica::Answer;

/// Batches that a producer has in flight at most.
const IN_FLIGHT_MAX: usize = 4;
/// Steps until a batch without an answer is sent again.
const PATIENCE: u32 = 400;

/// Names a batch to whoever answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token {
    pub(super) producer: usize,
    pub(super) sequence: i32,
    /// Which time it was sent.
    attempt: u32,
}

#[derive(Debug)]
struct InFlight {
    sequence: i32,
    records: i32,
    attempt: u32,
    /// The step at which it was last sent; none where it has to be sent.
    sent: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Producer {
    number: usize,
    pub(super) id: i64,
    next_sequence: i32,
    left: u32,
    in_flight: VecDeque<InFlight>,
    /// The node that it believes to lead.
    pub(super) leader: usize,
    pub(super) repeats: u64,
    /// Records have one of so many keys; 0 for none.
    keys: usize,
    /// Who leads is guessed below this number, of which the world takes what is left by its number of nodes.
    guesses: usize,
}

impl Producer {
    pub(super) fn new(number: usize, batches: u32, keys: usize, guesses: usize) -> Self {
        Self {
            keys,
            guesses,
            number,
            id: 1000 + number as i64,
            next_sequence: 0,
            left: batches,
            in_flight: VecDeque::new(),
            leader: 0,
            repeats: 0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.left == 0 && self.in_flight.is_empty()
    }

    /// What to send now, in order.
    pub(super) fn send(&mut self, now: u32, random: &mut Random) -> Vec<(Token, BytesMut, BatchHeader)> {
        if self.in_flight.len() < IN_FLIGHT_MAX && self.left > 0 {
            let records = 1 + random.below(3) as i32;
            self.in_flight.push_back(InFlight { sequence: self.next_sequence, records, attempt: 0, sent: None });
            self.next_sequence += records;
            self.left -= 1;
        }
        let late = |batch: &InFlight| batch.sent.is_none_or(|sent| now.saturating_sub(sent) > PATIENCE);
        let Some(first) = self.in_flight.iter().position(late) else { return Vec::new() };
        if self.in_flight[first].sent.is_some() {
            self.leader = random.below(self.guesses);
        }
        // All behind the first one too, so that the order is kept whatever became of it.
        let (number, id, keys) = (self.number, self.id, self.keys);
        let mut sends = Vec::new();
        for batch in self.in_flight.iter_mut().skip(first) {
            self.repeats += u64::from(batch.attempt > 0);
            batch.attempt += 1;
            batch.sent = Some(now);
            let token = Token { producer: number, sequence: batch.sequence, attempt: batch.attempt };
            let (bytes, header) = encode(id, batch, i64::from(now), keys);
            sends.push((token, bytes, header));
        }
        sends
    }

    /// Takes an answer: the base offset of a batch that is now acknowledged.
    pub(super) fn answered(
        &mut self,
        token: Token,
        answer: &Answer,
        random: &mut Random,
    ) -> Result<Option<i64>, String> {
        let Some(at) = self.in_flight.iter().position(|batch| batch.sequence == token.sequence) else {
            return Ok(None);
        };
        match answer {
            Answer::Appended { base_offset, .. } | Answer::Duplicate { base_offset, .. } => {
                self.in_flight.remove(at);
                Ok(Some(*base_offset))
            }
            Answer::NotLeader | Answer::Refused(ErrorCode::NOT_ENOUGH_REPLICAS, _)
                if self.in_flight[at].attempt == token.attempt =>
            {
                self.leader = random.below(self.guesses);
                self.in_flight.iter_mut().for_each(|batch| batch.sent = None);
                Ok(None)
            }
            // Overtaken by its own repeats: those in front of it are sent again first.
            Answer::Refused(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, _) if at > 0 => {
                self.in_flight.iter_mut().for_each(|batch| batch.sent = None);
                Ok(None)
            }
            // Half of the voters are down while both old and new ones decide.
            Answer::Refused(ErrorCode::NOT_ENOUGH_REPLICAS, _) | Answer::NotLeader => Ok(None),
            Answer::Refused(code, reason) => {
                Err(format!("producer {} sequence {}: {code:?}, {reason}", self.id, token.sequence))
            }
        }
    }

    /// The node that it sent to is gone; it will notice.
    pub(super) fn disconnected(&mut self, random: &mut Random) {
        self.leader = random.below(self.guesses);
        self.in_flight.iter_mut().for_each(|batch| batch.sent = None);
    }
}

fn encode(id: i64, batch: &InFlight, timestamp: i64, keys: usize) -> (BytesMut, BatchHeader) {
    let mut builder = Builder::new(Compression::None, None);
    for record in 0..batch.records {
        let sequence = batch.sequence + record;
        let (key, value) = (format!("k{}", mixed(sequence as u64) as usize % keys.max(1)), format!("{id}:{sequence}"));
        // Now and then a key is deleted.
        let value = (keys == 0 || sequence % 7 != 0).then_some(value.as_bytes());
        builder.push(timestamp, (keys > 0).then_some(key.as_bytes()), value, &[]);
    }
    builder.set_producer(id, 0, batch.sequence);
    let bytes = builder.finish().expect("a batch");
    let header = BatchHeader::parse(&bytes).expect("a header");
    (BytesMut::from(&bytes[..]), header)
}
