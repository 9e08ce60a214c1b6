//! The saved form of the committed state: framed, versioned, and the same bytes for the same state.
//!
//! All integers are big-endian. A state without producers is saved as no bytes at all.
//!
//! ```text
//! u8   version (1)
//! u32  CRC-32 (IEEE) of all that follows
//! i64  the log's time, in milliseconds since the first batch it counts
//! i64  largest record timestamp so far, -1 for none
//! u32  producers, by rising id:
//!        i64  id
//!        i16  epoch
//!        i64  the log's time at its last batch
//!        i64  first offset of its open transaction, -1 for none      (transactions, always -1 in version 1)
//!        i32  coordinator epoch of its last marker, -1 for none      (transactions, always -1)
//!        u8   batches, 1 to 5, oldest first:
//!               i64  base offset
//!               i64  largest record timestamp
//!               i32  last offset delta
//!               i32  base sequence
//! u32  aborted ranges:                                               (transactions, always 0)
//!        i64  producer id, i64 first offset, i64 last offset, i64 last stable offset
//! ```

use bytes::{Buf, BufMut, Bytes};

use super::clock::Clock;
use super::overlay::Overlay;
use super::producer::{Batch, Producer, Window};
use super::{BATCHES_REMEMBERED, ProducerState, State};

const VERSION: u8 = 1;
const FRAME_BYTES: usize = 1 + 4;
const HEAD_BYTES: usize = 8 + 8 + 4;
const PRODUCER_BYTES: usize = 8 + 2 + 8 + 8 + 4 + 1;
const BATCH_BYTES: usize = 8 + 8 + 4 + 4;

const NO_TRANSACTION: i64 = -1;
const NO_COORDINATOR_EPOCH: i32 = -1;

/// Why saved producer state can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("producer state of version {found}, this release reads {VERSION}: start the release that wrote it")]
    Version { found: u8 },
    #[error("producer state has CRC {found:08x} where its bytes have {computed:08x}")]
    Crc { found: u32, computed: u32 },
    #[error("producer state ends inside {what}")]
    Truncated { what: &'static str },
    #[error("producer state has {what}")]
    Invalid { what: &'static str },
    #[error("producer state holds transactions, which this release does not know: start the release that wrote it")]
    Transactions,
}

impl ProducerState {
    /// The committed state. What is pending is in the log and is appended again from there.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let Some(state) = self.0.as_deref().filter(|state| state.remembered > 0) else {
            return Bytes::new();
        };
        let mut producers: Vec<_> = state.producers.iter().filter(|(_, producer)| !producer.is_forgotten()).collect();
        producers.sort_unstable_by_key(|&(id, _)| *id);

        let batches: usize = producers.iter().map(|(_, producer)| producer.window().as_slice().len()).sum();
        let mut out =
            Vec::with_capacity(FRAME_BYTES + HEAD_BYTES + producers.len() * PRODUCER_BYTES + batches * BATCH_BYTES + 4);
        out.put_u8(VERSION);
        out.put_u32(0);
        out.put_i64(state.clock.now_ms());
        out.put_i64(state.clock.newest());
        out.put_u32(u32::try_from(producers.len()).unwrap_or(u32::MAX));
        for (&id, producer) in producers {
            put_producer(&mut out, id, producer);
        }
        out.put_u32(0);
        let crc = crc32fast::hash(&out[FRAME_BYTES..]);
        out[1..FRAME_BYTES].copy_from_slice(&crc.to_be_bytes());
        out.into()
    }

    /// Goes into segment headers, so that replicas can be compared: the CRC of the saved form, 0 without producers.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        crc32fast::hash(&self.encode())
    }

    /// Reads what [`ProducerState::encode`] wrote.
    pub fn decode(saved: &[u8]) -> Result<Self, DecodeError> {
        if saved.is_empty() {
            return Ok(Self::default());
        }
        let mut input = saved;
        let version = get(&mut input, "its version", Buf::try_get_u8)?;
        if version != VERSION {
            return Err(DecodeError::Version { found: version });
        }
        let found = get(&mut input, "its CRC", Buf::try_get_u32)?;
        let computed = crc32fast::hash(input);
        if found != computed {
            return Err(DecodeError::Crc { found, computed });
        }
        let state = decode_state(&mut input)?;
        if !input.is_empty() {
            return Err(DecodeError::Invalid { what: "bytes after its end" });
        }
        Ok(Self((state.remembered > 0).then(|| Box::new(state))))
    }
}

fn put_producer(out: &mut Vec<u8>, id: i64, producer: &Producer) {
    out.put_i64(id);
    out.put_i16(producer.epoch());
    out.put_i64(producer.seen());
    out.put_i64(NO_TRANSACTION);
    out.put_i32(NO_COORDINATOR_EPOCH);
    let batches = producer.window().as_slice();
    out.put_u8(batches.len() as u8);
    for batch in batches {
        out.put_i64(batch.base_offset);
        out.put_i64(batch.timestamp);
        out.put_i32(batch.last_offset_delta);
        out.put_i32(batch.base_sequence);
    }
}

fn decode_state(input: &mut &[u8]) -> Result<State, DecodeError> {
    let now_ms = get(input, "its time", Buf::try_get_i64)?;
    let newest = get(input, "its time", Buf::try_get_i64)?;
    let count = get(input, "the number of producers", Buf::try_get_u32)? as usize;
    if count > input.len() / PRODUCER_BYTES {
        return Err(DecodeError::Truncated { what: "its producers" });
    }
    let mut state = State {
        producers: std::collections::HashMap::with_capacity(count),
        remembered: count,
        overlay: Overlay::default(),
        clock: Clock::restore(now_ms, newest),
    };
    let mut last_id = -1;
    for _ in 0..count {
        let (id, producer) = decode_producer(input)?;
        if id <= last_id {
            return Err(DecodeError::Invalid { what: "producer ids out of order" });
        }
        last_id = id;
        state.producers.insert(id, producer);
    }
    match get(input, "the number of aborted ranges", Buf::try_get_u32)? {
        0 => Ok(state),
        _ => Err(DecodeError::Transactions),
    }
}

fn decode_producer(input: &mut &[u8]) -> Result<(i64, Producer), DecodeError> {
    const WHAT: &str = "a producer";
    let id = get(input, WHAT, Buf::try_get_i64)?;
    let epoch = get(input, WHAT, Buf::try_get_i16)?;
    let seen_ms = get(input, WHAT, Buf::try_get_i64)?;
    let first_offset = get(input, WHAT, Buf::try_get_i64)?;
    let coordinator_epoch = get(input, WHAT, Buf::try_get_i32)?;
    if (first_offset, coordinator_epoch) != (NO_TRANSACTION, NO_COORDINATOR_EPOCH) {
        return Err(DecodeError::Transactions);
    }
    let batches = usize::from(get(input, WHAT, Buf::try_get_u8)?);
    if batches == 0 || batches > BATCHES_REMEMBERED {
        return Err(DecodeError::Invalid { what: "a producer without 1 to 5 batches" });
    }
    let mut window = Window::default();
    for _ in 0..batches {
        window.push(decode_batch(input)?);
    }
    Ok((id, Producer::restore(epoch, seen_ms, window)))
}

fn decode_batch(input: &mut &[u8]) -> Result<Batch, DecodeError> {
    const WHAT: &str = "a batch";
    let batch = Batch {
        base_offset: get(input, WHAT, Buf::try_get_i64)?,
        timestamp: get(input, WHAT, Buf::try_get_i64)?,
        last_offset_delta: get(input, WHAT, Buf::try_get_i32)?,
        base_sequence: get(input, WHAT, Buf::try_get_i32)?,
    };
    if batch.base_offset < 0 || batch.last_offset_delta < 0 || batch.base_sequence < 0 {
        return Err(DecodeError::Invalid { what: "a batch with a negative offset or sequence" });
    }
    Ok(batch)
}

fn get<'a, T, E>(
    input: &mut &'a [u8],
    what: &'static str,
    take: impl FnOnce(&mut &'a [u8]) -> Result<T, E>,
) -> Result<T, DecodeError> {
    take(input).map_err(|_| DecodeError::Truncated { what })
}
