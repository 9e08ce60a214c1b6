//! Records on their way to one partition, encoded as they came.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use leat_protocol::Str;
use leat_protocol::records::{self, BatchError, BatchHeader, Builder, Compression};
use tokio::time::Instant;

use super::delivery::Completion;
use super::identity::ProducerId;

/// A batch's records, in the three states of its life.
#[derive(Debug)]
pub(super) enum Body {
    /// May still grow, unless its batch is closed.
    Open(Builder),
    /// Being compressed by the task that filled it.
    Sealing,
    /// As it goes over the wire.
    Sealed(Bytes),
}

/// Whose batch it is, for the broker to recognise a repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) producer: ProducerId,
    pub(super) base: i32,
}

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) body: Body,
    /// Takes no more records.
    pub(super) closed: bool,
    pub(super) completion: Arc<Completion>,
    pub(super) records: u32,
    /// Its share of `buffer.memory`.
    pub(super) reserved: usize,
    pub(super) created: Instant,
    pub(super) attempts: u32,
    /// Its place among all batches of the partition that were ever sent; given at the first attempt.
    pub(super) order: Option<u64>,
    pub(super) sequence: Option<Sequence>,
}

impl Batch {
    pub(super) fn new(builder: Builder, completion: Arc<Completion>, now: Instant) -> Self {
        Self {
            body: Body::Open(builder),
            closed: false,
            completion,
            records: 0,
            reserved: 0,
            created: now,
            attempts: 0,
            order: None,
            sequence: None,
        }
    }

    /// Bytes of the batch as it stands.
    pub(super) fn size(&self) -> usize {
        match &self.body {
            Body::Open(builder) => builder.estimated_size(),
            Body::Sealing => 0,
            Body::Sealed(bytes) => bytes.len(),
        }
    }

    /// The batch for the wire under its current sequence. Computes its checksum once per sequence.
    pub(super) fn encode(&mut self) -> Result<Bytes, BatchError> {
        let sealed = match std::mem::replace(&mut self.body, Body::Sealing) {
            Body::Open(mut builder) => {
                if let Some(Sequence { producer, base }) = self.sequence {
                    builder.set_producer(producer.id, producer.epoch, base);
                }
                builder.finish()?
            }
            Body::Sealed(bytes) => match self.sequence {
                Some(sequence) => numbered(bytes, sequence)?,
                None => bytes,
            },
            Body::Sealing => return Err(BatchError::Header("the batch is still being compressed")),
        };
        self.body = Body::Sealed(sealed.clone());
        Ok(sealed)
    }

    /// Cuts a batch that is too large for the broker into several of at most `size` bytes, or of one record each.
    pub(super) fn split(
        &mut self,
        topic: &Str,
        partition: i32,
        size: usize,
        with: (Compression, Option<i32>),
    ) -> Result<Vec<(u32, Batch)>, BatchError> {
        let whole = self.encode()?;
        let mut parts: Vec<(u32, Batch)> = Vec::new();
        let mut builder = Builder::new(with.0, with.1);
        let mut first = 0;
        let mut close = |builder: Builder, first: u32| {
            let count = builder.len() as u32;
            let mut part = Batch::new(builder, Completion::new(topic.clone(), partition), self.created);
            part.records = count;
            part.closed = true;
            // The parts divide the sequences of the whole among them, and stand where it stood.
            part.sequence = self.sequence.map(|s| Sequence { base: records::next_sequence(s.base, first as i32), ..s });
            part.order = self.order.map(|order| order + u64::from(first));
            parts.push((first, part));
        };
        for record in records::records(&whole, usize::MAX)? {
            let record = record?;
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let need = Builder::record_size(key, value, &record.headers);
            if !builder.is_empty() && builder.estimated_size() + need > size {
                let count = builder.len() as u32;
                close(std::mem::replace(&mut builder, Builder::new(with.0, with.1)), first);
                first += count;
            }
            builder.push(record.timestamp, key, value, &record.headers);
        }
        close(builder, first);
        Ok(parts)
    }
}

/// Where producer id, epoch and base sequence lie in a batch, and where its checksum lies and starts.
const PRODUCER_AT: usize = 43;
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;

/// The batch under this sequence; its bytes are only copied if somebody else still holds them.
fn numbered(bytes: Bytes, Sequence { producer, base }: Sequence) -> Result<Bytes, BatchError> {
    let header = BatchHeader::parse(&bytes)?;
    if (header.producer_id, header.producer_epoch, header.base_sequence) == (producer.id, producer.epoch, base) {
        return Ok(bytes);
    }
    let mut bytes = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    bytes[PRODUCER_AT..PRODUCER_AT + 8].copy_from_slice(&producer.id.to_be_bytes());
    bytes[PRODUCER_AT + 8..PRODUCER_AT + 10].copy_from_slice(&producer.epoch.to_be_bytes());
    bytes[PRODUCER_AT + 10..PRODUCER_AT + 14].copy_from_slice(&base.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[CRC_FROM..]);
    bytes[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: u32) -> Batch {
        let mut builder = Builder::new(Compression::None, None);
        for i in 0..records {
            builder.push(i64::from(i), None, Some(&[7; 100]), &[]);
        }
        let mut batch = Batch::new(builder, Completion::new("t".into(), 0), Instant::now());
        batch.records = records;
        batch
    }

    #[test]
    fn a_new_sequence_is_written_into_a_sealed_batch_with_a_right_checksum() {
        let mut batch = batch(3);
        let held = batch.encode().unwrap();
        for epoch in 0..3 {
            batch.sequence = Some(Sequence { producer: ProducerId { id: 77, epoch }, base: 5 });
            let bytes = batch.encode().unwrap();
            let header = records::check(&bytes).unwrap();
            assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (77, epoch, 5));
        }
        assert_eq!(BatchHeader::parse(&held).unwrap().producer_id, -1, "bytes that others hold do not change");
    }

    #[test]
    fn a_split_keeps_every_record_and_the_sequences() {
        let mut batch = batch(10);
        batch.sequence = Some(Sequence { producer: ProducerId { id: 1, epoch: 0 }, base: i32::MAX - 3 });
        let mut parts = batch.split(&"t".into(), 0, 450, (Compression::None, None)).unwrap();
        assert!(parts.len() > 1);
        let mut next = 0;
        for (first, part) in &mut parts {
            assert_eq!(*first, next);
            assert_eq!(part.sequence.unwrap().base, records::next_sequence(i32::MAX - 3, next as i32));
            let bytes = part.encode().unwrap();
            assert!(bytes.len() <= 450);
            next += records::records(&bytes, usize::MAX).unwrap().count() as u32;
        }
        assert_eq!(next, 10);
    }
}
