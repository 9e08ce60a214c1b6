//! A `leat broker` as a process of its own, to be killed.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};
use std::{env, thread};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, setrlimit};

use super::Target;

/// Names a built `leat`; without it, one is built.
const BINARY: &str = "LEAT_BIN";

/// A broker of a cluster waits for the others, but not for ever here.
const START_MAX: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) target: Target,
}

impl Process {
    /// Starts a broker and waits until it serves. Its log goes to `log` in the data folder's parent.
    pub(crate) fn start(data: &Path, listen: &str, sets: &[&str]) -> Self {
        let mut command = command(data, listen, sets);
        command.stderr(log(data)).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the leat binary");
        let (said, line) = mpsc::channel();
        let output = child.stdout.take().expect("its output");
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(output).read_line(&mut line);
            let _ = said.send(line);
        });
        let Ok(line) = line.recv_timeout(START_MAX) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("leat says nothing; its log: {}", fs::read_to_string(log_path(data)).unwrap_or_default());
        };
        let Some(bootstrap) = line.trim().strip_prefix("bootstrap=") else {
            let _ = child.wait();
            panic!("leat said {line:?}; its log: {}", fs::read_to_string(log_path(data)).unwrap_or_default());
        };
        let address: SocketAddr = bootstrap.parse().expect("an address");
        Self { child, target: Target::at(address) }
    }

    /// Starts a broker that must refuse to run: what it says.
    pub(crate) fn refused(data: &Path, sets: &[&str]) -> String {
        let output = command(data, "127.0.0.1:0", sets).output().expect("the leat binary");
        assert!(!output.status.success(), "leat runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("its end");
    }

    /// SIGTERM: its status and how long it took.
    pub(crate) fn terminate(mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.signal(Signal::TERM);
        (self.child.wait().expect("its end"), begun.elapsed())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).expect("a process to signal");
    }

    /// Resident bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
        kilobytes * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of one that has ended, both fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(data: &Path, listen: &str, sets: &[&str]) -> Command {
    let mut command = leat_command();
    command.arg("broker").arg("--data-dir").arg(data).arg("--listen").arg(listen).args(["--http-listen", ""]);
    for set in sets {
        command.arg("--set").arg(set);
    }
    command
}

/// The binary with a clean environment.
pub(crate) fn leat_command() -> Command {
    let mut command = Command::new(leat());
    // Every LEAT_ variable is a key to it, those for the tests too.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEAT_")) {
        command.env_remove(name);
    }
    command.env("LEAT_LOG", "warn").stdin(Stdio::null());
    command
}

fn log_path(data: &Path) -> PathBuf {
    data.with_extension("log")
}

fn log(data: &Path) -> File {
    File::options().create(true).append(true).open(log_path(data)).expect("a log file")
}

/// The binary, built as the tests were.
fn leat() -> &'static Path {
    static LEAT: OnceLock<PathBuf> = OnceLock::new();
    LEAT.get_or_init(|| {
        if let Some(path) = env::var_os(BINARY) {
            return path.into();
        }
        let own = env::current_exe().expect("a path");
        let folder = own.parent().and_then(Path::parent).expect("the profile's folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "leat", "--target-dir"]);
        build.arg(folder.parent().expect("the target folder"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo").success(), "the leat binary does not build");
        folder.join("leat")
    })
}

/// A port that nobody listens on, for a broker that has to come back at the same address. It is given once, and lies below
/// those that outgoing connections take.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().expect("the ports that were given");
    loop {
        let port = 12_000 + u16::try_from(random(18_000)).expect("a port");
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
}

/// As many open files as this process may have: many connections are held at once.
pub(crate) fn raise_the_limit_of_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("a higher limit of files");
}

/// Another number each time.
pub(crate) fn random(below: u64) -> u64 {
    RandomState::new().build_hasher().finish() % below
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < patience, "{what}: not after {patience:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
