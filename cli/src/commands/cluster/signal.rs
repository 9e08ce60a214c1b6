//! `leat cluster kill`, `pause` and `resume`: what a machine's trouble does to a broker.

use rustix::process::Signal;

use super::{Dir, STOP};
use crate::cluster::Process;
use crate::error::{Error, Result};
use crate::output::Out;

/// Which nodes of which cluster.
#[derive(Debug, clap::Args)]
struct Nodes {
    /// The nodes' numbers
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<u32>,

    #[command(flatten)]
    dir: Dir,
}

/// End nodes at once, as a crash does (SIGKILL)
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  leat cluster kill 2\n  leat cluster kill 1 3 --dir try")]
pub(crate) struct Kill {
    #[command(flatten)]
    nodes: Nodes,
}

/// Stop nodes where they are, as a machine that hangs does (SIGSTOP)
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: leat cluster pause 2")]
pub(crate) struct Pause {
    #[command(flatten)]
    nodes: Nodes,
}

/// Let paused nodes go on (SIGCONT)
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: leat cluster resume 2")]
pub(crate) struct Resume {
    #[command(flatten)]
    nodes: Nodes,
}

impl Kill {
    pub(super) fn run(&self) -> Result<()> {
        self.nodes.each("killed", |process| {
            process.signal(Signal::KILL)?;
            match process.wait_end(STOP) {
                true => Ok(()),
                false => Err(Error::Failed(format!("pid {} does not end: it waits for its disk", process.pid))),
            }
        })
    }
}

impl Pause {
    pub(super) fn run(&self) -> Result<()> {
        self.nodes.each("paused", |process| {
            process.signal(Signal::STOP)?;
            process.wait_paused(true, STOP);
            Ok(())
        })
    }
}

impl Resume {
    pub(super) fn run(&self) -> Result<()> {
        self.nodes.each("resumed", |process| {
            process.signal(Signal::CONT)?;
            process.wait_paused(false, STOP);
            Ok(())
        })
    }
}

impl Nodes {
    /// Does it to each, and says so.
    fn each(&self, done: &str, act: impl Fn(&Process) -> Result<()>) -> Result<()> {
        let cluster = self.dir.cluster()?;
        let mut out = Out::stdout();
        for id in &self.nodes {
            let process = cluster.node(*id)?.running(&cluster.folder)?;
            act(&process)?;
            out.line(format_args!("node {id} {done} (pid {})", process.pid))?;
        }
        out.flush()
    }
}
