//! `leat cluster up`.

use std::time::Instant;

use super::{Dir, status, wait_ready};
use crate::cluster::{Cluster, Node};
use crate::error::{Error, Result};
use crate::output::Out;
use crate::session::key_value;

/// Nodes of a new cluster: one may fail.
const NODES: u32 = 3;

/// Make a cluster, or start those of its nodes that are down
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes what to give to clients, bootstrap=HOST:PORT,HOST:PORT, and a table. With three nodes or more,
default.replication.factor is 3 and min.insync.replicas 2 unless --set says otherwise.

Examples:
  leat cluster up
  leat cluster up --nodes 1 --dir try --base-port 9092 --set num.partitions=4
  leat cluster up --nodes 5     (two more than before)")]
pub(crate) struct Args {
    /// Nodes of a new cluster [default: 3], or how many one that is there grows to
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=99))]
    nodes: Option<u32>,

    #[command(flatten)]
    dir: Dir,

    /// Ports of a new cluster: clients' from here on, brokers' 100 higher, HTTP's 200; without it, free ones
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    base_port: Option<u16>,

    /// A key of every node's configuration, kept for later starts; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,

    /// Write one JSON object for each node
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let begun = Instant::now();
    let nodes = args.nodes.unwrap_or(NODES) as usize;
    let (mut cluster, is_new) = Cluster::find_or_make(&args.dir.dir, nodes, args.base_port)?;
    if !is_new {
        check(args, &cluster)?;
        if args.nodes.is_some() {
            cluster.grow(nodes)?;
        }
    }
    for (key, value) in &args.set {
        cluster.state.sets.retain(|(known, _)| known != key);
        cluster.state.sets.push((key.clone(), value.clone()));
    }
    cluster.save()?;
    let down = cluster.state.nodes.iter().filter(|node| node.process(&cluster.folder).is_none());
    let down: Vec<_> = down.map(|node| node.id).collect();
    down.iter().try_for_each(|id| cluster.start(*id))?;
    wait_ready(&cluster, &cluster.state.nodes)?;
    if down.len() < cluster.state.nodes.len() && !args.set.is_empty() {
        eprintln!("nodes that ran already have --set with their next start: `leat cluster restart`");
    }
    let mut out = Out::stdout();
    if !args.json {
        out.line(format_args!("bootstrap={}", cluster.bootstrap()))?;
    }
    status::write(&mut out, &cluster, args.json)?;
    out.flush()?;
    eprintln!("{} of {} started in {:.2} s", down.len(), cluster.state.nodes.len(), begun.elapsed().as_secs_f64());
    Ok(())
}

/// A cluster that is there already stays what it is.
fn check(args: &Args, cluster: &Cluster) -> Result<()> {
    let nodes = &cluster.state.nodes;
    if args.nodes.is_some_and(|count| (count as usize) < nodes.len()) {
        return Err(Error::Usage(format!("--nodes: the cluster in {} has {}", cluster.folder.display(), nodes.len())));
    }
    let base = nodes.first().map(Node::base_port);
    if args.base_port.is_some() && args.base_port != base {
        let base = base.unwrap_or_default();
        return Err(Error::Usage(format!(
            "--base-port: that of the cluster in {} is {base}",
            cluster.folder.display()
        )));
    }
    Ok(())
}
