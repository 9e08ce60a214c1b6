//! `leat topic alter`.

use leat_client::{ConfigOperation, ConfigResource, NewPartitions};
use serde_json::json;

use crate::error::Result;
use crate::output::Out;
use crate::session::{Connection, key_value};

/// Change a topic's configuration, or add partitions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  leat topic alter flights --config retention.ms=86400000 --unset max.message.bytes
  leat topic alter flights --partitions 8")]
#[group(id = "change", required = true, multiple = true)]
pub(crate) struct Args {
    /// The topic to change
    topic: String,

    /// Have so many partitions, more than now; keys may then go to other partitions than before
    #[arg(short, long, value_name = "N", group = "change", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,

    /// Set a configuration of the topic; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", group = "change", value_parser = key_value)]
    config: Vec<(String, String)>,

    /// Let the broker's configuration count again; may be repeated
    #[arg(short, long, value_name = "KEY", group = "change")]
    unset: Vec<String>,

    /// Only check whether it could be changed
    #[arg(long)]
    validate_only: bool,

    /// Write one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let admin = args.connection.admin().await?;
    let set = args.config.iter().map(|(key, value)| (key.as_str().into(), ConfigOperation::Set(value.as_str().into())));
    let unset = args.unset.iter().map(|key| (key.as_str().into(), ConfigOperation::Delete));
    let changes: Vec<_> = set.chain(unset).collect();
    if !changes.is_empty() {
        let topic = ConfigResource::topic(args.topic.as_str());
        admin.incremental_alter_configs(&topic, &changes, args.validate_only).await?;
    }
    if let Some(total) = args.partitions {
        let more = NewPartitions::increase_to(args.topic.as_str(), total);
        admin.create_partitions(&[more], args.validate_only).await?.into_iter().collect::<Result<(), _>>()?;
    }
    let mut out = Out::stdout();
    if args.json {
        out.json(&json!({ "name": args.topic, "altered": !args.validate_only }))?;
    }
    out.flush()
}
