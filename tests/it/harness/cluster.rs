//! Brokers of one cluster, each a process of its own, to be killed, paused and started again.

use std::path::PathBuf;
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

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
}

impl Cluster {
    /// Starts `count` brokers with numbers from 1, and waits until all serve.
    pub(crate) fn start(count: usize, sets: &[&str]) -> Cluster {
        let usual = [
            "default.replication.factor=3",
            "min.insync.replicas=2",
            "group.initial.rebalance.delay.ms=0",
            "group.min.session.timeout.ms=100",
        ];
        let cluster = Cluster {
            folder: tempfile::tempdir().expect("a folder"),
            listen: (0..count).map(|_| free_port()).collect(),
            peers: (0..count).map(|_| free_port()).collect(),
            http: (0..count).map(|_| free_port()).collect(),
            sets: usual.iter().chain(sets).map(|set| (*set).to_owned()).collect(),
            brokers: (0..count).map(|_| None).collect(),
        };
        let mut cluster = cluster;
        cluster.restart_all();
        cluster
    }

    /// Starts all of them side by side, after none runs.
    pub(crate) fn restart_all(&mut self) {
        let started: Vec<Process> = thread::scope(|scope| {
            let spawn = |node| self.spawn(node);
            let starting: Vec<_> = (1..=self.brokers.len()).map(|node| scope.spawn(move || spawn(node))).collect();
            starting.into_iter().map(|broker| broker.join().expect("a broker")).collect()
        });
        self.brokers = started.into_iter().map(Some).collect();
    }

    pub(crate) fn folder(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("node-{node}"))
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
        let seeds: Vec<String> = self.peers.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let own = [
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
