//! `leat bench`: the load generator of `leat-bench`, under this binary's errors and exit codes.

use leat_bench::Command;

use crate::error::{Error, Result};
use crate::logging;

pub(crate) const EXAMPLES: &str = "\
Examples:
  leat topic create load --partitions 8
  leat bench produce load --records 5000000 --size 1024 -X linger.ms=5
  leat bench consume load --records 5000000
  leat bench latency load --rate 1000 --seconds 20 --json";

pub(crate) fn run(command: Command) -> Result<()> {
    logging::start("warn", logging::Format::Text)?;
    command.run().map_err(|error| match error {
        leat_bench::Error::Client(error) => error.into(),
        leat_bench::Error::Usage(why) => Error::Usage(why),
        other => Error::Failed(other.to_string()),
    })
}
