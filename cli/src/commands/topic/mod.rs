//! `leat topic`: create, list, describe, alter and delete topics.

mod alter;
mod create;
mod delete;
mod describe;
mod lag;
mod list;

use crate::error::Result;
use crate::logging;
use crate::session;

/// Create, list, describe, alter and delete topics
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:\n  leat topic create flights --partitions 4\n  leat topic list")]
pub(crate) enum Command {
    Create(create::Args),
    List(list::Args),
    Describe(describe::Args),
    Alter(alter::Args),
    Delete(delete::Args),
}

pub(crate) fn run(command: Command) -> Result<()> {
    logging::start("warn", logging::Format::Text)?;
    session::block_on(async {
        match command {
            Command::Create(args) => create::run(args).await,
            Command::List(args) => list::run(args).await,
            Command::Describe(args) => describe::run(args).await,
            Command::Alter(args) => alter::run(args).await,
            Command::Delete(args) => delete::run(args).await,
        }
    })
}
