//! Standard output that somebody closes, and records that arrive while somebody watches.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::leat::{bootstrap, client_reading, command, topic};

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let name = topic("pipe", 1);
    let input: String = (0..20_000).map(|i| format!("a line that fills the pipe, number {i}\n")).collect();
    client_reading(&["produce", &name], input.as_bytes()).ok();

    let mut child = command(&["consume", &name])
        .env("LEAT_BOOTSTRAP_SERVER", bootstrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "a line that fills the pipe, number 0\n");
    // The pipe is closed now, as `head` does.
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

#[test]
fn a_typed_line_is_seen_at_once() {
    let name = topic("live", 1);
    let mut reader =
        command(&["consume", &name]).env("LEAT_BOOTSTRAP_SERVER", bootstrap()).stdout(Stdio::piped()).spawn().unwrap();
    let mut writer = command(&["produce", &name, "--quiet"])
        .env("LEAT_BOOTSTRAP_SERVER", bootstrap())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(reader.stdout.take().unwrap()).lines();
    let mut input = writer.stdin.take().unwrap();
    for line in ["first", "second"] {
        writeln!(input, "{line}").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), line);
    }
    drop(input);
    assert!(writer.wait().unwrap().success());
    reader.kill().unwrap();
    reader.wait().unwrap();
}
