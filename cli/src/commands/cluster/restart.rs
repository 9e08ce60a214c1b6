//! `leat cluster restart`: one node after the other, so that a cluster that replicates serves all along.

use std::time::Instant;

use leat_client::Admin;

use super::{Dir, LOOK_AGAIN, READY, STOP, wait_ready};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::output::Out;
use crate::session;

/// Stop nodes cleanly and start them again, one after the other
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The next node has its turn once the one before serves and is in sync in every partition that it holds.

Examples:
  leat cluster restart 2
  leat cluster restart")]
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
    for (at, id) in nodes.iter().enumerate() {
        restart(&mut cluster, *id)?;
        out.line(format_args!("node {id} restarted (pid {})", cluster.node(*id)?.pid.unwrap_or_default()))?;
        out.flush()?;
        if at + 1 < nodes.len() {
            session::block_on(wait_in_sync(&cluster, *id))?;
        }
    }
    Ok(())
}

fn restart(cluster: &mut Cluster, id: u32) -> Result<()> {
    if let Some(process) = cluster.node(id)?.process(&cluster.folder) {
        process.terminate()?;
        if !process.wait_end(STOP) {
            let seconds = STOP.as_secs();
            return Err(Error::Failed(format!("node {id} has not ended within {seconds} s (pid {})", process.pid)));
        }
    }
    cluster.start(id)?;
    wait_ready(cluster, [cluster.node(id)?])
}

/// Waits until a node has what its partitions' leaders have.
async fn wait_in_sync(cluster: &Cluster, id: u32) -> Result<()> {
    let begun = Instant::now();
    let admin = Admin::builder().bootstrap(cluster.bootstrap()).client_id("leat").build().await?;
    while let Some(partition) = behind(&admin, id.cast_signed()).await? {
        if begun.elapsed() > READY {
            let seconds = READY.as_secs();
            return Err(Error::Unavailable(format!("node {id} is not in sync in {partition} after {seconds} s")));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// A partition in which a node is not in sync, if there is one.
async fn behind(admin: &Admin, node: i32) -> Result<Option<String>> {
    let listed = admin.list_topics().await?;
    let names: Vec<&str> = listed.iter().map(|topic| &*topic.name).collect();
    if names.is_empty() {
        return Ok(None);
    }
    // One that is deleted meanwhile is nobody's concern.
    for topic in admin.describe_topics(&names).await?.into_iter().flatten() {
        let behind = topic.partitions.iter().find(|partition| {
            let in_sync = partition.leader.is_some() && partition.in_sync.contains(&node);
            partition.replicas.contains(&node) && !in_sync
        });
        if let Some(partition) = behind {
            return Ok(Some(format!("{}-{}", topic.name, partition.partition)));
        }
    }
    Ok(None)
}
