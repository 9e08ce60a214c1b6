//! `leat group reset`: where a group goes on.

use std::collections::BTreeMap;

use comfy_table::Cell;
use leat_client::{Consumer, TopicPartition};
use serde_json::json;

use super::progress::Progress;
use crate::error::{Error, Result};
use crate::output::{self, Out, counted, number};
use crate::partitions;
use crate::position::{self, Position};
use crate::session::Connection;

const EXAMPLES: &str = "\
Examples:
  leat group reset report --to earliest                            what it would do
  leat group reset report --to earliest --execute                  and doing it
  leat group reset report --topic flights --to 2013-01-15T08:00-05:00 --execute
  leat group reset report --topic flights --partition 0 --to 1200 --execute
  leat group reset report --shift -100 --execute                   the last hundred again";

/// Set where a group goes on: a dry run, unless --execute is given
///
/// The group must have no members. Places outside of a log are moved to its nearest end.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{}\n\n{EXAMPLES}", position::HELP))]
pub(crate) struct Args {
    /// The group; one that is not there yet is made, with --topic
    group: String,

    /// Go on from this position
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true, required_unless_present = "shift")]
    to: Option<Position>,

    /// Go on so many offsets after the committed one, or before it if negative
    #[arg(long, value_name = "N", allow_hyphen_values = true, conflicts_with = "to")]
    shift: Option<i64>,

    /// Only this topic, all its partitions; without it, every partition that the group has committed
    #[arg(short, long)]
    topic: Option<String>,

    /// Only these partitions of the topic
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', requires = "topic", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Vec<i32>,

    /// Do it
    #[arg(long)]
    execute: bool,

    /// Write one JSON object for each partition
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

/// What becomes of a partition's committed offset.
struct Change {
    partition: TopicPartition,
    from: Option<i64>,
    to: i64,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let admin = args.connection.admin().await?;
    let consumer = args.connection.consumer().await?;
    let progress = match Progress::of(&admin, &consumer, &args.group).await {
        Ok(progress) => Some(progress),
        // With a topic there is something to set in a group that is yet to be.
        Err(Error::NotFound(_)) if args.topic.is_some() => None,
        Err(error) => return Err(error),
    };
    let members = progress.as_ref().map_or(0, |progress| progress.group.members.len());
    if args.execute && members > 0 {
        let members = counted(members as u64, "member");
        return Err(Error::Failed(format!("group {} has {members}: stop them before it is reset", args.group)));
    }
    let committed = progress.iter().flat_map(|progress| &progress.partitions);
    let committed = committed.filter_map(|(partition, place)| {
        // A partition that is gone has no place to go on from.
        place.latest?;
        Some((partition.clone(), place.committed.as_ref()?.offset))
    });
    let changes = plan(&args, &consumer, &committed.collect()).await?;
    if args.execute {
        let offsets: Vec<_> = changes.iter().map(|change| (change.partition.clone(), change.to.into())).collect();
        for result in admin.alter_group_offsets(&args.group, &offsets).await? {
            result?;
        }
    }
    show(&args, &changes)?;
    if !args.execute {
        eprintln!("nothing was changed: --execute does it");
    }
    Ok(())
}

async fn plan(args: &Args, consumer: &Consumer, committed: &BTreeMap<TopicPartition, i64>) -> Result<Vec<Change>> {
    let all = match &args.topic {
        Some(topic) => partitions::find(consumer, topic, &args.partition).await?,
        None => committed.keys().cloned().collect(),
    };
    let wanted = match (args.to, args.shift) {
        (Some(position), _) => partitions::resolve(consumer, &all, position).await?,
        (None, shift) => {
            let shifted = |(partition, offset): (&TopicPartition, &i64)| {
                (partition.clone(), offset.saturating_add(shift.unwrap_or_default()))
            };
            committed.iter().filter(|(partition, _)| all.contains(partition)).map(shifted).collect()
        }
    };
    let named: Vec<_> = wanted.iter().map(|(partition, _)| partition.clone()).collect();
    let starts = consumer.beginning_offsets(&named).await?;
    let ends = consumer.end_offsets(&named).await?;
    let change = |(partition, offset): (TopicPartition, i64)| {
        let (start, end) = (*starts.get(&partition)?, *ends.get(&partition)?);
        let from = committed.get(&partition).copied();
        Some(Change { to: offset.clamp(start, end.max(start)), from, partition })
    };
    Ok(wanted.into_iter().filter_map(change).collect())
}

fn show(args: &Args, changes: &[Change]) -> Result<()> {
    let mut out = Out::stdout();
    let mut table = output::list(&["topic", "partition", "from", "to"]);
    for Change { partition, from, to } in changes {
        if args.json {
            out.json(&json!({
                "topic": &*partition.topic,
                "partition": partition.partition,
                "from": from,
                "to": to,
                "executed": args.execute,
            }))?;
        }
        let from = from.map_or_else(|| "-".to_owned(), |from| from.to_string());
        table.add_row([Cell::new(&partition.topic), number(partition.partition), number(from), number(to)]);
    }
    if !args.json && !changes.is_empty() {
        out.table(&table)?;
    }
    out.flush()
}
