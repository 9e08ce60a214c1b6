//! What becomes of one batch. The rules are those of Kafka's `Cleaner`; pure.

use std::collections::HashMap;

use bytes::Bytes;
use leat_protocol::records::{self, BatchError, BatchHeader, RecordIter, Retained};

use super::keys::Keys;

/// A batch that is larger once decompressed is kept as it is.
const DECOMPRESSED_MAX: usize = 256 << 20;

/// What a pass knows when it begins to write.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) keys: Keys,
    /// Records from here on are not in the map and stay.
    pub(super) mapped_until: i64,
    /// Where the part ends that can be cleaned: its last batch stays, so that readers pass over what was there.
    pub(super) round_end: i64,
    /// The last offset of each producer that is remembered: its batch stays, for its sequence.
    pub(super) producers: HashMap<i64, i64>,
    pub(super) now_ms: i64,
    /// Until when tombstones stay that are met for the first time.
    pub(super) horizon_ms: i64,
}

/// What becomes of a batch.
#[derive(Debug)]
pub(super) enum Verdict {
    Keep,
    Replace(Bytes),
    Drop,
}

impl Filter {
    /// Puts the keys of a batch from `from` on into the map. False where they do not all fit; `mapped_until` says how far.
    pub(super) fn map(&mut self, header: &BatchHeader, batch: &Bytes, from: i64) -> Result<bool, BatchError> {
        if !header.is_control() && header.records_count > 0 {
            let mut records = RecordIter::new(*header, batch, DECOMPRESSED_MAX)?;
            while let Some(record) = records.next_ref() {
                let record = record?;
                if record.offset >= from
                    && let Some(key) = record.key
                    && !self.keys.put(key, record.offset)
                {
                    self.mapped_until = record.offset;
                    return Ok(false);
                }
            }
        }
        self.mapped_until = header.next_offset();
        Ok(true)
    }

    /// What stays of a batch; an error where its records can't be read.
    pub(super) fn judge(&self, header: &BatchHeader, batch: &Bytes) -> Result<Verdict, BatchError> {
        if header.is_entry() {
            return Ok(Verdict::Drop);
        }
        // Transaction markers stay until there are transactions that know when they may go.
        if header.is_control() || header.base_offset >= self.mapped_until {
            return Ok(Verdict::Keep);
        }
        let retained = match header.records_count {
            0 => Retained::Nothing,
            _ => records::retain(header, batch, DECOMPRESSED_MAX, self.horizon_ms, |record| {
                record.offset >= self.mapped_until
                    || record.key.is_some_and(|key| {
                        let latest = self.keys.latest(key).is_none_or(|latest| record.offset >= latest);
                        let may_go = header.delete_horizon_ms().is_some_and(|horizon| horizon <= self.now_ms);
                        latest && (record.value.is_some() || !may_go)
                    })
            })?,
        };
        Ok(match retained {
            Retained::Whole => Verdict::Keep,
            Retained::Part(left) => Verdict::Replace(left),
            Retained::Nothing if !self.keeps_empty(header) => Verdict::Drop,
            Retained::Nothing if header.records_count == 0 => Verdict::Keep,
            Retained::Nothing => Verdict::Replace(records::without_records(header)?),
        })
    }

    fn keeps_empty(&self, header: &BatchHeader) -> bool {
        let last_of_producer =
            header.has_producer() && self.producers.get(&header.producer_id) == Some(&header.last_offset());
        last_of_producer || header.next_offset() == self.round_end
    }
}
