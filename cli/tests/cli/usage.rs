//! Help, errors and exit codes.

use crate::leat::{command, leat};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["broker"],
    &["cluster"],
    &["cluster", "up"],
    &["cluster", "status"],
    &["cluster", "kill"],
    &["cluster", "pause"],
    &["cluster", "resume"],
    &["cluster", "restart"],
    &["cluster", "down"],
    &["demo"],
    &["topic"],
    &["topic", "create"],
    &["topic", "list"],
    &["topic", "describe"],
    &["topic", "alter"],
    &["topic", "delete"],
    &["produce"],
    &["consume"],
    &["records"],
    &["records", "delete"],
    &["offsets"],
    &["group"],
    &["group", "list"],
    &["group", "describe"],
    &["group", "reset"],
    &["group", "delete"],
    &["config"],
    &["config", "broker"],
    &["log"],
    &["log", "dump"],
    &["log", "verify"],
    &["bench"],
    &["bench", "produce"],
    &["bench", "consume"],
    &["version"],
    &["completions"],
];

#[test]
fn every_command_has_help_with_an_example() {
    for path in COMMANDS {
        let help = leat(&[path, &["--help"][..]].concat()).ok();
        assert!(help.contains("Usage: leat"), "{path:?}: {help}");
        assert!(help.contains("Example"), "{path:?}: {help}");
        assert!(help.lines().all(|line| line.chars().count() <= 120), "{path:?} is too wide:\n{help}");
    }
}

#[test]
fn the_help_names_the_exit_codes() {
    let help = leat(&["--help"]).ok();
    for code in
        ["0    done", "1    failed", "2    the command line", "3    no broker", "4    a topic", "130  interrupted"]
    {
        assert!(help.contains(code), "{code}: {help}");
    }
}

#[test]
fn a_wrong_command_line_is_2_and_says_what_would_be_right() {
    let cases: &[(&[&str], &str)] = &[
        (&["consum"], "consume"),
        (&["consume", "t", "--from", "newest"], "give earliest, latest, an offset"),
        (&["consume", "t", "--from", "2013-01-15T08:00"], "no time zone: add Z"),
        (&["consume", "t", "--format", "%q"], "is not a field"),
        (&["consume", "t", "--json", "--format", "%s"], "cannot be used with"),
        (&["consume", "t", "--partition", "-1"], "-1"),
        (&["consume", "t", "--group", "g", "--partition", "0"], "cannot be used with"),
        (&["group", "reset", "g"], "--to"),
        (&["group", "reset", "g", "--to", "latest", "--shift", "5"], "cannot be used with"),
        (&["group", "reset", "g", "--to", "soon"], "give earliest, latest, an offset"),
        (&["produce", "t", "--key", "id"], "--key does not go with --input lines"),
        (&["produce", "t", "--input", "csv", "--csv-delimiter", ";;"], "one ASCII character"),
        (&["produce", "t", "--acks", "2"], "acks = \"2\" is not right: it must be all"),
        (&["produce", "t", "-X", "lingerms=5"], "unknown property \"lingerms\""),
        (&["topic", "create", "t", "--config", "retention.ms"], "is not KEY=VALUE"),
        (&["offsets", "t", "--timeout", "0"], "number of seconds"),
        (&["broker", "--set", "log.retention.hour=1"], "unknown key `log.retention.hour`"),
        (&["broker", "--listen", "127.0.0.1"], "no port"),
        (&["config", "--config", "no-such-file.toml"], "no-such-file.toml"),
    ];
    for (args, expected) in cases {
        let error = leat(args).failed(2);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn no_broker_is_3_and_names_the_address() {
    // A port that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let commands: &[&[&str]] = &[
        &["topic", "list"],
        &["topic", "describe", "t"],
        &["offsets", "t"],
        &["consume", "t"],
        &["records", "delete", "t", "--before", "5"],
    ];
    for args in commands {
        let error = leat(&[args, &["-b", &address, "--timeout", "0.5"][..]].concat()).failed(3);
        assert!(error.contains(&address), "{args:?}: {error}");
    }
}

#[test]
fn version_and_completions_need_no_broker() {
    assert_eq!(leat(&["version"]).ok(), format!("leat {}\n", env!("CARGO_PKG_VERSION")));
    let json: serde_json::Value = serde_json::from_str(&leat(&["version", "--json"]).ok()).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(leat(&["completions", shell]).ok().contains("bootstrap-server"), "{shell}");
    }
}

#[test]
fn config_shows_values_and_where_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leat.toml");
    std::fs::write(&file, "log.retention.hours = 24\n[log.segment]\nbytes = 1048576\n").unwrap();
    let output = command(&["config", "--json", "--config", file.to_str().unwrap(), "--set", "log.segment.bytes=2048"])
        .env("LEAT_NUM_PARTITIONS", "6")
        .env("LEAT_LOG", "error")
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let entries: Vec<serde_json::Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (key, value, source) in [
        ("log.retention.hours", "24", "file"),
        ("log.segment.bytes", "2048", "set"),
        ("num.partitions", "6", "environment"),
        ("node.id", "0", "default"),
    ] {
        let entry = entries.iter().find(|entry| entry["key"] == key).unwrap();
        assert_eq!((entry["value"].as_str(), entry["source"].as_str()), (Some(value), Some(source)), "{key}");
    }
}

#[test]
fn what_config_shows_can_be_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leat.toml");
    let shown = leat(&["config", "--set", "log.retention.hours=24"]).ok();
    std::fs::write(&file, &shown).unwrap();
    let again = leat(&["config", "--config", file.to_str().unwrap()]).ok();
    let values = |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(values(&shown), values(&again));
}
