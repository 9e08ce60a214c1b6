//! The demo's figures are those that `data/make.py` computed from the data set, without Leat.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::leat::{Running, command, signal};

#[test]
fn a_replay_finds_what_was_computed_without_leat() {
    let temp = tempfile::tempdir().unwrap();
    let output = command(&["demo", "--json"]).env("TMPDIR", temp.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");

    let mut found: Value = serde_json::from_slice(&output.stdout).unwrap();
    found.as_object_mut().unwrap().remove("seconds").unwrap();
    let mut expected: Value = serde_json::from_str(include_str!("../../data/flights-2013-01.totals.json")).unwrap();
    // The demo writes the same instant with New York's offset.
    assert_eq!(expected.as_object_mut().unwrap().remove("instant").unwrap(), "2013-01-15T13:00:00Z");
    assert_eq!(found, expected);

    let left: Vec<_> = std::fs::read_dir(temp.path()).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    for name in ["INT", "TERM"] {
        let temp = tempfile::tempdir().unwrap();
        let mut child = command(&["demo"]).env("TMPDIR", temp.path()).stdout(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while std::fs::read_dir(temp.path()).unwrap().count() == 0 && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Let it get past the start of its broker.
        std::thread::sleep(Duration::from_millis(300));
        signal(&child, name);
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(130 | 0)), "SIG{name}: {code:?}");
        let left: Vec<_> = std::fs::read_dir(temp.path()).unwrap().collect();
        assert!(left.is_empty(), "SIG{name} left behind: {left:?}");
    }
}

#[test]
fn what_the_demo_keeps_can_be_served_again() {
    let temp = tempfile::tempdir().unwrap();
    let output = command(&["demo", "--keep", "--json"]).env("TMPDIR", temp.path()).output().unwrap();
    assert!(output.status.success());
    let kept = std::fs::read_dir(temp.path()).unwrap().next().unwrap().unwrap().path();
    let broker = Running::start(&["--data-dir", kept.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let args = ["consume", "flights", "--from", "2013-01-15T08:00-05:00", "--until", "latest", "--format", "%p\\n"];
    let replayed = command(&args).env("LEAT_BOOTSTRAP_SERVER", &broker.bootstrap).output().unwrap();
    assert_eq!(replayed.stdout.iter().filter(|byte| **byte == b'\n').count(), 14_656);
}
