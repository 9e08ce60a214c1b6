//! The pipelines' thread: begins and ends tasks as the metadata says.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use leat_protocol::Uuid;
use leat_storage::GroupId;
use tokio::sync::{Semaphore, watch};
use tokio::task::{self, LocalSet};

use super::board::{Board, Name};
use super::catalog::{Catalog, Known};
use super::entry::Stage;
use super::task::{Pipeline, Task};
use crate::metadata::Image;
use crate::partition::Partition;
use crate::server::Server;

/// What other threads may know of the pipelines of this node.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) board: Arc<Board>,
    /// Scripts that may be carried out side by side.
    pub(crate) scripts: Arc<Semaphore>,
}

/// What is left of the HTTP connections is for metrics and health.
const SCRIPTS_MAX: usize = 32;

impl Default for Host {
    fn default() -> Host {
        Host { board: Arc::default(), scripts: Arc::new(Semaphore::new(SCRIPTS_MAX)) }
    }
}

/// Starts the thread; it ends when `stop` turns true.
pub(crate) fn start(server: &Arc<Server>, mut stop: watch::Receiver<bool>) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let server = server.clone();
    std::thread::Builder::new().name("leat-pipelines".into()).spawn(move || {
        LocalSet::new().block_on(&runtime, async move {
            let tasks = Tasks { server: server.clone(), running: HashMap::new(), stamps: HashMap::new() };
            tokio::select! {
                () = tasks.follow() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    })
}

/// The tasks of this node.
struct Tasks {
    server: Arc<Server>,
    running: HashMap<Name, Running>,
    /// When the last entry of a partition was written, for all who commit ticks to it.
    stamps: HashMap<GroupId, Rc<Cell<Instant>>>,
}

/// A task that was begun.
struct Running {
    task: task::JoinHandle<()>,
    group: GroupId,
    paused: bool,
    generation: u32,
}

impl Tasks {
    /// Makes the tasks what the metadata says, at each change of it.
    async fn follow(mut self) {
        let mut applied = self.server.applied();
        let mut compiled: Option<(Arc<Image>, Catalog)> = None;
        loop {
            let image = self.server.image();
            applied.mark_unchanged();
            if self.server.is_caught_up() {
                let same = compiled.take().filter(|(before, _)| before.has_statements_of(&image));
                let catalog = same.map_or_else(|| Catalog::of(&image), |(_, catalog)| catalog);
                // Also where statements are the same: partitions come and go with their topics.
                self.arrange(&image, &catalog);
                compiled = Some((image, catalog));
            }
            if applied.changed().await.is_err() {
                return;
            }
        }
    }

    fn arrange(&mut self, image: &Image, catalog: &Catalog) {
        let mut wanted = HashMap::new();
        let mut readers: HashMap<Uuid, Vec<u64>> = HashMap::new();
        for known in catalog.pipelines() {
            if let (Some(topics), Some(plan)) = (known.statement.topics, &known.plan)
                && plan.source.event_time.is_none()
                && plan.body.is_shuffled()
            {
                readers.entry(topics.source).or_default().push(known.statement.number);
            }
            for (name, partition, pipeline) in self.tasks_of(image, known) {
                wanted.insert(name, (partition, pipeline));
            }
        }
        let board = self.server.pipelines.board.clone();
        board.set_readers(readers);
        self.running.retain(|name, running| {
            let is_same =
                |pipeline: &Pipeline| (pipeline.paused, pipeline.generation()) == (running.paused, running.generation);
            let stays = wanted.get(name).is_some_and(|(_, pipeline)| is_same(pipeline));
            if !stays {
                running.task.abort();
                board.forget(*name);
                let is_dropped = !image.statements().any(|statement| statement.number == name.pipeline);
                if is_dropped && let Some(partition) = self.server.partition_of(running.group) {
                    partition.hold_from(board.need(running.group, *name, None));
                }
            }
            stays
        });
        for (name, (partition, pipeline)) in wanted {
            if self.running.contains_key(&name) {
                continue;
            }
            let stamp = self.stamps.entry(partition.group).or_insert_with(|| Rc::new(Cell::new(Instant::now())));
            let (group, paused, generation) = (partition.group, pipeline.paused, pipeline.generation());
            let task = Task {
                server: self.server.clone(),
                board: self.server.pipelines.board.clone(),
                stage: name.stage,
                stamp: stamp.clone(),
                pipeline,
                partition,
            };
            self.running.insert(name, Running { task: task::spawn_local(task.run()), group, paused, generation });
        }
    }

    /// The tasks of a pipeline that runs, on the partitions that this node holds.
    fn tasks_of(&self, image: &Image, known: &Known) -> Vec<(Name, Arc<Partition>, Arc<Pipeline>)> {
        let (Some(topics), Some(plan)) = (known.statement.topics, known.plan.clone()) else { return Vec::new() };
        let count = |id: Uuid| image.topic_by_id(id).map_or(0, |topic| topic.partition_count());
        let pipeline = Arc::new(Pipeline {
            number: known.statement.number,
            name: known.statement.name.clone(),
            plan,
            before: known.before.clone(),
            topics,
            sources: count(topics.source),
            tables: topics.table.map_or(0, count),
            outputs: count(topics.output),
            sides: topics.rejected.or(topics.late).map_or(1, count),
            created_ms: known.statement.created_ms,
            paused: known.statement.paused,
        });
        let mut tasks = Vec::new();
        let stages =
            [(Stage::Source, Some(topics.source)), (Stage::Merge, topics.partials), (Stage::Table, topics.table)];
        for (stage, topic) in stages {
            let Some(topic) = topic else { continue };
            for partition in self.server.partitions.topic(topic).iter().flat_map(|topic| topic.iter().flatten()) {
                let name = Name { pipeline: pipeline.number, stage, partition: partition.index() };
                tasks.push((name, partition.clone(), pipeline.clone()));
            }
        }
        tasks
    }
}
