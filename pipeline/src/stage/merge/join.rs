//! A join: the newest row of each of a table's keys, and the stream's rows, which find theirs here in the order of this partition.
//!
//! No row finds anything before all that was in the table when the pipeline began has come. So a join over what is there already gives
//! the same, however the two were read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leat_protocol::records::Header;

use super::over::texts;
use super::{Groups, MergeStage, evaluate, key_values};
use crate::aggregate::Place;
use crate::codec::{Corrupt, Reader, put_bytes, put_int, put_len};
use crate::plan::Join;
use crate::stage::cell::Argument;
use crate::stage::panes::Key;
use crate::stage::partial::{Partial, Sent, put_values, values};
use crate::stage::{Emission, Stopped, Target, header};
use crate::value::Value;

/// The table, and the rows of the stream that wait for it.
#[derive(Debug, Default)]
pub(super) struct Joined {
    table: BTreeMap<Key, Arc<[Value]>>,
    /// Partitions of the table that have come as far as the pipeline began, of how many; none once all have.
    loading: Option<Loading>,
    /// Rows that came before the table had, in order.
    early: Vec<(Key, Sent)>,
    /// Rows that wait for theirs: by the watermark that ends it, and by key.
    waiting: BTreeMap<(i64, Place), (Key, Sent)>,
    by_key: BTreeSet<(Key, i64, Place)>,
}

#[derive(Debug, Default)]
struct Loading {
    partitions: i32,
    loaded: BTreeSet<i32>,
}

/// A row of the stream that waits no more, and what it found.
type Found = (Key, Sent, Option<Arc<[Value]>>);

impl MergeStage {
    /// Takes the next record of the internal topic of a join.
    pub(super) fn join(
        &mut self,
        join: &Join,
        key: &[u8],
        value: &[u8],
        out: &mut Vec<Emission>,
    ) -> Result<(), Stopped> {
        let watermark = self.watermark;
        let Groups::Join(joined) = &mut self.groups else { return Err(Corrupt("a join among groups").into()) };
        let found = match Partial::decode(&[], value)? {
            Partial::Row(sent) => {
                check(join.carried.len(), &sent.carried)?;
                self.counts.rows += 1;
                self.counts.aggregated += 1;
                joined.row(join, key.into(), sent, watermark).into_iter().collect()
            }
            Partial::Entry(values) => {
                values.as_deref().map_or(Ok(()), |values| check(join.table_carried.len(), values))?;
                joined.put(key.into(), values)
            }
            Partial::Loaded { partition, partitions } => {
                if !joined.loaded(partition, partitions) {
                    return Ok(());
                }
                let early = std::mem::take(&mut joined.early);
                let found = early.into_iter().filter_map(|(key, sent)| joined.row(join, key, sent, watermark));
                let found = found.collect();
                self.watermark = self.least();
                found
            }
            Partial::Progress(progress) => {
                let least = self.told(progress)?;
                let Groups::Join(joined) = &mut self.groups else { return Ok(()) };
                if let (Some(least), None) = (least, &joined.loading) {
                    self.watermark = least;
                }
                Vec::new()
            }
            Partial::Slice { .. } | Partial::Session { .. } => return Err(Corrupt("a group in a join").into()),
        };
        for (key, sent, found) in found {
            self.give_joined(join, &key, sent, found.as_deref(), out)?;
        }
        let watermark = self.watermark;
        while let Groups::Join(joined) = &mut self.groups
            && let Some((key, sent)) = joined.take_in_vain(watermark)
        {
            self.give_joined(join, &key, sent, None, out)?;
        }
        Ok(())
    }

    /// A row of the stream waits no more.
    fn give_joined(
        &mut self,
        join: &Join,
        key: &[u8],
        sent: Sent,
        found: Option<&[Value]>,
        out: &mut Vec<Emission>,
    ) -> Result<(), Stopped> {
        self.counts.closed += 1;
        if found.is_none() && !join.outer {
            self.counts.filtered += 1;
            if let Some(wait_ms) = join.wait_ms {
                out.push(self.in_vain(join, wait_ms, sent));
            }
            return Ok(());
        }
        let mut row = key_values(key, join.keys.len())?;
        row.extend(sent.carried);
        match found {
            Some(found) => row.extend_from_slice(found),
            None => row.resize(row.len() + join.table_carried.len(), Value::Null),
        }
        // As for groups: what has no value is null, since the row is no longer there to be rejected.
        let passes = |expr: &crate::expr::Expr| expr.eval(&row).is_ok_and(|it| it.as_bool() == Some(true));
        if !join.filter.as_ref().is_none_or(passes) {
            self.counts.filtered += 1;
            return Ok(());
        }
        let key = evaluate(&join.key, &row);
        // Of which the format KAFKA would make an empty one.
        let is_keyed = !key.iter().all(Value::is_null);
        let key = is_keyed.then(|| self.key_encoder.encode(&key)).flatten();
        let value = self.value_encoder.encode(&evaluate(&join.value, &row));
        let target = Target::Output(self.partition);
        out.push(Emission { target, timestamp: sent.time.max(0), key, value, headers: Vec::new() });
        Ok(())
    }

    /// The record of a row that waited in vain, for the late ones.
    fn in_vain(&self, join: &Join, wait_ms: i64, sent: Sent) -> Emission {
        let headers: Vec<Header> = vec![
            header("leat.reason", format!("no row of {} came", join.table.name)),
            header("leat.watermark", self.watermark),
            header("leat.late.ms", self.watermark.saturating_sub(sent.time.saturating_add(wait_ms))),
            header("leat.partition", sent.place.partition),
            header("leat.offset", sent.place.offset),
        ];
        let mut parts = sent.arguments.into_iter().map(|part| match part {
            Argument::Value(Value::Bytes(bytes)) => Some(bytes.into_vec()),
            _ => None,
        });
        let (key, value) = (parts.next().flatten(), parts.next().flatten());
        Emission { target: Target::Late, timestamp: sent.time.max(0), key, value, headers }
    }
}

impl Joined {
    pub(super) fn new() -> Joined {
        Joined { loading: Some(Loading::default()), ..Joined::default() }
    }

    /// Rows that wait.
    pub(super) fn waiting(&self) -> usize {
        self.early.len() + self.waiting.len()
    }

    /// Takes a row of the stream, and gives it back with what it finds, unless it has to wait.
    fn row(&mut self, join: &Join, key: Key, sent: Sent, watermark: i64) -> Option<Found> {
        if self.loading.is_some() {
            self.early.push((key, sent));
            return None;
        }
        let found = self.table.get(&key).cloned();
        let until = join.wait_ms.map(|wait_ms| sent.time.saturating_add(wait_ms));
        match until.filter(|until| found.is_none() && *until >= watermark && !is_null(&key)) {
            Some(until) => {
                self.wait(until, key, sent);
                None
            }
            None => Some((key, sent, found)),
        }
    }

    fn wait(&mut self, until: i64, key: Key, sent: Sent) {
        self.by_key.insert((key.clone(), until, sent.place));
        self.waiting.insert((until, sent.place), (key, sent));
    }

    /// Takes a row of the table, or that it is gone, and gives the rows that have waited for it.
    fn put(&mut self, key: Key, values: Option<Box<[Value]>>) -> Vec<Found> {
        let Some(values) = values else {
            self.table.remove(&key);
            return Vec::new();
        };
        let values: Arc<[Value]> = values.into();
        let mut found = Vec::new();
        let first = (key.clone(), i64::MIN, Place { partition: i32::MIN, offset: i64::MIN, element: 0 });
        while let Some((_, until, place)) = self.by_key.range(&first..).next().filter(|name| name.0 == key).cloned() {
            self.by_key.remove(&(key.clone(), until, place));
            if let Some((key, sent)) = self.waiting.remove(&(until, place)) {
                found.push((key, sent, Some(values.clone())));
            }
        }
        self.table.insert(key, values);
        found
    }

    /// A partition of the table has come as far as the pipeline began. True where it was the last of them.
    fn loaded(&mut self, partition: i32, partitions: i32) -> bool {
        let Some(loading) = &mut self.loading else { return false };
        loading.partitions = loading.partitions.max(partitions);
        loading.loaded.insert(partition);
        let is_last = i32::try_from(loading.loaded.len()).is_ok_and(|loaded| loaded >= loading.partitions);
        if is_last {
            self.loading = None;
        }
        is_last
    }

    /// The first row whose time to wait has passed.
    fn take_in_vain(&mut self, watermark: i64) -> Option<(Key, Sent)> {
        let first = self.waiting.first_entry().filter(|first| first.key().0 < watermark)?;
        let ((until, place), (key, sent)) = first.remove_entry();
        self.by_key.remove(&(key.clone(), until, place));
        Some((key, sent))
    }

    pub(super) fn bytes(&self) -> usize {
        let table = self.table.iter().map(|(key, values)| key.len() + 64 + size_of_val(&**values) + texts(values));
        let row = |key: &Key, sent: &Sent| {
            let arguments = sent.arguments.iter().map(|argument| match argument {
                Argument::Value(Value::Bytes(bytes)) => bytes.len(),
                _ => 0,
            });
            let values = size_of_val(&*sent.carried) + size_of_val(&*sent.arguments) + texts(&sent.carried);
            key.len() + 96 + values + arguments.sum::<usize>()
        };
        let early = self.early.iter().map(|(key, sent)| row(key, sent));
        let waiting = self.waiting.values().map(|(key, sent)| row(key, sent) + key.len() + 64);
        table.sum::<usize>() + early.sum::<usize>() + waiting.sum::<usize>()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.table.len());
        for (key, values) in &self.table {
            put_bytes(out, key);
            put_values(out, values);
        }
        out.push(u8::from(self.loading.is_some()));
        if let Some(loading) = &self.loading {
            put_int(out, i64::from(loading.partitions));
            put_len(out, loading.loaded.len());
            loading.loaded.iter().for_each(|&partition| put_int(out, i64::from(partition)));
        }
        put_len(out, self.early.len());
        for (key, sent) in &self.early {
            put_bytes(out, key);
            sent.encode(out);
        }
        put_len(out, self.waiting.len());
        for ((until, _), (key, sent)) in &self.waiting {
            put_int(out, *until);
            put_bytes(out, key);
            sent.encode(out);
        }
    }

    pub(super) fn decode(&mut self, join: &Join, reader: &mut Reader<'_>) -> Result<(), Corrupt> {
        let partition = |reader: &mut Reader<'_>| i32::try_from(reader.int()?).map_err(|_| Corrupt("a partition"));
        for _ in 0..reader.len()? {
            let key = reader.bytes()?.into();
            let values = values(reader)?;
            check(join.table_carried.len(), &values)?;
            self.table.insert(key, values.into());
        }
        self.loading = None;
        if reader.byte()? != 0 {
            let mut loading = Loading { partitions: partition(reader)?, loaded: BTreeSet::new() };
            for _ in 0..reader.len()? {
                loading.loaded.insert(partition(reader)?);
            }
            self.loading = Some(loading);
        }
        for _ in 0..reader.len()? {
            let key = reader.bytes()?.into();
            self.early.push((key, sent(join, reader)?));
        }
        for _ in 0..reader.len()? {
            let until = reader.int()?;
            let key = reader.bytes()?.into();
            let sent = sent(join, reader)?;
            self.wait(until, key, sent);
        }
        Ok(())
    }
}

fn sent(join: &Join, reader: &mut Reader<'_>) -> Result<Sent, Corrupt> {
    let sent = Sent::decode(reader)?;
    check(join.carried.len(), &sent.carried).map(|()| sent)
}

/// Whether there are as many values as the plan has.
fn check(count: usize, values: &[Value]) -> Result<(), Corrupt> {
    if values.len() == count { Ok(()) } else { Err(Corrupt("a row of another plan")) }
}

/// Whether a key has a null, which no row of a table is found by.
fn is_null(key: &[u8]) -> bool {
    let mut reader = Reader::new(key);
    while !reader.is_empty() {
        match reader.value() {
            Ok(Value::Null) | Err(_) => return true,
            Ok(_) => {}
        }
    }
    false
}
