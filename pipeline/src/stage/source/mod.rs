//! The first stage: one partition of the source. Decodes rows, decides what is late, aggregates beside the log, and sends
//! partials, not rows, to the merge.

mod evaluate;
mod send;
mod table;

use std::sync::Arc;

use self::table::Table;

use leat_protocol::records::RecordRef;

use crate::aggregate::Place;
use crate::codec::{Corrupt, Reader, put_int, put_uint};
use crate::expr::Failed;
use crate::format::{Decoder, Input};
use crate::partition;
use crate::plan::{Body, Call, Emit, Plan, Window};
use crate::stage::cell::{Argument, Row};
use crate::stage::counts::Counts;
use crate::stage::encoder::Encoder;
use crate::stage::panes::{Assigned, Panes};
use crate::stage::sessions::Sessions;
use crate::stage::{Emission, FINAL_HEADER, Stopped, Target, aside};
use crate::time::{Clock, NEVER, Rules};
use crate::value::Value;
use crate::window::Slicer;

/// How rows are grouped.
#[derive(Debug)]
enum Groups {
    /// They are not: each becomes a record.
    Each,
    /// Each is sent on, with its key.
    Sent,
    Panes(Panes),
    Sessions(Sessions),
    /// They are a join's table.
    Table(Table),
}

/// The first stage of a pipeline, for one partition of its source.
#[derive(Debug)]
pub struct SourceStage {
    plan: Arc<Plan>,
    partition: i32,
    /// Of the internal topic, or of the output where nothing is grouped.
    targets: i32,
    /// Rows after which changes are flushed.
    flush_rows: u64,
    decoder: Decoder,
    encoder: Option<(Option<Encoder>, Encoder)>,
    rules: Rules,
    clock: Clock,
    groups: Groups,
    counts: Counts,
    /// Rows since the last flush of changes.
    unflushed: u64,
    /// What the merge partitions were told last.
    told: i64,
    next_offset: i64,
    scratch: Scratch,
}

/// Memory that is used again for each row.
#[derive(Debug, Default)]
struct Scratch {
    row: Vec<Value>,
    key: Vec<u8>,
    arguments: Vec<Argument>,
}

/// What becomes of one row.
enum Fate {
    Filtered,
    Rejected(String),
    Assigned(Assigned),
}

impl SourceStage {
    /// A stage that has seen nothing. `wall_ms` is the clock at which the pipeline was made, `targets` the number of partitions of
    /// the topic that it writes to.
    ///
    /// # Errors
    /// What the plan names does not exist in this release: a time zone, a format.
    pub fn new(
        plan: Arc<Plan>,
        partition: i32,
        targets: i32,
        wall_ms: i64,
        flush_rows: u64,
    ) -> Result<SourceStage, String> {
        let source = &plan.source;
        let rules = Rules { disorder_ms: source.disorder_ms, idle_ms: source.idle_ms, future_ms: source.future_ms };
        let (groups, encoder) = match &plan.body {
            Body::Project { key, value } => {
                let keyed =
                    if key.is_empty() { None } else { Some(Encoder::new(&plan.output, plan.output.key_format, key)) };
                (Groups::Each, Some((keyed, Encoder::new(&plan.output, plan.output.value_format, value))))
            }
            Body::Over(_) | Body::Join(_) => (Groups::Sent, None),
            Body::Aggregate(aggregate) => {
                let groups = match (&aggregate.window, Slicer::new(&aggregate.window)?) {
                    (Window::Session { gap_ms }, _) => Groups::Sessions(Sessions::new(*gap_ms, aggregate.grace_ms)),
                    (_, Some(slicer)) => Groups::Panes(Panes::new(slicer, aggregate.grace_ms)),
                    (_, None) => return Err("a window that is neither made of slices nor a session".to_owned()),
                };
                (groups, None)
            }
        };
        let decoder = Decoder::new(source)?;
        Ok(SourceStage {
            encoder,
            flush_rows,
            rules,
            ..SourceStage::of(plan, decoder, groups, partition, targets, wall_ms)
        })
    }

    fn of(
        plan: Arc<Plan>,
        decoder: Decoder,
        groups: Groups,
        partition: i32,
        targets: i32,
        wall_ms: i64,
    ) -> SourceStage {
        SourceStage {
            decoder,
            encoder: None,
            rules: Rules { disorder_ms: 0, idle_ms: None, future_ms: None },
            clock: Clock::new(wall_ms),
            groups,
            counts: Counts::default(),
            unflushed: 0,
            told: NEVER,
            next_offset: 0,
            scratch: Scratch::default(),
            plan,
            partition,
            targets,
            flush_rows: u64::MAX,
        }
    }

    /// What became of the rows so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The partition's watermark; [`NEVER`] while there is none.
    pub fn watermark(&self) -> i64 {
        self.clock.watermark()
    }

    /// The newest wall clock that its log told.
    pub fn wall_ms(&self) -> i64 {
        self.clock.wall_ms()
    }

    /// The offset after the last record that was applied.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Memory that its state takes, about.
    pub fn bytes(&self) -> usize {
        match &self.groups {
            Groups::Each | Groups::Sent | Groups::Table(_) => 0,
            Groups::Panes(panes) => panes.bytes(),
            Groups::Sessions(sessions) => sessions.bytes(),
        }
    }

    /// Takes the next record of the log.
    ///
    /// # Errors
    /// The pipeline has to stop.
    pub fn record(&mut self, record: &RecordRef<'_>, out: &mut Vec<Emission>) -> Result<(), Stopped> {
        self.next_offset = record.offset + 1;
        if let Groups::Table(_) = &self.groups {
            self.entry(record, out);
            return Ok(());
        }
        if self.plan.source.finals_only && !is_final(record) {
            // Also no sign of how far time is: it is that of a window which is open.
            self.counts.rows += 1;
            self.counts.filtered += 1;
            return Ok(());
        }
        let mut row = std::mem::take(&mut self.scratch.row);
        let headers = if self.decoder.needs_headers() { named(record) } else { Vec::new() };
        let decoded = self.decoder.decode(&self.input(record, &headers), &mut row);
        let done = match decoded {
            Err(rejected) => {
                self.counts.rows += 1;
                self.reject(record, &rejected.to_string(), out);
                Ok(())
            }
            Ok(()) => self.rows(record, &mut row, out),
        };
        self.scratch.row = row;
        done
    }

    fn input<'a>(&self, record: &RecordRef<'a>, headers: &'a [crate::format::Header<'a>]) -> Input<'a> {
        let (partition, offset) = (self.partition, record.offset);
        Input { key: record.key, value: record.value, headers, timestamp: record.timestamp, partition, offset }
    }

    /// One record is one row, or one for each element of an array.
    fn rows(&mut self, record: &RecordRef<'_>, row: &mut Vec<Value>, out: &mut Vec<Emission>) -> Result<(), Stopped> {
        let plan = self.plan.clone();
        let Some(explode) = &plan.explode else { return self.row(record, 0, row, out) };
        let elements = match explode.eval(row) {
            Ok(value) => value.into_owned(),
            Err(Failed(reason)) => {
                self.counts.rows += 1;
                self.reject(record, &reason, out);
                return Ok(());
            }
        };
        let Value::Array(elements) = elements else {
            self.counts.rows += 1;
            self.counts.filtered += 1;
            return Ok(());
        };
        for (at, element) in elements.into_iter().enumerate() {
            row.push(element);
            let done = self.row(record, u32::try_from(at).unwrap_or(u32::MAX), row, out);
            row.pop();
            done?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        record: &RecordRef<'_>,
        element: u32,
        row: &[Value],
        out: &mut Vec<Emission>,
    ) -> Result<(), Stopped> {
        self.counts.rows += 1;
        let plan = self.plan.clone();
        let time = match self.time_of(&plan, record, row) {
            Ok(time) => time,
            Err(reason) => {
                self.reject(record, &reason, out);
                return Ok(());
            }
        };
        let place = Place { partition: self.partition, offset: record.offset, element };
        let mut fate = self.decide(&plan, record, row, time, place, out)?;
        if matches!(&fate, Fate::Assigned(assigned) if assigned.send_first) {
            self.progress(out);
            fate = self.decide(&plan, record, row, time, place, out)?;
        }
        match fate {
            Fate::Filtered => self.counts.filtered += 1,
            Fate::Rejected(reason) => {
                self.reject(record, &reason, out);
                return Ok(());
            }
            Fate::Assigned(assigned) => self.assigned(&plan, record, time, &assigned, out),
        }
        let before = self.clock.watermark();
        self.clock.observe(time, &self.rules);
        if self.clock.watermark() != before {
            self.moved(out);
        }
        self.flush_if_full(out);
        Ok(())
    }

    /// A row's event time, or why it can't be believed.
    fn time_of(&self, plan: &Plan, record: &RecordRef<'_>, row: &[Value]) -> Result<i64, String> {
        let time = match &plan.source.event_time {
            None => record.timestamp,
            Some(expr) => {
                let time = expr.eval(row).map_err(|Failed(reason)| reason)?;
                time.as_int().ok_or("the event time is null")?
            }
        };
        if self.clock.is_future(time, &self.rules) {
            return Err(format!("the event time {time} is too far ahead of {}", self.clock.wall_ms()));
        }
        Ok(time)
    }

    /// Evaluates a row and adds it to its group. Whatever fails, fails before anything is changed.
    fn decide(
        &mut self,
        plan: &Plan,
        record: &RecordRef<'_>,
        row: &[Value],
        time: i64,
        place: Place,
        out: &mut Vec<Emission>,
    ) -> Result<Fate, Stopped> {
        if let Some(filter) = &plan.filter {
            match filter.eval(row).as_deref() {
                Ok(Value::Bool(true)) => {}
                Ok(_) => return Ok(Fate::Filtered),
                Err(Failed(reason)) => return Ok(Fate::Rejected(reason.clone())),
            }
        }
        match &plan.body {
            Body::Project { .. } => Ok(match self.project(plan, record, row, time, out) {
                Ok(()) => Fate::Assigned(Assigned { windows: 1, ..Assigned::default() }),
                Err(Failed(reason)) => Fate::Rejected(reason),
            }),
            Body::Aggregate(aggregate) => {
                let (key, arguments) = (&mut self.scratch.key, &mut self.scratch.arguments);
                let grouped = evaluate::key(&aggregate.keys, plan.source.null_key_filtered, row, key);
                let given = grouped
                    .and_then(|is_grouped| evaluate::arguments(&aggregate.calls, row, arguments).map(|()| is_grouped));
                match given {
                    Ok(true) => {}
                    Ok(false) => return Ok(Fate::Filtered),
                    Err(Failed(reason)) => return Ok(Fate::Rejected(reason)),
                }
                let (watermark, row) = (self.clock.watermark(), Row { time, place, arguments });
                Ok(Fate::Assigned(match &mut self.groups {
                    Groups::Panes(panes) => panes.add(&aggregate.calls, key, &row, watermark)?,
                    Groups::Sessions(sessions) => sessions.add(&aggregate.calls, key, &row, watermark)?,
                    Groups::Each | Groups::Sent | Groups::Table(_) => Assigned::default(),
                }))
            }
            Body::Over(over) => Ok(match self.send_row(over, plan.source.null_key_filtered, row, time, place, out) {
                Ok(fate) => fate,
                Err(Failed(reason)) => Fate::Rejected(reason),
            }),
            Body::Join(join) => Ok(match self.send_to_join(join, record, row, time, place, out) {
                Ok(fate) => fate,
                Err(Failed(reason)) => Fate::Rejected(reason),
            }),
        }
    }

    fn project(
        &mut self,
        plan: &Plan,
        record: &RecordRef<'_>,
        row: &[Value],
        time: i64,
        out: &mut Vec<Emission>,
    ) -> Result<(), Failed> {
        let (Body::Project { key, value }, Some((key_encoder, value_encoder))) = (&plan.body, &mut self.encoder) else {
            return Ok(());
        };
        let eval = |fields: &[crate::plan::Field]| {
            fields.iter().map(|field| Ok(field.expr.eval(row)?.into_owned())).collect::<Result<Vec<Value>, Failed>>()
        };
        let bytes = match key_encoder {
            None => record.key.map(<[u8]>::to_vec),
            Some(encoder) => encoder.encode(&eval(key)?),
        };
        let target = match &bytes {
            Some(bytes) => partition::for_key(bytes, self.targets),
            None => self.partition % self.targets.max(1),
        };
        let value = value_encoder.encode(&eval(value)?);
        out.push(Emission { target: Target::Output(target), timestamp: time, key: bytes, value, headers: Vec::new() });
        Ok(())
    }

    fn assigned(
        &mut self,
        plan: &Plan,
        record: &RecordRef<'_>,
        time: i64,
        assigned: &Assigned,
        out: &mut Vec<Emission>,
    ) {
        let late = assigned.late.len() as u64;
        self.counts.assigned += assigned.windows + late;
        self.counts.window_late += late;
        match (assigned.windows, late) {
            // Windows that leave gaps, and a row in a gap.
            (0, 0) => self.counts.filtered += 1,
            (0, _) => self.counts.late += 1,
            _ => self.counts.applied += 1,
        }
        if late > 0 {
            out.push(aside::late(record, self.partition, time, self.clock.watermark(), &assigned.late));
        }
        if assigned.windows == 0 {
            return;
        }
        match &plan.body {
            Body::Project { .. } | Body::Join(_) => {}
            Body::Over(_) => self.unflushed += 1,
            Body::Aggregate(aggregate) => match aggregate.emit {
                Emit::Changes => self.unflushed += 1,
                // Its window was shown already: the row is shown too.
                Emit::OnTime if self.is_shown(time) => self.progress(out),
                Emit::OnTime | Emit::Final => {}
            },
        }
    }

    fn reject(&mut self, record: &RecordRef<'_>, reason: &str, out: &mut Vec<Emission>) {
        self.counts.rejected += 1;
        out.push(aside::rejected(record, self.partition, reason));
    }

    /// The whole state: with the entries after it, it gives the same emissions again.
    pub fn save(&self, out: &mut Vec<u8>) {
        put_int(out, self.next_offset);
        put_int(out, self.told);
        put_uint(out, self.unflushed);
        self.counts.encode(out);
        self.clock.encode(out);
        match &self.groups {
            Groups::Each | Groups::Sent => {}
            Groups::Panes(panes) => panes.encode(out),
            Groups::Sessions(sessions) => sessions.encode(out),
            Groups::Table(table) => table.encode(out),
        }
    }

    /// Takes up a state that was saved.
    ///
    /// # Errors
    /// It is damaged or of another plan.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        let mut reader = Reader::new(bytes);
        (self.next_offset, self.told, self.unflushed) = (reader.int()?, reader.int()?, reader.uint()?);
        self.counts = Counts::decode(&mut reader)?;
        self.clock = Clock::decode(&mut reader)?;
        let calls: &[Call] = match &self.plan.body {
            Body::Aggregate(aggregate) => &aggregate.calls,
            Body::Project { .. } | Body::Over(_) | Body::Join(_) => &[],
        };
        match &mut self.groups {
            Groups::Each | Groups::Sent => {}
            Groups::Panes(panes) => panes.decode(calls, &mut reader)?,
            Groups::Sessions(sessions) => sessions.decode(calls, &mut reader)?,
            Groups::Table(table) => table.decode(&mut reader)?,
        }
        reader.end()
    }
}

/// Whether a record is the last of its window and key, and not that it has none.
fn is_final(record: &RecordRef<'_>) -> bool {
    let mut headers = record.headers;
    record.value.is_some() && headers.any(|header| header.key == FINAL_HEADER.as_bytes())
}

/// The headers whose names are text.
fn named<'a>(record: &RecordRef<'a>) -> Vec<crate::format::Header<'a>> {
    record.headers.filter_map(|header| Some((std::str::from_utf8(header.key).ok()?, header.value))).collect()
}
