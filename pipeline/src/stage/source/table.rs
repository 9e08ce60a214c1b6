//! Both sides of a join, as they are sent: the stream's rows, and a table's records, each of which is the newest row of its key.

use std::sync::Arc;

use leat_protocol::records::RecordRef;

use super::{Fate, Groups, SourceStage, evaluate, named};
use crate::aggregate::Place;
use crate::codec::{Corrupt, Reader, put_value};
use crate::expr::{Expr, Failed};
use crate::format::Decoder;
use crate::partition;
use crate::plan::{Body, Join, Plan};
use crate::stage::cell::Argument;
use crate::stage::panes::Assigned;
use crate::stage::partial::{Partial, Sent};
use crate::stage::{Emission, Target};
use crate::value::Value;

/// A partition of a table.
#[derive(Debug)]
pub(super) struct Table {
    /// How many there are.
    partitions: i32,
    /// What was there when the pipeline began has been sent.
    is_loaded: bool,
}

/// A key, and what is carried of its row unless it is gone.
type Entry = (Vec<u8>, Option<Box<[Value]>>);

impl Table {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_loaded));
    }

    pub(super) fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Corrupt> {
        self.is_loaded = reader.byte()? != 0;
        Ok(())
    }
}

impl SourceStage {
    /// A stage for one of the `partitions` of a join's table.
    ///
    /// # Errors
    /// The plan joins nothing, or names what does not exist in this release.
    pub fn of_table(
        plan: Arc<Plan>,
        partition: i32,
        partitions: i32,
        targets: i32,
        wall_ms: i64,
    ) -> Result<SourceStage, String> {
        let Body::Join(join) = &plan.body else { return Err("nothing is joined".to_owned()) };
        let decoder = Decoder::new(&join.table)?;
        let groups = Groups::Table(Table { partitions, is_loaded: false });
        Ok(SourceStage::of(plan, decoder, groups, partition, targets, wall_ms))
    }

    /// The pipeline began here: what was in a table before has been sent.
    pub fn begins(&mut self, out: &mut Vec<Emission>) {
        let Groups::Table(table) = &mut self.groups else { return };
        if std::mem::replace(&mut table.is_loaded, true) {
            return;
        }
        let value = Partial::Loaded { partition: self.partition, partitions: table.partitions }.encode();
        for target in 0..self.targets {
            let (target, value) = (Target::Merge(target), Some(value.clone()));
            out.push(Emission { target, timestamp: 0, key: None, value, headers: Vec::new() });
        }
    }

    /// Takes the next record of a table.
    pub(super) fn entry(&mut self, record: &RecordRef<'_>, out: &mut Vec<Emission>) {
        self.counts.rows += 1;
        let plan = self.plan.clone();
        let Body::Join(join) = &plan.body else { return };
        match self.entry_of(join, record) {
            Ok((key, values)) => {
                self.counts.applied += 1;
                let target = Target::Merge(partition::for_key(&key, self.targets));
                let (key, value) = (Some(key), Some(Partial::Entry(values).encode()));
                out.push(Emission { target, timestamp: record.timestamp.max(0), key, value, headers: Vec::new() });
            }
            Err(reason) => self.reject(record, &format!("{}: {reason}", join.table.name), out),
        }
    }

    fn entry_of(&mut self, join: &Join, record: &RecordRef<'_>) -> Result<Entry, String> {
        let mut row = std::mem::take(&mut self.scratch.row);
        let headers = if self.decoder.needs_headers() { named(record) } else { Vec::new() };
        let is_there = self.decoder.decode_table(&self.input(record, &headers), &mut row);
        let is_there = is_there.map_err(|rejected| rejected.to_string())?;
        let mut key = Vec::new();
        for expr in &join.table_keys {
            put_value(&mut key, &*expr.eval(&row).map_err(|Failed(reason)| reason)?);
        }
        let values =
            if is_there { Some(each(&join.table_carried, &row).map_err(|Failed(reason)| reason)?) } else { None };
        self.scratch.row = row;
        Ok((key, values))
    }

    /// Sends a row of the stream on.
    pub(super) fn send_to_join(
        &mut self,
        join: &Join,
        record: &RecordRef<'_>,
        row: &[Value],
        time: i64,
        place: Place,
        out: &mut Vec<Emission>,
    ) -> Result<Fate, Failed> {
        let key = &mut self.scratch.key;
        // Null is equal to nothing.
        if !evaluate::key(&join.keys, !join.outer, row, key)? {
            return Ok(Fate::Filtered);
        }
        let mut arguments = Vec::new();
        if join.has_late() {
            // What goes aside is the record as it was.
            let bytes = |bytes: Option<&[u8]>| bytes.map_or(Value::Null, |bytes| Value::Bytes(bytes.into()));
            arguments.extend([record.key, record.value].map(|part| Argument::Value(bytes(part))));
        }
        let sent = Sent { time, place, carried: each(&join.carried, row)?, arguments: arguments.into() };
        let key = key.as_slice().into();
        self.send(vec![(key, Partial::Row(sent))], out);
        Ok(Fate::Assigned(Assigned { windows: 1, ..Assigned::default() }))
    }
}

fn each(exprs: &[Expr], row: &[Value]) -> Result<Box<[Value]>, Failed> {
    exprs.iter().map(|expr| Ok(expr.eval(row)?.into_owned())).collect()
}
