//! The second stage: one partition of the internal topic. Unites what all source partitions send of a group, and gives results.

mod history;
mod join;
mod over;
mod running;
mod slices;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::join::Joined;
use self::over::Rows;
use self::slices::Slices;
use crate::codec::{Corrupt, Reader, put_bytes, put_int, put_len};
use crate::plan::{Aggregate, Body, Emit, Plan, Window};
use crate::stage::cell::Cell;
use crate::stage::counts::Merged;
use crate::stage::encoder::Encoder;
use crate::stage::panes::Key;
use crate::stage::partial::{Partial, Progress};
use crate::stage::united::United;
use crate::stage::{Emission, FINAL_HEADER, Stopped, Target, header};
use crate::time::NEVER;
use crate::value::Value;
use crate::window::{Slicer, Span};

#[derive(Debug)]
enum Groups {
    Slices(Slices),
    Sessions(United),
    Rows(Box<Rows>),
    Join(Box<Joined>),
}

/// The second stage of a pipeline, for one partition.
#[derive(Debug)]
pub struct MergeStage {
    plan: Arc<Plan>,
    partition: i32,
    /// By source partition.
    sources: Vec<Progress>,
    watermark: i64,
    groups: Groups,
    counts: Merged,
    /// Results that changed since they were given last.
    changed: BTreeSet<(Span, Key)>,
    /// Results that are visible, where `HAVING` may take one back.
    visible: BTreeSet<(Span, Key)>,
    key_encoder: Encoder,
    value_encoder: Encoder,
}

impl MergeStage {
    /// A stage that has seen nothing.
    ///
    /// # Errors
    /// The plan groups nothing, or names what does not exist in this release.
    pub fn new(plan: Arc<Plan>, partition: i32, sources: i32) -> Result<MergeStage, String> {
        let groups = match &plan.body {
            Body::Project { .. } => return Err("nothing is grouped".to_owned()),
            Body::Over(_) => Groups::Rows(Box::default()),
            Body::Join(_) => Groups::Join(Box::new(Joined::new())),
            Body::Aggregate(aggregate) => match (&aggregate.window, Slicer::new(&aggregate.window)?) {
                (Window::Session { gap_ms }, _) => Groups::Sessions(United::new(*gap_ms, aggregate.grace_ms)),
                (_, Some(slicer)) => Groups::Slices(Slices::new(slicer, &aggregate.calls)),
                (_, None) => return Err("a window that is neither made of slices nor a session".to_owned()),
            },
        };
        let (key, value) = plan.body.fields();
        let untold = |partition| Progress { partition, watermark: NEVER, next_offset: 0 };
        Ok(MergeStage {
            partition,
            sources: (0..sources).map(untold).collect(),
            watermark: NEVER,
            groups,
            counts: Merged::default(),
            changed: BTreeSet::new(),
            visible: BTreeSet::new(),
            key_encoder: Encoder::new(&plan.output, plan.output.key_format, key),
            value_encoder: Encoder::new(&plan.output, plan.output.value_format, value),
            plan,
        })
    }

    /// The least watermark of all source partitions.
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// The watermark of each source partition, as told here.
    pub fn sources(&self) -> impl Iterator<Item = i64> + '_ {
        self.sources.iter().map(|source| source.watermark)
    }

    /// What became of what was sent here.
    pub fn counts(&self) -> Merged {
        self.counts
    }

    /// Windows, or sessions, that are not closed; rows that wait.
    pub fn open_windows(&self) -> usize {
        match &self.groups {
            Groups::Slices(slices) => slices.open.len(),
            Groups::Sessions(united) => united.len(),
            Groups::Rows(rows) => rows.waiting(),
            Groups::Join(joined) => joined.waiting(),
        }
    }

    /// Memory that its state takes, about.
    pub fn bytes(&self) -> usize {
        match &self.groups {
            Groups::Slices(slices) => slices.bytes(),
            Groups::Sessions(united) => united.bytes(),
            Groups::Rows(rows) => rows.bytes(),
            Groups::Join(joined) => joined.bytes(),
        }
    }

    /// Takes the next record of the internal topic.
    ///
    /// # Errors
    /// The pipeline has to stop.
    pub fn record(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, out: &mut Vec<Emission>) -> Result<(), Stopped> {
        let plan = self.plan.clone();
        let aggregate = match &plan.body {
            Body::Project { .. } => return Ok(()),
            Body::Over(over) => return self.over(over, key.unwrap_or_default(), value.unwrap_or_default(), out),
            Body::Join(join) => return self.join(join, key.unwrap_or_default(), value.unwrap_or_default(), out),
            Body::Aggregate(aggregate) => aggregate,
        };
        let partial = Partial::decode(&aggregate.calls, value.unwrap_or_default())?;
        match partial {
            Partial::Row(_) | Partial::Entry(_) | Partial::Loaded { .. } => {
                return Err(Corrupt("a row among groups").into());
            }
            Partial::Progress(progress) => self.progress(aggregate, progress, out)?,
            Partial::Slice { slice, since, cell } => {
                self.slice(aggregate, key.unwrap_or_default(), slice, since, cell)?;
                if aggregate.emit == Emit::OnTime {
                    self.give_changed(aggregate, out)?;
                }
            }
            Partial::Session { first, last, cell } => {
                self.session(aggregate, key.unwrap_or_default(), first, last, cell, out)?
            }
        }
        Ok(())
    }

    /// The records of an entry have all been taken: what they changed comes out.
    ///
    /// # Errors
    /// The pipeline has to stop.
    pub fn end_of_entry(&mut self, out: &mut Vec<Emission>) -> Result<(), Stopped> {
        let plan = self.plan.clone();
        let Body::Aggregate(aggregate) = &plan.body else { return Ok(()) };
        self.give_changed(aggregate, out)
    }

    fn slice(&mut self, aggregate: &Aggregate, key: &[u8], slice: Span, since: i64, cell: Cell) -> Result<(), Stopped> {
        let (grace, watermark) = (aggregate.grace_ms, self.watermark);
        let Groups::Slices(slices) = &mut self.groups else { return Err(Corrupt("a slice among sessions").into()) };
        let rows = cell.rows;
        self.counts.rows += rows;
        slices.add(aggregate, watermark, key, slice, since, cell)?;
        for window in slices.slicer.windows(slice) {
            if window.end < since || window.end.saturating_add(grace) <= watermark {
                continue;
            }
            self.counts.aggregated += rows;
            let shows = match aggregate.emit {
                Emit::Changes => true,
                Emit::OnTime => window.end <= watermark,
                Emit::Final => false,
            };
            if shows {
                self.changed.insert((window, key.into()));
            }
        }
        Ok(())
    }

    fn session(
        &mut self,
        aggregate: &Aggregate,
        key: &[u8],
        first: i64,
        last: i64,
        cell: Cell,
        out: &mut Vec<Emission>,
    ) -> Result<(), Stopped> {
        let watermark = self.watermark;
        let Groups::Sessions(united) = &mut self.groups else { return Err(Corrupt("a session among slices").into()) };
        self.counts.rows += cell.rows;
        self.counts.aggregated += cell.rows;
        let (now, replaced) = united.add(&aggregate.calls, key, first, last, cell)?;
        for before in replaced {
            self.changed.remove(&(before, key.into()));
            if self.visible.remove(&(before, key.into())) {
                let tombstone = self.encode_key(aggregate, key, before)?;
                out.push(self.emission(before, tombstone, None, false));
            }
        }
        let shows = match aggregate.emit {
            Emit::Changes => true,
            Emit::OnTime => now.end <= watermark,
            Emit::Final => false,
        };
        if shows {
            self.changed.insert((now, key.into()));
        }
        if aggregate.emit == Emit::OnTime {
            self.give_changed(aggregate, out)?;
            if let Groups::Sessions(united) = &mut self.groups
                && now.end <= watermark
            {
                united.set_shown(key, now);
            }
        }
        Ok(())
    }

    /// Takes what a source partition tells of its watermark; gives the least of all, where that moved.
    fn told(&mut self, progress: Progress) -> Result<Option<i64>, Corrupt> {
        let place = usize::try_from(progress.partition).map_err(|_| Corrupt("a partition"))?;
        if place >= self.sources.len() {
            // The source was given more partitions; until they are told of, they hold nothing back.
            let more = self.sources.len() as i32..=progress.partition;
            self.sources.extend(more.map(|partition| Progress {
                partition,
                watermark: self.watermark,
                next_offset: 0,
            }));
        }
        let source = &mut self.sources[place];
        source.watermark = source.watermark.max(progress.watermark);
        source.next_offset = source.next_offset.max(progress.next_offset);
        Ok(Some(self.least()).filter(|&least| least > self.watermark))
    }

    fn least(&self) -> i64 {
        self.sources.iter().map(|source| source.watermark).min().unwrap_or(NEVER)
    }

    fn progress(&mut self, aggregate: &Aggregate, progress: Progress, out: &mut Vec<Emission>) -> Result<(), Stopped> {
        let Some(least) = self.told(progress)? else { return Ok(()) };
        // What came before in this entry was not late.
        self.give_changed(aggregate, out)?;
        self.watermark = least;
        if aggregate.emit == Emit::OnTime {
            self.show_ended(aggregate, out)?;
        }
        self.close(aggregate, out)
    }

    /// Shows the windows that end now.
    fn show_ended(&mut self, aggregate: &Aggregate, out: &mut Vec<Emission>) -> Result<(), Stopped> {
        let watermark = self.watermark;
        match &mut self.groups {
            Groups::Slices(slices) => {
                while let Some(&(end, start)) = slices.unshown.first()
                    && end <= watermark
                {
                    slices.unshown.pop_first();
                    let window = Span { start, end };
                    let keys = slices.keys(window);
                    self.changed.extend(keys.into_iter().map(|key| (window, key)));
                }
            }
            Groups::Sessions(united) => self.changed.extend(united.ended(watermark)),
            Groups::Rows(_) | Groups::Join(_) => {}
        }
        self.give_changed(aggregate, out)
    }

    /// Gives the last value of windows that close, and forgets them.
    fn close(&mut self, aggregate: &Aggregate, out: &mut Vec<Emission>) -> Result<(), Stopped> {
        let (watermark, grace) = (self.watermark, aggregate.grace_ms);
        match &mut self.groups {
            Groups::Slices(_) => {
                while let Groups::Slices(slices) = &mut self.groups
                    && let Some(&(end, start)) = slices.open.first()
                    && end.saturating_add(grace) <= watermark
                {
                    slices.open.pop_first();
                    let window = Span { start, end };
                    for (key, cell) in slices.united(aggregate, window)? {
                        self.give_cell(aggregate, window, &key, &cell, true, out)?;
                    }
                }
                if let Groups::Slices(slices) = &mut self.groups {
                    slices.forget(watermark, grace);
                }
            }
            Groups::Sessions(united) => {
                for (window, key, cell) in united.take_closed(watermark) {
                    self.give_cell(aggregate, window, &key, &cell, true, out)?;
                }
            }
            Groups::Rows(_) | Groups::Join(_) => {}
        }
        Ok(())
    }

    fn give_changed(&mut self, aggregate: &Aggregate, out: &mut Vec<Emission>) -> Result<(), Stopped> {
        for (window, key) in std::mem::take(&mut self.changed) {
            self.give(aggregate, window, &key, false, out)?;
        }
        Ok(())
    }

    fn give(
        &mut self,
        aggregate: &Aggregate,
        window: Span,
        key: &[u8],
        last: bool,
        out: &mut Vec<Emission>,
    ) -> Result<(), Stopped> {
        let cell = match &self.groups {
            Groups::Slices(slices) => slices.unite(aggregate, window, key)?,
            Groups::Sessions(united) => united.cell(key, window).cloned(),
            Groups::Rows(_) | Groups::Join(_) => None,
        };
        match cell {
            Some(cell) => self.give_cell(aggregate, window, key, &cell, last, out),
            None => Ok(()),
        }
    }

    fn give_cell(
        &mut self,
        aggregate: &Aggregate,
        window: Span,
        key: &[u8],
        cell: &Cell,
        last: bool,
        out: &mut Vec<Emission>,
    ) -> Result<(), Stopped> {
        if last {
            self.counts.closed += cell.rows;
        }
        let mut row = group_row(aggregate, key, window)?;
        row.extend(cell.results(&aggregate.calls));
        // An expression that has no value for a group gives null, since no row is left to be rejected.
        let passes = match &aggregate.having {
            Some(having) => having.eval(&row).is_ok_and(|value| value.as_bool() == Some(true)),
            None => true,
        };
        let values: Vec<Value> = evaluate(&aggregate.value, &row);
        let key_bytes = self.key_encoder.encode(&evaluate(&aggregate.key, &row));
        let may_go_back = aggregate.having.is_some() || matches!(self.groups, Groups::Sessions(_));
        let name = (window, Key::from(key));
        if passes {
            if may_go_back && !last && aggregate.emit != Emit::Final {
                self.visible.insert(name);
            } else {
                self.visible.remove(&name);
            }
            let value = self.value_encoder.encode(&values);
            out.push(self.emission_at(window, cell.latest, key_bytes, value, last));
        } else if self.visible.remove(&name) {
            out.push(self.emission_at(window, cell.latest, key_bytes, None, last));
        }
        Ok(())
    }

    fn encode_key(&mut self, aggregate: &Aggregate, key: &[u8], window: Span) -> Result<Option<Vec<u8>>, Corrupt> {
        let row = group_row(aggregate, key, window)?;
        Ok(self.key_encoder.encode(&evaluate(&aggregate.key, &row)))
    }

    fn emission(&self, window: Span, key: Option<Vec<u8>>, value: Option<Vec<u8>>, last: bool) -> Emission {
        self.emission_at(window, window.end.saturating_sub(1), key, value, last)
    }

    /// A windowed result has the time of its window's last millisecond, so that windows over windows find it there.
    fn emission_at(
        &self,
        window: Span,
        latest: i64,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        last: bool,
    ) -> Emission {
        let timestamp = if window.end == i64::MAX { latest } else { window.end - 1 };
        let headers = if last { vec![header(FINAL_HEADER, 1)] } else { Vec::new() };
        Emission { target: Target::Output(self.partition), timestamp: timestamp.max(0), key, value, headers }
    }

    /// The whole state: with the entries after it, it gives the same emissions again. Only between entries.
    pub fn save(&self, out: &mut Vec<u8>) {
        put_len(out, self.sources.len());
        for source in &self.sources {
            put_int(out, source.watermark);
            put_int(out, source.next_offset);
        }
        put_int(out, self.watermark);
        self.counts.encode(out);
        put_len(out, self.visible.len());
        for (window, key) in &self.visible {
            put_int(out, window.start);
            put_int(out, window.end);
            put_bytes(out, key);
        }
        match &self.groups {
            Groups::Slices(slices) => slices.encode(out),
            Groups::Sessions(united) => united.encode(out),
            Groups::Rows(rows) => rows.encode(out),
            Groups::Join(joined) => joined.encode(out),
        }
    }

    /// Takes up a state that was saved.
    ///
    /// # Errors
    /// It is damaged or of another plan.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        let mut reader = Reader::new(bytes);
        self.sources.clear();
        for partition in 0..reader.len()? {
            let partition = i32::try_from(partition).map_err(|_| Corrupt("a partition"))?;
            self.sources.push(Progress { partition, watermark: reader.int()?, next_offset: reader.int()? });
        }
        self.watermark = reader.int()?;
        self.counts = Merged::decode(&mut reader)?;
        for _ in 0..reader.len()? {
            let window = Span { start: reader.int()?, end: reader.int()? };
            self.visible.insert((window, reader.bytes()?.into()));
        }
        let plan = self.plan.clone();
        match (&mut self.groups, &plan.body) {
            (Groups::Slices(slices), Body::Aggregate(aggregate)) => {
                slices.decode(aggregate, self.watermark, &mut reader)?
            }
            (Groups::Sessions(united), Body::Aggregate(aggregate)) => united.decode(&aggregate.calls, &mut reader)?,
            (Groups::Rows(rows), Body::Over(over)) => rows.decode(over, &mut reader)?,
            (Groups::Join(joined), Body::Join(join)) => joined.decode(join, &mut reader)?,
            _ => return Err(Corrupt("nothing is grouped")),
        }
        reader.end()
    }
}

/// The group keys and the window's bounds, which are null where there is no window.
fn group_row(aggregate: &Aggregate, key: &[u8], window: Span) -> Result<Vec<Value>, Corrupt> {
    let mut row = key_values(key, aggregate.keys.len())?;
    let bounds =
        if window.end == i64::MAX { [Value::Null, Value::Null] } else { [window.start, window.end].map(Value::Int) };
    row.extend(bounds);
    Ok(row)
}

fn key_values(key: &[u8], count: usize) -> Result<Vec<Value>, Corrupt> {
    let mut reader = Reader::new(key);
    let values = (0..count).map(|_| reader.value()).collect::<Result<Vec<Value>, Corrupt>>()?;
    reader.end()?;
    Ok(values)
}

fn evaluate(fields: &[crate::plan::Field], row: &[Value]) -> Vec<Value> {
    fields.iter().map(|field| field.expr.eval(row).map(std::borrow::Cow::into_owned).unwrap_or_default()).collect()
}
