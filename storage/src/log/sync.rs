//! What was written since the last sync, and the rounds that bring it to stable storage.
//!
//! A round is begun on the log's thread, carried out anywhere (rounds of many logs in parallel), and ended on the log's
//! thread. Appends go on meanwhile and belong to the next round. A file stays open until it is synced, whatever the budget
//! says: an error of its write-back is reported to those who had it open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Active, Log};
use crate::budget::Hold;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::fs::{File, Mode};
use crate::segment::name::Part;
use crate::segment::{Files, Segment};

/// One thing to sync.
#[derive(Debug)]
pub struct SyncTarget {
    path: PathBuf,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A file that is held open.
    File { file: Arc<dyn File>, _hold: Hold },
    /// A file by its name: recovery keeps none open, and the budget may allow no more.
    Path { env: Env },
    /// The names in a folder.
    Folder { env: Env },
}

impl SyncTarget {
    fn file(env: &Env, file: &Arc<dyn File>, path: PathBuf) -> Self {
        match env.open_files.hold() {
            Some(hold) => Self { path, what: What::File { file: file.clone(), _hold: hold } },
            None => Self::by_name(env, path),
        }
    }

    pub(super) fn by_name(env: &Env, path: PathBuf) -> Self {
        Self { path, what: What::Path { env: env.clone() } }
    }

    pub(super) fn folder(env: &Env, path: &Path) -> Self {
        Self { path: path.to_owned(), what: What::Folder { env: env.clone() } }
    }

    /// Blocks until it is on stable storage.
    pub fn run(&self) -> Result<()> {
        let done = match &self.what {
            What::File { file, .. } => file.sync_data(),
            What::Path { env } => match env.fs.open(&self.path, Mode::Read) {
                // Trimmed away since.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
                opened => opened.and_then(|file| file.sync_data()),
            },
            What::Folder { env } => env.fs.sync_dir(&self.path),
        };
        done.map_err(|e| Error::io("sync", &self.path, e))
    }
}

/// Everything that must be synced so that all entries below an index are durable.
#[derive(Debug)]
#[must_use = "a round that is begun must be ended with Log::sync_done"]
pub struct SyncRound {
    targets: Vec<SyncTarget>,
    next_index: u64,
    truncations: u64,
}

impl SyncRound {
    /// What to sync, in any order or in parallel.
    pub fn targets(&self) -> &[SyncTarget] {
        &self.targets
    }

    /// Syncs the targets one after another.
    pub fn run(&self) -> Result<()> {
        self.targets.iter().try_for_each(SyncTarget::run)
    }
}

/// What was written since the last round began.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// The segment that was written last, and its log.
    log: Option<(Arc<Segment>, SyncTarget)>,
    /// Logs and indexes of segments that were sealed, and what recovery found.
    others: Vec<SyncTarget>,
    names: bool,
    parent: bool,
    /// The segment whose indexes were synced last, and how many entries each had.
    indexes: Option<(i64, [u32; 3])>,
    /// Every entry below it is durable.
    synced: u64,
    /// A round that began before a truncation proves nothing about the entries that came after it.
    truncations: u64,
}

impl Dirty {
    /// `indexes` is what is known to be on stable storage of the active segment's.
    pub(super) fn from_synced(synced: u64, indexes: Option<(i64, [u32; 3])>) -> Self {
        Self { synced, indexes, ..Self::default() }
    }

    pub(super) fn log_written(&mut self, env: &Env, segment: &Arc<Segment>, files: &Files) {
        if self.log.as_ref().is_some_and(|(written, _)| Arc::ptr_eq(written, segment)) {
            return;
        }
        let target = SyncTarget::file(env, &files.log, segment.path(Part::Log));
        self.others.extend(self.log.replace((segment.clone(), target)).map(|(_, before)| before));
    }

    /// Its log is among what is to be synced if it needs to be.
    pub(super) fn segment_sealed(&mut self, env: &Env, segment: &Segment, files: &Files) {
        for (part, index) in files.indexes() {
            self.others.extend(index.file().map(|file| SyncTarget::file(env, file, segment.path(part))));
        }
    }

    pub(super) fn segment_made(&mut self) {
        self.names = true;
    }

    pub(super) fn folder_made(&mut self) {
        self.parent = true;
    }

    pub(super) fn truncated_to(&mut self, next_index: u64) {
        self.synced = self.synced.min(next_index);
        self.truncations += 1;
        self.indexes = None;
    }

    /// Recovery found entries past the checkpoint in the page cache: written, perhaps not synced.
    pub(super) fn found(&mut self, env: &Env, path: PathBuf) {
        self.others.push(SyncTarget::by_name(env, path));
        (self.names, self.parent) = (true, true);
    }
}

impl Log {
    /// Something was written that no finished round has covered.
    pub fn is_dirty(&self) -> bool {
        self.sync.log.is_some() || !self.sync.others.is_empty() || self.sync.names || self.sync.parent
    }

    /// The first entry that is not known to be on stable storage.
    pub fn synced_index(&self) -> u64 {
        self.sync.synced
    }

    /// Begins a round over everything appended so far. Rounds of one log are ended in the order in which they began.
    pub fn begin_sync(&mut self) -> Result<SyncRound> {
        self.shared.check_online()?;
        let dirty = &mut self.sync;
        let mut targets = std::mem::take(&mut dirty.others);
        targets.extend(dirty.log.take().map(|(_, target)| target));
        if std::mem::take(&mut dirty.names) {
            targets.push(SyncTarget::folder(&self.env, &self.folder));
        }
        if std::mem::take(&mut dirty.parent)
            && let Some(parent) = self.folder.parent()
        {
            targets.push(SyncTarget::folder(&self.env, parent));
        }
        Ok(SyncRound { targets, next_index: self.next_index, truncations: dirty.truncations })
    }

    /// Ends a round with what its targets returned. An error takes the log offline.
    pub fn sync_done(&mut self, round: SyncRound, outcome: Result<()>) -> Result<()> {
        self.shared.check_online()?;
        if let Err(error) = outcome {
            self.shared.take_offline(&error.to_string());
            return Err(error);
        }
        if round.truncations == self.sync.truncations {
            self.sync.synced = self.sync.synced.max(round.next_index);
        }
        Ok(())
    }

    /// Brings everything appended so far to stable storage. After a failure the log refuses every call.
    pub fn sync(&mut self) -> Result<()> {
        let round = self.begin_sync()?;
        let outcome = round.run();
        self.sync_done(round, outcome)
    }

    /// Brings the active segment's indexes to stable storage. A checkpoint may be saved only after this and [`Log::sync`]
    /// have covered its applied index, so that recovery need not look at what lies before it.
    pub fn sync_indexes(&mut self) -> Result<()> {
        self.shared.check_online()?;
        let Some(active) = &self.active else { return Ok(()) };
        let now = indexed(active);
        let before = self.sync.indexes.filter(|(base, _)| *base == now.0).map(|(_, entries)| entries);
        if before == Some(now.1) {
            return Ok(());
        }
        let files = active.segment.open()?;
        for (n, (part, index)) in files.indexes().into_iter().enumerate() {
            if before.is_some_and(|before| before[n] == now.1[n]) {
                continue;
            }
            let Some(file) = index.file() else { continue };
            if let Err(e) = file.sync_data() {
                let error = Error::io("sync", &active.segment.path(part), e);
                self.shared.take_offline(&error.to_string());
                return Err(error);
            }
        }
        self.sync.indexes = Some(now);
        Ok(())
    }
}

/// A segment and how many entries each of its indexes has.
pub(super) fn indexed(active: &Active) -> (i64, [u32; 3]) {
    let marks = &active.indexer.marks;
    (active.segment.base_offset, [marks.index, marks.timeindex, marks.entries])
}
