//! Diagnostics: `tracing` to standard error, filtered by `LEAT_LOG`.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::error::{Error, Result};

/// The environment variable that holds the filter.
pub(crate) const VARIABLE: &str = "LEAT_LOG";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging at `default` where `LEAT_LOG` says nothing.
pub(crate) fn start(default: &str, format: Format) -> Result<()> {
    let filter = match std::env::var(VARIABLE) {
        Ok(filter) if !filter.is_empty() => filter,
        _ => default.to_owned(),
    };
    let filter = EnvFilter::builder()
        .parse(&filter)
        .map_err(|error| Error::Usage(format!("{VARIABLE}={filter}: {error}; an example is info,leat_broker=debug")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        Format::Text => builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
        Format::Json => builder.json().init(),
    }
    Ok(())
}
