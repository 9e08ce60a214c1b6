//! `leat topic create`.

use leat_client::NewTopic;
use leat_protocol::ErrorCode;
use serde_json::json;

use crate::error::{Error, Result};
use crate::output::Out;
use crate::session::{Connection, key_value};

/// Create topics
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  leat topic create flights --partitions 4 --config retention.ms=-1
  leat topic create a b c --if-not-exists")]
pub(crate) struct Args {
    /// The topics to create
    #[arg(required = true)]
    topics: Vec<String>,

    /// How many partitions [default: the broker's num.partitions]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,

    /// How many replicas of each [default: the broker's default.replication.factor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,

    /// A configuration of the topic; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_value)]
    config: Vec<(String, String)>,

    /// Do nothing about a topic that is there already, as it is
    #[arg(long)]
    if_not_exists: bool,

    /// Only check whether it could be created
    #[arg(long)]
    validate_only: bool,

    /// Write one JSON object for each topic
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let admin = args.connection.admin().await?;
    let topics: Vec<_> = args.topics.iter().map(|name| args.topic(name)).collect();
    let results = admin.create_topics(&topics, args.validate_only).await?;
    let mut out = Out::stdout();
    let mut failure = Ok(());
    for (name, result) in args.topics.iter().zip(results) {
        let created = match result {
            Ok(_) => !args.validate_only,
            Err(error) if args.if_not_exists && error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => false,
            Err(error) => {
                failure = failure.and(Err(Error::from(error)));
                continue;
            }
        };
        if args.json {
            out.json(&json!({ "name": name, "created": created }))?;
        }
    }
    out.flush()?;
    failure
}

impl Args {
    fn topic(&self, name: &str) -> NewTopic {
        let mut topic = NewTopic::new(name);
        if let Some(partitions) = self.partitions {
            topic = topic.partitions(partitions);
        }
        if let Some(factor) = self.replication_factor {
            topic = topic.replication_factor(factor);
        }
        self.config.iter().fold(topic, |topic, (key, value)| topic.config(key.as_str(), value.as_str()))
    }
}
