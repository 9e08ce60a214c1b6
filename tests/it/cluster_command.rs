//! `leat cluster`: brokers as processes that outlive who started them, found again by their folder.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{leat_command, skip_unless_leat, wait_until};

/// A cluster's folder; what runs there ends with it.
struct Folder(TempDir);

/// What a command wrote, its errors, and how it ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// The columns of a node's row in `status`.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    state: String,
    pid: String,
    bootstrap: String,
}

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("cluster")
    }

    fn run(&self, args: &[&str]) -> Ended {
        let mut command = leat_command();
        command.arg("cluster").args(args).arg("--dir").arg(self.dir());
        let output = command.output().expect("the leat binary");
        Ended {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let Ended { code, out, err } = self.run(args);
        assert_eq!(code, Some(0), "{args:?}: {err}");
        out
    }

    #[track_caller]
    fn rows(&self) -> Vec<Row> {
        let out = self.ok(&["status"]);
        let row = |line: &str| {
            let mut columns = line.split_whitespace().skip(1).map(str::to_owned);
            let mut column = || columns.next().expect("a column");
            Row { state: column(), pid: column(), bootstrap: column() }
        };
        out.lines().skip(1).map(row).collect()
    }

    /// Of the only node.
    #[track_caller]
    fn status(&self) -> Row {
        self.rows().remove(0)
    }

    /// A command against all nodes.
    #[track_caller]
    fn client(&self, args: &[&str]) -> String {
        let nodes: Vec<_> = self.rows().into_iter().map(|row| row.bootstrap).collect();
        let output = leat_command().args(args).args(["-b", &nodes.join(",")]).output().expect("the leat binary");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.dir().join("cluster.json").exists() {
            let down = self.run(&["down"]);
            // A test that has failed says why by itself.
            assert!(down.code == Some(0) || std::thread::panicking(), "{}", down.err);
        }
    }
}

#[test]
fn a_cluster_is_killed_paused_restarted_and_found_again_with_what_it_holds() {
    if skip_unless_leat("a_cluster_is_killed_paused_restarted_and_found_again_with_what_it_holds") {
        return;
    }
    let cluster = Folder::new();
    assert_eq!(cluster.run(&["status"]).code, Some(4), "there is none yet");
    let up = cluster.ok(&["up", "--nodes", "1", "--set", "num.partitions=3"]);
    let first = cluster.status();
    assert_eq!(first.state, "ready");
    assert!(up.starts_with(&format!("bootstrap={}\n", first.bootstrap)), "{up}");
    cluster.client(&["topic", "create", "kept"]);

    assert_eq!(cluster.ok(&["up"]).lines().next(), up.lines().next(), "nothing to be done");
    assert_eq!(cluster.status(), first);

    cluster.ok(&["pause", "1"]);
    assert_eq!(cluster.status().state, "paused");
    assert_eq!(cluster.run(&["up"]).code, Some(1), "it would wait in vain");
    cluster.ok(&["resume", "1"]);
    assert_eq!(cluster.status(), first);

    cluster.ok(&["kill", "1"]);
    assert_eq!(cluster.status().state, "down");
    assert_eq!(cluster.run(&["kill", "1"]).code, Some(1), "it is not running");
    assert_eq!(cluster.run(&["pause", "2"]).code, Some(4), "there is no such node");

    cluster.ok(&["up"]);
    let second = cluster.status();
    assert_eq!((&*second.state, &second.bootstrap), ("ready", &first.bootstrap));
    assert_ne!(second.pid, first.pid);
    let topics = cluster.client(&["topic", "list"]);
    assert!(topics.lines().any(|line| line.split_whitespace().take(2).eq(["kept", "3"])), "{topics}");

    cluster.ok(&["restart", "1"]);
    assert_ne!(cluster.status().pid, second.pid);
    cluster.ok(&["pause", "1"]);
    cluster.ok(&["down"]);
    assert_eq!(cluster.status().state, "down");

    cluster.ok(&["up", "--nodes", "3"]);
    assert!(cluster.rows().iter().map(|row| &*row.state).eq(["ready"; 3]));
    let topics = cluster.client(&["topic", "list"]);
    assert!(topics.lines().any(|line| line.split_whitespace().take(2).eq(["kept", "3"])), "{topics}");
    assert_eq!(cluster.run(&["up", "--nodes", "2"]).code, Some(2), "it has three nodes");
}

#[test]
fn three_nodes_lose_nothing_and_serve_while_each_is_killed_and_started_again() {
    if skip_unless_leat("three_nodes_lose_nothing_and_serve_while_each_is_killed_and_started_again") {
        return;
    }
    let cluster = Folder::new();
    let up = cluster.ok(&["up"]);
    assert_eq!(up.lines().next().map(|line| line.matches(':').count()), Some(3), "{up}");
    let input = cluster.0.path().join("input");
    fs::write(&input, "one\ntwo\nthree\n").expect("a file that can be written");
    cluster.client(&["topic", "create", "kept", "--partitions", "3"]);
    for node in ["1", "2", "3"] {
        cluster.ok(&["kill", node]);
        assert_eq!(cluster.rows().iter().filter(|row| row.state == "ready").count(), 2);
        cluster.client(&["produce", "kept", input.to_str().expect("a path that is text")]);
        cluster.ok(&["up"]);
        assert!(cluster.rows().iter().all(|row| row.state == "ready"));
    }
    cluster.ok(&["restart"]);
    let consumed = cluster.client(&["consume", "kept", "--until", "latest"]);
    assert_eq!(consumed.lines().count(), 9, "{consumed}");
}

#[test]
fn a_node_that_is_removed_leaves_what_it_held_to_the_others() {
    if skip_unless_leat("a_node_that_is_removed_leaves_what_it_held_to_the_others") {
        return;
    }
    let cluster = Folder::new();
    cluster.ok(&["up"]);
    let input = cluster.0.path().join("input");
    fs::write(&input, "one\ntwo\nthree\n").expect("a file that can be written");
    cluster.client(&["topic", "create", "kept", "--partitions", "3"]);
    cluster.client(&["produce", "kept", input.to_str().expect("a path that is text")]);
    let said = cluster.ok(&["remove", "1"]);
    assert!(said.contains("node 1 is out of the cluster: 3 partitions moved"), "{said}");
    assert_eq!(cluster.rows().len(), 2);
    cluster.ok(&["remove", "3"]);
    assert_eq!(cluster.run(&["remove", "2"]).code, Some(2), "it is the only one");
    cluster.ok(&["restart"]);
    cluster.ok(&["up", "--nodes", "3"]);
    assert!(cluster.rows().iter().all(|row| row.state == "ready"));
    assert_eq!(cluster.run(&["kill", "1"]).code, Some(4), "its number is not given again");
    let consumed = cluster.client(&["consume", "kept", "--until", "latest"]);
    assert_eq!(consumed.lines().count(), 3, "{consumed}");
}

/// Each node's status, and partition 0 of a topic, as JSON tells them.
fn told(cluster: &Folder, topic: &str) -> (Vec<Value>, Value) {
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let nodes = cluster.ok(&["status", "--json"]).lines().map(read).collect();
    let topic = read(&cluster.client(&["topic", "describe", topic, "--json"]));
    (nodes, topic["partitions"][0].clone())
}

/// Followers of a partition and the records that each lacks.
fn lags(partition: &Value) -> Vec<(u64, u64)> {
    let number = |value: &Value| value.as_u64().expect("a number");
    let lags = partition["lag"].as_array().expect("an array").iter();
    lags.map(|lag| (number(&lag["replica"]), number(&lag["records"]))).collect()
}

#[test]
fn status_and_describe_tell_who_leads_who_follows_and_who_lags() {
    if skip_unless_leat("status_and_describe_tell_who_leads_who_follows_and_who_lags") {
        return;
    }
    let cluster = Folder::new();
    cluster.ok(&["up"]);
    let input = cluster.0.path().join("input");
    fs::write(&input, "one\ntwo\nthree\n").expect("a file that can be written");
    let produce = || cluster.client(&["produce", "lags", input.to_str().expect("a path that is text")]);
    cluster.client(&["topic", "create", "lags", "--partitions", "1"]);
    produce();
    // A node that leads everything lags nowhere.
    let nobody_lags = |nodes: &[Value]| nodes.iter().all(|node| node["lag"].as_u64().unwrap_or(0) == 0);
    wait_until("nobody lags", Duration::from_secs(30), || {
        let (nodes, partition) = told(&cluster, "lags");
        nobody_lags(&nodes) && lags(&partition).iter().filter(|(_, records)| *records == 0).count() == 2
    });
    let (nodes, partition) = told(&cluster, "lags");
    let sum = |key: &str| nodes.iter().map(|node| node[key].as_u64().expect("a count")).sum::<u64>();
    assert_eq!((sum("leads"), sum("follows")), (1, 2));
    let of_metadata = |node: &Value| (node["metadata_leader"].as_u64(), node["metadata_term"].as_u64());
    assert!(nodes.iter().all(|node| of_metadata(node) >= (Some(1), Some(1))), "{nodes:?}");
    let leader = partition["leader"].as_u64();
    let followers: Vec<_> = lags(&partition).into_iter().map(|(replica, _)| replica).collect();
    assert!(followers.len() == 2 && leader.is_some_and(|leader| !followers.contains(&leader)), "{followers:?}");

    // One that is down does not say how far it is; its leader does.
    let down = followers[0];
    cluster.ok(&["kill", &down.to_string()]);
    produce();
    let (nodes, partition) = told(&cluster, "lags");
    let killed = nodes.iter().find(|node| node["node"] == down).expect("its row");
    assert_eq!((&killed["state"], &killed["leads"]), (&Value::from("down"), &Value::Null));
    assert!(killed["lag"].as_u64() >= Some(1), "{killed}");
    assert!(lags(&partition).iter().all(|(replica, _)| *replica != down), "{partition}");

    cluster.ok(&["up"]);
    wait_until("it has everything", Duration::from_secs(30), || nobody_lags(&told(&cluster, "lags").0));
}

#[test]
fn a_stranger_with_a_nodes_pid_is_left_alone() {
    if skip_unless_leat("a_stranger_with_a_nodes_pid_is_left_alone") {
        return;
    }
    let cluster = Folder::new();
    cluster.ok(&["up", "--nodes", "1"]);
    let pid = cluster.status().pid;
    cluster.ok(&["kill", "1"]);
    let mut stranger = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("sleep");
    let path = cluster.dir().join("cluster.json");
    let state = fs::read_to_string(&path).expect("the cluster's state");
    let claimed = state.replace(&format!("\"pid\": {pid}"), &format!("\"pid\": {}", stranger.id()));
    assert_ne!(claimed, state);
    fs::write(&path, claimed).expect("a file that can be written");

    let (down, kill) = (cluster.status(), cluster.run(&["kill", "1"]));
    cluster.ok(&["down"]);
    cluster.ok(&["up"]);
    let running = stranger.try_wait().expect("its state").is_none();
    stranger.kill().expect("a process to kill");
    stranger.wait().expect("its end");
    assert_eq!((&*down.state, &*down.pid), ("down", "-"));
    assert_eq!(kill.code, Some(1), "{}", kill.err);
    assert!(running, "the stranger was ended");
    assert_eq!(cluster.status().state, "ready");
}

#[test]
fn a_node_that_does_not_start_says_why() {
    if skip_unless_leat("a_node_that_does_not_start_says_why") {
        return;
    }
    let cluster = Folder::new();
    let failed = cluster.run(&["up", "--nodes", "1", "--set", "num.partitions=none"]);
    assert_eq!(failed.code, Some(1));
    assert!(failed.err.contains("node 1 has ended") && failed.err.contains("num.partitions"), "{}", failed.err);
    assert!(failed.out.is_empty(), "{}", failed.out);
    // The last word on a key counts.
    cluster.ok(&["up", "--set", "num.partitions=2"]);
    assert_eq!(cluster.status().state, "ready");
}
