//! Brokers of one cluster, each a process of its own, to be killed, paused and started again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

use super::mount::Mount;
use super::net::Net;
use super::process::{Process, free_port};

/// Some brokers; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: TempDir,
    listen: Vec<u16>,
    peers: Vec<u16>,
    http: Vec<u16>,
    sets: Vec<String>,
    brokers: Vec<Option<Process>>,
    net: Option<Net>,
    /// Disks that some have to themselves.
    disks: BTreeMap<usize, Mount>,
}

impl Cluster {
    /// Starts `count` brokers with numbers from 1, and waits until all serve.
    pub(crate) fn start(count: usize, sets: &[&str]) -> Cluster {
        let mut cluster = Cluster::new(count, sets);
        cluster.restart_all();
        cluster
    }

    /// The same, and any of them can be cut off from others.
    pub(crate) fn start_with_net(count: usize, sets: &[&str]) -> Cluster {
        let mut cluster = Cluster::new(count, sets);
        cluster.net = Some(Net::before(&cluster.peers));
        cluster.restart_all();
        cluster
    }

    /// The same, with a disk of its own for each, of this size. `None` where this user may not mount one.
    pub(crate) fn start_with_disks(test: &str, count: usize, size: &str, sets: &[&str]) -> Option<Cluster> {
        let mut cluster = Cluster::new(count, sets);
        for node in 1..=count {
            cluster.disks.insert(node, Mount::new(test, size)?);
        }
        cluster.restart_all();
        Some(cluster)
    }

    fn new(count: usize, sets: &[&str]) -> Cluster {
        let usual = [
            "default.replication.factor=3",
            "min.insync.replicas=2",
            "group.initial.rebalance.delay.ms=0",
            "group.min.session.timeout.ms=100",
        ];
        Cluster {
            folder: tempfile::tempdir().expect("a folder"),
            listen: (0..count).map(|_| free_port()).collect(),
            peers: (0..count).map(|_| free_port()).collect(),
            http: (0..count).map(|_| free_port()).collect(),
            sets: usual.iter().chain(sets).map(|set| (*set).to_owned()).collect(),
            brokers: (0..count).map(|_| None).collect(),
            net: None,
            disks: BTreeMap::new(),
        }
    }

    /// Starts all of them side by side, after none runs.
    pub(crate) fn restart_all(&mut self) {
        self.restart_these(&(1..=self.brokers.len()).collect::<Vec<_>>());
    }

    /// Starts some of them side by side.
    pub(crate) fn restart_these(&mut self, nodes: &[usize]) {
        let started: Vec<Process> = thread::scope(|scope| {
            let spawn = |node| self.spawn(node);
            let starting: Vec<_> = nodes.iter().map(|&node| scope.spawn(move || spawn(node))).collect();
            starting.into_iter().map(|broker| broker.join().expect("a broker")).collect()
        });
        for (&node, broker) in nodes.iter().zip(started) {
            self.brokers[node - 1] = Some(broker);
        }
    }

    /// The network between them, where there is one that can be cut.
    pub(crate) fn net(&self) -> &Net {
        self.net.as_ref().expect("a cluster with a network")
    }

    /// A node's own disk.
    pub(crate) fn disk(&self, node: usize) -> &Mount {
        &self.disks[&node]
    }

    pub(crate) fn folder(&self, node: usize) -> PathBuf {
        let folder = self.disks.get(&node).map_or(self.folder.path(), Mount::path);
        folder.join(format!("node-{node}"))
    }

    /// What a client is given.
    pub(crate) fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.listen.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        addresses.join(",")
    }

    pub(crate) fn address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.listen[node - 1])
    }

    pub(crate) fn peer_address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.peers[node - 1])
    }

    pub(crate) fn http_address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.http[node - 1])
    }

    /// Starts one more broker, which the others were not told of.
    pub(crate) fn add(&mut self) -> usize {
        self.listen.push(free_port());
        self.peers.push(free_port());
        self.http.push(free_port());
        self.brokers.push(None);
        self.restart(self.brokers.len());
        self.brokers.len()
    }

    fn spawn(&self, node: usize) -> Process {
        let own = self.settings(node);
        let sets: Vec<&str> = own.iter().map(String::as_str).collect();
        Process::start(&self.folder(node), &self.address(node), &sets)
    }

    /// What a broker is started with.
    pub(crate) fn settings(&self, node: usize) -> Vec<String> {
        let reached = |node| self.net.as_ref().map_or_else(|| self.peer_address(node), |net| net.address(node));
        let seeds: Vec<String> = (1..=self.peers.len()).map(reached).collect();
        let own = [
            format!("leat.peer.advertised={}", reached(node)),
            format!("node.id={node}"),
            format!("leat.peer.listen={}", self.peer_address(node)),
            format!("leat.cluster={}", seeds.join(",")),
            format!("leat.http.listen={}", self.http_address(node)),
        ];
        own.into_iter().chain(self.sets.iter().cloned()).collect()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, node: usize) {
        self.brokers[node - 1].take().expect("a broker that runs").kill();
    }

    /// Starts a broker that was killed.
    pub(crate) fn restart(&mut self, node: usize) {
        assert!(self.brokers[node - 1].is_none(), "node {node} runs");
        self.brokers[node - 1] = Some(self.spawn(node));
    }

    /// SIGTERM, and the wait for its end.
    pub(crate) fn terminate(&mut self, node: usize) {
        let (status, _) = self.brokers[node - 1].take().expect("a broker that runs").terminate();
        assert!(status.success(), "node {node} ended with {status}");
    }

    /// SIGSTOP: its connections stay, it says nothing.
    pub(crate) fn pause(&self, node: usize) {
        self.brokers[node - 1].as_ref().expect("a broker that runs").signal(Signal::STOP);
    }

    pub(crate) fn resume(&self, node: usize) {
        self.brokers[node - 1].as_ref().expect("a broker that runs").signal(Signal::CONT);
    }
}
