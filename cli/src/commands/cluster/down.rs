//! `leat cluster down`.

use std::time::Instant;

use super::{Dir, STOP};
use crate::error::{Error, Result};
use crate::output::{Out, counted};

/// Stop all nodes cleanly; the folder stays
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  leat cluster down\n  leat cluster down --dir try && rm -r try")]
pub(crate) struct Args {
    #[command(flatten)]
    dir: Dir,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let begun = Instant::now();
    let cluster = args.dir.cluster()?;
    let nodes = cluster.state.nodes.iter();
    let running: Vec<_> = nodes.filter_map(|node| Some((node.id, node.process(&cluster.folder)?))).collect();
    running.iter().try_for_each(|(_, process)| process.terminate())?;
    let left = running.iter().filter(|(_, process)| !process.wait_end(STOP.saturating_sub(begun.elapsed())));
    let left: Vec<_> = left.map(|(id, process)| format!("node {id} (pid {})", process.pid)).collect();
    if !left.is_empty() {
        return Err(Error::Failed(format!("not ended within {} s: {}", STOP.as_secs(), left.join(", "))));
    }
    let mut out = Out::stdout();
    out.line(format_args!(
        "{} stopped in {:.2} s",
        counted(running.len() as u64, "node"),
        begun.elapsed().as_secs_f64()
    ))?;
    out.flush()
}
