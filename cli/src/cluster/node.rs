//! One broker of a cluster, as a process of its own.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::folder::State;
use super::ports::Ports;
use super::process::Process;
use crate::error::{Error, Result};
use crate::logging;

/// With three nodes or more a topic survives the loss of one, unless somebody says otherwise.
const REPLICATED: [(&str, &str); 3] =
    [("default.replication.factor", "3"), ("min.insync.replicas", "2"), ("offsets.topic.replication.factor", "3")];

/// Bytes of a log's end that are shown when its node has ended.
const TAIL_BYTES: usize = 2000;

/// A node of a cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Node {
    /// From 1 on.
    pub(crate) id: u32,
    pub(crate) ports: Ports,
    /// Of its process when it was last started.
    pub(crate) pid: Option<i32>,
}

impl Node {
    /// Nodes with these ports, numbered after those that there are.
    pub(crate) fn all(ports: Vec<Ports>, after: usize) -> Vec<Node> {
        let first = u32::try_from(after).unwrap_or(u32::MAX).saturating_add(1);
        (first..).zip(ports).map(|(id, ports)| Node { id, ports, pid: None }).collect()
    }

    /// The port that node 1 has, or had.
    pub(crate) fn base_port(&self) -> u16 {
        let before = u16::try_from(self.id.saturating_sub(1)).unwrap_or(0);
        self.ports.kafka.saturating_sub(before)
    }

    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.ports.kafka)
    }

    /// The folder with its log.
    pub(crate) fn data(&self, cluster: &Path) -> PathBuf {
        cluster.join(format!("node-{}", self.id))
    }

    fn log(&self, cluster: &Path) -> PathBuf {
        cluster.join(format!("node-{}.log", self.id))
    }

    /// Its process, where it runs.
    pub(crate) fn process(&self, cluster: &Path) -> Option<Process> {
        Process::find(self.pid?, &self.data(cluster))
    }

    /// Its process, or that it is down.
    pub(crate) fn running(&self, cluster: &Path) -> Result<Process> {
        self.process(cluster).ok_or_else(|| Error::Failed(format!("node {} is not running", self.id)))
    }

    /// Starts it, to live on when this program and its terminal have ended.
    pub(super) fn start(&self, cluster: &Path, state: &State) -> Result<i32> {
        let failed = |error| Error::file(format!("node {}", self.id), &error);
        let log = File::options().create(true).append(true).open(self.log(cluster)).map_err(failed)?;
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        // Its configuration is the cluster's, not that of whoever starts it again.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LEAT_") && name != logging::VARIABLE {
                command.env_remove(name);
            }
        }
        command.args(self.arguments(cluster, state));
        if state.has_others() {
            // Not an argument, which everybody on the machine may see.
            command.env("LEAT_PEER_SECRET", &state.secret);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        let child = command.process_group(0).spawn().map_err(failed)?;
        Ok(child.id().cast_signed())
    }

    fn arguments(&self, cluster: &Path, state: &State) -> Vec<String> {
        let Ports { peers, http, .. } = self.ports;
        let data = self.data(cluster).display().to_string();
        let mut arguments = vec!["broker".to_owned(), "--data-dir".to_owned(), data];
        let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
        add("--listen", self.bootstrap());
        add("--http-listen", format!("127.0.0.1:{http}"));
        add("--node-id", self.id.to_string());
        if state.has_others() {
            let all: Vec<_> = state.nodes.iter().map(|node| format!("127.0.0.1:{}", node.ports.peers)).collect();
            add("--peer-listen", format!("127.0.0.1:{peers}"));
            add("--cluster", all.join(","));
        }
        let defaults = REPLICATED.iter().filter(|_| state.nodes.len() >= 3);
        defaults.for_each(|(key, value)| add("--set", format!("{key}={value}")));
        // The last one counts.
        state.sets.iter().for_each(|(key, value)| add("--set", format!("{key}={value}")));
        arguments
    }

    /// What it said last, for whoever wonders why it has ended.
    pub(crate) fn last_words(&self, cluster: &Path) -> String {
        let text = fs::read(self.log(cluster)).unwrap_or_default();
        let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL_BYTES)..]).into_owned();
        let from = tail.trim_end().rmatch_indices('\n').nth(4).map_or(0, |(at, _)| at + 1);
        format!("{}\n(all of it: {})", tail[from..].trim_end(), self.log(cluster).display())
    }
}
