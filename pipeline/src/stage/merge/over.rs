//! `OVER`: rows wait here until the watermark passes their time, then each is given out, once, with what the rows before it give.
//!
//! Rows of all keys go out in the order of their times, those of one time in the order of their places in the source's log. So the
//! order does not depend on how often the watermark was told.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{History, reach};
use super::{Groups, MergeStage, evaluate, key_values};
use crate::aggregate::{Full, Place};
use crate::codec::{Corrupt, Reader, put_bytes, put_len};
use crate::plan::Over;
use crate::stage::panes::{ByKey, Key};
use crate::stage::partial::{Partial, Sent};
use crate::stage::{Emission, Stopped, Target};
use crate::value::Value;

/// Rows that wait, and what each key's rows to come need of those that went out.
#[derive(Debug, Default)]
pub(super) struct Rows {
    waiting: BTreeMap<(i64, Place), (Key, Sent)>,
    histories: ByKey<History>,
    /// Where time lets histories go: one entry for each, at its end or before. A history that went on is looked at again later.
    timers: BTreeSet<(i64, Key)>,
}

impl MergeStage {
    /// Takes the next record of the internal topic of an `OVER`.
    pub(super) fn over(
        &mut self,
        over: &Over,
        key: &[u8],
        value: &[u8],
        out: &mut Vec<Emission>,
    ) -> Result<(), Stopped> {
        let Groups::Rows(rows) = &mut self.groups else { return Err(Corrupt("a row among groups").into()) };
        match Partial::decode(&[], value)? {
            Partial::Row(sent) => {
                rows.add(over, key, sent)?;
                self.counts.rows += 1;
                self.counts.aggregated += 1;
            }
            Partial::Progress(progress) => {
                if let Some(least) = self.told(progress)? {
                    self.watermark = least;
                    self.give_rows(over, out)?;
                }
            }
            Partial::Slice { .. } | Partial::Session { .. } | Partial::Entry(_) | Partial::Loaded { .. } => {
                return Err(Corrupt("what is no row among rows").into());
            }
        }
        Ok(())
    }

    /// Gives out the rows that the watermark has passed.
    fn give_rows(&mut self, over: &Over, out: &mut Vec<Emission>) -> Result<(), Stopped> {
        let passed = self.watermark.saturating_sub(over.grace_ms);
        while let Groups::Rows(rows) = &mut self.groups
            && let Some(time) = rows.next_before(passed)
        {
            for (key, values) in rows.take(over, time)? {
                self.counts.closed += 1;
                let mut row = key_values(&key, over.keys.len())?;
                row.extend(values);
                // As for groups: what has no value is null, since the row is no longer there to be rejected.
                let passes = |expr: &crate::expr::Expr| expr.eval(&row).is_ok_and(|it| it.as_bool() == Some(true));
                if !over.qualify.as_ref().is_none_or(passes) {
                    continue;
                }
                let is_keyed = !over.key.is_empty();
                let key = is_keyed.then(|| self.key_encoder.encode(&evaluate(&over.key, &row))).flatten();
                let value = self.value_encoder.encode(&evaluate(&over.value, &row));
                let target = Target::Output(self.partition);
                out.push(Emission { target, timestamp: time.max(0), key, value, headers: Vec::new() });
            }
        }
        if let Groups::Rows(rows) = &mut self.groups {
            rows.forget(over, passed);
        }
        Ok(())
    }
}

impl Rows {
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn add(&mut self, over: &Over, key: &[u8], sent: Sent) -> Result<(), Corrupt> {
        let arguments = over.frames.iter().map(|frame| frame.calls.len()).sum::<usize>() + over.lags.len();
        if sent.carried.len() != over.carried.len() || sent.arguments.len() != arguments {
            return Err(Corrupt("a row of another plan"));
        }
        self.waiting.insert((sent.time, sent.place), (key.into(), sent));
        Ok(())
    }

    /// The time of the first row that waits, if it is before `passed`.
    fn next_before(&self, passed: i64) -> Option<i64> {
        self.waiting.first_key_value().map(|(&(time, _), _)| time).filter(|&time| time < passed)
    }

    /// Takes out the rows of the first time: the key of each, and its over row behind the keys.
    fn take(&mut self, over: &Over, time: i64) -> Result<Vec<(Key, Vec<Value>)>, Full> {
        let mut taken = Vec::new();
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 == time) {
            let (key, sent) = first.remove();
            let mut row = sent.carried.into_vec();
            let history = match self.histories.get_mut(&key) {
                Some(history) => history,
                None => {
                    if let Some(reach) = reach(over) {
                        self.timers.insert((time.saturating_add(reach), key.clone()));
                    }
                    self.histories.entry(key.clone()).or_insert_with(|| History::new(over))
                }
            };
            history.push(over, time, sent.arguments, &mut row)?;
            taken.push((key, row));
        }
        // Rows of one time count for each other.
        for (key, row) in &mut taken {
            if let Some(history) = self.histories.get_mut(key) {
                history.complete(over, time, over.carried.len(), row)?;
            }
        }
        for (key, _) in &taken {
            if let Some(history) = self.histories.get_mut(key) {
                history.trim(over);
            }
        }
        Ok(taken)
    }

    /// Lets go the histories that no row from `passed` on reaches.
    fn forget(&mut self, over: &Over, passed: i64) {
        let Some(reach) = reach(over) else { return };
        while self.timers.first().is_some_and(|(time, _)| *time < passed) {
            let Some((_, key)) = self.timers.pop_first() else { return };
            let Some(history) = self.histories.get(&key) else { continue };
            let ends = history.latest().saturating_add(reach);
            if ends < passed {
                self.histories.remove(&key);
            } else {
                self.timers.insert((ends, key));
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let waiting = self.waiting.values().map(|(key, sent)| {
            key.len() + 96 + size_of_val(&*sent.carried) + size_of_val(&*sent.arguments) + texts(&sent.carried)
        });
        let histories = self.histories.iter().map(|(key, history)| 2 * key.len() + 96 + history.bytes());
        waiting.sum::<usize>() + histories.sum::<usize>()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.waiting.len());
        for (key, sent) in self.waiting.values() {
            put_bytes(out, key);
            sent.encode(out);
        }
        put_len(out, self.histories.len());
        let mut sorted: Vec<_> = self.histories.iter().collect();
        sorted.sort_unstable_by(|a, b| a.0.cmp(b.0));
        for (key, history) in sorted {
            put_bytes(out, key);
            history.encode(out);
        }
    }

    pub(super) fn decode(&mut self, over: &Over, reader: &mut Reader<'_>) -> Result<(), Corrupt> {
        for _ in 0..reader.len()? {
            let key = reader.bytes()?;
            self.add(over, key, Sent::decode(reader)?)?;
        }
        for _ in 0..reader.len()? {
            let key: Key = reader.bytes()?.into();
            let history = History::decode(over, reader)?;
            if let Some(reach) = reach(over) {
                self.timers.insert((history.latest().saturating_add(reach), key.clone()));
            }
            self.histories.insert(key, history);
        }
        Ok(())
    }
}

/// The bytes of the texts among values, about.
pub(super) fn texts(values: &[Value]) -> usize {
    values.iter().filter_map(Value::as_str).map(str::len).sum()
}
