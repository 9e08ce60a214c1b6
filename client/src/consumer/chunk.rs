//! One partition's part of a fetch answer, decoded batch by batch as it is polled.

use std::collections::HashSet;

use bytes::Bytes;
use leat_protocol::messages::AbortedTransaction;
use leat_protocol::records::{self, BatchError, BatchHeader, RecordIter, Split};

use super::ConsumerRecord;
use crate::{ConsumerConfig, Error, IsolationLevel, TopicPartition};

/// A batch that decompresses to more than this is refused.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 30;

/// Whether there is more in the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    Part,
    All,
}

#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) partition: TopicPartition,
    pub(super) generation: u64,
    /// The next offset to hand out.
    pub(super) position: i64,
    /// The leader epoch of the batch before it, once one was handed out.
    pub(super) epoch: Option<i32>,
    /// Bytes that it keeps in memory.
    pub(super) bytes: usize,
    batches: Split,
    current: Option<(BatchHeader, RecordIter)>,
    aborted: Aborted,
}

impl Chunk {
    pub(super) fn new(
        partition: TopicPartition,
        generation: u64,
        position: i64,
        records: &Bytes,
        aborted: Vec<AbortedTransaction>,
    ) -> Self {
        Self {
            partition,
            generation,
            position,
            epoch: None,
            bytes: records.len(),
            batches: records::split(records),
            current: None,
            aborted: Aborted::new(aborted),
        }
    }

    /// Moves records to `out` until it has `most`, or the chunk is empty. Records before an error are there.
    pub(super) fn drain(
        &mut self,
        out: &mut Vec<ConsumerRecord>,
        most: usize,
        config: &ConsumerConfig,
    ) -> Result<Drained, Error> {
        let damaged = |partition: &TopicPartition, position: i64, error: BatchError| {
            Error::corrupt(format!("{partition} at offset {position}"), error)
        };
        loop {
            if let Some((header, records)) = &mut self.current {
                while out.len() < most {
                    let Some(record) = records.next() else { break };
                    let record = record.map_err(|error| damaged(&self.partition, self.position, error))?;
                    // A batch comes whole, even if the position lies within it.
                    if record.offset < self.position {
                        continue;
                    }
                    self.position = record.offset + 1;
                    out.push(ConsumerRecord {
                        topic: self.partition.topic.clone(),
                        partition: self.partition.partition,
                        offset: record.offset,
                        timestamp: record.timestamp,
                        timestamp_type: header.timestamp_type(),
                        leader_epoch: header.partition_leader_epoch,
                        key: record.key,
                        value: record.value,
                        headers: record.headers,
                    });
                }
                if out.len() >= most {
                    self.epoch = Some(header.partition_leader_epoch).filter(|epoch| *epoch >= 0);
                    return Ok(Drained::Part);
                }
                self.epoch = Some(header.partition_leader_epoch).filter(|epoch| *epoch >= 0);
                // Compaction may have removed the last records of a batch.
                self.position = self.position.max(header.next_offset());
                self.current = None;
            }
            let Some(next) = self.batches.next() else { return Ok(Drained::All) };
            let (header, batch) = match next {
                Ok(next) => next,
                // The answer ends within a batch: it will come whole with the next fetch.
                Err(BatchError::Truncated { .. }) => return Ok(Drained::All),
                Err(error) => return Err(damaged(&self.partition, self.position, error)),
            };
            let wanted = header.next_offset() > self.position && self.is_wanted(&header, &batch, config);
            if !wanted {
                self.position = self.position.max(header.next_offset());
                continue;
            }
            let opened = if config.check_crcs {
                records::records(&batch, DECOMPRESSED_BYTES_MAX)
            } else {
                RecordIter::new(header, &batch, DECOMPRESSED_BYTES_MAX)
            };
            let records = opened.map_err(|error| damaged(&self.partition, self.position, error))?;
            out.reserve((header.records_count.max(0) as usize).min(most - out.len()).min(batch.len()));
            self.current = Some((header, records));
        }
    }

    /// Whether the batch's records are for the program: not markers, and not of aborted transactions if those are not
    /// to be seen.
    fn is_wanted(&mut self, header: &BatchHeader, batch: &Bytes, config: &ConsumerConfig) -> bool {
        if config.isolation_level == IsolationLevel::ReadCommitted && header.has_producer() {
            self.aborted.reach(header.last_offset());
            if header.is_control() {
                if is_abort_marker(header, batch) {
                    self.aborted.end(header.producer_id);
                }
            } else if header.is_transactional() && self.aborted.contains(header.producer_id) {
                return false;
            }
        }
        !header.is_control()
    }
}

/// A control record's key is version and type, two bytes each; type 0 is an abort, 1 a commit (KIP-98).
fn is_abort_marker(header: &BatchHeader, batch: &Bytes) -> bool {
    let first = RecordIter::new(*header, batch, DECOMPRESSED_BYTES_MAX).ok().and_then(|mut records| records.next());
    let key = first.and_then(Result::ok).and_then(|record| record.key);
    key.is_some_and(|key| key.get(2..4) == Some(&[0, 0]))
}

/// Which producers have an aborted transaction open at the place that was reached.
#[derive(Debug)]
struct Aborted {
    /// Not reached yet; the one with the lowest first offset is last.
    ahead: Vec<AbortedTransaction>,
    open: HashSet<i64>,
}

impl Aborted {
    fn new(mut ahead: Vec<AbortedTransaction>) -> Self {
        ahead.sort_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
        Self { ahead, open: HashSet::new() }
    }

    fn reach(&mut self, offset: i64) {
        while let Some(next) = self.ahead.pop_if(|next| next.first_offset <= offset) {
            self.open.insert(next.producer_id);
        }
    }

    fn contains(&self, producer: i64) -> bool {
        self.open.contains(&producer)
    }

    fn end(&mut self, producer: i64) {
        self.open.remove(&producer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use leat_protocol::records::{Builder, Compression, set_base_offset};

    fn batch(base: i64, count: i64) -> Vec<u8> {
        let mut builder = Builder::new(Compression::None, None);
        for i in 0..count {
            builder.push(base + i, None, Some(format!("v{}", base + i).as_bytes()), &[]);
        }
        let mut bytes = builder.finish().unwrap().to_vec();
        set_base_offset(&mut bytes, base);
        bytes
    }

    fn chunk(position: i64, bytes: &[u8]) -> Chunk {
        Chunk::new(TopicPartition::new("t", 0), 1, position, &Bytes::copy_from_slice(bytes), Vec::new())
    }

    fn offsets(records: &[ConsumerRecord]) -> Vec<i64> {
        records.iter().map(|record| record.offset).collect()
    }

    #[test]
    fn draining_starts_within_a_batch_pauses_anywhere_and_ignores_a_cut_tail() {
        let mut bytes = BytesMut::new();
        bytes.extend(batch(10, 5));
        bytes.extend(batch(15, 3));
        bytes.extend(&batch(18, 3)[..70]);
        let mut chunk = chunk(12, &bytes);
        let config = ConsumerConfig::default();
        let mut out = Vec::new();
        assert_eq!(chunk.drain(&mut out, 2, &config).unwrap(), Drained::Part);
        assert_eq!(offsets(&out), [12, 13]);
        assert_eq!(chunk.drain(&mut out, 100, &config).unwrap(), Drained::All);
        assert_eq!(offsets(&out), [12, 13, 14, 15, 16, 17]);
        assert_eq!(chunk.position, 18);
        assert_eq!(out[0].value.as_deref(), Some(&b"v12"[..]));
    }

    #[test]
    fn a_damaged_batch_is_an_error_after_the_records_before_it() {
        let mut bytes = batch(0, 2);
        let mut bad = batch(2, 2);
        let last = bad.len() - 1;
        bad[last] ^= 1;
        bytes.extend(bad);
        let mut chunk = chunk(0, &bytes);
        let mut out = Vec::new();
        assert!(chunk.drain(&mut out, 100, &ConsumerConfig::default()).is_err());
        assert_eq!(offsets(&out), [0, 1]);
        assert_eq!(chunk.position, 2);
    }
}
