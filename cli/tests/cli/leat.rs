//! Runs the binary and a broker for it to talk to.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a command wrote and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// What it wrote, if it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// What it complained of, if it failed with `code`.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        self.err
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The binary with a clean environment.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leat"));
    command.args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEAT_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the binary without a broker.
pub(crate) fn leat(args: &[&str]) -> Ended {
    command(args).output().unwrap().into()
}

/// Runs the binary against the broker.
pub(crate) fn client(args: &[&str]) -> Ended {
    command(args).env("LEAT_BOOTSTRAP_SERVER", bootstrap()).output().unwrap().into()
}

/// Runs the binary against the broker, with `input` to read.
pub(crate) fn client_reading(args: &[&str], input: &[u8]) -> Ended {
    let mut child = command(args)
        .env("LEAT_BOOTSTRAP_SERVER", bootstrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap().into()
}

/// A topic name that no other test has, on this broker or in an earlier run.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{number}", std::process::id())
}

/// Creates a topic with a name of its own.
pub(crate) fn topic(name: &str, partitions: u32) -> String {
    let topic = unique(name);
    client(&["topic", "create", &topic, "--partitions", &partitions.to_string()]).ok();
    topic
}

/// A running `leat broker`; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) bootstrap: String,
}

impl Running {
    /// Starts one with `args` after `leat broker` and waits until it accepts clients.
    pub(crate) fn start(args: &[&str]) -> Running {
        let mut child = command(&["broker", "--http-listen", ""]).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let bootstrap = line.trim_end().strip_prefix("bootstrap=");
        let bootstrap = bootstrap.unwrap_or_else(|| panic!("the broker wrote {line:?}")).to_owned();
        Running { child, bootstrap }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends `child` a signal, by its name without SIG.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// The broker that all tests share; it ends with this process.
pub(crate) fn bootstrap() -> &'static str {
    static BOOTSTRAP: OnceLock<String> = OnceLock::new();
    BOOTSTRAP.get_or_init(|| match std::env::var("LEAT_TEST_BOOTSTRAP") {
        Ok(given) => given,
        Err(_) => in_process(),
    })
}

/// Runs the library in this process, since nothing would end a child when the last test has run. Its folder lies
/// below Cargo's, where the next run removes it.
fn in_process() -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("broker");
    let _ = std::fs::remove_dir_all(&folder);
    let sets = [
        ("log.dirs", folder.to_str().unwrap()),
        ("listeners", "PLAINTEXT://127.0.0.1:0"),
        ("leat.http.listen", ""),
        ("group.initial.rebalance.delay.ms", "0"),
    ];
    let sets = sets.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let config = leat_broker::Config::load(None, [], &sets).unwrap();
    let broker = leat_broker::Broker::start(config).unwrap();
    let bootstrap = broker.bootstrap();
    // It serves until the process ends.
    std::mem::forget(broker);
    bootstrap
}
