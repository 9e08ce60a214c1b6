//! Push queries: a pipeline of this session alone, in memory, from the logs on this node to whoever reads.
//!
//! It reads what is committed, and leaves no trace in the logs: time that passes without data is counted here. With
//! `until_end` it reads to the ends that the logs have now, closes all windows, and ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leat_pipeline::compile::{ResultColumn, ResultPlace};
use leat_pipeline::plan::{Plan, Start};
use leat_pipeline::stage::{Due, Emission, MergeStage, SourceStage, Target};
use leat_protocol::records;
use serde_json::{Map, Value as Json};
use tokio::sync::mpsc;

use super::super::budget::{self, Budget};
use super::super::entry::Control;
use super::super::log::{self, Entry};
use super::{Ended, Event, Out};
use crate::clock::now_ms;
use crate::partition::{Partition, State};
use crate::server::Server;

/// Between two looks at logs where nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A partition of the source, or of a join's table.
struct Input {
    partition: Arc<Partition>,
    stage: SourceStage,
    is_table: bool,
    /// Of a table, until it is there: the entry before which is what was in it when the query began.
    begins_at: Option<u64>,
    /// What is left of the records without entries: the next offset, and where they end.
    cleaned: Option<(i64, i64)>,
    /// The next entry.
    next: u64,
    from_offset: i64,
    /// Where it ends, where it does.
    until: Option<u64>,
    /// When a record came last, and when time was told last.
    data_at: Instant,
    ticked_at: Instant,
    /// Bytes of batches since they were asked for last.
    read_bytes: usize,
}

/// What a push query is while it runs.
struct Query {
    plan: Arc<Plan>,
    inputs: Vec<Input>,
    merge: Option<MergeStage>,
    budget: Budget,
    /// The most that its state may take.
    state_bytes_max: u64,
    until_end: bool,
    flush: Duration,
    late: u64,
    rejected: u64,
    first_rejected: Option<String>,
}

pub(super) async fn run(
    server: &Arc<Server>,
    plan: Plan,
    columns: &[ResultColumn],
    limit: Option<u64>,
    until_end: bool,
    out: &Out,
) -> Result<(), Ended> {
    out.say(Event::Columns(columns.iter().map(|column| (column.name.clone(), column.of.to_string())).collect()))
        .await?;
    let (results, mut given) = mpsc::channel::<Vec<Emission>>(16);
    let until_end = until_end || plan.source.until_end;
    let plan = Arc::new(plan);
    let mut query = Query::new(server, plan.clone(), until_end).await?;
    let (ended, outcome) = tokio::sync::oneshot::channel();
    let worker = std::thread::Builder::new().name("leat-query".into()).spawn(move || {
        let done = query.run(&results);
        // Whoever asked may be gone.
        let _ = ended.send(done.map(|()| query));
    });
    drop(worker.map_err(|error| error.to_string())?);
    let mut left = limit.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(emissions) = given.recv().await else { break };
        for emission in emissions {
            if left == 0 {
                break;
            }
            if let Some(row) = row(&plan, columns, &emission) {
                out.say(Event::Row(row)).await?;
                left -= 1;
            }
        }
    }
    // The worker ends when it finds nobody there.
    drop(given);
    if left == 0 {
        return Ok(());
    }
    let query = outcome.await.map_err(|_| "the query ended".to_owned())??;
    if query.late > 0 {
        out.say(Event::Notice(format!("{} rows were late for a window.", query.late))).await?;
    }
    if let Some(reason) = &query.first_rejected {
        out.say(Event::Notice(format!("{} records were rejected; the first: {reason}", query.rejected))).await?;
    }
    Ok(())
}

impl Query {
    async fn new(server: &Arc<Server>, plan: Arc<Plan>, until_end: bool) -> Result<Query, Ended> {
        let image = server.image();
        let groups = plan.body.is_shuffled();
        let config = server.config();
        let (mut inputs, mut sources) = (Vec::new(), 0);
        for source in plan.sources() {
            let name = &source.topic;
            let topic = image.topic(name).ok_or_else(|| format!("there is no topic '{name}'"))?;
            let is_table = !std::ptr::eq(source, &plan.source);
            let count = topic.partition_count();
            for index in 0..count {
                let partition = server.partitions.get(topic.id, index);
                let partition =
                    partition.ok_or_else(|| format!("partition {index} of {name} has no replica on this broker"))?;
                server.shard(&partition).open(&partition).await;
                let stage = if is_table {
                    SourceStage::of_table(plan.clone(), index, count, 1, now_ms())?
                } else {
                    sources += 1;
                    SourceStage::new(plan.clone(), index, 1, now_ms(), config.leat_pipeline_flush_rows)?
                };
                inputs.push(Input::new(partition, stage, is_table, &source.start, until_end)?);
            }
        }
        let merge = if groups { Some(MergeStage::new(plan.clone(), 0, sources)?) } else { None };
        let flush = Duration::from_millis(config.leat_pipeline_flush_ms);
        let (budget, state_bytes_max) = (Budget::default(), config.leat_pipeline_state_bytes);
        Ok(Query {
            plan,
            inputs,
            merge,
            budget,
            state_bytes_max,
            until_end,
            flush,
            late: 0,
            rejected: 0,
            first_rejected: None,
        })
    }

    /// Runs until its end is reached or nobody reads.
    fn run(&mut self, results: &mpsc::Sender<Vec<Emission>>) -> Result<(), String> {
        loop {
            let mut idle = true;
            for at in 0..self.inputs.len() {
                self.tell_wall(at, results)?;
                let emissions = self.inputs[at].step()?;
                idle &= emissions.is_none();
                self.budget.give(self.inputs[at].read_bytes());
                self.bound()?;
                self.deliver(emissions.unwrap_or_default(), results)?;
            }
            if results.is_closed() {
                return Ok(());
            }
            if self.until_end && self.inputs.iter().all(Input::is_done) {
                return self.finish(results);
            }
            if idle {
                std::thread::sleep(LOOK_EVERY);
                self.pass_time(results)?;
            }
        }
    }

    /// Ends where the state is too large.
    fn bound(&mut self) -> Result<(), String> {
        if !self.budget.may_exceed(self.state_bytes_max, || 0) {
            return Ok(());
        }
        let stages = self.inputs.iter().map(|input| input.stage.bytes()).sum::<usize>();
        self.budget.set((stages + self.merge.as_ref().map_or(0, MergeStage::bytes)) as u64);
        let (bytes, limit) = (self.budget.counted(), self.state_bytes_max);
        if bytes > limit { Err(budget::reason(bytes, limit)) } else { Ok(()) }
    }

    /// Everything was read: all windows close.
    fn finish(&mut self, results: &mpsc::Sender<Vec<Emission>>) -> Result<(), String> {
        for at in 0..self.inputs.len() {
            let mut out = Vec::new();
            self.inputs[at].stage.tick(0, now_ms(), &mut out);
            self.inputs[at].stage.advance(i64::MAX, &mut out);
            self.deliver(out, results)?;
        }
        Ok(())
    }

    /// Rows are believed up to some time after the newest wall clock that the stage was told.
    fn tell_wall(&mut self, at: usize, results: &mpsc::Sender<Vec<Emission>>) -> Result<(), String> {
        let Some(future) = self.plan.source.future_ms.filter(|_| !self.inputs[at].is_table) else { return Ok(()) };
        let stage = &mut self.inputs[at].stage;
        if now_ms().saturating_sub(stage.wall_ms()) < future / 4 {
            return Ok(());
        }
        let mut out = Vec::new();
        stage.tick(0, now_ms(), &mut out);
        self.deliver(out, results)
    }

    /// Time without data, as a leader's ticks would tell it.
    fn pass_time(&mut self, results: &mpsc::Sender<Vec<Emission>>) -> Result<(), String> {
        for at in 0..self.inputs.len() {
            let input = &mut self.inputs[at];
            let quiet = input.data_at.max(input.ticked_at).elapsed();
            let due = match input.stage.due() {
                Due::Nothing => false,
                Due::Quiet(ms) => quiet >= Duration::from_millis(ms.unsigned_abs()),
                Due::Flush => quiet >= self.flush,
            };
            if due {
                let mut out = Vec::new();
                input.ticked_at = Instant::now();
                let elapsed = i64::try_from(quiet.as_millis()).unwrap_or(i64::MAX);
                input.stage.tick(elapsed, now_ms(), &mut out);
                self.deliver(out, results)?;
            }
        }
        self.follow(results)
    }

    /// Partitions without data follow those that have some.
    fn follow(&mut self, results: &mpsc::Sender<Vec<Emission>>) -> Result<(), String> {
        let Some(idle) = self.plan.source.idle_ms else { return Ok(()) };
        let idle = Duration::from_millis(idle.unsigned_abs());
        let (live, quiet): (Vec<&Input>, Vec<&Input>) =
            self.inputs.iter().filter(|input| !input.is_table).partition(|input| input.data_at.elapsed() < idle);
        let least = live.iter().map(|input| input.stage.watermark()).min();
        let target = least.or_else(|| quiet.iter().map(|input| input.stage.watermark()).max());
        let Some(target) = target else { return Ok(()) };
        for at in 0..self.inputs.len() {
            let input = &mut self.inputs[at];
            if !input.is_table && input.data_at.elapsed() >= idle && input.stage.watermark() < target {
                let mut out = Vec::new();
                input.stage.advance(target, &mut out);
                self.deliver(out, results)?;
            }
        }
        Ok(())
    }

    fn deliver(&mut self, emissions: Vec<Emission>, results: &mpsc::Sender<Vec<Emission>>) -> Result<(), String> {
        let mut out = Vec::new();
        for emission in emissions {
            match (emission.target, &mut self.merge) {
                (Target::Merge(_), Some(merge)) => {
                    let done = merge.record(emission.key.as_deref(), emission.value.as_deref(), &mut out);
                    done.map_err(|error| error.to_string())?;
                }
                (Target::Late, _) => self.late += 1,
                (Target::Rejected, _) => {
                    self.rejected += 1;
                    let reason = emission.headers.iter().find(|header| &*header.key == "leat.reason");
                    let reason = reason.and_then(|header| header.value.as_deref()).unwrap_or_default();
                    self.first_rejected.get_or_insert_with(|| String::from_utf8_lossy(reason).into_owned());
                }
                _ => out.push(emission),
            }
        }
        if let Some(merge) = &mut self.merge {
            merge.end_of_entry(&mut out).map_err(|error| error.to_string())?;
        }
        if !out.is_empty() {
            // A closed channel is seen where the next entries are read.
            let _ = results.blocking_send(out);
        }
        Ok(())
    }
}

impl Input {
    fn new(
        partition: Arc<Partition>,
        stage: SourceStage,
        is_table: bool,
        start: &Start,
        until_end: bool,
    ) -> Result<Input, Ended> {
        if partition.state() != State::Open {
            return Err(format!("partition {} is not open", partition.folder()).into());
        }
        let from_offset = log::start(&partition, start)?;
        let (mut next, mut cleaned) = (1, None);
        if let Some(reader) = partition.reader() {
            next = log::index_of(&reader, from_offset)?;
            // What compaction has left has no entries any more.
            if next <= reader.first_index() && from_offset < reader.clean_end() {
                (next, cleaned) = (reader.first_index(), Some((from_offset, reader.clean_end())));
            }
        }
        let end = partition.applied() + 1;
        let (until, begins_at) = (until_end.then_some(end), is_table.then_some(end));
        let (data_at, ticked_at, read_bytes) = (Instant::now(), Instant::now(), 0);
        Ok(Input {
            partition,
            stage,
            is_table,
            begins_at,
            cleaned,
            next,
            from_offset,
            until,
            data_at,
            ticked_at,
            read_bytes,
        })
    }

    fn read_bytes(&mut self) -> usize {
        std::mem::take(&mut self.read_bytes)
    }

    fn is_done(&self) -> bool {
        self.cleaned.is_none() && self.begins_at.is_none() && self.until.is_some_and(|until| self.next >= until)
    }

    /// Applies the next entries; `None` where there are none.
    fn step(&mut self) -> Result<Option<Vec<Emission>>, String> {
        if self.cleaned.is_none() && self.begins_at.is_some_and(|at| self.next >= at) {
            let mut out = Vec::new();
            self.begins_at = None;
            self.stage.begins(&mut out);
            return Ok(Some(out));
        }
        if self.is_done() {
            return Ok(None);
        }
        if let Some((offset, until)) = self.cleaned {
            return self.step_cleaned(offset, until).map(Some);
        }
        let entries = log::read(&self.partition, self.next)?;
        if entries.is_empty() {
            return Ok(None);
        }
        let mut out = Vec::new();
        for entry in entries {
            if self.is_done() {
                break;
            }
            self.next += 1;
            match entry {
                Entry::Batch(batch) => self.batch(&batch, &mut out)?,
                Entry::Control(Control::Tick(tick)) => self.stage.tick(tick.elapsed_ms, tick.wall_ms, &mut out),
                Entry::Control(Control::Advance(advance)) if advance.pipeline == 0 => {
                    self.stage.advance(advance.watermark, &mut out);
                }
                Entry::Control(_) | Entry::Other => {}
            }
        }
        Ok(Some(out))
    }

    /// Applies the next records of those that compaction has left.
    fn step_cleaned(&mut self, offset: i64, until: i64) -> Result<Vec<Emission>, String> {
        let reader = self.partition.reader().ok_or("the partition was closed")?;
        let mut out = Vec::new();
        let read = log::batches(&reader, offset, until)?;
        self.cleaned = read.as_ref().map(|(_, next)| (*next, until));
        for batch in read.into_iter().flat_map(|(batches, _)| batches) {
            self.batch(&batch, &mut out)?;
        }
        Ok(out)
    }

    fn batch(&mut self, batch: &bytes::Bytes, out: &mut Vec<Emission>) -> Result<(), String> {
        let mut each = records::records(batch, log::BATCH_BYTES_MAX).map_err(|error| error.to_string())?;
        if each.header().is_control() {
            return Ok(());
        }
        self.data_at = Instant::now();
        self.read_bytes += batch.len();
        while let Some(record) = each.next_ref() {
            let record = record.map_err(|error| error.to_string())?;
            if record.offset >= self.from_offset {
                self.stage.record(&record, out).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

/// A result in the order of the statement's columns; a tombstone has only its key.
fn row(plan: &Plan, columns: &[ResultColumn], emission: &Emission) -> Option<Vec<Json>> {
    let fields =
        |bytes: &Option<Vec<u8>>| -> Option<Map<String, Json>> { serde_json::from_slice(bytes.as_deref()?).ok() };
    let (key, value) = (fields(&emission.key).unwrap_or_default(), fields(&emission.value));
    let (keys, values) = plan.body.fields();
    let value = value?;
    let place = |column: &ResultColumn| match column.place {
        ResultPlace::Key(at) => keys.get(at).and_then(|field| key.get(&field.name)),
        ResultPlace::Value(at) => values.get(at).and_then(|field| value.get(&field.name)),
    };
    Some(columns.iter().map(|column| place(column).cloned().unwrap_or(Json::Null)).collect())
}
