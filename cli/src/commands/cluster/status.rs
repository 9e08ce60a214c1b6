//! `leat cluster status`, and the table that `up` shows too.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Value, json};

use super::Dir;
use crate::cluster::{Cluster, Node, Readiness, Standing, readiness, standing};
use crate::error::Result;
use crate::output::{Out, list, number};

/// Show the nodes: whether they run and serve, where, memory and disk, what they lead and follow
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  leat cluster status
  leat cluster status --json | jq -r 'select(.state != \"ready\") | .node'

LEADS and FOLLOWS are partitions. LAG is how many entries the replicas on a node lack of any one log, at most, as the
nodes that lead say. METADATA is the node that leads it and its term, as each node knows.")]
pub(crate) struct Args {
    #[command(flatten)]
    dir: Dir,

    /// Write one JSON object for each node
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let cluster = Cluster::look(&args.dir.dir)?;
    let mut out = Out::stdout();
    write(&mut out, &cluster, args.json)?;
    out.flush()
}

pub(super) fn write(out: &mut Out, cluster: &Cluster, as_json: bool) -> Result<()> {
    let seen: Vec<_> = cluster.state.nodes.iter().map(|node| Seen::of(node, &cluster.folder)).collect();
    if as_json {
        return seen.iter().try_for_each(|one| out.json(&one.json(lag(&seen, one.node))));
    }
    let mut table =
        list(&["node", "state", "pid", "bootstrap", "http", "rss", "disk", "leads", "follows", "lag", "metadata"]);
    for one in &seen {
        let missing = || "-".to_owned();
        let counted = |count: Option<u64>| number(count.map_or_else(missing, |count| count.to_string()));
        table.add_row(vec![
            number(one.node.id),
            one.state_and_reason().into(),
            one.pid.map_or_else(missing, |pid| pid.to_string()).into(),
            one.node.bootstrap().into(),
            one.http().into(),
            number(one.resident_bytes.map_or_else(missing, size)),
            number(size(one.disk_bytes)),
            counted(one.leads()),
            counted(one.follows()),
            counted(lag(&seen, one.node)),
            one.metadata().unwrap_or_else(missing).into(),
        ]);
    }
    out.table(&table)
}

/// The most entries that a node's replicas lack of one log, as any of the nodes that lead says.
fn lag(seen: &[Seen<'_>], node: &Node) -> Option<u64> {
    let told = seen.iter().filter_map(|seen| seen.standing.as_ref()?.lags.get(&node.id).copied());
    told.max()
}

/// A node at this moment.
struct Seen<'a> {
    node: &'a Node,
    state: &'static str,
    reason: Option<String>,
    pid: Option<i32>,
    resident_bytes: Option<u64>,
    disk_bytes: u64,
    /// Where it serves.
    standing: Option<Standing>,
}

impl Seen<'_> {
    fn of<'a>(node: &'a Node, cluster: &Path) -> Seen<'a> {
        let process = node.process(cluster);
        let (state, reason) = match &process {
            None => ("down", None),
            // It would not answer.
            Some(process) if process.is_paused() => ("paused", None),
            Some(_) => match readiness(node.ports.http) {
                Readiness::Ready => ("ready", None),
                Readiness::Not(reason) => ("not ready", Some(reason)),
            },
        };
        let resident_bytes = process.as_ref().and_then(|process| process.resident_bytes());
        let pid = process.map(|process| process.pid);
        let standing = (state == "ready").then(|| standing(node.ports.http)).flatten();
        Seen { node, state, reason, pid, resident_bytes, disk_bytes: disk_bytes(&node.data(cluster)), standing }
    }

    fn http(&self) -> String {
        format!("127.0.0.1:{}", self.node.ports.http)
    }

    fn state_and_reason(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.state),
            None => self.state.to_owned(),
        }
    }

    fn leads(&self) -> Option<u64> {
        self.standing.as_ref().map(|standing| standing.leads)
    }

    fn follows(&self) -> Option<u64> {
        self.standing.as_ref().map(|standing| standing.holds.saturating_sub(standing.leads))
    }

    /// Who leads the metadata, and in which term.
    fn metadata(&self) -> Option<String> {
        let standing = self.standing.as_ref()?;
        let leader = standing.metadata_leader.map_or_else(|| "nobody".to_owned(), |node| format!("node {node}"));
        Some(format!("{leader}, term {}", standing.metadata_term))
    }

    fn json(&self, lag: Option<u64>) -> Value {
        let standing = self.standing.as_ref();
        json!({
            "node": self.node.id, "state": self.state, "reason": self.reason, "pid": self.pid,
            "bootstrap": self.node.bootstrap(), "http": self.http(), "rss_bytes": self.resident_bytes,
            "disk_bytes": self.disk_bytes, "leads": self.leads(), "follows": self.follows(), "lag": lag,
            "metadata_leader": standing.and_then(|standing| standing.metadata_leader),
            "metadata_term": standing.map(|standing| standing.metadata_term),
        })
    }
}

fn size(bytes: u64) -> String {
    let (unit, name) = match bytes >> 10 {
        0..1024 => (1 << 10, "KiB"),
        1024..1_048_576 => (1 << 20, "MiB"),
        _ => (1 << 30, "GiB"),
    };
    format!("{:.1} {name}", bytes as f64 / f64::from(unit))
}

/// What the files of a folder take; one that goes meanwhile takes nothing.
fn disk_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        // The kernel counts in blocks of 512, whatever the file system's are.
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}
