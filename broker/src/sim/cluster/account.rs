//! What one group of the cluster has done and promised, over all of its replicas and all time.

use std::collections::BTreeMap;

use bytes::Bytes;
use leat_protocol::records::{BatchHeader, Record, records};

use super::super::disk::{BATCH_BYTES_MAX, Disk};
use super::super::ledger::Ledger;

/// What there is of a key: no value where it is deleted.
type Latest = BTreeMap<Bytes, (i64, Bytes)>;

#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) ledger: Ledger,
    /// The one replica that led in each term.
    leaders: BTreeMap<u64, u64>,
    /// The newest term of a leader that knew its high watermark, and that.
    watermark: (u64, i64),
    /// How far applied trims go.
    pub(super) trimmed: i64,
    /// Committed records of a keyed log, by key and in order.
    by_key: BTreeMap<Bytes, Vec<(i64, Option<Bytes>)>>,
    /// The last entry that any replica has applied, and where the log ends with it.
    entries: u64,
    end: i64,
}

impl Account {
    /// A replica applied a batch.
    pub(super) fn applied(&mut self, replica: u64, index: u64, batch: &Bytes, keyed: bool) -> Result<(), String> {
        self.ledger.applied(replica, index, batch)?;
        if index > self.entries {
            self.entries = index;
            self.end = BatchHeader::parse(batch).map_err(|error| error.to_string())?.next_offset();
            if keyed {
                for record in read(batch)? {
                    let key = record.key.unwrap_or_default();
                    self.by_key.entry(key).or_default().push((record.offset, record.value));
                }
            }
        }
        Ok(())
    }

    /// A replica leads, and knows this high watermark if it is settled.
    pub(super) fn leads(&mut self, replica: u64, term: u64, high_watermark: Option<i64>) -> Result<(), String> {
        let first = *self.leaders.entry(term).or_insert(replica);
        if first != replica {
            return Err(format!("replicas {first} and {replica} both led in term {term}"));
        }
        if let Some(offset) = high_watermark
            && term >= self.watermark.0
        {
            if offset < self.watermark.1 {
                return Err(format!("the high watermark was {} and in term {term} is {offset}", self.watermark.1));
            }
            self.watermark = (term, offset);
        }
        Ok(())
    }

    /// What a consumer gets that reads everything up to the high watermark is what was committed, as far as anybody has applied it:
    /// a leader hears of a commit before its own disk has the entry.
    pub(super) fn check(&self, disk: &dyn Disk, log_start: i64, until: i64, keyed: bool) -> Result<(), String> {
        let (batches, next) = disk.records(log_start.max(disk.begin().1), until.min(self.end))?;
        let until = until.min(self.end).min(next);
        if !keyed {
            let committed: Vec<&Bytes> = self.ledger.between(log_start.max(disk.begin().1), until).collect();
            return match batches.iter().eq(committed.iter().copied()) {
                true => Ok(()),
                false => Err(format!("{} batches are read, of {} committed", batches.len(), committed.len())),
            };
        }
        let mut found = Latest::new();
        for batch in &batches {
            for record in read(batch)? {
                let key = record.key.unwrap_or_default();
                match record.value {
                    Some(value) => drop(found.insert(key, (record.offset, value))),
                    None => drop(found.remove(&key)),
                }
            }
        }
        let latest = |(key, values): (&Bytes, &Vec<(i64, Option<Bytes>)>)| {
            let last = values.iter().rev().find(|(offset, _)| *offset < until)?;
            Some((key.clone(), (last.0, last.1.clone()?)))
        };
        let committed: Latest = self.by_key.iter().filter_map(latest).collect();
        if found == committed {
            return Ok(());
        }
        let differs = committed.iter().find(|(key, value)| found.get(*key) != Some(value));
        let extra = found.iter().find(|(key, value)| committed.get(*key) != Some(value));
        Err(format!("up to {until} a reader finds {extra:?}, and committed is {differs:?}"))
    }

    /// Whether a replica has all that is committed, and its log begins where all do.
    pub(super) fn is_in(&self, disk: &dyn Disk, log_start: i64) -> bool {
        let first_index = disk.begin().0;
        log_start == self.trimmed && self.ledger.is_in(first_index, &disk.read(first_index, disk.next_index()))
    }

    pub(super) fn end(&self) -> i64 {
        self.end
    }
}

fn read(batch: &Bytes) -> Result<Vec<Record>, String> {
    let read = records(batch, BATCH_BYTES_MAX).map_err(|error| error.to_string())?;
    read.collect::<Result<_, _>>().map_err(|error| error.to_string())
}
