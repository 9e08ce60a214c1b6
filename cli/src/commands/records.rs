//! `leat records`: delete records up to a place.

use serde_json::json;

use crate::error::{Error, Result};
use crate::logging;
use crate::output::{self, Out, number};
use crate::partitions;
use crate::position::{self, Position};
use crate::session::{self, Connection};

const EXAMPLES: &str = "\
Examples:
  leat records delete flights --before 1200 --partition 0
  leat records delete flights --before 2013-01-15T00:00-05:00
  leat records delete flights --before latest";

/// Delete records
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Example:\n  leat records delete flights --before 1200 --partition 0")]
pub(crate) enum Command {
    Delete(Delete),
}

/// Delete the records before a position, for good
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{}\n\n{EXAMPLES}", position::HELP))]
pub(crate) struct Delete {
    /// The topic
    topic: String,

    /// Delete what lies before this position; the record there becomes the first
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    before: Position,

    /// Only in these partitions
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(i32).range(0..))]
    partition: Vec<i32>,

    /// Write one JSON object for each partition
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(command: Command) -> Result<()> {
    logging::start("warn", logging::Format::Text)?;
    match command {
        Command::Delete(args) => session::block_on(delete(args)),
    }
}

async fn delete(args: Delete) -> Result<()> {
    let consumer = args.connection.consumer().await?;
    let partitions = partitions::find(&consumer, &args.topic, &args.partition).await?;
    let before = partitions::resolve(&consumer, &partitions, args.before).await?;
    let admin = args.connection.admin().await?;
    let results = admin.delete_records(&before).await;
    let mut out = Out::stdout();
    let mut table = output::list(&["partition", "earliest"]);
    let mut failure = Ok(());
    for ((partition, _), result) in before.iter().zip(results) {
        let earliest = match result {
            Ok(earliest) => earliest,
            Err(error) => {
                failure = failure.and(Err(Error::from(error)));
                continue;
            }
        };
        if args.json {
            out.json(&json!({ "partition": partition.partition, "earliest": earliest }))?;
        }
        table.add_row([i64::from(partition.partition), earliest].map(number));
    }
    if !args.json && !table.is_empty() {
        out.table(&table)?;
    }
    out.flush()?;
    failure
}
