//! `leat group delete`.

use leat_protocol::ErrorCode;
use serde_json::json;

use crate::error::{Error, Result};
use crate::output::Out;
use crate::session::Connection;

/// Delete groups without members, and what they have committed
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  leat group delete report\n  leat group delete a b c --if-exists")]
pub(crate) struct Args {
    /// The groups to delete
    #[arg(required = true)]
    groups: Vec<String>,

    /// Do nothing about a group that is not there
    #[arg(long)]
    if_exists: bool,

    /// Write one JSON object for each group
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let admin = args.connection.admin().await?;
    let names: Vec<&str> = args.groups.iter().map(String::as_str).collect();
    let results = admin.delete_groups(&names).await;
    let mut out = Out::stdout();
    let mut failure = Ok(());
    for (name, result) in names.iter().zip(results) {
        let deleted = match result {
            Ok(()) => true,
            Err(error) if args.if_exists && error.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) => false,
            Err(error) => {
                failure = failure.and(Err(Error::from(error)));
                continue;
            }
        };
        if args.json {
            out.json(&json!({ "group": name, "deleted": deleted }))?;
        }
    }
    out.flush()?;
    failure
}
