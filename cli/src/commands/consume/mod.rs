//! `leat consume`: records out as text, from any place and up to any place.
//!
//! Without `--group` it belongs to no consumer group and leaves no trace on the broker.

mod group;

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use leat_client::{Consumer, ConsumerRecord, Start, TimestampType, TopicPartition};

use crate::error::Result;
use crate::logging;
use crate::output::Out;
use crate::partitions;
use crate::position::{self, Position};
use crate::record::{self, Shown};
use crate::session::{self, Connection};
use crate::template::{self, Template};
use group::Membership;

/// How long one poll waits; output is flushed after each.
const POLL: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  leat consume flights                                        everything, then what follows
  leat consume flights --until latest                         everything, then stop
  leat consume flights --from -10 --until latest              the last ten of each partition
  leat consume flights --from 2013-01-15T08:00-05:00 --count 5
  leat consume flights --group report                         go on where the group is, and commit
  leat consume flights --partition 0,3 --format '%T %k %s\\n'
  leat consume flights --until latest --json | jq .key";

/// Read records of a topic, from any place
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{}\n\n{}\n\n{EXAMPLES}", position::HELP, template::HELP))]
pub(crate) struct Args {
    /// The topic to read
    topic: String,

    /// Begin here; with --group only where it has no commit yet, and only earliest or latest
    #[arg(short = 'o', long, value_name = "POSITION", default_value = "earliest", allow_hyphen_values = true)]
    from: Position,

    /// End before this position, as it is when the command starts; without it or --count, go on for ever. With --group,
    /// end when the group has committed up to there
    #[arg(short, long, value_name = "POSITION", allow_hyphen_values = true)]
    until: Option<Position>,

    /// End after so many records, of all partitions together
    #[arg(short, long, value_name = "N")]
    count: Option<u64>,

    /// Read as a member of this group: go on where it has committed, and commit what was written
    #[arg(short, long)]
    group: Option<String>,

    /// Read only these partitions
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', conflicts_with = "group", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Vec<i32>,

    /// Write each record as a JSON object on a line
    #[arg(short = 'J', long, conflicts_with = "format")]
    json: bool,

    /// Lay each record out by kcat's letters, below [default: '%s\n']
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<Template>,

    #[command(flatten)]
    connection: Connection,
}

/// How records are written.
enum Style {
    Values,
    Json,
    Template(Template),
}

pub(crate) fn run(args: Args) -> Result<()> {
    logging::start("warn", logging::Format::Text)?;
    session::block_on(consume(args))
}

async fn consume(args: Args) -> Result<()> {
    let style = match args.format {
        Some(template) => Style::Template(template),
        None if args.json => Style::Json,
        None => Style::Values,
    };
    let mut reading = Reading { style, left: args.count, ends: HashMap::new(), out: Out::stdout() };
    if let Some(group) = &args.group {
        let member = Membership { group, topic: &args.topic, from: args.from, until: args.until };
        return group::consume(&args.connection, member, reading).await;
    }
    let consumer = args.connection.consumer().await?;
    let partitions = partitions::find(&consumer, &args.topic, &args.partition).await?;
    let ends = match args.until {
        Some(until) => Some(partitions::resolve(&consumer, &partitions, until).await?),
        None => None,
    };
    consumer.assign(&partitions).await?;
    consumer.seek_all(start(args.from)).await?;
    match ends {
        Some(ends) => {
            reading.ends = ends.into_iter().collect();
            reading.follow_until_ends(&consumer).await?;
        }
        None => reading.follow(&consumer).await?,
    }
    consumer.close().await;
    Ok(())
}

/// Where the consumer starts for `--from`.
fn start(position: Position) -> Start {
    match position {
        Position::Earliest => Start::Earliest,
        Position::Latest => Start::Latest,
        Position::Offset(offset) => Start::Offset(offset),
        Position::Last(count) => Start::Last(count),
        Position::Time(millis) => Start::Timestamp(millis),
    }
}

struct Reading {
    style: Style,
    /// Records still to be written; none means all.
    left: Option<u64>,
    /// The offset before which each partition's reading ends; a partition that has ended is gone from here.
    ends: HashMap<TopicPartition, i64>,
    out: Out,
}

impl Reading {
    /// Writes what comes until the count is reached.
    async fn follow(&mut self, consumer: &Consumer) -> Result<()> {
        while self.left != Some(0) {
            for record in consumer.poll(POLL).await? {
                if self.left == Some(0) {
                    break;
                }
                self.write(&record)?;
            }
            self.out.flush()?;
        }
        Ok(())
    }

    /// Writes what lies before each partition's end.
    async fn follow_until_ends(&mut self, consumer: &Consumer) -> Result<()> {
        self.end_partitions(consumer).await?;
        while self.left != Some(0) && !self.ends.is_empty() {
            for record in consumer.poll(POLL).await? {
                let partition = TopicPartition::new(record.topic.clone(), record.partition);
                let wanted = self.ends.get(&partition).is_some_and(|&end| record.offset < end);
                if wanted && self.left != Some(0) {
                    self.write(&record)?;
                }
            }
            self.out.flush()?;
            self.end_partitions(consumer).await?;
        }
        Ok(())
    }

    /// Pauses the partitions whose position has reached their end. The position counts, not the last record seen: offsets
    /// before the end may hold no record.
    async fn end_partitions(&mut self, consumer: &Consumer) -> Result<()> {
        let mut ended = Vec::new();
        for (partition, &end) in &self.ends {
            if consumer.position(partition).await? >= end {
                ended.push(partition.clone());
            }
        }
        for partition in &ended {
            self.ends.remove(partition);
        }
        if !ended.is_empty() {
            consumer.pause(&ended);
        }
        Ok(())
    }

    fn write(&mut self, record: &ConsumerRecord) -> Result<()> {
        let shown = shown(record);
        let style = &self.style;
        self.out.with(|out| match style {
            Style::Json => record::write_json(out, &shown),
            Style::Template(template) => template.write(out, &shown),
            Style::Values => {
                out.write_all(shown.value.unwrap_or_default())?;
                out.write_all(b"\n")
            }
        })?;
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        Ok(())
    }
}

fn shown(record: &ConsumerRecord) -> Shown<'_> {
    let timestamp_type = match record.timestamp_type {
        _ if record.timestamp < 0 => "none",
        TimestampType::CreateTime => "create",
        TimestampType::LogAppendTime => "append",
    };
    Shown {
        topic: &record.topic,
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        timestamp_type,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: record.headers.iter().map(|header| (&*header.key, header.value.as_deref())).collect(),
    }
}
