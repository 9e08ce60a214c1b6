//! A file system for tests that loses power: real files in a temporary folder, with a memory of what was synced.
//!
//! Content that was never synced may come back in part (any subset of the writes since the sync, each cut at a 512-byte
//! sector); names that were never synced come back as they were some operations ago. Everything is a function of the seed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Entry, File, Fs, Mode, Stat, real};

/// A call that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Open,
    Read,
    Write,
    Sync,
    SyncDir,
    Rename,
    Truncate,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct FaultFs {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    root: PathBuf,
    boot: u64,
    process: u64,
    random: u64,
    nodes: BTreeMap<u64, Node>,
    next_node: u64,
    /// Names as they are now, and as they are on stable storage.
    names: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    /// Changes of names since the last sync of their folder, in order.
    changes: Vec<Change>,
    failures: BTreeMap<Call, (u32, io::ErrorKind)>,
    /// Calls that change something and still get through.
    changes_left: Option<u32>,
    space: Option<u64>,
}

/// One change of names; a rename is one change, as journals make it.
#[derive(Debug, Clone)]
struct Change {
    remove: Option<PathBuf>,
    insert: Option<(PathBuf, u64)>,
}

impl Change {
    fn folder(&self) -> Option<&Path> {
        self.insert.as_ref().map(|(path, _)| path).or(self.remove.as_ref()).and_then(|path| path.parent())
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        if let Some(path) = &self.remove {
            names.remove(path);
        }
        if let Some((path, node)) = &self.insert {
            names.insert(path.clone(), *node);
        }
    }
}

/// A file's content: what is on stable storage, and what was done since.
#[derive(Debug, Default)]
struct Node {
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Debug, Clone)]
enum Pending {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl Pending {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(position, bytes) => {
                let position = *position as usize;
                if content.len() < position + bytes.len() {
                    content.resize(position + bytes.len(), 0);
                }
                content[position..position + bytes.len()].copy_from_slice(bytes);
            }
            Self::Truncate(len) => content.resize(*len as usize, 0),
        }
    }
}

impl FaultFs {
    /// Watches over `root`, which must be empty, and draws its faults from `seed`.
    pub fn new(root: &Path, seed: u64) -> Self {
        let state = State {
            root: root.to_owned(),
            boot: 1,
            process: 1,
            random: seed | 1,
            nodes: BTreeMap::new(),
            next_node: 1,
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            changes: Vec::new(),
            failures: BTreeMap::new(),
            changes_left: None,
            space: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The `nth` call of this kind from now on (1 is the next) fails once.
    pub fn fail(&self, call: Call, nth: u32, kind: io::ErrorKind) {
        self.state.lock().failures.insert(call, (nth, kind));
    }

    /// So many calls that change or sync something get through, and then none until the next [`FaultFs::crash`] or
    /// [`FaultFs::kill`]: the process has ended there.
    pub fn halt_after(&self, changes: u32) {
        self.state.lock().changes_left = Some(changes);
    }

    /// From now on only so many bytes can be added to files; `None` lifts the limit.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.state.lock().space = bytes;
    }

    /// Cuts the power: open files go dead, the folder holds what a disk might hold, and a new boot begins.
    pub fn crash(&self) -> io::Result<()> {
        self.state.lock().crash()
    }

    /// Ends the process but not the machine: open files go dead, everything written is still there.
    pub fn kill(&self) {
        let mut state = self.state.lock();
        state.process += 1;
        state.failures.clear();
        state.changes_left = None;
    }

    fn may_change(&self) -> io::Result<()> {
        match &mut self.state.lock().changes_left {
            Some(0) => Err(io::Error::other("the process has ended")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn failure(&self, call: Call) -> io::Result<()> {
        let mut state = self.state.lock();
        let Some((nth, kind)) = state.failures.get_mut(&call) else {
            return Ok(());
        };
        *nth -= 1;
        if *nth > 0 {
            return Ok(());
        }
        let kind = *kind;
        state.failures.remove(&call);
        Err(io::Error::new(kind, "injected"))
    }
}

impl State {
    /// xorshift64*: enough for faults, and no dependency.
    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) % below.max(1)
    }

    fn change(&mut self, remove: Option<PathBuf>, insert: Option<(PathBuf, u64)>) {
        let change = Change { remove, insert };
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn crash(&mut self) -> io::Result<()> {
        self.boot += 1;
        self.process += 1;
        self.failures.clear();
        self.changes_left = None;
        let kept = self.draw(self.changes.len() as u64 + 1) as usize;
        for change in std::mem::take(&mut self.changes).into_iter().take(kept) {
            change.apply(&mut self.durable);
        }
        for path in self.names.keys() {
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        let durable = self.durable.clone();
        let mut nodes = BTreeMap::new();
        for (path, id) in &durable {
            let mut node = self.nodes.remove(id).unwrap_or_default();
            let content = self.survivors(&mut node);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, &content)?;
            nodes.insert(*id, Node { durable: content, pending: Vec::new() });
        }
        self.nodes = nodes;
        self.names = durable;
        self.remove_empty(&self.root)?;
        Ok(())
    }

    /// A folder is known by what is in it: one of which no name is on stable storage is gone.
    fn remove_empty(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.remove_empty(&path)?;
                if !self.names.keys().any(|name| name.starts_with(&path)) {
                    fs::remove_dir(&path)?;
                }
            }
        }
        Ok(())
    }

    /// What is left of a file: all that was synced, and by chance some of what was not.
    fn survivors(&mut self, node: &mut Node) -> Vec<u8> {
        let mut content = std::mem::take(&mut node.durable);
        let mode = self.draw(4);
        for pending in &node.pending {
            let keep = match mode {
                0 => false,
                1 => true,
                _ => self.draw(2) == 0,
            };
            if keep {
                pending.apply(&mut content);
            } else if mode == 3
                && let Pending::Write(position, bytes) = pending
            {
                self.tear(*position, bytes, &mut content);
            }
        }
        content
    }

    /// Writes the sectors of a write up to a drawn one.
    fn tear(&mut self, position: u64, bytes: &[u8], content: &mut Vec<u8>) {
        const SECTOR: u64 = 512;
        let end = position + bytes.len() as u64;
        let sectors = end.div_ceil(SECTOR) - position / SECTOR;
        let cut = ((position / SECTOR + self.draw(sectors)) * SECTOR).clamp(position, end);
        Pending::Write(position, bytes[..(cut - position) as usize].to_vec()).apply(content);
    }
}

impl Fs for FaultFs {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>> {
        self.failure(Call::Open)?;
        if matches!(mode, Mode::Create | Mode::Replace) {
            self.may_change()?;
        }
        let file = real::open(path, mode)?;
        let mut state = self.state.lock();
        let node = match state.names.get(path) {
            Some(node) => *node,
            None => {
                let node = state.next_node;
                state.next_node += 1;
                let durable = fs::read(path)?;
                state.nodes.insert(node, Node { durable, pending: Vec::new() });
                state.change(None, Some((path.to_owned(), node)));
                node
            }
        };
        if mode == Mode::Replace
            && let Some(node) = state.nodes.get_mut(&node)
        {
            node.pending.push(Pending::Truncate(0));
        }
        Ok(Arc::new(FaultFile { fs: self.clone(), file, node, process: state.process }))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        real::RealFs.stat(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        real::RealFs.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.failure(Call::Rename)?;
        self.may_change()?;
        let mut state = self.state.lock();
        fs::rename(from, to)?;
        if to.is_dir() {
            // A folder: every name below it moves.
            let below: Vec<_> =
                state.names.iter().filter(|(p, _)| p.starts_with(from)).map(|(p, n)| (p.clone(), *n)).collect();
            for (path, node) in below {
                let Ok(rest) = path.strip_prefix(from) else {
                    continue;
                };
                let moved = to.join(rest);
                state.change(Some(path), Some((moved, node)));
            }
            return Ok(());
        }
        let node = state.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        state.change(Some(from.to_owned()), Some((to.to_owned(), node)));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.may_change()?;
        let mut state = self.state.lock();
        fs::remove_file(path)?;
        state.change(Some(path.to_owned()), None);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.failure(Call::SyncDir)?;
        self.may_change()?;
        let mut state = self.state.lock();
        // A journal keeps the order: what came before the folder's last change goes with it.
        let last = state.changes.iter().rposition(|change| change.folder() == Some(path));
        if let Some(last) = last {
            let rest = state.changes.split_off(last + 1);
            for change in std::mem::replace(&mut state.changes, rest) {
                change.apply(&mut state.durable);
            }
        }
        Ok(())
    }

    fn boot_id(&self) -> io::Result<String> {
        let state = self.state.lock();
        Ok(format!("{}#{}", state.root.display(), state.boot))
    }
}

#[derive(Debug)]
struct FaultFile {
    fs: FaultFs,
    file: fs::File,
    node: u64,
    process: u64,
}

impl FaultFile {
    fn alive(&self, call: Call) -> io::Result<()> {
        if self.fs.state.lock().process != self.process {
            return Err(io::Error::other("the process that opened it has ended"));
        }
        self.fs.failure(call)
    }

    fn record(&self, pending: Pending) {
        if let Some(node) = self.fs.state.lock().nodes.get_mut(&self.node) {
            node.pending.push(pending);
        }
    }
}

impl File for FaultFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.alive(Call::Read)?;
        FileExt::read_at(&self.file, buffer, position)
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.alive(Call::Write)?;
        self.fs.may_change()?;
        let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let len = self.file.metadata()?.len();
        let mut state = self.fs.state.lock();
        if let Some(space) = &mut state.space {
            let grow = (position + bytes.len() as u64).saturating_sub(len);
            let short = grow.saturating_sub(*space);
            *space -= grow - short;
            bytes.truncate(bytes.len() - short as usize);
            if bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        drop(state);
        self.file.write_all_at(&bytes, position)?;
        let written = bytes.len();
        self.record(Pending::Write(position, bytes));
        Ok(written)
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(real::stat(&self.file.metadata()?))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.alive(Call::Truncate)?;
        self.fs.may_change()?;
        self.file.set_len(len)?;
        self.record(Pending::Truncate(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.alive(Call::Sync)?;
        self.fs.may_change()?;
        let mut state = self.fs.state.lock();
        if let Some(node) = state.nodes.get_mut(&self.node) {
            for pending in std::mem::take(&mut node.pending) {
                pending.apply(&mut node.durable);
            }
        }
        Ok(())
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        File::as_fd(&self.file)
    }
}
