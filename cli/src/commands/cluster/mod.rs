//! `leat cluster`: several brokers on this machine, by one command.

mod down;
mod remove;
mod restart;
mod signal;
mod status;
mod up;

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, DEFAULT, Node, Readiness, readiness};
use crate::error::{Error, Result};

/// A broker is there within a second; one with much to recover takes longer.
const READY: Duration = Duration::from_secs(60);
/// A clean stop ends itself after 5 s.
const STOP: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Run a cluster of brokers on this machine
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Its brokers are processes of their own that outlive this command. The folder has the data of each, its log (node-1.log)
and who they are (cluster.json); every command finds the cluster by it.

Examples:
  leat cluster up --nodes 3
  leat cluster status
  leat cluster kill 2
  leat cluster up
  leat cluster down")]
pub(crate) enum Command {
    Up(up::Args),
    Status(status::Args),
    Kill(signal::Kill),
    Pause(signal::Pause),
    Resume(signal::Resume),
    Restart(restart::Args),
    Remove(remove::Args),
    Down(down::Args),
}

/// Which cluster.
#[derive(Debug, clap::Args)]
pub(super) struct Dir {
    /// The cluster's folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT)]
    dir: PathBuf,
}

impl Dir {
    fn cluster(&self) -> Result<Cluster> {
        Cluster::find(&self.dir)
    }
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Up(args) => up::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Kill(args) => args.run(),
        Command::Pause(args) => args.run(),
        Command::Resume(args) => args.run(),
        Command::Restart(args) => restart::run(&args),
        Command::Remove(args) => remove::run(&args),
        Command::Down(args) => down::run(&args),
    }
}

/// Waits until every one of the nodes serves.
fn wait_ready<'a>(cluster: &Cluster, nodes: impl IntoIterator<Item = &'a Node>) -> Result<()> {
    let begun = Instant::now();
    for node in nodes {
        loop {
            // First, since the port may be another program's.
            let Some(process) = node.process(&cluster.folder) else {
                let words = node.last_words(&cluster.folder);
                return Err(Error::Failed(format!("node {} has ended. It said:\n{words}", node.id)));
            };
            if process.is_paused() {
                return Err(Error::Failed(format!(
                    "node {0} is paused; `leat cluster resume {0}` lets it go on",
                    node.id
                )));
            }
            let Readiness::Not(reason) = readiness(node.ports.http) else { break };
            if begun.elapsed() > READY {
                let seconds = READY.as_secs();
                return Err(Error::Unavailable(format!("node {} is not ready after {seconds} s: {reason}", node.id)));
            }
            sleep(LOOK_AGAIN);
        }
    }
    Ok(())
}
