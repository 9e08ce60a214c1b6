//! `leat topic delete`.

use leat_protocol::ErrorCode;
use serde_json::json;

use crate::error::{Error, Result};
use crate::output::Out;
use crate::session::Connection;

/// Delete topics and their records
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  leat topic delete flights\n  leat topic delete a b c --if-exists")]
pub(crate) struct Args {
    /// The topics to delete
    #[arg(required = true)]
    topics: Vec<String>,

    /// Do nothing about a topic that is not there
    #[arg(long)]
    if_exists: bool,

    /// Write one JSON object for each topic
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let admin = args.connection.admin().await?;
    let names: Vec<&str> = args.topics.iter().map(String::as_str).collect();
    let results = admin.delete_topics(&names).await?;
    let mut out = Out::stdout();
    let mut failure = Ok(());
    for (name, result) in names.iter().zip(results) {
        let deleted = match result {
            Ok(()) => true,
            Err(error) if args.if_exists && error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => false,
            Err(error) => {
                failure = failure.and(Err(Error::from(error)));
                continue;
            }
        };
        if args.json {
            out.json(&json!({ "name": name, "deleted": deleted }))?;
        }
    }
    out.flush()?;
    failure
}
