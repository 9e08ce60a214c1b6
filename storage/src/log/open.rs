//! Creating and opening a log: list the folder once, recover what came after the checkpoint, leave the rest for later.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use leat_protocol::records::BatchHeader;

use super::append::Change;
use super::manifest::{Manifest, Swapped};
use super::recover::{Recovered, Recovery};
use super::{Identity, Log, LogConfig, Report, Shared, View, sync};
use crate::checkpoint::Checkpoint;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::segment::name::{self, Name, Part};

/// What is known when a log is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenHint {
    /// The partition's saved state: everything up to its `applied` was synced.
    pub checkpoint: Option<Checkpoint>,
    /// All that was written is still there ([`DataDir::same_boot`](crate::DataDir::same_boot)).
    pub same_boot: bool,
}

/// What is called for each entry past the checkpoint: index, header, the whole frame.
pub(super) type OnEntry<'a> = dyn FnMut(u64, &BatchHeader, &[u8]) + 'a;

/// A partition's folder, listed.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Base offsets of segments that have a log, and of quarantined ones.
    pub(super) segments: BTreeSet<i64>,
    pub(super) quarantined: BTreeSet<i64>,
    pub(super) manifest: Option<Manifest>,
}

impl Log {
    /// A log that begins at `first_index` and `first_offset` and has no files before its first append.
    ///
    /// # Errors
    /// If the folder has segments already.
    pub fn create(
        env: &Env,
        folder: &Path,
        identity: Identity,
        config: LogConfig,
        first_index: u64,
        first_offset: i64,
    ) -> Result<Self> {
        let listing = Listing::read(env, folder, &identity)?;
        if !listing.segments.is_empty() || !listing.quarantined.is_empty() {
            return Err(Error::io("create a log in", folder, io::ErrorKind::AlreadyExists.into()));
        }
        let recovered = Recovered::empty(first_index.max(1), first_offset, 0);
        Ok(Self::assemble(env, folder.into(), identity, config, recovered))
    }

    /// Opens the log in `folder`; an absent or empty folder is an empty log. Calls `on_entry` in order for each entry
    /// after the checkpoint, or for all where there is none.
    ///
    /// Entries it found past the checkpoint may be in the page cache only: they count as persisted after the next sync.
    pub fn open(
        env: &Env,
        folder: &Path,
        identity: Identity,
        config: LogConfig,
        hint: OpenHint,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<Self> {
        let start = Instant::now();
        let folder: Arc<Path> = folder.into();
        let listing = Listing::read(env, &folder, &identity)?;
        let applied = hint.checkpoint.as_ref().map_or(u64::MAX, |checkpoint| checkpoint.applied);
        let recovered = Recovery::new(env, &folder, identity, config, hint, listing).run(on_entry)?;
        let mut log = Self::assemble(env, folder, identity, config, recovered);
        log.go_on_behind_damage()?;
        log.delete_below_start(applied)?;
        log.report.took = start.elapsed();
        Ok(log)
    }

    fn assemble(env: &Env, folder: Arc<Path>, identity: Identity, config: LogConfig, recovered: Recovered) -> Self {
        let Recovered { segments, gaps, active, epochs, log_start, first_index, previous_term, clean_end, .. } =
            recovered;
        let view = View { segments, gaps, first_index, previous_term, clean_end };
        let shared = Shared::new(view, epochs, log_start, recovered.end_offset, recovered.next_index);
        let indexed = active.as_ref().filter(|_| recovered.indexes_durable).map(sync::indexed);
        let mut dirty = sync::Dirty::from_synced(recovered.synced, indexed);
        for path in recovered.unsynced {
            dirty.found(env, path);
        }
        Self {
            env: env.clone(),
            folder,
            identity,
            config,
            shared: Arc::new(shared),
            active,
            next_index: recovered.next_index,
            end_offset: recovered.end_offset,
            last_term: recovered.last_term,
            membership: recovered.membership,
            now_ms: 0,
            sync: dirty,
            report: recovered.report,
        }
    }

    /// Where the last segment was set aside, the log goes on in a new one.
    fn go_on_behind_damage(&mut self) -> Result<()> {
        if self.active.is_none() && !self.report.quarantined.is_empty() {
            let mut change = Change::default();
            self.roll(&mut change)?;
            self.commit(change);
            self.sync()?;
        }
        Ok(())
    }
}

impl Listing {
    /// Lists `folder`, and finishes or removes what an earlier process left half done.
    fn read(env: &Env, folder: &Path, identity: &Identity) -> Result<Self> {
        let manifest = Manifest::load(env, folder, identity)?;
        let mut listing = Self { manifest, ..Self::default() };
        let swap = manifest.and_then(|manifest| manifest.swap);
        let (mut indexes, mut cleaned) = (Vec::new(), Vec::new());
        let names = match env.fs.list(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(listing),
            other => other.map_err(|e| Error::io("list", folder, e))?,
        };
        for entry in names {
            match name::parse(&entry.name) {
                Name::Segment(base, Part::Log) => {
                    listing.segments.insert(base);
                }
                Name::Segment(base, part) => indexes.push((base, part)),
                Name::Quarantined(base, Part::Log) => {
                    listing.quarantined.insert(base);
                }
                Name::Cleaned(base, part) if swap.is_some_and(|swap| swap.base_offset == base) => cleaned.push(part),
                Name::New | Name::Cleaned(..) => remove(env, &folder.join(entry.name))?,
                Name::Quarantined(..) | Name::Other => {}
            }
        }
        if let Some(swap) = swap {
            listing.finish(env, folder, &swap, cleaned)?;
        }
        for (base, part) in indexes {
            if !listing.segments.contains(&base) {
                remove(env, &name::path(folder, base, part))?;
            }
        }
        Ok(listing)
    }
}

impl Listing {
    fn finish(&mut self, env: &Env, folder: &Path, swap: &Swapped, cleaned: Vec<Part>) -> Result<()> {
        let replaced: Vec<i64> = self.segments.iter().copied().filter(|base| swap.covers(*base)).collect();
        if cleaned.contains(&Part::Log) {
            self.segments.insert(swap.base_offset);
        }
        self.segments.retain(|base| !swap.covers(*base));
        if cleaned.is_empty() && replaced.is_empty() {
            return Ok(());
        }
        swap.finish(env, folder, cleaned, replaced)?;
        env.fs.sync_dir(folder).map_err(|e| Error::io("sync", folder, e))
    }
}

pub(super) fn remove(env: &Env, path: &Path) -> Result<()> {
    match env.fs.remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
        _ => Ok(()),
    }
}

impl Recovered {
    /// A log without entries.
    pub(super) fn empty(first_index: u64, first_offset: i64, previous_term: u64) -> Self {
        Self {
            segments: Vec::new(),
            gaps: Vec::new(),
            active: None,
            epochs: Vec::new(),
            log_start: first_offset,
            first_index,
            previous_term,
            clean_end: first_offset,
            next_index: first_index,
            end_offset: first_offset,
            last_term: previous_term,
            membership: (0, bytes::Bytes::new()),
            unsynced: Vec::new(),
            synced: first_index,
            indexes_durable: false,
            report: Report::default(),
        }
    }
}
