//! The `leat` binary: the broker, and the commands that talk to one.
//!
//! ```text
//! main ── args ── commands/*  one file per command
//!                   │  session      the connection's options, the runtime
//!                   │  position, partitions   --from, --until: what is meant, and where that is
//!                   │  input/       what produce reads       record, template   what consume writes
//!                   │  cluster/     brokers on this machine, as processes of their own
//!                   └─ demo/        the flights of January 2013, end to end
//! ```
//!
//! Standard output carries results only, through one locked buffer; everything else goes to standard error.

#![forbid(unsafe_code)]

mod args;
mod cluster;
mod commands;
mod demo;
mod error;
mod input;
mod instant;
mod logging;
mod output;
mod partitions;
mod position;
mod progress;
mod record;
mod session;
mod signals;
mod template;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use error::Error;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, Error::OutputClosed) {
                // Standard error may be closed too; then there is nobody to tell.
                let _ = writeln!(std::io::stderr(), "leat: {error}");
            }
            error.exit_code()
        }
    }
}
