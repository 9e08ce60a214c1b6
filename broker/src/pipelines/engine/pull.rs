//! Pull queries: the rows that a table has now, as its topic tells them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_pipeline::compile::{COUNTS, Definition, Pull};
use leat_pipeline::format::{Decoder, Input};
use leat_pipeline::plan::{Column, Format, Source, Start};
use leat_pipeline::value::Value;
use leat_protocol::records;

use super::super::entry::Stage;
use super::super::{Catalog, log};
use super::{Ended, Event, Out, counts, values};
use crate::partition::Partition;
use crate::server::Server;

/// How long `AT LEAST OFFSET` is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The newest record of each key.
type Newest = BTreeMap<Bytes, (i64, Bytes)>;

pub(super) async fn run(server: &Arc<Server>, pull: &Pull, out: &Out) -> Result<(), Ended> {
    if let Some(pipeline) = pull.table.name.strip_suffix(COUNTS) {
        return counts::run(server, pipeline, pull, out).await;
    }
    wait_for(server, pull).await?;
    let image = server.image();
    let name = &pull.table.topic;
    let topic = image.topic(name).ok_or_else(|| format!("there is no topic '{name}'"))?;
    let mut newest = Newest::new();
    for index in 0..topic.partition_count() {
        let partition = server.partitions.get(topic.id, index);
        let partition =
            partition.ok_or_else(|| format!("partition {index} of {name} has no replica on this broker"))?;
        server.shard(&partition).open(&partition).await;
        let (reply, read) = tokio::sync::oneshot::channel();
        server.pool.spawn(move || {
            // Whoever waits may be gone.
            let _ = reply.send(read_newest(&partition));
        });
        newest.extend(read.await.map_err(|_| "the broker stops".to_owned())??);
    }
    let columns = pull.columns.iter().map(|field| (field.name.clone(), field.of.to_string())).collect();
    out.say(Event::Columns(columns)).await?;
    let decoder = Decoder::new(&source(&pull.table))?;
    let mut left = pull.limit.unwrap_or(u64::MAX);
    for (key, (timestamp, value)) in &newest {
        if left == 0 {
            break;
        }
        let mut row = Vec::new();
        let input =
            Input { key: Some(key), value: Some(value), headers: &[], timestamp: *timestamp, partition: 0, offset: 0 };
        if decoder.decode(&input, &mut row).is_err() || !passes(pull, &row) {
            continue;
        }
        out.say(shown(pull, &row)?).await?;
        left -= 1;
    }
    Ok(())
}

/// A row as it was asked for.
pub(super) fn shown(pull: &Pull, row: &[Value]) -> Result<Event, String> {
    let cells = pull.columns.iter().map(|field| {
        let value = field.expr.eval(row).map_err(|error| error.to_string())?;
        Ok(values::to_json(&field.of, &value))
    });
    cells.collect::<Result<Vec<_>, String>>().map(Event::Row)
}

pub(super) fn passes(pull: &Pull, row: &[Value]) -> bool {
    match &pull.filter {
        Some(filter) => filter.eval(row).is_ok_and(|value| value.as_bool() == Some(true)),
        None => true,
    }
}

/// A table's topic as a source of all its columns.
fn source(table: &Definition) -> Source {
    let column = |column: &leat_pipeline::compile::DefinitionColumn| Column {
        name: column.name.clone(),
        of: column.of.clone(),
        from: column.from.clone(),
    };
    Source {
        name: table.name.clone(),
        topic: table.topic.clone(),
        key_format: if table.key_format == Format::None { Format::Json } else { table.key_format },
        value_format: table.value_format,
        columns: table.columns.iter().map(column).collect(),
        event_time: None,
        disorder_ms: 0,
        idle_ms: None,
        future_ms: None,
        finals_only: false,
        fields_without_case: false,
        null_key_filtered: false,
        start: Start::Earliest,
        timestamps: table.timestamps,
        until_end: true,
    }
}

/// Waits until the table's pipeline has applied the offsets that are asked for.
async fn wait_for(server: &Arc<Server>, pull: &Pull) -> Result<(), Ended> {
    let deadline = Instant::now() + PATIENCE;
    let catalog = Catalog::of(&server.image());
    let Some(known) = catalog.pipelines().find(|known| known.statement.name == pull.table.name) else { return Ok(()) };
    for &(partition, offset) in &pull.at_least {
        loop {
            let standings = server.pipelines.board.of(known.statement.number);
            let source = standings.iter().find(|(name, _)| name.stage == Stage::Source && name.partition == partition);
            match source {
                Some((_, standing)) if standing.next_offset > offset => break,
                Some((_, standing)) => {
                    if let Some(reason) = &standing.stopped {
                        return Err(format!("the pipeline has stopped: {reason}").into());
                    }
                }
                None => {}
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "partition {partition} has not come to offset {offset} within {} s",
                    PATIENCE.as_secs()
                )
                .into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}

fn read_newest(partition: &Arc<Partition>) -> Result<Newest, String> {
    let mut newest = Newest::new();
    let Some(reader) = partition.reader() else { return Ok(newest) };
    let (mut offset, until) = (partition.log_start(), partition.high_watermark());
    while let Some((batches, next)) = log::batches(&reader, offset, until)? {
        for batch in batches {
            for record in records::records(&batch, log::BATCH_BYTES_MAX).map_err(|error| error.to_string())? {
                let record = record.map_err(|error| error.to_string())?;
                let Some(key) = record.key else { continue };
                match record.value {
                    Some(value) => newest.insert(key, (record.timestamp, value)),
                    None => newest.remove(&key),
                };
            }
        }
        offset = next;
    }
    Ok(newest)
}
