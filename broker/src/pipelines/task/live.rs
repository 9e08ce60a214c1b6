//! A task at work: applies what the log gives, and hands on what comes out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_pipeline::stage::{Emission, Target};
use leat_protocol::records;
use tokio::sync::Notify;

use super::{Ended, Live, Machine};
use crate::partition::State;
use crate::peers::Mark;
use crate::pipelines::board::Standing;
use crate::pipelines::budget;
use crate::pipelines::entry::{Control, Stage, Switch};
use crate::pipelines::lane::Lane;
use crate::pipelines::log::{self, Entry};

/// Emissions that wait for others, in bytes, before no more entries are applied.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// How often others are told where a task stands that always has something to do.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// Between two looks whether a state that is too large may go on.
const FULL_FOR: Duration = Duration::from_millis(500);

/// How long entries are applied before others on this thread have their turn.
const TURN: Duration = Duration::from_millis(2);

impl Live<'_> {
    pub(super) async fn run(&mut self, epoch: i32) -> Ended {
        let partition = self.task.partition.clone();
        let changed = Arc::new(Notify::new());
        let _watch = partition.watch(&changed);
        self.show();
        // Where the next generation begins is an entry, too: behind everything that this one has to apply.
        let generation = self.task.pipeline.generation();
        if generation > self.generation {
            let switch = Switch { pipeline: self.task.pipeline.number, generation };
            if let Err(ended) = self.task.commit(&Control::Switch(switch)).await {
                return ended;
            }
        }
        let mut turn = Instant::now();
        loop {
            if self.is_lost(epoch) {
                return Ended::Lost;
            }
            let entries = match log::read(&partition, self.next) {
                Ok(entries) => entries,
                Err(reason) => return Ended::Stopped(reason),
            };
            if entries.is_empty() {
                self.show();
                if let Err(ended) = self.idle(&changed).await {
                    return ended;
                }
                turn = Instant::now();
                continue;
            }
            for entry in entries {
                if let Err(ended) = self.room(epoch).await {
                    return ended;
                }
                if let Err(reason) = self.apply(entry) {
                    return Ended::Stopped(reason);
                }
                if let Some(generation) = self.switches {
                    self.generation = generation;
                    return self.save_base().await.err().unwrap_or(Ended::Switched);
                }
                if turn.elapsed() > TURN {
                    tokio::task::yield_now().await;
                    turn = Instant::now();
                }
                self.wait_for_room().await;
            }
            if self.shown_at.elapsed() > SHOW_EVERY {
                self.show();
            }
            // Behind, too: what comes now lies behind a tick of now.
            if self.wall_at().is_some_and(|at| at <= Instant::now())
                && let Err(ended) = self.tick().await
            {
                return ended;
            }
            if self.is_base_due()
                && let Err(ended) = self.save_base().await
            {
                return ended;
            }
        }
    }

    fn is_lost(&self, epoch: i32) -> bool {
        let partition = &self.task.partition;
        !partition.is_settled() || partition.leader_epoch() != epoch || partition.state() != State::Open
    }

    /// Waits before the next entry for as long as the pipeline's states take more than they are allowed.
    async fn room(&mut self, epoch: i32) -> Result<(), Ended> {
        let mut waits = false;
        loop {
            let limit = self.task.server.config().leat_pipeline_state_bytes;
            if !waits && !self.budget.may_exceed(limit, || self.elsewhere()) {
                return Ok(());
            }
            self.budget.set(self.count_state_bytes() as u64);
            let bytes = self.budget.counted() + self.elsewhere();
            if bytes <= limit {
                self.show();
                return Ok(());
            }
            let pipeline = &self.task.pipeline.name;
            if !std::mem::replace(&mut waits, true) {
                let partition = self.task.partition.folder();
                tracing::warn!(pipeline, %partition, bytes, limit, "a pipeline waits: its state is too large");
            }
            self.task.board.stop(self.task.name(), budget::reason(bytes, limit));
            tokio::time::sleep(FULL_FOR).await;
            if self.is_lost(epoch) {
                return Err(Ended::Lost);
            }
        }
    }

    /// What the pipeline's other stages on this node take.
    fn elsewhere(&self) -> u64 {
        let own = self.task.name();
        let others = self.task.board.of(own.pipeline).into_iter().filter(|(name, _)| *name != own);
        others.map(|(_, standing)| standing.state_bytes).sum()
    }

    /// Applies the next entry.
    pub(super) fn apply(&mut self, entry: Entry) -> Result<(), String> {
        let mut out = Vec::new();
        match entry {
            Entry::Batch(batch) => {
                self.unsaved_bytes += batch.len() as u64;
                self.budget.give(batch.len());
                self.batch(&batch, &mut out)?;
                self.data_at = Instant::now();
                self.task.stamp.set(self.data_at);
            }
            Entry::Control(control) => self.control(&control, &mut out),
            Entry::Other => {}
        }
        self.next += 1;
        self.unsaved_entries += 1;
        self.send(out);
        self.note_changes();
        Ok(())
    }

    pub(super) fn batch(&mut self, batch: &Bytes, out: &mut Vec<Emission>) -> Result<(), String> {
        let mut each = records::records(batch, log::BATCH_BYTES_MAX).map_err(|error| error.to_string())?;
        if each.header().is_control() {
            return Ok(());
        }
        while let Some(record) = each.next_ref() {
            let record = record.map_err(|error| error.to_string())?;
            if record.offset < self.from_offset {
                continue;
            }
            self.next_offset = record.offset + 1;
            self.rows_since_tick = true;
            let done = match &mut self.machine {
                Machine::Source(stage) => stage.record(&record, out),
                Machine::Merge(stage) => stage.record(record.key, record.value, out),
            };
            done.map_err(|error| error.to_string())?;
        }
        match &mut self.machine {
            Machine::Source(_) => Ok(()),
            Machine::Merge(stage) => stage.end_of_entry(out).map_err(|error| error.to_string()),
        }
    }

    pub(super) fn control(&mut self, control: &Control, out: &mut Vec<Emission>) {
        if let Control::Switch(Switch { pipeline, generation }) = *control
            && pipeline == self.task.pipeline.number
            && generation > self.generation
        {
            self.switches = Some(generation);
        }
        let Machine::Source(stage) = &mut self.machine else { return };
        match control {
            Control::Tick(tick) => {
                stage.tick(tick.elapsed_ms, tick.wall_ms, out);
                self.rows_since_tick = false;
                self.changed_at = None;
            }
            Control::Begin(begin) if begin.pipeline == self.task.pipeline.number => stage.begins(out),
            Control::Advance(advance) if [0, self.task.pipeline.number].contains(&advance.pipeline) => {
                stage.advance(advance.watermark, out);
            }
            _ => {}
        }
    }

    pub(super) fn send(&mut self, out: Vec<Emission>) {
        for emission in out {
            let target = emission.target;
            if !self.lanes.contains_key(&target) {
                self.open_lane(target, 0);
            }
            if let Some(lane) = self.lanes.get(&target) {
                lane.push(emission);
            }
        }
    }

    pub(super) fn open_lane(&mut self, target: Target, next: u32) {
        let Some(group) = self.task.group_of(target) else { return };
        let lane = Lane::new(next);
        let sender = lane.clone().run(self.task.server.clone(), group, self.task.producer_id());
        self.senders.push(tokio::task::spawn_local(sender));
        self.lanes.insert(target, lane);
    }

    pub(super) async fn wait_for_room(&self) {
        for lane in self.lanes.values() {
            if lane.bytes() > WAITING_BYTES_MAX {
                lane.drained_to(WAITING_BYTES_MAX / 2).await;
            }
        }
    }

    /// Records that compaction has left have no entries any more.
    pub(super) async fn clean(&mut self, reader: &leat_storage::LogReader) -> Result<(), Ended> {
        let (mut offset, until) = (self.from_offset, reader.clean_end());
        while let Some((batches, next)) = log::batches(reader, offset, until).map_err(Ended::Stopped)? {
            for batch in batches {
                let mut out = Vec::new();
                self.batch(&batch, &mut out).map_err(Ended::Stopped)?;
                self.send(out);
            }
            self.wait_for_room().await;
            tokio::task::yield_now().await;
            offset = next;
        }
        Ok(())
    }

    pub(super) fn show(&mut self) {
        self.shown_at = Instant::now();
        self.budget.set(self.count_state_bytes() as u64);
        let mut standing = Standing {
            next_offset: self.next_offset,
            data_at: self.data_at,
            state_bytes: self.budget.counted(),
            ..Standing::default()
        };
        match &self.machine {
            Machine::Source(stage) => (standing.watermark, standing.counts) = (stage.watermark(), stage.counts()),
            Machine::Merge(stage) => {
                (standing.watermark, standing.merged) = (stage.watermark(), stage.counts());
                standing.open_windows = stage.open_windows();
            }
        }
        let watermark = standing.watermark;
        self.task.board.set(self.task.name(), standing);
        self.tell(Some(Mark { watermark, data_at: self.data_at }));
    }

    /// Tells other nodes how far this source partition is.
    pub(super) fn tell(&self, mark: Option<Mark>) {
        let task = self.task;
        if task.stage == Stage::Source && task.server.peers.is_clustered() {
            task.server.peers.watermarks.tell(task.pipeline.number, task.partition.index(), mark);
        }
    }

    pub(super) fn end(&mut self) {
        self.tell(None);
        self.lanes.values().for_each(Lane::end);
        self.senders.drain(..).for_each(|sender| sender.abort());
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
