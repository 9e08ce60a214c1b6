//! When a source stage sends, and what: partials before the watermark that they count for, the watermark to every merge partition.

use super::{Groups, SourceStage};
use crate::partition;
use crate::plan::{Body, Emit};
use crate::stage::panes::Key;
use crate::stage::partial::{Partial, Progress};
use crate::stage::{Due, Emission, Target};
use crate::time::NEVER;

impl SourceStage {
    /// Whether a window that holds `time` has ended, so that its result was shown.
    pub(super) fn is_shown(&self, time: i64) -> bool {
        match &self.groups {
            Groups::Panes(panes) => panes.has_ended(time, self.clock.watermark()),
            // A session that a row joins shows again, with other bounds.
            Groups::Sessions(_) => time < self.clock.watermark(),
            Groups::Each => false,
        }
    }

    /// The watermark moved: what closes is sent, and the merge is told.
    pub(super) fn moved(&mut self, out: &mut Vec<Emission>) {
        let Body::Aggregate(aggregate) = &self.plan.body else { return };
        let (watermark, grace) = (self.clock.watermark(), aggregate.grace_ms);
        let on_time = aggregate.emit == Emit::OnTime;
        let edge = |time: i64| match &self.groups {
            Groups::Panes(panes) => panes.edge(time),
            Groups::Sessions(sessions) => sessions.edge(time),
            Groups::Each => NEVER,
        };
        let crossed = |by: i64| edge(watermark.saturating_sub(by)) > edge(self.told.saturating_sub(by));
        if self.told == NEVER || crossed(grace) || (on_time && crossed(0)) {
            self.progress(out);
        }
    }

    /// Sends what a merge needs before it hears of the watermark, then the watermark, to every merge partition.
    pub(super) fn progress(&mut self, out: &mut Vec<Emission>) {
        let Body::Aggregate(aggregate) = &self.plan.body else { return };
        let watermark = self.clock.watermark();
        let early = if aggregate.emit == Emit::OnTime { 0 } else { aggregate.grace_ms };
        let mut partials = Vec::new();
        match &mut self.groups {
            Groups::Panes(panes) => panes.take_due(watermark, early, &mut partials),
            Groups::Sessions(sessions) => sessions.take_all(watermark, &mut partials),
            Groups::Each => {}
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
            Groups::Each => {}
        }
        self.send(partials, out);
    }

    pub(super) fn send(&self, partials: Vec<(Key, Partial)>, out: &mut Vec<Emission>) {
        out.extend(partials.into_iter().map(|(key, partial)| {
            let timestamp = match &partial {
                Partial::Slice { cell, .. } | Partial::Session { cell, .. } => cell.latest,
                Partial::Progress(progress) => progress.watermark,
            };
            let target = Target::Merge(partition::for_key(&key, self.targets));
            let (key, value) = (Some(key.into()), Some(partial.encode()));
            Emission { target, timestamp: timestamp.max(0), key, value, headers: Vec::new() }
        }));
    }

    /// Time passed without data.
    pub fn tick(&mut self, elapsed_ms: i64, wall_ms: i64, out: &mut Vec<Emission>) {
        let before = self.clock.watermark();
        self.clock.tick(elapsed_ms, wall_ms, &self.rules);
        if self.clock.watermark() != before {
            self.moved(out);
        }
        self.flush(out);
    }

    /// Moves the watermark on at once.
    pub fn advance(&mut self, watermark: i64, out: &mut Vec<Emission>) {
        let before = self.clock.watermark();
        self.clock.advance(watermark);
        if self.clock.watermark() != before {
            self.moved(out);
        }
    }

    /// What it waits for.
    pub fn due(&self) -> Due {
        let Body::Aggregate(aggregate) = &self.plan.body else { return Due::Nothing };
        if self.unflushed > 0 {
            return Due::Flush;
        }
        let (watermark, grace) = (self.clock.watermark(), aggregate.grace_ms);
        let waits_for = match &self.groups {
            Groups::Panes(panes) => {
                panes.next_edge(self.clock.latest(), watermark, grace, aggregate.emit == Emit::OnTime)
            }
            Groups::Sessions(sessions) => sessions.next_due(),
            Groups::Each => None,
        };
        let quiet = waits_for.and_then(|time| self.clock.quiet_until(time, &self.rules));
        quiet.map_or(Due::Nothing, Due::Quiet)
    }
}
