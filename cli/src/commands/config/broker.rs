//! `leat config broker`: the configuration of a running broker.

use leat_client::{ConfigOperation, ConfigResource, ConfigSource, ResourceKind};

use super::entries;
use crate::error::Result;
use crate::output::Out;
use crate::session::{Connection, key_value};

/// Show or change the configuration of a running broker
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without an ID, --config and --unset change the default of all brokers; what a broker was started with wins over it no
longer than the broker has a value of its own. Only keys that `leat config` marks \"at once\" can be changed.

Examples:
  leat config broker 0
  leat config broker 0 --all --json
  leat config broker --config log.retention.ms=86400000
  leat config broker 0 --unset log.retention.ms")]
pub(crate) struct Args {
    /// The broker's node.id; without it, the defaults that were altered for all brokers
    id: Option<i32>,

    /// Every configuration, not only what differs from the default
    #[arg(short, long)]
    all: bool,

    /// Set a configuration; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_value)]
    config: Vec<(String, String)>,

    /// Let the default count again; may be repeated
    #[arg(short, long, value_name = "KEY")]
    unset: Vec<String>,

    /// Only check whether it could be changed
    #[arg(long)]
    validate_only: bool,

    /// Write one JSON object for each configuration
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(args: Args) -> Result<()> {
    let admin = args.connection.admin().await?;
    let resource = match args.id {
        Some(id) => ConfigResource::broker(id),
        None => ConfigResource { kind: ResourceKind::Broker, name: "".into() },
    };
    let set = args.config.iter().map(|(key, value)| (key.as_str().into(), ConfigOperation::Set(value.as_str().into())));
    let unset = args.unset.iter().map(|key| (key.as_str().into(), ConfigOperation::Delete));
    let changes: Vec<_> = set.chain(unset).collect();
    if !changes.is_empty() {
        return Ok(admin.incremental_alter_configs(&resource, &changes, args.validate_only).await?);
    }
    let mut shown = Vec::new();
    for described in admin.describe_configs(&[resource]).await? {
        shown.extend(described?);
    }
    shown.retain(|entry| args.all || entry.source != ConfigSource::Default);
    shown.sort_by(|a, b| a.name.cmp(&b.name));
    let mut out = Out::stdout();
    if args.json {
        shown.iter().try_for_each(|entry| out.json(&entries::json(entry)))?;
    } else if !shown.is_empty() {
        out.table(&entries::table(&shown))?;
    }
    out.flush()
}
