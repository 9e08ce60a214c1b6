//! `leat topic list`.

use comfy_table::Cell;
use serde_json::json;

use crate::error::Result;
use crate::output::{self, Out, number};
use crate::session::Connection;

/// List topics
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  leat topic list\n  leat topic list --json | jq -r .name")]
pub(crate) struct Args {
    /// Internal topics too
    #[arg(long)]
    internal: bool,

    /// Write one JSON object for each topic
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let admin = args.connection.admin().await?;
    let mut listed = admin.list_topics().await?;
    listed.retain(|topic| args.internal || !topic.internal);
    let names: Vec<&str> = listed.iter().map(|topic| &*topic.name).collect();
    let described = match names.is_empty() {
        true => Vec::new(),
        false => admin.describe_topics(&names).await?,
    };
    let mut out = Out::stdout();
    let mut table = output::list(&["topic", "partitions", "replicas"]);
    // A topic that was deleted meanwhile is no failure.
    for topic in described.into_iter().flatten() {
        let replicas = topic.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0);
        if args.json {
            out.json(&json!({
                "name": &*topic.name,
                "id": topic.id.to_string(),
                "partitions": topic.partitions.len(),
                "replication_factor": replicas,
                "internal": topic.internal,
            }))?;
        }
        table.add_row(vec![Cell::new(&topic.name), number(topic.partitions.len()), number(replicas)]);
    }
    if !args.json && !table.is_empty() {
        out.table(&table)?;
    }
    out.flush()
}
