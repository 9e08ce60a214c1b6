//! `leat offsets`: where a topic's partitions begin and end, and which offset a time has.

use comfy_table::Cell;
use leat_client::{Consumer, TopicPartition};
use serde_json::json;

use crate::error::Result;
use crate::instant;
use crate::logging;
use crate::output::{self, Out, number};
use crate::partitions;
use crate::position::{self, Position};
use crate::session::{self, Connection};

const EXAMPLES: &str = "\
Examples:
  leat offsets flights
  leat offsets flights --at 2013-01-15T08:00-05:00
  leat offsets flights --json | jq '.latest - .earliest'";

/// Show the first and last offsets of partitions, or the offset at a time
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{}\n\n{EXAMPLES}", position::HELP))]
pub(crate) struct Args {
    /// The topic
    topic: String,

    /// Show the offset of this position, and the timestamp of the record there if it was looked up by time
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    at: Option<Position>,

    /// Only these partitions
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(i32).range(0..))]
    partition: Vec<i32>,

    /// Write one JSON object for each partition
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(args: Args) -> Result<()> {
    logging::start("warn", logging::Format::Text)?;
    session::block_on(async {
        let consumer = args.connection.consumer().await?;
        let partitions = partitions::find(&consumer, &args.topic, &args.partition).await?;
        let mut out = Out::stdout();
        match args.at {
            None => ends(&consumer, &partitions, args.json, &mut out).await?,
            Some(Position::Time(millis)) => at_time(&consumer, &partitions, millis, args.json, &mut out).await?,
            Some(position) => at(&consumer, &partitions, position, args.json, &mut out).await?,
        }
        out.flush()
    })
}

async fn ends(consumer: &Consumer, partitions: &[TopicPartition], json: bool, out: &mut Out) -> Result<()> {
    let starts = consumer.beginning_offsets(partitions).await?;
    let ends = consumer.end_offsets(partitions).await?;
    let mut table = output::list(&["partition", "earliest", "latest", "offsets"]);
    for partition in partitions {
        let (Some(&start), Some(&end)) = (starts.get(partition), ends.get(partition)) else { continue };
        if json {
            out.json(&json!({ "partition": partition.partition, "earliest": start, "latest": end }))?;
        }
        table.add_row([i64::from(partition.partition), start, end, end - start].map(number));
    }
    if json { Ok(()) } else { out.table(&table) }
}

async fn at(
    consumer: &Consumer,
    partitions: &[TopicPartition],
    position: Position,
    json: bool,
    out: &mut Out,
) -> Result<()> {
    let mut table = output::list(&["partition", "offset"]);
    for (partition, offset) in partitions::resolve(consumer, partitions, position).await? {
        if json {
            out.json(&json!({ "partition": partition.partition, "offset": offset }))?;
        }
        table.add_row([i64::from(partition.partition), offset].map(number));
    }
    if json { Ok(()) } else { out.table(&table) }
}

async fn at_time(
    consumer: &Consumer,
    partitions: &[TopicPartition],
    millis: i64,
    json: bool,
    out: &mut Out,
) -> Result<()> {
    let times: Vec<_> = partitions.iter().map(|partition| (partition.clone(), millis)).collect();
    let found = consumer.offsets_for_times(&times).await?;
    let mut table = output::list(&["partition", "offset", "timestamp", "time"]);
    for partition in partitions {
        let there = found.get(partition).copied().flatten();
        let (offset, timestamp) = there.unzip();
        if json {
            out.json(&json!({ "partition": partition.partition, "offset": offset, "timestamp": timestamp }))?;
        }
        let shown = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        table.add_row([
            number(partition.partition),
            number(shown(offset)),
            number(shown(timestamp)),
            Cell::new(timestamp.map_or_else(|| "-".to_owned(), instant::show)),
        ]);
    }
    if json { Ok(()) } else { out.table(&table) }
}
