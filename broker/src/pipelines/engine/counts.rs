//! `SELECT ... FROM name$counts`: what became of a pipeline's rows, by stage and partition, on this node.

use std::sync::Arc;

use leat_pipeline::compile::Pull;
use leat_pipeline::value::Value;

use super::super::{Catalog, Stage, Standing};
use super::show::shown;
use super::{Ended, Event, Out, pull};
use crate::server::Server;

pub(super) async fn run(server: &Arc<Server>, pipeline: &str, asked: &Pull, out: &Out) -> Result<(), Ended> {
    let catalog = Catalog::of(&server.image());
    let known = catalog.pipelines().find(|known| known.statement.name == pipeline);
    let number =
        known.map(|known| known.statement.number).ok_or_else(|| format!("there is no pipeline '{pipeline}'"))?;
    let columns = asked.columns.iter().map(|field| (field.name.clone(), field.of.to_string())).collect();
    out.say(Event::Columns(columns)).await?;
    let standings = server.pipelines.board.of(number);
    let rows = standings.iter().map(|(name, standing)| row(name.stage, name.partition, standing));
    let limit = asked.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    for row in rows.filter(|row| pull::passes(asked, row)).take(limit) {
        out.say(pull::shown(asked, &row)?).await?;
    }
    Ok(())
}

/// In the order of [`leat_pipeline::compile::COUNTS_COLUMNS`].
fn row(stage: Stage, partition: i32, standing: &Standing) -> Vec<Value> {
    let (counts, merged) = (standing.counts, standing.merged);
    let (name, rows, source, merge) = match stage {
        Stage::Source | Stage::Table => {
            let counted = [counts.applied, counts.late, counts.filtered, counts.rejected];
            (shown(stage), counts.rows, Some((counted, [counts.assigned, counts.window_late])), None)
        }
        Stage::Merge => (shown(stage), merged.rows, None, Some([merged.aggregated, merged.closed])),
    };
    let mut row = vec![Value::string(name), Value::Int(partition.into()), number(rows)];
    match source {
        Some((rows, memberships)) => row.extend(rows.into_iter().chain(memberships).map(number)),
        None => {
            let none = || Value::Null;
            row.extend([none(), none(), number(merged.filtered), none(), none(), none()]);
        }
    }
    match merge {
        Some(merge) => row.extend(merge.map(number)),
        None => row.extend([Value::Null, Value::Null]),
    }
    row
}

fn number(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}
