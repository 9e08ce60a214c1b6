//! While nothing comes: the ticks and advances that this leader commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leat_pipeline::stage::Due;
use tokio::sync::Notify;

use super::{Ended, Live, Machine};
use crate::clock::now_ms;
use crate::pipelines::entry::{Advance, Control, Stage, Tick};

/// How often a quiet partition looks how far the others are.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Live<'_> {
    pub(super) fn note_changes(&mut self) {
        if let Machine::Source(stage) = &self.machine
            && stage.due() == Due::Flush
        {
            self.changed_at.get_or_insert_with(Instant::now);
        }
    }

    /// Nothing is left to apply: waits for more, and commits the tick or the advance that is due meanwhile.
    pub(super) async fn idle(&mut self, changed: &Arc<Notify>) -> Result<(), Ended> {
        let wait = self.tick_at().map(|at| at.saturating_duration_since(Instant::now()));
        let follows = self.follows_after().or_else(|| self.forwards_after());
        let wait = [wait, follows].into_iter().flatten().min().unwrap_or(Duration::from_secs(60));
        tokio::select! {
            () = self.task.partition.applied_beyond(self.next - 1) => return Ok(()),
            () = changed.notified() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        if self.tick_at().is_some_and(|at| at <= Instant::now()) {
            return self.tick().await;
        }
        self.forward().await;
        self.follow().await
    }

    /// When a tick is to be committed.
    pub(super) fn tick_at(&self) -> Option<Instant> {
        let Machine::Source(stage) = &self.machine else { return None };
        let config = self.task.server.config();
        let due = match stage.due() {
            Due::Nothing => None,
            Due::Quiet(ms) => self.task.stamp.get().checked_add(Duration::from_millis(ms.unsigned_abs())),
            Due::Flush => self.changed_at.map(|at| at + Duration::from_millis(config.leat_pipeline_flush_ms)),
        };
        let wall = self.wall_at();
        [due, wall].into_iter().flatten().min()
    }

    /// When the wall clock is to be committed: rows are believed up to some time after the newest one that the log tells, also
    /// the first after a long quiet.
    pub(super) fn wall_at(&self) -> Option<Instant> {
        let Machine::Source(stage) = &self.machine else { return None };
        if self.task.stage == Stage::Table {
            return None;
        }
        let future = self.task.pipeline.plan.source.future_ms?;
        let every = if self.rows_since_tick { (future / 4).clamp(100, 60_000) } else { (future / 2).max(100) };
        let behind = now_ms().saturating_sub(stage.wall_ms().max(self.walled_ms));
        Instant::now().checked_add(Duration::from_millis(every.saturating_sub(behind).max(0).unsigned_abs()))
    }

    pub(super) async fn tick(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.task.stamp.replace(now));
        let elapsed_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        self.walled_ms = now_ms();
        self.task.commit(&Control::Tick(Tick { elapsed_ms, wall_ms: self.walled_ms })).await
    }

    /// How long until this partition, without data, may follow the others.
    pub(super) fn follows_after(&self) -> Option<Duration> {
        if self.task.stage != Stage::Source
            || !self.task.pipeline.plan.body.is_shuffled()
            || self.task.pipeline.sources < 2
        {
            return None;
        }
        let idle = Duration::from_millis(self.task.pipeline.plan.source.idle_ms?.unsigned_abs());
        Some(idle.saturating_sub(self.data_at.elapsed()).max(LOOK_EVERY))
    }

    pub(super) async fn follow(&mut self) -> Result<(), Ended> {
        let Machine::Source(stage) = &self.machine else { return Ok(()) };
        if self.task.stage == Stage::Table {
            return Ok(());
        }
        let Some(idle) = self.task.pipeline.plan.source.idle_ms else { return Ok(()) };
        let idle = Duration::from_millis(idle.unsigned_abs());
        if self.data_at.elapsed() < idle {
            return Ok(());
        }
        let elsewhere = self.task.server.peers.watermarks.heard(self.task.pipeline.number);
        match self.task.board.follows(self.task.name(), idle, &elsewhere) {
            Some(watermark) if watermark > stage.watermark() => {
                let advance = Advance { pipeline: self.task.pipeline.number, watermark };
                self.task.commit(&Control::Advance(advance)).await
            }
            _ => Ok(()),
        }
    }
}
