//! `leat broker`: how it says where it is, how it ends, and that it keeps what it has acknowledged.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::leat::{Running, command, leat, signal};

fn on(broker: &Running, args: &[&str]) -> String {
    let output = command(args).env("LEAT_BOOTSTRAP_SERVER", &broker.bootstrap).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_takes_a_free_port_tells_it_and_stops_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let port_file = folder.path().join("port");
    let mut broker = Running::start(&[
        "--data-dir",
        data.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--port-file",
        port_file.to_str().unwrap(),
    ]);
    let port = std::fs::read_to_string(&port_file).unwrap();
    assert_eq!(broker.bootstrap, format!("127.0.0.1:{}", port.trim()));
    on(&broker, &["topic", "create", "t"]);

    let began = Instant::now();
    signal(&broker.child, "TERM");
    assert!(broker.child.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--data-dir", folder.path().to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let broker = Running::start(&args);
    on(&broker, &["topic", "create", "t", "--partitions", "2", "--config", "retention.ms=-1"]);
    let input = folder.path().join("lines");
    std::fs::write(&input, "one\ntwo\nthree\n").unwrap();
    on(&broker, &["produce", "t", "--partition", "1", input.to_str().unwrap()]);
    // Dropping it is a kill -9.
    drop(broker);

    let broker = Running::start(&args);
    assert_eq!(on(&broker, &["consume", "t", "--until", "latest"]), "one\ntwo\nthree\n");
    assert_eq!(on(&broker, &["consume", "t", "--from", "-1", "--until", "latest"]), "three\n");
}

#[test]
fn a_folder_in_use_and_an_address_in_use_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let broker = Running::start(&["--data-dir", data.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let error = leat(&["broker", "--data-dir", data.to_str().unwrap(), "--listen", "127.0.0.1:0"]).failed(1);
    assert!(error.contains(data.to_str().unwrap()), "{error}");

    let other = folder.path().join("other");
    let error = leat(&["broker", "--data-dir", other.to_str().unwrap(), "--listen", &broker.bootstrap]).failed(1);
    assert!(error.contains(&broker.bootstrap), "{error}");
}

#[test]
fn it_serves_on_when_nobody_reads_its_output() {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    let data = folder.path().join("data");
    let mut child = command(&["broker", "--listen", "127.0.0.1:0", "--http-listen", ""])
        .args(["--data-dir", data.to_str().unwrap()])
        .args(["--port-file", port_file.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let deadline = Instant::now() + Duration::from_secs(20);
    while !port_file.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let address = format!("127.0.0.1:{}", std::fs::read_to_string(&port_file).unwrap().trim());
    let listed = leat(&["topic", "list", "-b", &address]);
    child.kill().unwrap();
    child.wait().unwrap();
    listed.ok();
}

#[test]
fn its_configuration_changes_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Running::start(&["--data-dir", folder.path().to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let shown = || on(&broker, &["config", "broker", "0", "--json"]);
    assert!(!shown().contains("log.retention.ms"));
    on(&broker, &["config", "broker", "0", "--config", "log.retention.ms=86400000"]);
    assert!(shown().contains(r#"{"name":"log.retention.ms","value":"86400000","source":"broker","read_only":false}"#));
    on(&broker, &["config", "broker", "0", "--unset", "log.retention.ms"]);
    assert!(!shown().contains("log.retention.ms"));
}
