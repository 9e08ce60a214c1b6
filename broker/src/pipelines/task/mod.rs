//! One stage of a pipeline on one partition: reads the log while this node leads it, applies, and sends what comes out.

mod bases;
mod forward;
mod live;
mod ticks;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leat_pipeline::plan::{Plan, Start};
use leat_pipeline::stage::{MergeStage, SourceStage, Target};
use leat_storage::GroupId;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::board::{Board, Name};
use super::budget::Budget;
use super::entry::{Begin, Control, Stage};
use super::lane::Lane;
use super::{log, state};
use crate::clock::now_ms;
use crate::metadata::Topics;
use crate::partition::{Partition, State};
use crate::producers::PIPELINE_IDS;
use crate::replica::Answer;
use crate::server::Server;

/// A pipeline as all its tasks know it.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) plan: Arc<Plan>,
    /// Of the generations before it.
    pub(super) before: Vec<Option<Arc<Plan>>>,
    pub(super) topics: Topics,
    /// Partitions of the source.
    pub(super) sources: i32,
    /// Partitions of the table that is joined.
    pub(super) tables: i32,
    /// Partitions of the output, and of the internal topic.
    pub(super) outputs: i32,
    /// Partitions of the side topics.
    pub(super) sides: i32,
    pub(super) created_ms: i64,
    /// Nothing is applied, but the log is held.
    pub(super) paused: bool,
}

impl Pipeline {
    pub(super) fn generation(&self) -> u32 {
        u32::try_from(self.before.len()).unwrap_or(u32::MAX)
    }

    /// The plan of a generation; none where this node has not heard of it yet.
    fn plan_of(&self, generation: u32) -> Result<Option<Arc<Plan>>, String> {
        let at = usize::try_from(generation).unwrap_or(usize::MAX);
        match self.before.get(at) {
            Some(plan) => Ok(Some(plan.clone().ok_or("what it was before it was replaced means nothing any more")?)),
            None => Ok((at == self.before.len()).then(|| self.plan.clone())),
        }
    }
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
    /// Whose plan the machine has.
    generation: u32,
    /// It has come to where the next one begins.
    switches: Option<u32>,
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
    /// The watermark that each pipeline that reads the results was told last.
    forwarded: BTreeMap<u64, i64>,
    /// The wall clock that this leader committed last.
    walled_ms: i64,
    /// Of the state.
    budget: Budget,
    shown_at: Instant,
}

/// Why a task does not go on.
enum Ended {
    /// Another node leads, or the partition is being opened again.
    Lost,
    /// Going on would be wrong.
    Stopped(String),
    /// From here on it is the next generation.
    Switched,
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
                Ok(mut live) if self.pipeline.paused => {
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
                Ended::Switched => {}
                Ended::Lost => {
                    self.board.forget(self.name());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ended::Stopped(reason) => {
                    let pipeline = &self.pipeline.name;
                    tracing::error!(pipeline, partition = %self.partition.folder(), %reason, "a pipeline has stopped");
                    self.board.stop(self.name(), reason);
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

    fn machine(&self, generation: u32, wall_ms: i64) -> Result<Machine, Ended> {
        let pipeline = &self.pipeline;
        let plan = pipeline.plan_of(generation).map_err(Ended::Stopped)?.ok_or(Ended::Lost)?;
        self.machine_of(plan, wall_ms).map_err(Ended::Stopped)
    }

    fn machine_of(&self, plan: Arc<Plan>, wall_ms: i64) -> Result<Machine, String> {
        let (pipeline, partition) = (&self.pipeline, self.partition.index());
        Ok(match self.stage {
            Stage::Source => {
                let flush_rows = self.server.config().leat_pipeline_flush_rows;
                Machine::Source(Box::new(SourceStage::new(plan, partition, pipeline.outputs, wall_ms, flush_rows)?))
            }
            Stage::Merge => Machine::Merge(Box::new(MergeStage::new(plan, partition, pipeline.sources)?)),
            Stage::Table => {
                let (tables, outputs) = (pipeline.tables, pipeline.outputs);
                Machine::Source(Box::new(SourceStage::of_table(plan, partition, tables, outputs, wall_ms)?))
            }
        })
    }

    /// The state as the log gives it.
    async fn load(&self) -> Result<Live<'_>, Ended> {
        let past = log::past(&self.partition, self.pipeline.number, self.stage).map_err(Ended::Stopped)?;
        let generation = match &past.base {
            Some((_, saved)) => state::decode(saved).map_or(0, |(head, _)| head.generation),
            None => 0,
        };
        let mut live = Live {
            task: self,
            machine: self.machine(generation, self.pipeline.created_ms)?,
            generation,
            switches: None,
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
            forwarded: BTreeMap::new(),
            walled_ms: i64::MIN,
            budget: Budget::default(),
            shown_at: Instant::now(),
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
                (Stage::Source | Stage::Table, Some(begin)) => Some(begin),
                (Stage::Source | Stage::Table, None) => Some(self.begin().await?),
            };
            if let Some(begin) = begin {
                live.from_offset = begin.offset;
                live.next_offset = begin.offset;
                live.machine = self.machine(generation, begin.wall_ms)?;
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
        let start = match self.stage {
            // All that is there.
            Stage::Table => &Start::Earliest,
            Stage::Source | Stage::Merge => &self.pipeline.plan.source.start,
        };
        let offset = log::start(&self.partition, start).map_err(Ended::Stopped)?;
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
        let stage = match self.stage {
            Stage::Source => 0,
            Stage::Table => 1 << 20,
            Stage::Merge => 1 << 21,
        };
        PIPELINE_IDS + (self.pipeline.number.cast_signed() << 22) + stage + i64::from(self.partition.index())
    }
}
