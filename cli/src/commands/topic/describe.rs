//! `leat topic describe`.

use comfy_table::Cell;
use leat_client::{
    Admin, ConfigEntry, ConfigResource, ConfigSource, Consumer, PartitionDescription, TopicDescription, TopicPartition,
};
use serde_json::{Value, json};

use super::lag::Lags;
use crate::commands::config::entries;
use crate::error::Result;
use crate::output::{self, Out, counted, number};
use crate::session::Connection;

/// Show topics' partitions, offsets and configuration
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  leat topic describe flights
  leat topic describe flights --all-config
  leat topic describe flights --json | jq '.partitions[].leader'

LAG is how many records each follower lacks of its leader's log: 2:0,3:15. A replica that does not say is left out.")]
pub(crate) struct Args {
    /// The topics to describe
    #[arg(required = true)]
    topics: Vec<String>,

    /// Every configuration, not only what differs from the default
    #[arg(short, long)]
    all_config: bool,

    /// Write one JSON object for each topic
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

/// A topic as it is shown.
struct Shown {
    topic: TopicDescription,
    /// The first offset and the end of each partition; none where its leader did not say.
    offsets: Vec<Option<(i64, i64)>>,
    lags: Vec<Lags>,
    config: Vec<ConfigEntry>,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let admin = args.connection.admin().await?;
    let consumer = args.connection.consumer().await?;
    let names: Vec<&str> = args.topics.iter().map(String::as_str).collect();
    let mut out = Out::stdout();
    for (i, described) in admin.describe_topics(&names).await?.into_iter().enumerate() {
        let shown = collect(&admin, &consumer, described?, args.all_config).await?;
        if args.json {
            out.json(&shown.to_json())?;
            continue;
        }
        if i > 0 {
            out.line("")?;
        }
        shown.write(&mut out)?;
    }
    out.flush()
}

async fn collect(admin: &Admin, consumer: &Consumer, topic: TopicDescription, all_config: bool) -> Result<Shown> {
    let resource = ConfigResource::topic(&*topic.name);
    let mut config = Vec::new();
    for entries in admin.describe_configs(&[resource]).await? {
        config.extend(entries?);
    }
    config.retain(|entry| all_config || entry.source != ConfigSource::Default);
    config.sort_by(|a, b| a.name.cmp(&b.name));

    // Only what has a leader can be asked; the rest must not hold up the answer.
    let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
    let led: Vec<_> = led.map(|there| TopicPartition::new(topic.name.clone(), there.partition)).collect();
    let starts = consumer.beginning_offsets(&led).await?;
    let ends = consumer.end_offsets(&led).await?;
    let offsets = topic.partitions.iter().map(|there| {
        let partition = TopicPartition::new(topic.name.clone(), there.partition);
        Some((*starts.get(&partition)?, *ends.get(&partition)?))
    });
    Ok(Shown { offsets: offsets.collect(), lags: super::lag::collect(admin, &topic).await, topic, config })
}

impl Shown {
    fn partitions(&self) -> impl Iterator<Item = (&PartitionDescription, &Option<(i64, i64)>, &Lags)> {
        let partitions = self.topic.partitions.iter().zip(&self.offsets).zip(&self.lags);
        partitions.map(|((there, offsets), lags)| (there, offsets, lags))
    }

    fn to_json(&self) -> Value {
        let partitions = self.partitions().map(|(there, offsets, lags)| {
            let lags = lags.iter().map(|(replica, records)| json!({ "replica": replica, "records": records }));
            json!({
                "partition": there.partition,
                "leader": there.leader,
                "leader_epoch": there.leader_epoch,
                "replicas": there.replicas,
                "in_sync": there.in_sync,
                "offline": there.offline,
                "lag": lags.collect::<Vec<_>>(),
                "earliest": offsets.map(|(start, _)| start),
                "latest": offsets.map(|(_, end)| end),
            })
        });
        let config = self.config.iter().map(entries::json);
        json!({
            "name": &*self.topic.name,
            "id": self.topic.id.to_string(),
            "internal": self.topic.internal,
            "partitions": partitions.collect::<Vec<_>>(),
            "config": config.collect::<Vec<_>>(),
        })
    }

    fn write(&self, out: &mut Out) -> Result<()> {
        let partitions = counted(self.topic.partitions.len() as u64, "partition");
        out.line(format_args!("{}  id {}  {partitions}\n", self.topic.name, self.topic.id))?;
        let header = ["partition", "leader", "epoch", "replicas", "in sync", "lag", "earliest", "latest"];
        let mut table = output::list(&header);
        for (there, offsets, lags) in self.partitions() {
            let shown = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
            table.add_row(vec![
                number(there.partition),
                number(shown(there.leader.map(i64::from))),
                number(shown(there.leader.map(|_| i64::from(there.leader_epoch)))),
                Cell::new(brokers(&there.replicas)),
                Cell::new(brokers(&there.in_sync)),
                Cell::new(lag(lags)),
                number(shown(offsets.map(|(start, _)| start))),
                number(shown(offsets.map(|(_, end)| end))),
            ]);
        }
        out.table(&table)?;
        if self.config.is_empty() {
            return Ok(());
        }
        out.line("")?;
        out.table(&entries::table(&self.config))
    }
}

/// Records that each follower lacks.
fn lag(lags: &Lags) -> String {
    let lags: Vec<_> = lags.iter().map(|(replica, records)| format!("{replica}:{records}")).collect();
    if lags.is_empty() { "-".to_owned() } else { lags.join(",") }
}

fn brokers(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
