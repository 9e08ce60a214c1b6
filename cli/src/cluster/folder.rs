//! The cluster's folder: `cluster.json` says who is in it, and a lock keeps two commands from changing it at once.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::node::Node;
use super::ports::{self, Ports};
use crate::error::{Error, Result};

/// The folder where none is named.
pub(crate) const DEFAULT: &str = "leat-cluster";

const STATE: &str = "cluster.json";

/// A cluster. A command that changes it holds the lock until it is done.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) folder: PathBuf,
    pub(crate) state: State,
    _lock: Option<File>,
}

/// What is kept in the folder.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// What its brokers know and strangers do not.
    pub(super) secret: String,
    /// Configuration that every node is started with.
    pub(crate) sets: Vec<(String, String)>,
    pub(crate) nodes: Vec<Node>,
    /// Highest number of a node that was taken out: no later one gets one of them.
    #[serde(default)]
    taken_out: u32,
}

impl Cluster {
    /// The cluster in a folder, to be changed.
    pub(crate) fn find(folder: &Path) -> Result<Cluster> {
        Cluster::look(folder)?;
        let (folder, lock) = (real(folder)?, Some(lock(folder)?));
        // It may have changed until it was ours.
        let state = load(&folder)?.ok_or_else(|| missing(&folder))?;
        Ok(Cluster { folder, state, _lock: lock })
    }

    /// The cluster in a folder as it is now.
    pub(crate) fn look(folder: &Path) -> Result<Cluster> {
        let state = load(folder)?.ok_or_else(|| missing(folder))?;
        Ok(Cluster { folder: real(folder)?, state, _lock: None })
    }

    /// The cluster in a folder, or a new one of so many nodes; whether it is new.
    pub(crate) fn find_or_make(folder: &Path, nodes: usize, base_port: Option<u16>) -> Result<(Cluster, bool)> {
        let failed = |error| Error::file(folder.display(), &error);
        fs::create_dir_all(folder).map_err(failed)?;
        let (folder, lock) = (real(folder)?, Some(lock(folder)?));
        let found = load(&folder)?;
        let is_new = found.is_none();
        let state = match found {
            Some(state) => state,
            None => State::new(ports::choose(nodes, base_port)?)?,
        };
        let cluster = Cluster { folder, state, _lock: lock };
        cluster.save()?;
        Ok((cluster, is_new))
    }

    /// The node of a number.
    pub(crate) fn node(&self, id: u32) -> Result<&Node> {
        let ids: Vec<_> = self.state.nodes.iter().map(|node| node.id.to_string()).collect();
        let known = || format!("there is no node {id}; there is {}", ids.join(", "));
        self.state.nodes.iter().find(|node| node.id == id).ok_or_else(|| Error::NotFound(known()))
    }

    /// Has more nodes, which join when they are started. One that was alone has no port for others yet.
    pub(crate) fn grow(&mut self, count: usize) -> Result<()> {
        let Some(first) = self.state.nodes.first() else { return Ok(()) };
        if !self.state.has_others() && first.process(&self.folder).is_some() {
            return Err(Error::Usage("--nodes: a node that is alone is stopped first: `leat cluster down`".to_owned()));
        }
        let base = first.base_port();
        let nodes = &mut self.state.nodes;
        let last = nodes.iter().map(|node| node.id).max().unwrap_or(0).max(self.state.taken_out) as usize;
        let more = count.saturating_sub(nodes.len());
        nodes.extend(Node::all(ports::more(base, last, last + more)?, last));
        Ok(())
    }

    /// A node is no more in the cluster.
    pub(crate) fn remove(&mut self, id: u32) -> Result<()> {
        self.state.nodes.retain(|node| node.id != id);
        self.state.taken_out = self.state.taken_out.max(id);
        self.save()
    }

    /// Starts a node, and takes note of its pid at once.
    pub(crate) fn start(&mut self, id: u32) -> Result<()> {
        let pid = self.node(id)?.start(&self.folder, &self.state)?;
        self.state.nodes.iter_mut().filter(|node| node.id == id).for_each(|node| node.pid = Some(pid));
        self.save()
    }

    /// What clients are given.
    pub(crate) fn bootstrap(&self) -> String {
        self.state.nodes.iter().map(|node| node.bootstrap()).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn save(&self) -> Result<()> {
        let path = self.folder.join(STATE);
        let new = path.with_extension("new");
        let write = || -> std::io::Result<()> {
            // For nobody else to read: it has the secret.
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            serde_json::to_writer_pretty(&mut file, &self.state)?;
            file.write_all(b"\n")?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| Error::file(path.display(), &error))
    }
}

impl State {
    /// Whether a node has others beside it, or had: it goes on to listen to them.
    pub(super) fn has_others(&self) -> bool {
        self.nodes.len() > 1 || self.taken_out > 0
    }

    fn new(ports: Vec<Ports>) -> Result<State> {
        let mut random = [0; 16];
        let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random));
        read.map_err(|error| Error::file("/dev/urandom", &error))?;
        let secret = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(State { secret, sets: Vec::new(), nodes: Node::all(ports, 0), taken_out: 0 })
    }
}

fn missing(folder: &Path) -> Error {
    let folder = folder.display();
    Error::NotFound(format!("there is no cluster in {folder}; `leat cluster up --dir {folder}` makes one"))
}

/// The folder by its one true name, which is how its brokers are recognized.
fn real(folder: &Path) -> Result<PathBuf> {
    let real = folder.canonicalize().map_err(|error| Error::file(folder.display(), &error))?;
    match real.to_str() {
        Some(_) => Ok(real),
        None => Err(Error::Usage(format!("--dir {}: the path must be UTF-8", folder.display()))),
    }
}

/// Waits for whoever changes the cluster.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("cluster.lock");
    let lock = File::create(&path).and_then(|lock| lock.lock().map(|()| lock));
    lock.map_err(|error| Error::file(path.display(), &error))
}

fn load(folder: &Path) -> Result<Option<State>> {
    let path = folder.join(STATE);
    match fs::read(&path) {
        Ok(text) => {
            let damaged = |error| Error::Failed(format!("{} is not a cluster's: {error}", path.display()));
            serde_json::from_slice(&text).map(Some).map_err(damaged)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(path.display(), &error)),
    }
}
