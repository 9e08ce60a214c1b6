//! `leat config`, and the options by which `leat broker` finds the same configuration.

mod broker;
pub(crate) mod entries;

use std::path::PathBuf;

use leat_broker::Config;

use crate::error::{Error, Result};
use crate::logging;
use crate::output::Out;
use crate::session::{self, key_value};

/// Where a broker's configuration comes from: defaults, then a file, then the environment, then these options.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct Sources {
    /// A TOML file; its dotted keys are Kafka's property names
    #[arg(long, value_name = "FILE", env = "LEAT_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// The folder that holds the logs (log.dirs)
    #[arg(short, long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Where clients connect (listeners); port 0 takes a free one
    #[arg(short, long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,

    /// Where metrics and health are served over HTTP (leat.http.listen); port 0 takes a free one, '' is off
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) http_listen: Option<String>,

    /// This broker's number in its cluster (node.id)
    #[arg(long, value_name = "N")]
    pub(crate) node_id: Option<i32>,

    /// Where other brokers connect (leat.peer.listen)
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) peer_listen: Option<String>,

    /// The first brokers of the cluster, by where other brokers connect, this one among them (leat.cluster)
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) cluster: Option<String>,

    /// Any key of the configuration; wins over file and environment; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
}

impl Sources {
    /// Reads and checks everything.
    pub(crate) fn load(&self) -> Result<Config> {
        let mut sets = Vec::new();
        if let Some(path) = &self.data_dir {
            let path = path
                .to_str()
                .ok_or_else(|| Error::Usage(format!("--data-dir {}: the path must be UTF-8", path.display())))?;
            sets.push(("log.dirs".to_owned(), path.to_owned()));
        }
        if let Some(address) = &self.listen {
            let listener = if address.contains("://") { address.clone() } else { format!("PLAINTEXT://{address}") };
            sets.push(("listeners".to_owned(), listener));
        }
        if let Some(address) = &self.http_listen {
            sets.push(("leat.http.listen".to_owned(), address.clone()));
        }
        sets.extend(self.node_id.map(|id| ("node.id".to_owned(), id.to_string())));
        let own = [("leat.peer.listen", &self.peer_listen), ("leat.cluster", &self.cluster)];
        sets.extend(own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))));
        sets.extend(self.set.iter().cloned());
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name != logging::VARIABLE);
        Config::load(self.config.as_deref(), environment, &sets).map_err(|error| Error::Usage(error.to_string()))
    }
}

/// Show the configuration that a broker would run with, and where each value comes from
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
The output is a TOML file that gives the same configuration. `leat config broker` asks a running broker,
`leat topic describe` shows a topic's own.

Examples:
  leat config > leat.toml
  leat config --config leat.toml --set log.retention.hours=24
  leat config --json | jq -r 'select(.source != \"default\") | .key'"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    sources: Sources,

    /// Write one JSON object for each key
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Broker(broker::Args),
}

pub(crate) fn run(args: Args) -> Result<()> {
    logging::start("warn", logging::Format::Text)?;
    if let Some(Command::Broker(args)) = args.command {
        return session::block_on(broker::run(args));
    }
    let config = args.sources.load()?;
    let mut out = Out::stdout();
    if args.json {
        for entry in config.entries() {
            out.json(&entry)?;
        }
    } else {
        out.line(config.render().trim_end())?;
    }
    out.flush()
}
