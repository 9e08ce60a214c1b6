//! `leat bench` alone: to measure another broker, or a change to the client, without building the rest of Leat.

use clap::Parser;

/// Load generator for any Kafka-compatible broker
#[derive(Debug, Parser)]
struct Load {
    #[command(subcommand)]
    command: leat_bench::Command,
}

fn main() -> Result<(), leat_bench::Error> {
    Load::parse().command.run()
}
