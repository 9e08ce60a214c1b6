//! Statements that only look.

use std::sync::Arc;

use leat_pipeline::compile::{Action, Compiled, Definition, SourceKind};
use leat_pipeline::plan::{Body, Plan, Window};
use leat_pipeline::sql::Show;
use leat_pipeline::time::NEVER;
use serde_json::{Value as Json, json};

use super::super::{Catalog, Known, Stage, Standing, lag};
use super::{Ended, Event, Out};
use crate::config::Overrides;
use crate::metadata::Topics;
use crate::server::Server;

pub(super) async fn list(
    server: &Arc<Server>,
    catalog: &Catalog,
    settings: &Overrides,
    what: Show,
    out: &Out,
) -> Result<(), Ended> {
    match what {
        Show::Streams => definitions(catalog, SourceKind::Stream, out).await,
        Show::Tables => definitions(catalog, SourceKind::Table, out).await,
        Show::Pipelines => {
            let rows: Vec<_> = catalog.pipelines().map(|known| pipeline(server, known)).collect();
            out.table(&["pipeline", "state", "reads", "writes", "statement"], rows).await
        }
        Show::Topics => {
            let image = server.image();
            let rows: Vec<Vec<Json>> =
                image.topics().map(|topic| vec![json!(&*topic.name), json!(topic.partition_count())]).collect();
            out.table(&["topic", "partitions"], rows).await
        }
        Show::Settings => {
            let rows: Vec<Vec<Json>> = settings.iter().map(|(name, value)| vec![json!(name), json!(value)]).collect();
            out.table(&["setting", "value"], rows).await
        }
        Show::Functions => {
            let all = leat_pipeline::expr::function::all();
            out.table(&["function", "usage"], all.map(|function| vec![json!(function.name()), json!(function.usage())]))
                .await
        }
    }
}

async fn definitions(catalog: &Catalog, kind: SourceKind, out: &Out) -> Result<(), Ended> {
    let rows: Vec<Vec<Json>> = catalog
        .definitions
        .iter()
        .filter(|definition| definition.kind == kind)
        .map(|definition| {
            let format = format!("{:?}", definition.value_format);
            vec![json!(definition.name), json!(definition.topic), json!(format), json!(definition.materialized)]
        })
        .collect();
    out.table(&["name", "topic", "format", "made by a pipeline"], rows).await
}

fn pipeline(server: &Server, known: &Known) -> Vec<Json> {
    let standings = server.pipelines.board.of(known.statement.number);
    let image = server.image();
    let is_gone = |topics: &Topics| topics.read().any(|topic| image.topic_by_id(topic).is_none());
    let gone = known
        .statement
        .topics
        .filter(is_gone)
        .map(|_| "its source topic was deleted: drop the pipeline, and make it again over the new one".to_owned());
    let stopped = gone.or_else(|| standings.iter().find_map(|(_, standing)| standing.stopped.clone()));
    let state = match (&known.error, known.statement.paused, stopped) {
        (Some(error), _, _) => format!("can not be compiled: {error}"),
        (None, true, _) => "paused".to_owned(),
        (None, false, Some(reason)) => format!("stopped: {reason}"),
        (None, false, None) => "runs".to_owned(),
    };
    let plan = known.plan.as_deref();
    let source = plan.map_or("", |plan| &plan.source.topic);
    let output = plan.map_or("", |plan| &plan.output.topic);
    vec![json!(known.statement.name), json!(state), json!(source), json!(output), json!(known.statement.text)]
}

pub(super) async fn describe(
    server: &Arc<Server>,
    catalog: &Catalog,
    name: &str,
    extended: bool,
    out: &Out,
) -> Result<(), Ended> {
    if let Some(definition) = catalog.definitions.get(name) {
        let rows: Vec<Vec<Json>> = definition.columns.iter().map(|column| column_row(definition, column)).collect();
        out.table(&["column", "type", "from"], rows).await?;
    }
    match catalog.pipelines().find(|known| known.statement.name == name) {
        Some(known) if extended => running(server, known, out).await,
        Some(_) => Ok(()),
        None if catalog.definitions.get(name).is_none() => Err(format!("there is no '{name}'").into()),
        None => Ok(()),
    }
}

fn column_row(definition: &Definition, column: &leat_pipeline::compile::DefinitionColumn) -> Vec<Json> {
    let time = definition.time_column.is_some_and(|at| definition.columns.get(at) == Some(column));
    let from = match (&column.computed, time) {
        (Some(_), _) => "computed".to_owned(),
        (None, true) => format!("{:?}, event time", column.from),
        (None, false) => format!("{:?}", column.from),
    };
    vec![json!(column.name), json!(column.of.to_string()), json!(from)]
}

/// Where each stage of a pipeline stands.
async fn running(server: &Arc<Server>, known: &Known, out: &Out) -> Result<(), Ended> {
    let topics = known.statement.topics;
    let names = [
        "stage",
        "partition",
        "watermark",
        "offset",
        "lag",
        "rows",
        "applied",
        "late",
        "filtered",
        "rejected",
        "open windows",
        "state bytes",
    ];
    let standings = server.pipelines.board.of(known.statement.number);
    let least =
        standings.iter().filter(|(name, _)| name.stage == Stage::Source).map(|(_, standing)| standing.watermark).min();
    let rows = standings.iter().map(|(name, standing)| {
        let lag = topics.map_or(0, |topics| lag(server, &topics, *name, standing));
        let holds_back = name.stage == Stage::Source && standings.len() > 2 && Some(standing.watermark) == least;
        stage_row(name.stage, name.partition, standing, lag, holds_back)
    });
    out.table(&names, rows.collect::<Vec<_>>()).await
}

/// A stage's name.
pub(super) fn shown(stage: Stage) -> &'static str {
    match stage {
        Stage::Source => "source",
        Stage::Merge => "merge",
        Stage::Table => "table",
    }
}

fn stage_row(stage: Stage, partition: i32, standing: &Standing, lag: i64, holds_back: bool) -> Vec<Json> {
    let counts = &standing.counts;
    let watermark = match standing.watermark {
        NEVER => "none".to_owned(),
        time => leat_pipeline::expr::to_text(
            &leat_pipeline::value::Value::Int(time),
            &leat_pipeline::value::Type::Timestamp,
        ),
    };
    let watermark = if holds_back { format!("{watermark}, the least") } else { watermark };
    vec![
        json!(shown(stage)),
        json!(partition),
        json!(watermark),
        json!(standing.next_offset),
        json!(lag),
        json!(counts.rows),
        json!(counts.applied),
        json!(counts.late),
        json!(counts.filtered),
        json!(counts.rejected),
        json!(standing.open_windows),
        json!(standing.state_bytes),
    ]
}

pub(super) async fn explain(catalog: &Catalog, compiled: &Compiled, out: &Out) -> Result<(), Ended> {
    for notice in &compiled.notices {
        out.say(Event::Notice(notice.clone())).await?;
    }
    match &compiled.action {
        Action::Create { plan, definition, replaces: true, start_given, .. } => {
            let mut rows = plan_rows(plan);
            if let Some(old) = catalog.pipelines().find(|known| known.statement.name == definition.name) {
                let what = match super::replace::fits(old, plan) {
                    _ if *start_given => "made anew, from where START FROM says".to_owned(),
                    Ok(()) => "goes on with the state that there is".to_owned(),
                    Err(reason) => format!("needs START FROM: {reason}"),
                };
                rows.push(vec![json!("replace"), json!(what)]);
            }
            out.table(&["step", "what"], rows).await
        }
        Action::Create { plan, .. } | Action::Insert { plan, .. } | Action::Push { plan, .. } => {
            out.table(&["step", "what"], plan_rows(plan)).await
        }
        other => out.table(&["step", "what"], [vec![json!("statement"), json!(format!("{other:?}"))]]).await,
    }
}

pub(super) async fn explain_name(_server: &Arc<Server>, catalog: &Catalog, name: &str, out: &Out) -> Result<(), Ended> {
    let known = catalog.pipelines().find(|known| known.statement.name == name);
    let plan = known.and_then(|known| known.plan.clone()).ok_or_else(|| format!("there is no pipeline '{name}'"))?;
    out.table(&["step", "what"], plan_rows(&plan)).await
}

/// A plan, step by step.
fn plan_rows(plan: &Plan) -> Vec<Vec<Json>> {
    let source = &plan.source;
    let columns: Vec<&str> = source.columns.iter().map(|column| column.name.as_str()).collect();
    let mut rows = vec![
        ("read", format!("topic {}, from {:?}, columns {}", source.topic, source.start, columns.join(", "))),
        (
            "time",
            match &source.event_time {
                None => format!("the record's timestamp, disorder {} ms", source.disorder_ms),
                Some(_) => format!("a column, disorder {} ms", source.disorder_ms),
            },
        ),
    ];
    if source.finals_only {
        rows.push(("finals", "only the last result of each window is a row".to_owned()));
    }
    if plan.filter.is_some() {
        let before = if matches!(plan.body, Body::Join(_)) { "joined" } else { "grouped" };
        rows.push(("filter", format!("WHERE, before anything is {before}")));
    }
    match &plan.body {
        Body::Project { value, .. } => {
            rows.push(("project", value.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")));
        }
        Body::Join(join) => {
            let keys: Vec<&str> = join.keys.iter().map(|field| field.name.as_str()).collect();
            let topic = format!("{}-partials", plan.output.topic);
            let columns: Vec<&str> = join.table.columns.iter().map(|column| column.name.as_str()).collect();
            rows.push(("shuffle", format!("rows by {} to {topic}", keys.join(", "))));
            let table = &join.table;
            rows.push((
                "table",
                format!("topic {}, all of it, columns {}, to {topic}", table.topic, columns.join(", ")),
            ));
            let kind = if join.outer { "LEFT: nulls where there is none" } else { "INNER" };
            rows.push(("join", format!("with the newest row of the table in the order of {topic}; {kind}")));
            if let Some(wait_ms) = join.wait_ms {
                rows.push((
                    "wait",
                    format!("for the table's row until the least watermark is {wait_ms} ms past the row"),
                ));
            }
            if join.filter.is_some() {
                rows.push(("filter", "WHERE, of what concerns the table".to_owned()));
            }
        }
        Body::Over(over) => {
            let keys: Vec<&str> = over.keys.iter().map(|field| field.name.as_str()).collect();
            rows.push(("shuffle", format!("rows by {} to {}-partials", keys.join(", "), plan.output.topic)));
            rows.push(("wait", format!("until the least watermark passes the row's time by {} ms", over.grace_ms)));
            for frame in &over.frames {
                let calls: Vec<String> = frame.calls.iter().map(|call| format!("{:?}", call.function)).collect();
                rows.push(("over", format!("{:?} before each row: {}", frame.bound, calls.join(", "))));
            }
        }
        Body::Aggregate(aggregate) => {
            let keys: Vec<&str> = aggregate.keys.iter().map(|field| field.name.as_str()).collect();
            let calls: Vec<String> = aggregate.calls.iter().map(|call| format!("{:?}", call.function)).collect();
            rows.push(("group", format!("by {}, beside each source partition: {}", keys.join(", "), calls.join(", "))));
            rows.push(("window", window(&aggregate.window, aggregate.grace_ms)));
            rows.push(("shuffle", format!("partials, not rows, by group to {}-partials", plan.output.topic)));
            rows.push((
                "merge",
                format!("when the least watermark of all source partitions passes; emits {:?}", aggregate.emit),
            ));
        }
    }
    rows.push((
        "write",
        format!("topic {}{}", plan.output.topic, if plan.output.is_table { ", compacted" } else { "" }),
    ));
    rows.into_iter().map(|(step, what)| vec![json!(step), json!(what)]).collect()
}

fn window(window: &Window, grace_ms: i64) -> String {
    let slices = match window {
        Window::None => return "none: one running group for all time".to_owned(),
        Window::Hopping { size_ms, advance_ms, .. } if size_ms == advance_ms => "one slice for each window".to_owned(),
        Window::Hopping { size_ms, advance_ms, .. } => {
            format!("{} slices for each window, one update for each row", (size_ms + advance_ms - 1) / advance_ms)
        }
        Window::Cumulate { size_ms, step_ms, .. } => format!("up to {} slices for each window", size_ms / step_ms),
        Window::Session { .. } => "a fragment for each session and source partition".to_owned(),
        Window::Civil { .. } => "one slice for each window".to_owned(),
    };
    format!("{window:?}, grace {grace_ms} ms: {slices}")
}
