//! The pipelines' stages that run on this node: what became of their rows, how far they are, what they hold.

use std::fmt::Display;
use std::sync::Arc;

use leat_pipeline::time::NEVER;

use super::sheet::{Kind, Sheet};
use crate::metadata::Statement;
use crate::pipelines::{self, Name, Stage, Standing};
use crate::server::Server;

/// What a gauge shows of a stage, where there is something to show.
type Value = fn(&Running) -> Option<f64>;

/// A stage of a pipeline.
struct Running {
    pipeline: Arc<Statement>,
    name: Name,
    standing: Standing,
    /// Records of its input that it has not applied.
    lag: i64,
}

pub(super) fn write(server: &Server, sheet: &mut Sheet) {
    let running = running(server);
    let outcomes = running.iter().filter(|running| running.name.stage == Stage::Source).flat_map(|running| {
        let counts = running.standing.counts;
        let each = [
            (&"applied", counts.applied),
            (&"late", counts.late),
            (&"filtered", counts.filtered),
            (&"rejected", counts.rejected),
        ];
        each.map(|(outcome, count)| {
            ([&running.pipeline.name as &dyn Display, &running.name.partition, outcome as &dyn Display], count)
        })
    });
    let help = "What became of the rows of a pipeline's source.";
    sheet.family(("leat_pipeline_rows_total", Kind::Counter, help), ["pipeline", "partition", "outcome"], outcomes);
    memberships(&running, sheet);
    let labels = ["pipeline", "stage", "partition"];
    let of = |running: &'_ Running| stage(running.name.stage);
    let gauges: [(&str, &str, Value); 4] = [
        ("leat_pipeline_watermark_seconds", "A stage's watermark, in seconds since 1970.", |running| {
            let watermark = running.standing.watermark;
            (watermark != NEVER).then_some(watermark as f64 / 1000.0)
        }),
        ("leat_pipeline_lag_records", "Records of its input that a stage has not applied.", |running| {
            Some(running.lag as f64)
        }),
        ("leat_pipeline_state_bytes", "Memory that a stage's state takes, about.", |running| {
            Some(running.standing.state_bytes as f64)
        }),
        ("leat_pipeline_stopped", "1 where a stage has stopped and does not go on by itself.", |running| {
            Some(f64::from(u8::from(running.standing.stopped.is_some())))
        }),
    ];
    for (name, help, value) in gauges {
        let samples = running.iter().filter_map(|running| {
            let values = [&running.pipeline.name as &dyn Display, of(running), &running.name.partition];
            Some((values, value(running)?))
        });
        sheet.family((name, Kind::Gauge, help), labels, samples);
    }
}

/// How often rows count for windows. Over all partitions, what is assigned is what is late and what is aggregated.
fn memberships(running: &[Running], sheet: &mut Sheet) {
    let each = running.iter().flat_map(|running| {
        let (counts, merged) = (running.standing.counts, running.standing.merged);
        let each = match running.name.stage {
            Stage::Source => vec![(&"assigned", counts.assigned), (&"late", counts.window_late)],
            Stage::Merge => vec![(&"aggregated", merged.aggregated), (&"closed", merged.closed)],
            Stage::Table => Vec::new(),
        };
        let name = &running.pipeline.name as &dyn Display;
        let each = each.into_iter();
        each.map(move |(outcome, count)| ([name, &running.name.partition, outcome as &dyn Display], count))
    });
    let help = "How often rows of a pipeline count for a window.";
    sheet.family(("leat_pipeline_memberships_total", Kind::Counter, help), ["pipeline", "partition", "outcome"], each);
}

fn stage(stage: Stage) -> &'static dyn Display {
    match stage {
        Stage::Source => &"source",
        Stage::Merge => &"merge",
        Stage::Table => &"table",
    }
}

fn running(server: &Server) -> Vec<Running> {
    let image = server.image();
    let stored = image.statements().filter_map(|statement| Some((statement.clone(), statement.topics?)));
    let running = stored.flat_map(|(pipeline, topics)| {
        server.pipelines.board.of(pipeline.number).into_iter().map(move |(name, standing)| {
            let lag = pipelines::lag(server, &topics, name, &standing);
            Running { pipeline: pipeline.clone(), name, standing, lag }
        })
    });
    running.collect()
}
