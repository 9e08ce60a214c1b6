//! The broker under test.

use std::env;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::OnceLock;

use leat_broker::{Broker, Config, Error};
use tempfile::TempDir;

use super::Connection;

/// Names a broker that is tested instead of a Leat started here.
const BOOTSTRAP: &str = "LEAT_TEST_BOOTSTRAP";

/// As tests/compat/apache-kafka sets them: first members are not waited for, and sessions may end soon.
pub(crate) const QUICK_GROUPS: [(&str, &str); 2] =
    [("group.initial.rebalance.delay.ms", "0"), ("group.min.session.timeout.ms", "100")];

/// A broker that serves.
#[derive(Debug)]
pub(crate) struct Target {
    address: SocketAddr,
}

impl Target {
    pub(crate) fn of(broker: &Broker) -> Self {
        Self { address: broker.address() }
    }

    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// What a client is given.
    pub(crate) fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }
}

/// The broker that tests share: each uses topics of its own. It lives as long as the process.
pub(crate) fn target() -> &'static Target {
    static TARGET: OnceLock<(Target, Option<(Broker, TempDir)>)> = OnceLock::new();
    let (target, _) = TARGET.get_or_init(|| match env::var(BOOTSTRAP) {
        Ok(bootstrap) => {
            let address = bootstrap.to_socket_addrs().expect("host:port").next().expect("an address");
            (Target { address }, None)
        }
        Err(_) => {
            let folder = tempfile::tempdir().expect("a folder");
            let broker = start(folder.path(), &QUICK_GROUPS).expect("a broker");
            (Target::of(&broker), Some((broker, folder)))
        }
    });
    target
}

/// Starts a Leat in this process, with its data in `folder`.
pub(crate) fn start(folder: &Path, sets: &[(&str, &str)]) -> Result<Broker, Error> {
    Broker::start(config(folder, sets).expect("a configuration"))
}

pub(crate) fn config(folder: &Path, sets: &[(&str, &str)]) -> Result<Config, leat_broker::config::Error> {
    let data = folder.to_str().expect("a path that is text");
    let own = [("log.dirs", data), ("listeners", "PLAINTEXT://127.0.0.1:0"), ("leat.http.listen", "")];
    let sets: Vec<_> = own.iter().chain(sets).map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    Config::load(None, [], &sets)
}

/// Whether the broker under test is a Leat.
pub(crate) fn is_leat() -> bool {
    env::var_os(BOOTSTRAP).is_none()
}

/// Whether a test about Leat alone has to be skipped, which it then says.
pub(crate) fn skip_unless_leat(test: &str) -> bool {
    if !is_leat() {
        eprintln!("{test}: skipped, {BOOTSTRAP} names another broker");
    }
    !is_leat()
}
