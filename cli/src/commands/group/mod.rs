//! `leat group`: list, describe, reset and delete consumer groups.

mod delete;
mod describe;
mod list;
mod progress;
mod reset;

use crate::error::Result;
use crate::logging;
use crate::session;

/// List, describe, reset and delete consumer groups
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  leat group list
  leat group describe report
  leat group reset report --topic flights --to 2013-01-15T08:00-05:00 --execute")]
pub(crate) enum Command {
    List(list::Args),
    Describe(describe::Args),
    Reset(reset::Args),
    Delete(delete::Args),
}

pub(crate) fn run(command: Command) -> Result<()> {
    logging::start("warn", logging::Format::Text)?;
    session::block_on(async {
        match command {
            Command::List(args) => list::run(args).await,
            Command::Describe(args) => describe::run(args).await,
            Command::Reset(args) => reset::run(args).await,
            Command::Delete(args) => delete::run(args).await,
        }
    })
}
