//! `leat cluster restart`.

use super::{Dir, STOP, wait_ready};
use crate::error::{Error, Result};
use crate::output::Out;

/// Stop nodes cleanly and start them again, one after the other
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  leat cluster restart 2\n  leat cluster restart")]
pub(crate) struct Args {
    /// The nodes' numbers; without any, every node
    #[arg(value_name = "NODE")]
    nodes: Vec<u32>,

    #[command(flatten)]
    dir: Dir,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let mut cluster = args.dir.cluster()?;
    let all = || cluster.state.nodes.iter().map(|node| node.id).collect();
    let nodes = if args.nodes.is_empty() { all() } else { args.nodes.clone() };
    let mut out = Out::stdout();
    for id in nodes {
        if let Some(process) = cluster.node(id)?.process(&cluster.folder) {
            process.terminate()?;
            if !process.wait_end(STOP) {
                let seconds = STOP.as_secs();
                return Err(Error::Failed(format!("node {id} has not ended within {seconds} s (pid {})", process.pid)));
            }
        }
        cluster.start(id)?;
        wait_ready(&cluster, [cluster.node(id)?])?;
        out.line(format_args!("node {id} restarted (pid {})", cluster.node(id)?.pid.unwrap_or_default()))?;
        out.flush()?;
    }
    Ok(())
}
