//! Both stages together, against the definitions: which rows are late, which windows there are, and what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leat_protocol::records::{self, Builder, Compression};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::expr::Expr;
use crate::plan::{
    Aggregate, Body, Call, Column, Emit, Field, Format, From, Function, Output, Plan, Source, Start, Timestamps, Window,
};
use crate::value::Type;

pub(super) const DISORDER: i64 = 5;

pub(super) fn field(name: &str, of: Type, place: usize) -> Field {
    Field { name: name.to_owned(), of, expr: Expr::Column(place) }
}

fn column(name: &str, of: Type, place: usize) -> Column {
    Column { name: name.to_owned(), of, from: From::Value(place) }
}

fn plan(window: Window, grace_ms: i64, emit: Emit) -> Arc<Plan> {
    plan_with(window, grace_ms, emit, |_| {})
}

pub(super) fn plan_with(window: Window, grace_ms: i64, emit: Emit, change: impl FnOnce(&mut Source)) -> Arc<Plan> {
    let call =
        |function, argument| Call { function, argument, argument_type: Type::BigInt, filter: None, of: Type::BigInt };
    let mut plan = Plan {
        source: Source {
            name: "s".to_owned(),
            topic: "s".to_owned(),
            key_format: Format::None,
            value_format: Format::Json,
            columns: vec![column("k", Type::String, 0), column("v", Type::BigInt, 1), column("t", Type::BigInt, 2)],
            event_time: Some(Expr::Column(2)),
            disorder_ms: DISORDER,
            idle_ms: Some(1_000),
            future_ms: None,
            finals_only: false,
            fields_without_case: false,
            null_key_filtered: true,
            start: Start::Earliest,
            timestamps: Timestamps::Number,
            until_end: false,
        },
        filter: None,
        explode: None,
        body: Body::Aggregate(Box::new(Aggregate {
            keys: vec![field("k", Type::String, 0)],
            window,
            grace_ms,
            calls: vec![call(Function::Count, None), call(Function::Sum, Some(Expr::Column(1)))],
            having: None,
            key: vec![field("k", Type::String, 0), field("start", Type::BigInt, 1), field("end", Type::BigInt, 2)],
            value: vec![field("n", Type::BigInt, 3), field("sum", Type::BigInt, 4)],
            emit,
            retention_ms: 0,
        })),
        output: Output {
            name: "o".to_owned(),
            topic: "o".to_owned(),
            partitions: None,
            is_table: true,
            key_format: Format::Json,
            value_format: Format::Json,
            timestamps: Timestamps::Number,
        },
    };
    change(&mut plan.source);
    Arc::new(plan)
}

/// A row: its partition, key, value and event time.
pub(super) type Row = (usize, u8, i64, i64);

/// A result: key, window start, window end.
pub(super) type Name = (String, i64, i64);

/// The stages of a pipeline, with a log between them.
pub(super) struct Pipeline {
    plan: Arc<Plan>,
    pub(super) sources: Vec<SourceStage>,
    pub(super) merges: Vec<MergeStage>,
    offsets: Vec<i64>,
    pub(super) output: Vec<Emission>,
    pub(super) late: usize,
}

impl Pipeline {
    pub(super) fn new(plan: Arc<Plan>, sources: usize, merges: usize) -> Pipeline {
        let source = |p| SourceStage::new(plan.clone(), p as i32, merges as i32, 0, 3).unwrap();
        let merge = |p| MergeStage::new(plan.clone(), p as i32, sources as i32).unwrap();
        Pipeline {
            sources: (0..sources).map(source).collect(),
            merges: (0..merges).map(merge).collect(),
            offsets: vec![0; sources],
            output: Vec::new(),
            late: 0,
            plan,
        }
    }

    pub(super) fn row(&mut self, (partition, key, value, time): Row) {
        let text = format!(r#"{{"k":"{key}","v":{value},"t":{time}}}"#);
        self.record(partition, Some(text.as_bytes()));
    }

    pub(super) fn record(&mut self, partition: usize, value: Option<&[u8]>) {
        let mut builder = Builder::new(Compression::None, None);
        builder.push(0, None, value, &[]);
        let mut batch = builder.finish().unwrap().to_vec();
        records::set_base_offset(&mut batch, self.offsets[partition]);
        self.offsets[partition] += 1;
        let mut out = Vec::new();
        let mut each = records::records(&batch.into(), 1 << 20).unwrap();
        while let Some(record) = each.next_ref() {
            self.sources[partition].record(&record.unwrap(), &mut out).unwrap();
        }
        self.deliver(out);
    }

    pub(super) fn tick(&mut self, partition: usize, ms: i64) {
        let mut out = Vec::new();
        self.sources[partition].tick(ms, 0, &mut out);
        self.deliver(out);
    }

    pub(super) fn advance_all(&mut self, to: i64) {
        for partition in 0..self.sources.len() {
            let mut out = Vec::new();
            self.sources[partition].advance(to, &mut out);
            self.deliver(out);
        }
    }

    pub(super) fn deliver(&mut self, emissions: Vec<Emission>) {
        for emission in emissions {
            match emission.target {
                Target::Merge(merge) => {
                    let merge = &mut self.merges[merge as usize];
                    merge.record(emission.key.as_deref(), emission.value.as_deref(), &mut self.output).unwrap();
                    merge.end_of_entry(&mut self.output).unwrap();
                }
                Target::Late => self.late += 1,
                Target::Output(_) | Target::Rejected => {}
            }
        }
    }

    /// Goes on with the saved state of every stage.
    pub(super) fn restart(&mut self) {
        let fresh = Pipeline::new(self.plan.clone(), self.sources.len(), self.merges.len());
        for (old, mut new) in self.sources.iter_mut().zip(fresh.sources) {
            let mut saved = Vec::new();
            old.save(&mut saved);
            new.restore(&saved).unwrap();
            let mut again = Vec::new();
            new.save(&mut again);
            assert_eq!(saved, again, "a state that was restored is the same bytes");
            *old = new;
        }
        for (old, mut new) in self.merges.iter_mut().zip(fresh.merges) {
            let mut saved = Vec::new();
            old.save(&mut saved);
            new.restore(&saved).unwrap();
            let mut again = Vec::new();
            new.save(&mut again);
            assert_eq!(saved, again, "a state that was restored is the same bytes");
            *old = new;
        }
    }

    /// The results that were said to be final: count and sum. Each comes once.
    pub(super) fn finals(&self) -> BTreeMap<Name, (i64, i64)> {
        let mut finals = BTreeMap::new();
        for emission in self.output.iter().filter(|emission| !emission.headers.is_empty()) {
            let before = finals.insert(name(emission), result(emission).unwrap());
            assert_eq!(before, None, "{:?} came twice", name(emission));
        }
        finals
    }

    /// What a compacted topic holds in the end.
    fn newest(&self) -> BTreeMap<Name, (i64, i64)> {
        let mut newest = BTreeMap::new();
        for emission in &self.output {
            match result(emission) {
                Some(result) => newest.insert(name(emission), result),
                None => newest.remove(&name(emission)),
            };
        }
        newest
    }

    /// What the merges counted, together.
    pub(super) fn merged(&self) -> Merged {
        let add = |sum: Merged, of: Merged| Merged {
            rows: sum.rows + of.rows,
            aggregated: sum.aggregated + of.aggregated,
            closed: sum.closed + of.closed,
            filtered: sum.filtered + of.filtered,
        };
        self.merges.iter().map(MergeStage::counts).fold(Merged::default(), add)
    }

    pub(super) fn counts(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.sources.iter().map(SourceStage::counts) {
            total.rows += counts.rows;
            total.applied += counts.applied;
            total.late += counts.late;
            total.filtered += counts.filtered;
            total.rejected += counts.rejected;
            total.assigned += counts.assigned;
            total.window_late += counts.window_late;
        }
        total
    }
}

/// A pipeline that was given rows, ticks among them, and an end, with restarts before some of the rows.
pub(super) fn interrupted(plan: &Arc<Plan>, rows: &[Row], restarts: &BTreeSet<usize>) -> Pipeline {
    let mut pipeline = Pipeline::new(plan.clone(), 3, 2);
    for (at, row) in rows.iter().enumerate() {
        if restarts.contains(&at) {
            pipeline.restart();
        }
        pipeline.row(*row);
        if at % 7 == 0 {
            pipeline.tick(at % 3, 400);
        }
    }
    pipeline.advance_all(1_000_000);
    pipeline
}

fn name(emission: &Emission) -> Name {
    let key: Json = serde_json::from_slice(emission.key.as_deref().unwrap()).unwrap();
    (key["k"].as_str().unwrap().to_owned(), key["start"].as_i64().unwrap(), key["end"].as_i64().unwrap())
}

fn result(emission: &Emission) -> Option<(i64, i64)> {
    let value: Json = serde_json::from_slice(emission.value.as_deref()?).unwrap();
    Some((value["n"].as_i64().unwrap(), value["sum"].as_i64().unwrap()))
}

/// Final results, and how many windows of how many rows were late, by the definitions alone.
fn by_definition(rows: &[Row], size: i64, advance: i64, grace: i64) -> (BTreeMap<Name, (i64, i64)>, u64, u64) {
    let mut watermarks: BTreeMap<usize, i64> = BTreeMap::new();
    let mut results: BTreeMap<Name, (i64, i64)> = BTreeMap::new();
    let (mut late_rows, mut late_windows) = (0, 0);
    for &(partition, key, value, time) in rows {
        let watermark = watermarks.entry(partition).or_insert(i64::MIN);
        let last = time.div_euclid(advance) * advance;
        let starts = (0..).map(|n| last - n * advance).take_while(|start| start + size > time);
        let (mut on_time, mut late) = (0, 0);
        for start in starts {
            if start + size + grace <= *watermark {
                late += 1;
                continue;
            }
            on_time += 1;
            let entry = results.entry((key.to_string(), start, start + size)).or_default();
            *entry = (entry.0 + 1, entry.1 + value);
        }
        late_windows += late;
        late_rows += u64::from(on_time == 0 && late > 0);
        *watermark = (*watermark).max(time - DISORDER);
    }
    (results, late_rows, late_windows)
}

/// Sessions of rows of which none is late.
fn sessions_by_definition(rows: &[Row], gap: i64) -> BTreeMap<Name, (i64, i64)> {
    let mut by_key: BTreeMap<u8, Vec<(i64, i64)>> = BTreeMap::new();
    rows.iter().for_each(|&(_, key, value, time)| by_key.entry(key).or_default().push((time, value)));
    let mut results = BTreeMap::new();
    for (key, mut rows) in by_key {
        rows.sort_unstable();
        let mut sessions: Vec<(i64, i64, i64, i64)> = Vec::new();
        for (time, value) in rows {
            match sessions.last_mut() {
                Some((_, last, count, sum)) if time <= *last + gap => {
                    (*last, *count, *sum) = (time, *count + 1, *sum + value)
                }
                _ => sessions.push((time, time, 1, value)),
            }
        }
        results
            .extend(sessions.into_iter().map(|(first, last, n, sum)| ((key.to_string(), first, last + gap), (n, sum))));
    }
    results
}

pub(super) fn rows() -> impl Strategy<Value = Vec<Row>> {
    // Time goes on, with rows that fall back behind the disorder now and then.
    prop::collection::vec((0..3usize, 0..4u8, -9..10i64, -40..12i64), 0..80).prop_map(|steps| {
        let mut now = 0;
        let step = |(partition, key, value, step): (usize, u8, i64, i64)| {
            now += step.max(0);
            (partition, key, value, now + step.min(0))
        };
        steps.into_iter().map(step).collect()
    })
}

fn emits() -> impl Strategy<Value = Emit> {
    prop_oneof![Just(Emit::Final), Just(Emit::Changes), Just(Emit::OnTime)]
}

proptest! {
    #[test]
    fn final_results_lateness_and_counts_are_those_of_the_definitions(
        rows in rows(),
        size in 1i64..40,
        advance in 1i64..40,
        grace in 0i64..20,
        emit in emits(),
        merges in 1usize..3,
        restarts in prop::collection::btree_set(0usize..80, 0..4),
    ) {
        let window = Window::Hopping { size_ms: size, advance_ms: advance, offset_ms: 0 };
        let mut pipeline = Pipeline::new(plan(window, grace, emit), 3, merges);
        for (at, row) in rows.iter().enumerate() {
            if restarts.contains(&at) {
                pipeline.restart();
            }
            pipeline.row(*row);
        }
        for partition in 0..3 {
            pipeline.tick(partition, 0);
        }
        pipeline.advance_all(1_000_000);
        let (results, late_rows, late_windows) = by_definition(&rows, size, advance, grace);
        prop_assert_eq!(pipeline.finals(), results.clone());
        prop_assert_eq!(pipeline.newest(), results.clone());
        let counts = pipeline.counts();
        prop_assert_eq!((counts.late, counts.window_late), (late_rows, late_windows));
        prop_assert_eq!(counts.rows, counts.applied + counts.late + counts.filtered + counts.rejected);
        let aggregated: i64 = results.values().map(|(count, _)| count).sum();
        prop_assert_eq!(counts.assigned, aggregated as u64 + counts.window_late);
        let due = Merged { rows: counts.applied, aggregated: aggregated as u64, closed: aggregated as u64, filtered: 0 };
        prop_assert_eq!(pipeline.merged(), due);
        prop_assert!(pipeline.merges.iter().all(|merge| merge.bytes() == 0 && merge.open_windows() == 0));
    }

    #[test]
    fn sessions_are_those_of_the_definition(
        rows in rows(),
        gap in 1i64..30,
        emit in emits(),
        restarts in prop::collection::btree_set(0usize..80, 0..4),
    ) {
        // A grace beyond all disorder: what is late depends on the sessions before it, and has tests of its own.
        let mut pipeline = Pipeline::new(plan(Window::Session { gap_ms: gap }, 10_000, emit), 3, 2);
        for (at, row) in rows.iter().enumerate() {
            if restarts.contains(&at) {
                pipeline.restart();
            }
            pipeline.row(*row);
        }
        for partition in 0..3 {
            pipeline.tick(partition, 0);
        }
        pipeline.advance_all(1_000_000);
        let results = sessions_by_definition(&rows, gap);
        prop_assert_eq!(pipeline.finals(), results.clone());
        prop_assert_eq!(pipeline.newest(), results);
        let rows_sent = rows.len() as u64;
        prop_assert_eq!(pipeline.merged(), Merged { rows: rows_sent, aggregated: rows_sent, closed: rows_sent, filtered: 0 });
        prop_assert!(pipeline.merges.iter().all(|merge| merge.bytes() == 0 && merge.open_windows() == 0));
    }

    #[test]
    fn the_same_log_gives_the_same_bytes_wherever_it_was_interrupted(
        rows in rows(),
        session in any::<bool>(),
        emit in emits(),
        restarts in prop::collection::btree_set(0usize..80, 1..6),
    ) {
        let window = if session {
            Window::Session { gap_ms: 9 }
        } else {
            Window::Hopping { size_ms: 20, advance_ms: 7, offset_ms: 0 }
        };
        let plan = plan(window, 3, emit);
        let run = |restarts: &BTreeSet<usize>| {
            let pipeline = interrupted(&plan, &rows, restarts);
            (pipeline.output, pipeline.late)
        };
        prop_assert_eq!(run(&BTreeSet::new()), run(&restarts));
    }
}

#[test]
fn a_quiet_partition_holds_windows_open_until_it_is_advanced() {
    let window = Window::Hopping { size_ms: 10, advance_ms: 10, offset_ms: 0 };
    let mut pipeline = Pipeline::new(plan(window, 0, Emit::Final), 2, 1);
    pipeline.row((0, 1, 1, 3));
    pipeline.row((0, 1, 1, 100));
    assert_eq!(pipeline.finals(), BTreeMap::new(), "partition 1 never had a row");
    let mut out = Vec::new();
    pipeline.sources[1].advance(95, &mut out);
    pipeline.deliver(out);
    assert_eq!(pipeline.finals(), BTreeMap::from([(("1".to_owned(), 0, 10), (1, 1))]));
}

#[test]
fn ticks_close_the_last_window_of_a_partition_that_fell_quiet() {
    let window = Window::Hopping { size_ms: 10, advance_ms: 10, offset_ms: 0 };
    let mut pipeline = Pipeline::new(plan(window, 0, Emit::Final), 1, 1);
    pipeline.row((0, 1, 1, 3));
    // Its watermark is -2: twelve more, and a second of idle time.
    assert_eq!(pipeline.sources[0].due(), Due::Quiet(1_000 + 2), "the next edge is 0");
    pipeline.tick(0, 1_002);
    assert_eq!(pipeline.sources[0].due(), Due::Quiet(10));
    pipeline.tick(0, 10);
    assert_eq!(pipeline.finals().len(), 1);
    assert_eq!(pipeline.sources[0].due(), Due::Nothing, "nothing waits any more");
}

#[test]
fn changes_wait_for_a_flush_and_a_late_row_is_shown_at_once_on_time() {
    let window = Window::Hopping { size_ms: 10, advance_ms: 10, offset_ms: 0 };
    let mut pipeline = Pipeline::new(plan(window.clone(), 50, Emit::Changes), 1, 1);
    pipeline.row((0, 1, 1, 3));
    assert_eq!((pipeline.output.len(), pipeline.sources[0].due()), (0, Due::Flush));
    pipeline.tick(0, 1);
    assert_eq!(pipeline.output.len(), 1);

    let mut pipeline = Pipeline::new(plan(window, 50, Emit::OnTime), 1, 1);
    pipeline.row((0, 1, 1, 3));
    pipeline.row((0, 1, 1, 20));
    assert_eq!(pipeline.output.len(), 1, "shown when its end was passed");
    pipeline.row((0, 1, 5, 4));
    assert_eq!(pipeline.output.len(), 2, "and again for a row within the grace");
    assert_eq!(result(&pipeline.output[1]), Some((2, 6)));
}

#[test]
fn a_record_that_is_no_row_is_rejected_with_its_reason_and_changes_nothing() {
    let window = Window::Hopping { size_ms: 10, advance_ms: 10, offset_ms: 0 };
    let mut pipeline = Pipeline::new(plan(window, 0, Emit::Final), 1, 1);
    for value in [Some(&b"not json"[..]), Some(br#"{"k":"1","v":"x","t":3}"#), Some(br#"{"k":"1","v":1}"#), None] {
        pipeline.record(0, value);
    }
    pipeline.record(0, Some(br#"{"v":1,"t":3}"#));
    let counts = pipeline.counts();
    assert_eq!((counts.rows, counts.rejected, counts.filtered), (5, 4, 1), "a null key is filtered");
    assert_eq!(pipeline.sources[0].bytes(), 0);
}
