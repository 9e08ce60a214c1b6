//! When a source stage sends, and what: rows at once, partials before the watermark that they count for, the watermark to every merge partition.

use super::{Fate, Groups, SourceStage, evaluate};
use crate::aggregate::Place;
use crate::expr::Failed;
use crate::partition;
use crate::plan::{Body, Emit, Over};
use crate::stage::panes::{Assigned, Key};
use crate::stage::partial::{Partial, Progress};
use crate::stage::{Due, Emission, Target};
use crate::time::NEVER;
use crate::value::Value;
use crate::window::Span;

impl SourceStage {
    /// Sends a row on, unless the rows of its time were let go.
    pub(super) fn send_row(
        &mut self,
        over: &Over,
        null_key_filtered: bool,
        row: &[Value],
        time: i64,
        place: Place,
        out: &mut Vec<Emission>,
    ) -> Result<Fate, Failed> {
        let key = &mut self.scratch.key;
        if !evaluate::key(&over.keys, null_key_filtered, row, key)? {
            return Ok(Fate::Filtered);
        }
        let sent = evaluate::sent(over, row, time, place)?;
        let only = Span { start: time, end: time.saturating_add(1) };
        if only.end.saturating_add(over.grace_ms) <= self.clock.watermark() {
            return Ok(Fate::Assigned(Assigned { late: vec![only], ..Assigned::default() }));
        }
        let key = key.as_slice().into();
        self.send(vec![(key, Partial::Row(sent))], out);
        Ok(Fate::Assigned(Assigned { windows: 1, ..Assigned::default() }))
    }

    /// Whether a window that holds `time` has ended, so that its result was shown.
    pub(super) fn is_shown(&self, time: i64) -> bool {
        match &self.groups {
            Groups::Panes(panes) => panes.has_ended(time, self.clock.watermark()),
            // A session that a row joins shows again, with other bounds.
            Groups::Sessions(_) => time < self.clock.watermark(),
            Groups::Each | Groups::Sent | Groups::Table(_) => false,
        }
    }

    /// The watermark moved: what closes is sent, and the merge is told.
    pub(super) fn moved(&mut self, out: &mut Vec<Emission>) {
        let aggregate = match &self.plan.body {
            Body::Project { .. } => return,
            // Told with the next flush: it moves with nearly every row.
            Body::Over(_) | Body::Join(_) => return self.unflushed += 1,
            Body::Aggregate(aggregate) => aggregate,
        };
        let (watermark, grace) = (self.clock.watermark(), aggregate.grace_ms);
        let on_time = aggregate.emit == Emit::OnTime;
        let edge = |time: i64| match &self.groups {
            Groups::Panes(panes) => panes.edge(time),
            Groups::Sessions(sessions) => sessions.edge(time),
            Groups::Each | Groups::Sent | Groups::Table(_) => NEVER,
        };
        let crossed = |by: i64| edge(watermark.saturating_sub(by)) > edge(self.told.saturating_sub(by));
        if self.told == NEVER || crossed(grace) || (on_time && crossed(0)) {
            self.progress(out);
        }
    }

    /// Sends what a merge needs before it hears of the watermark, then the watermark, to every merge partition.
    pub(super) fn progress(&mut self, out: &mut Vec<Emission>) {
        let watermark = self.clock.watermark();
        let mut partials = Vec::new();
        let early = match &self.plan.body {
            Body::Project { .. } => return,
            Body::Aggregate(aggregate) if aggregate.emit != Emit::OnTime => aggregate.grace_ms,
            Body::Aggregate(_) | Body::Over(_) | Body::Join(_) => 0,
        };
        match &mut self.groups {
            Groups::Panes(panes) => panes.take_due(watermark, early, &mut partials),
            Groups::Sessions(sessions) => sessions.take_all(watermark, &mut partials),
            Groups::Each | Groups::Sent | Groups::Table(_) => {}
        }
        self.send(partials, out);
        self.told = watermark;
        let progress = Progress { partition: self.partition, watermark, next_offset: self.next_offset };
        let value = Partial::Progress(progress).encode();
        for target in 0..self.targets {
            let (target, value) = (Target::Merge(target), Some(value.clone()));
            let timestamp = watermark.max(0);
            out.push(Emission { target, timestamp, key: None, value, headers: Vec::new() });
        }
    }

    pub(super) fn flush_if_full(&mut self, out: &mut Vec<Emission>) {
        if self.unflushed >= self.flush_rows {
            self.flush(out);
        }
    }

    /// Sends every change.
    pub(super) fn flush(&mut self, out: &mut Vec<Emission>) {
        if self.unflushed == 0 {
            return;
        }
        self.unflushed = 0;
        let (mut partials, watermark) = (Vec::new(), self.clock.watermark());
        match &mut self.groups {
            Groups::Panes(panes) => panes.take_all(&mut partials),
            Groups::Sessions(sessions) => sessions.take_all(watermark, &mut partials),
            Groups::Sent if watermark > self.told => return self.progress(out),
            Groups::Each | Groups::Sent | Groups::Table(_) => {}
        }
        self.send(partials, out);
    }

    pub(super) fn send(&self, partials: Vec<(Key, Partial)>, out: &mut Vec<Emission>) {
        out.extend(partials.into_iter().map(|(key, partial)| {
            let timestamp = match &partial {
                Partial::Slice { cell, .. } | Partial::Session { cell, .. } => cell.latest,
                Partial::Row(sent) => sent.time,
                Partial::Progress(progress) => progress.watermark,
                Partial::Entry(_) | Partial::Loaded { .. } => 0,
            };
            let target = Target::Merge(partition::for_key(&key, self.targets));
            let (key, value) = (Some(key.into()), Some(partial.encode()));
            Emission { target, timestamp: timestamp.max(0), key, value, headers: Vec::new() }
        }));
    }

    /// Time passed without data.
    pub fn tick(&mut self, elapsed_ms: i64, wall_ms: i64, out: &mut Vec<Emission>) {
        if let Groups::Table(_) = &self.groups {
            return;
        }
        let before = self.clock.watermark();
        self.clock.tick(elapsed_ms, wall_ms, &self.rules);
        if self.clock.watermark() != before {
            self.moved(out);
        }
        self.flush(out);
    }

    /// Moves the watermark on at once.
    pub fn advance(&mut self, watermark: i64, out: &mut Vec<Emission>) {
        if let Groups::Table(_) = &self.groups {
            return;
        }
        let before = self.clock.watermark();
        self.clock.advance(watermark);
        if self.clock.watermark() != before {
            self.moved(out);
        }
        if matches!(self.groups, Groups::Sent) {
            self.flush(out);
        }
    }

    /// What it waits for.
    pub fn due(&self) -> Due {
        if self.unflushed > 0 {
            return Due::Flush;
        }
        let watermark = self.clock.watermark();
        let waits_for = match (&self.groups, &self.plan.body) {
            (Groups::Panes(panes), Body::Aggregate(aggregate)) => {
                let on_time = aggregate.emit == Emit::OnTime;
                panes.next_edge(self.clock.latest(), watermark, aggregate.grace_ms, on_time)
            }
            (Groups::Sessions(sessions), _) => sessions.next_due(),
            (Groups::Sent, body) if self.clock.latest() != NEVER => {
                let wait_ms = match body {
                    Body::Over(over) => Some(over.grace_ms),
                    Body::Join(join) => join.wait_ms,
                    Body::Project { .. } | Body::Aggregate(_) => None,
                };
                let passed = wait_ms.map(|ms| self.clock.latest().saturating_add(ms).saturating_add(1));
                passed.filter(|&passed| passed > watermark)
            }
            _ => None,
        };
        let quiet = waits_for.and_then(|time| self.clock.quiet_until(time, &self.rules));
        quiet.map_or(Due::Nothing, Due::Quiet)
    }
}
