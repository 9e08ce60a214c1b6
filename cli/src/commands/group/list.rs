//! `leat group list`.

use comfy_table::Cell;
use serde_json::json;

use crate::error::Result;
use crate::output::{self, Out};
use crate::session::Connection;

/// List groups
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  leat group list
  leat group list --json | jq -r 'select(.state == \"Empty\").group'")]
pub(crate) struct Args {
    /// Write one JSON object for each group
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let groups = args.connection.admin().await?.list_groups().await?;
    let mut out = Out::stdout();
    let mut table = output::list(&["group", "state", "type", "protocol"]);
    for group in &groups {
        if args.json {
            out.json(&json!({
                "group": &*group.group,
                "state": group.state.as_deref(),
                "type": group.group_type.as_deref(),
                "protocol_type": &*group.protocol_type,
            }))?;
        }
        let shown = |text: Option<&str>| Cell::new(text.filter(|text| !text.is_empty()).unwrap_or("-"));
        table.add_row([
            Cell::new(&group.group),
            shown(group.state.as_deref()),
            shown(group.group_type.as_deref()),
            shown(Some(&group.protocol_type)),
        ]);
    }
    if !args.json && !groups.is_empty() {
        out.table(&table)?;
    }
    out.flush()
}
