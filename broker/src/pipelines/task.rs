//! One stage of a pipeline on one partition: reads the log while this node leads it, applies, and sends what comes out.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_pipeline::plan::{Body, Plan, Start};
use leat_pipeline::stage::{Due, Emission, MergeStage, SourceStage, Target};
use leat_protocol::records;
use leat_storage::GroupId;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::board::{Board, Name, Standing};
use super::entry::{Advance, Base, Begin, Control, Stage, Tick};
use super::lane::Lane;
use super::log::{self, Entry};
use super::state;
use crate::clock::now_ms;
use crate::metadata::Topics;
use crate::partition::{Partition, State};
use crate::peers::Mark;
use crate::producers::PIPELINE_IDS;
use crate::replica::Answer;
use crate::server::Server;

/// Emissions that wait for others, in bytes, before no more entries are applied.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// The largest batch, plain, that is read.
const BATCH_BYTES_MAX: usize = 256 << 20;

/// Entries after which the state is saved again, however small they are.
const BASE_ENTRIES: u64 = 50_000;

/// Bytes of a state in one entry.
const PART_BYTES: usize = 512 << 10;

/// How long entries are applied before others on this thread have their turn.
const TURN: Duration = Duration::from_millis(2);

/// How often a quiet partition looks how far the others are.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A pipeline as all its tasks know it.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) plan: Arc<Plan>,
    pub(super) topics: Topics,
    /// Partitions of the source.
    pub(super) sources: i32,
    /// Partitions of the output, and of the internal topic.
    pub(super) outputs: i32,
    /// Partitions of the side topics.
    pub(super) sides: i32,
    pub(super) created_ms: i64,
    /// Nothing is applied, but the log is held.
    pub(super) paused: bool,
}

/// One stage on one partition.
pub(super) struct Task {
    pub(super) server: Arc<Server>,
    pub(super) board: Arc<Board>,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) stage: Stage,
    pub(super) partition: Arc<Partition>,
    /// When the last entry of the partition was written, or seen: shared by all who commit ticks to it.
    pub(super) stamp: Rc<Cell<Instant>>,
}

enum Machine {
    Source(Box<SourceStage>),
    Merge(Box<MergeStage>),
}

/// A task while its partition is led here.
struct Live<'a> {
    task: &'a Task,
    machine: Machine,
    lanes: BTreeMap<Target, Lane>,
    senders: Vec<JoinHandle<()>>,
    /// The next entry.
    next: u64,
    /// Records below it are not the pipeline's.
    from_offset: i64,
    next_offset: i64,
    unsaved_bytes: u64,
    unsaved_entries: u64,
    data_at: Instant,
    /// When the first change that waits for a flush came.
    changed_at: Option<Instant>,
    /// Rows came since the last tick.
    rows_since_tick: bool,
    /// The wall clock that this leader committed last.
    walled_ms: i64,
}

/// Why a task does not go on.
enum Ended {
    /// Another node leads, or the partition is being opened again.
    Lost,
    /// Going on would be wrong.
    Stopped(String),
}

impl Task {
    pub(super) fn name(&self) -> Name {
        Name { pipeline: self.pipeline.number, stage: self.stage, partition: self.partition.index() }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(self) {
        loop {
            self.led().await;
            if self.partition.state() == State::Deleted {
                return self.board.forget(self.name());
            }
            let epoch = self.partition.leader_epoch();
            let ended = match self.load().await {
                Ok(live) if self.pipeline.paused => {
                    live.show();
                    return std::future::pending().await;
                }
                Ok(mut live) => {
                    let ended = live.run(epoch).await;
                    live.end();
                    ended
                }
                Err(ended) => ended,
            };
            match ended {
                Ended::Lost => {
                    self.board.forget(self.name());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ended::Stopped(reason) => {
                    let pipeline = &self.pipeline.name;
                    tracing::error!(pipeline, partition = %self.partition.folder(), %reason, "a pipeline has stopped");
                    let standing =
                        self.board.of(self.pipeline.number).into_iter().find(|(name, _)| *name == self.name());
                    let standing = standing.map_or_else(Standing::default, |(_, standing)| standing);
                    self.board.set(self.name(), Standing { stopped: Some(reason), ..standing });
                    // Until it is paused and resumed, or replaced.
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Waits until the partition is open and led here.
    async fn led(&self) {
        let wakeup = Arc::new(Notify::new());
        let _watch = self.partition.watch(&wakeup);
        loop {
            self.server.shard(&self.partition).open(&self.partition).await;
            match self.partition.state() {
                State::Open if self.partition.is_settled() => return,
                State::Deleted => return,
                _ => {}
            }
            // A partition that is being opened again wakes nobody.
            let _ = tokio::time::timeout(Duration::from_millis(500), wakeup.notified()).await;
        }
    }

    fn machine(&self, wall_ms: i64) -> Result<Machine, String> {
        let pipeline = &self.pipeline;
        let (plan, partition) = (pipeline.plan.clone(), self.partition.index());
        Ok(match self.stage {
            Stage::Source => {
                let flush_rows = self.server.config().leat_pipeline_flush_rows;
                Machine::Source(Box::new(SourceStage::new(plan, partition, pipeline.outputs, wall_ms, flush_rows)?))
            }
            Stage::Merge => Machine::Merge(Box::new(MergeStage::new(plan, partition, pipeline.sources)?)),
        })
    }

    /// The state as the log gives it.
    async fn load(&self) -> Result<Live<'_>, Ended> {
        let past = log::past(&self.partition, self.pipeline.number, self.stage).map_err(Ended::Stopped)?;
        let mut live = Live {
            task: self,
            machine: self.machine(self.pipeline.created_ms).map_err(Ended::Stopped)?,
            lanes: BTreeMap::new(),
            senders: Vec::new(),
            next: 1,
            from_offset: self.partition.log_start(),
            next_offset: self.partition.log_start(),
            unsaved_bytes: 0,
            unsaved_entries: 0,
            data_at: Instant::now(),
            changed_at: None,
            rows_since_tick: false,
            walled_ms: i64::MIN,
        };
        if let Some((entry, saved)) = past.base {
            live.restore(&saved).map_err(|error| Ended::Stopped(error.to_string()))?;
            live.next = entry + 1;
        } else {
            if self.stage == Stage::Merge && self.partition.log_start() > 0 {
                return Err(Ended::Stopped("its state is lost: make the pipeline again".to_owned()));
            }
            let begin = match (self.stage, past.begin) {
                (Stage::Merge, _) => None,
                (Stage::Source, Some(begin)) => Some(begin),
                (Stage::Source, None) => Some(self.begin().await?),
            };
            if let Some(begin) = begin {
                live.from_offset = begin.offset;
                live.next_offset = begin.offset;
                live.machine = self.machine(begin.wall_ms).map_err(Ended::Stopped)?;
            }
            if let Some(reader) = self.partition.reader() {
                live.next = log::index_of(&reader, live.from_offset).map_err(Ended::Stopped)?;
                let first = reader.first_index();
                if live.next <= first && reader.clean_end() > live.from_offset {
                    live.clean(&reader).await?;
                    live.next = first;
                }
            }
        }
        let start = self.partition.log_start();
        if live.from_offset < start {
            let missed = format!("records {} to {} were deleted before they were applied", live.from_offset, start - 1);
            return Err(Ended::Stopped(format!("{missed}: make the pipeline again to go on without them")));
        }
        self.stamp.set(Instant::now());
        live.need();
        Ok(live)
    }

    /// Commits where the pipeline begins in this partition.
    async fn begin(&self) -> Result<Begin, Ended> {
        let partition = &self.partition;
        let end = partition.high_watermark();
        let offset = match &self.pipeline.plan.source.start {
            Start::Earliest | Start::Group(_) | Start::Savepoint(_) => partition.log_start(),
            Start::Latest => end,
            Start::Timestamp(timestamp) => match partition.reader() {
                Some(reader) => {
                    let found = reader.offset_for_timestamp(*timestamp, end);
                    found.map_err(|error| Ended::Stopped(error.to_string()))?.map_or(end, |found| found.offset)
                }
                None => end,
            },
            Start::Offsets(offsets) => {
                let given = offsets.iter().find(|(index, _)| *index == partition.index());
                given.map_or(partition.log_start(), |(_, offset)| (*offset).clamp(partition.log_start(), end))
            }
        };
        let begin = Begin { pipeline: self.pipeline.number, offset, wall_ms: now_ms() };
        self.commit(&Control::Begin(begin)).await?;
        Ok(begin)
    }

    async fn commit(&self, control: &Control) -> Result<(), Ended> {
        let (kind, payload) = control.encode();
        match self.server.shard(&self.partition).control(&self.partition, kind, payload).await {
            Answer::Appended { .. } | Answer::Duplicate { .. } => Ok(()),
            _ => Err(Ended::Lost),
        }
    }

    fn group_of(&self, target: Target) -> Option<GroupId> {
        let topics = &self.pipeline.topics;
        let side = self.partition.index() % self.pipeline.sides.max(1);
        let (topic_id, partition) = match target {
            Target::Merge(partition) => (topics.partials?, partition),
            Target::Output(partition) => (topics.output, partition),
            Target::Late => (topics.late?, side),
            Target::Rejected => (topics.rejected?, side),
        };
        Some(GroupId { topic_id, partition })
    }

    fn producer_id(&self) -> i64 {
        let stage = i64::from(self.stage == Stage::Merge);
        PIPELINE_IDS + (self.pipeline.number.cast_signed() << 22) + (stage << 21) + i64::from(self.partition.index())
    }
}

impl Live<'_> {
    async fn run(&mut self, epoch: i32) -> Ended {
        let partition = self.task.partition.clone();
        let changed = Arc::new(Notify::new());
        let _watch = partition.watch(&changed);
        self.show();
        let mut turn = Instant::now();
        loop {
            if !partition.is_settled() || partition.leader_epoch() != epoch || partition.state() != State::Open {
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
                if let Err(reason) = self.apply(entry) {
                    return Ended::Stopped(reason);
                }
                if turn.elapsed() > TURN {
                    tokio::task::yield_now().await;
                    turn = Instant::now();
                }
                self.wait_for_room().await;
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

    /// Applies the next entry.
    fn apply(&mut self, entry: Entry) -> Result<(), String> {
        let mut out = Vec::new();
        match entry {
            Entry::Batch(batch) => {
                self.unsaved_bytes += batch.len() as u64;
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

    fn batch(&mut self, batch: &Bytes, out: &mut Vec<Emission>) -> Result<(), String> {
        let mut each = records::records(batch, BATCH_BYTES_MAX).map_err(|error| error.to_string())?;
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

    fn control(&mut self, control: &Control, out: &mut Vec<Emission>) {
        let Machine::Source(stage) = &mut self.machine else { return };
        match control {
            Control::Tick(tick) => {
                stage.tick(tick.elapsed_ms, tick.wall_ms, out);
                self.rows_since_tick = false;
                self.changed_at = None;
            }
            Control::Advance(advance) if [0, self.task.pipeline.number].contains(&advance.pipeline) => {
                stage.advance(advance.watermark, out);
            }
            _ => {}
        }
    }

    fn send(&mut self, out: Vec<Emission>) {
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

    fn open_lane(&mut self, target: Target, next: u32) {
        let Some(group) = self.task.group_of(target) else { return };
        let lane = Lane::new(next);
        let sender = lane.clone().run(self.task.server.clone(), group, self.task.producer_id());
        self.senders.push(tokio::task::spawn_local(sender));
        self.lanes.insert(target, lane);
    }

    async fn wait_for_room(&self) {
        for lane in self.lanes.values() {
            if lane.bytes() > WAITING_BYTES_MAX {
                lane.drained_to(WAITING_BYTES_MAX / 2).await;
            }
        }
    }

    fn note_changes(&mut self) {
        if let Machine::Source(stage) = &self.machine
            && stage.due() == Due::Flush
        {
            self.changed_at.get_or_insert_with(Instant::now);
        }
    }

    /// Nothing is left to apply: waits for more, and commits the tick or the advance that is due meanwhile.
    async fn idle(&mut self, changed: &Arc<Notify>) -> Result<(), Ended> {
        let wait = self.tick_at().map(|at| at.saturating_duration_since(Instant::now()));
        let follows = self.follows_after();
        let wait = [wait, follows].into_iter().flatten().min().unwrap_or(Duration::from_secs(60));
        tokio::select! {
            () = self.task.partition.applied_beyond(self.next - 1) => return Ok(()),
            () = changed.notified() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        if self.tick_at().is_some_and(|at| at <= Instant::now()) {
            return self.tick().await;
        }
        self.follow().await
    }

    /// When a tick is to be committed.
    fn tick_at(&self) -> Option<Instant> {
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
    fn wall_at(&self) -> Option<Instant> {
        let Machine::Source(stage) = &self.machine else { return None };
        let future = self.task.pipeline.plan.source.future_ms?;
        let every = if self.rows_since_tick { (future / 4).clamp(100, 60_000) } else { (future / 2).max(100) };
        let behind = now_ms().saturating_sub(stage.wall_ms().max(self.walled_ms));
        Instant::now().checked_add(Duration::from_millis(every.saturating_sub(behind).max(0).unsigned_abs()))
    }

    async fn tick(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.task.stamp.replace(now));
        let elapsed_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        self.walled_ms = now_ms();
        self.task.commit(&Control::Tick(Tick { elapsed_ms, wall_ms: self.walled_ms })).await
    }

    /// How long until this partition, without data, may follow the others.
    fn follows_after(&self) -> Option<Duration> {
        let Machine::Source(_) = &self.machine else { return None };
        if !matches!(self.task.pipeline.plan.body, Body::Aggregate(_)) || self.task.pipeline.sources < 2 {
            return None;
        }
        let idle = Duration::from_millis(self.task.pipeline.plan.source.idle_ms?.unsigned_abs());
        Some(idle.saturating_sub(self.data_at.elapsed()).max(LOOK_EVERY))
    }

    async fn follow(&mut self) -> Result<(), Ended> {
        let Machine::Source(stage) = &self.machine else { return Ok(()) };
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

    fn is_base_due(&self) -> bool {
        let (state, every) = (self.state_bytes() as u64, self.task.server.config().leat_pipeline_base_bytes);
        self.unsaved_bytes >= every.max(4 * state) || self.unsaved_entries >= BASE_ENTRIES
    }

    fn state_bytes(&self) -> usize {
        match &self.machine {
            Machine::Source(stage) => stage.bytes(),
            Machine::Merge(stage) => stage.bytes(),
        }
    }

    /// Writes the state into the log, once everything that came out before has been taken.
    async fn save_base(&mut self) -> Result<(), Ended> {
        let saved = self.save();
        let (entry, upto) = (self.next - 1, self.next_offset);
        (self.unsaved_bytes, self.unsaved_entries) = (0, 0);
        for lane in self.lanes.values() {
            lane.drained_to(0).await;
        }
        let task = self.task;
        let parts = saved.len().div_ceil(PART_BYTES).max(1);
        for part in 0..parts {
            let state = saved.slice(part * PART_BYTES..((part + 1) * PART_BYTES).min(saved.len()));
            let (pipeline, stage) = (task.pipeline.number, task.stage);
            let (part, parts) = (u32::try_from(part).unwrap_or(0), u32::try_from(parts).unwrap_or(0));
            task.commit(&Control::Base(Base { pipeline, stage, entry, part, parts, state })).await?;
        }
        self.from_offset = upto;
        self.need();
        if task.stage == Stage::Merge {
            // Its own topic holds nothing else that is needed before.
            task.server.shard(&task.partition).trim(&task.partition, self.needed_from()).await;
        }
        Ok(())
    }

    fn save(&self) -> Bytes {
        let lanes = self.lanes.iter().map(|(target, lane)| (*target, lane.next()));
        let mut out = state::encode(lanes, self.next_offset);
        match &self.machine {
            Machine::Source(stage) => stage.save(&mut out),
            Machine::Merge(stage) => stage.save(&mut out),
        }
        Bytes::from(out)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let (head, rest) = state::decode(saved).ok_or("the base has a head of another release")?;
        (self.from_offset, self.next_offset) = (head.next_offset, head.next_offset);
        for (target, next) in head.lanes {
            self.open_lane(target, next);
        }
        let restored = match &mut self.machine {
            Machine::Source(stage) => stage.restore(rest),
            Machine::Merge(stage) => stage.restore(rest),
        };
        restored.map_err(|error| error.to_string())
    }

    /// Records that compaction has left have no entries any more.
    async fn clean(&mut self, reader: &leat_storage::LogReader) -> Result<(), Ended> {
        let until = reader.clean_end();
        let mut offset = self.from_offset;
        while offset < until {
            let stop = |error: leat_storage::Error| Ended::Stopped(error.to_string());
            let slice = reader.read(offset, until, 1 << 20, true).map_err(stop)?;
            for range in slice.ranges {
                let mut bytes = range.read_to_bytes().map_err(stop)?;
                while !bytes.is_empty() {
                    let header = records::BatchHeader::parse(&bytes).map_err(|e| Ended::Stopped(e.to_string()))?;
                    let batch = bytes.split_to(header.size().min(bytes.len()));
                    let mut out = Vec::new();
                    self.batch(&batch, &mut out).map_err(Ended::Stopped)?;
                    self.send(out);
                }
                self.wait_for_room().await;
                tokio::task::yield_now().await;
            }
            if slice.next_offset <= offset {
                break;
            }
            offset = slice.next_offset;
        }
        Ok(())
    }

    /// Holds back retention, at what a restart reads again.
    fn need(&self) {
        let task = self.task;
        let least = task.board.need(task.partition.group, task.name(), Some(self.needed_from()));
        task.partition.hold_from(least);
    }

    /// What must stay of the log. The base, or the beginning, lies behind the last record before it, in a segment that would go with
    /// all its records: so that record stays.
    fn needed_from(&self) -> i64 {
        (self.from_offset - 1).max(0)
    }

    fn show(&self) {
        let (watermark, counts, open_windows) = match &self.machine {
            Machine::Source(stage) => (stage.watermark(), stage.counts(), 0),
            Machine::Merge(stage) => (stage.watermark(), Default::default(), stage.open_windows()),
        };
        let standing = Standing {
            watermark,
            next_offset: self.next_offset,
            data_at: self.data_at,
            counts,
            open_windows,
            state_bytes: self.state_bytes(),
            stopped: None,
        };
        self.task.board.set(self.task.name(), standing);
        self.tell(Some(Mark { watermark, data_at: self.data_at }));
    }

    /// Tells other nodes how far this source partition is.
    fn tell(&self, mark: Option<Mark>) {
        let task = self.task;
        if task.stage == Stage::Source && task.server.peers.is_clustered() {
            task.server.peers.watermarks.tell(task.pipeline.number, task.partition.index(), mark);
        }
    }

    fn end(&mut self) {
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
