//! Seeding: a replica that entries can't serve receives the log itself, as ranges of files up to an applied entry, and the
//! checkpoint of that entry (docs/disk.md, "Seeding").
//!
//! What arrives is written beside the replica's own folder, read as a whole as any log is, and takes the folder's place only
//! when all of it is on stable storage.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::checkpoint::Checkpoint;
use crate::data_dir::remove_folder;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::fs::{self, File, Mode};
use crate::log::manifest::Manifest;
use crate::log::{Identity, Log, LogConfig, OpenHint, delete_folder};
use crate::reader::{LogReader, Opened};
use crate::segment::header::SegmentHeader;
use crate::segment::index;
use crate::segment::name::{self, Part};

/// The suffix of a folder into which a seed is written, and of one that is whole and takes its place.
pub(crate) const STAGED: &str = ".seed";
pub(crate) const WHOLE: &str = ".seeded";

/// What a log is up to one entry. It holds its files open, so what is trimmed meanwhile can still be read.
#[derive(Debug)]
pub struct Seed {
    pub outline: Outline,
    pub parts: Vec<SeedPart>,
}

/// Where a log's entries begin and how far it is clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Raft index of the first entry, and the term of the one before.
    pub first_index: u64,
    pub previous_term: u64,
    /// Below it no key has two records.
    pub clean_end: i64,
}

/// The begin of one segment's `.log`, or all of it.
#[derive(Debug)]
pub struct SeedPart {
    pub base_offset: i64,
    pub len: u32,
    file: Arc<dyn File>,
    path: PathBuf,
}

impl SeedPart {
    /// Reads `len` bytes at `position`. Blocks.
    pub fn read(&self, position: u32, len: u32) -> Result<Bytes> {
        let mut bytes = vec![0; len as usize];
        fs::read_exact_at(&*self.file, &mut bytes, position.into()).map_err(|e| Error::io("read", &self.path, e))?;
        Ok(Bytes::from(bytes))
    }
}

impl LogReader {
    /// The log up to entry `applied`.
    ///
    /// # Errors
    /// A part of it is set aside as damaged: it has to come from another replica.
    pub fn seed(&self, applied: u64) -> Result<Seed> {
        self.look(|view| {
            if let Some(gap) = view.gaps.first() {
                return Err(Error::Quarantined { from: gap.from, until: gap.until, path: gap.path.clone() });
            }
            let mut parts: Vec<SeedPart> = Vec::new();
            for segment in &view.segments {
                if !parts.is_empty() && segment.header()?.first_index > applied {
                    break;
                }
                let opened = Opened::new(segment)?;
                let (base_offset, path) = (segment.base_offset, segment.path(Part::Log));
                parts.push(SeedPart { base_offset, len: opened.end_of(applied)?, file: opened.log(), path });
            }
            let outline =
                Outline { first_index: view.first_index, previous_term: view.previous_term, clean_end: view.clean_end };
            Ok(Seed { outline, parts })
        })
    }
}

impl Opened {
    fn log(&self) -> Arc<dyn File> {
        self.files.log.clone()
    }

    /// Where the frame of entry `index` ends, or the segment where that lies behind it.
    fn end_of(&self, index: u64) -> Result<u32> {
        let header = self.segment.header()?;
        if header.cleaned.is_some() {
            return Ok(self.extent.log_len);
        }
        let entries = self.segment.entries(&self.files, &self.extent)?;
        let behind = (index + 1).saturating_sub(header.first_index);
        Ok(match usize::try_from(behind) {
            Ok(behind) if behind < self.extent.entries => index::entry_at(&entries, behind).0,
            _ => self.extent.log_len,
        })
    }
}

/// A seed on its way into a folder.
#[derive(Debug)]
pub struct Seeding {
    env: Env,
    folder: PathBuf,
    identity: Identity,
    written: Vec<i64>,
    open: Option<(Arc<dyn File>, u64)>,
}

/// A seed that is whole and on stable storage, beside the folder whose place it is to take.
#[derive(Debug)]
pub struct Staged {
    env: Env,
    folder: PathBuf,
    identity: Identity,
    /// The last entry that it holds, and its term.
    pub applied: u64,
    pub term: u64,
}

impl Seeding {
    /// Begins anew beside `folder`.
    pub fn begin(env: &Env, folder: &Path, identity: Identity) -> Result<Seeding> {
        let staged = beside(folder, STAGED);
        remove_if_there(env, &staged)?;
        env.fs.create_dir_all(&staged).map_err(|e| Error::io("create", &staged, e))?;
        Ok(Seeding { env: env.clone(), folder: folder.to_owned(), identity, written: Vec::new(), open: None })
    }

    fn staged(&self) -> PathBuf {
        beside(&self.folder, STAGED)
    }

    /// The next bytes are the begin of this segment's log.
    pub fn segment(&mut self, base_offset: i64) -> Result<()> {
        let path = name::path(&self.staged(), base_offset, Part::Log);
        let file = self.env.fs.open(&path, Mode::Replace).map_err(|e| Error::io("create", &path, e))?;
        self.written.push(base_offset);
        self.open = Some((file, 0));
        Ok(())
    }

    /// Goes on with the segment.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let path = self.staged();
        let Some((file, position)) = &mut self.open else {
            return Err(Error::corrupt(&path, 0, "bytes of no segment"));
        };
        fs::write_all_at(&**file, bytes, *position).map_err(|e| Error::io("write", &path, e))?;
        *position += bytes.len() as u64;
        Ok(())
    }

    /// Reads and checks all of it, makes the indexes and syncs everything.
    ///
    /// # Errors
    /// It is not a log that ends where the checkpoint says.
    pub fn finish(self, outline: Outline, checkpoint: &Checkpoint, config: LogConfig) -> Result<Staged> {
        let (env, staged) = (self.env.clone(), self.staged());
        for base_offset in &self.written {
            self.own(&name::path(&staged, *base_offset, Part::Log))?;
        }
        let Outline { first_index, previous_term, clean_end } = outline;
        Manifest { first_index, previous_term, clean_end, swap: None }.save(&env, &staged, &self.identity)?;
        let hint = OpenHint { checkpoint: None, same_boot: true };
        let mut log = Log::open(&env, &staged, self.identity, config, hint, &mut |_, _, _| {})?;
        log.sync()?;
        let end = (log.next_index(), log.end_offset());
        let whole = log.report().cut_bytes == 0 && log.report().quarantined.is_empty();
        if end != (checkpoint.applied + 1, checkpoint.end_offset_at_applied) || !whole {
            let what = format!("a seed up to entry {} is whole only up to entry {}", checkpoint.applied, end.0 - 1);
            return Err(Error::corrupt(&staged, 0, what));
        }
        check_records(&log.reader())?;
        log.close()?;
        checkpoint.save(&env, &staged)?;
        env.fs.sync_dir(&staged).map_err(|e| Error::io("sync", &staged, e))?;
        let Seeding { env, folder, identity, .. } = self;
        Ok(Staged { env, folder, identity, applied: checkpoint.applied, term: checkpoint.term_at_applied })
    }

    /// Writes this replica's number into a segment's header, which keeps its length.
    fn own(&self, path: &Path) -> Result<()> {
        let file = self.env.fs.open(path, Mode::Write).map_err(|e| Error::io("open", path, e))?;
        let (mut header, len) = SegmentHeader::read(path, &*file)?;
        header.identity.replica_id = self.identity.replica_id;
        let frame = header.encode();
        if frame.len() != len as usize {
            return Err(Error::corrupt(path, 0, "its header can not be written anew in its place"));
        }
        fs::write_all_at(&*file, &frame, 0).map_err(|e| Error::io("write", path, e))
    }
}

impl Staged {
    /// Puts it in the folder's place. The log that was there must not be open any more. After a crash at any point the next
    /// start has either the old log or this one.
    pub fn take_place(self) -> Result<()> {
        let whole = beside(&self.folder, WHOLE);
        let staged = beside(&self.folder, STAGED);
        remove_if_there(&self.env, &whole)?;
        self.env.fs.rename(&staged, &whole).map_err(|e| Error::io("rename", &staged, e))?;
        sync_parent(&self.env, &self.folder)?;
        delete_folder(&self.env, &self.folder, &self.identity)?;
        take(&self.env, &self.folder)
    }
}

/// Reads every record once: what compaction wrote is not looked at when a log is opened.
fn check_records(reader: &LogReader) -> Result<()> {
    let mut offset = reader.log_start_offset();
    while offset < reader.end_offset() {
        let slice = reader.read(offset, reader.end_offset(), 1 << 20, true)?;
        for range in &slice.ranges {
            range.read_to_bytes()?;
        }
        if slice.next_offset <= offset {
            return Ok(());
        }
        offset = slice.next_offset;
    }
    Ok(())
}

/// Ends what an earlier process left half done: a seed that is whole takes its place, another one goes.
pub(crate) fn finish(env: &Env, data: &Path, found: &str) -> Result<()> {
    let path = data.join(found);
    let Some(folder) = found.strip_suffix(WHOLE) else {
        return remove_folder(&*env.fs, &path);
    };
    let folder = data.join(folder);
    remove_if_there(env, &folder)?;
    take(env, &folder)
}

fn take(env: &Env, folder: &Path) -> Result<()> {
    let whole = beside(folder, WHOLE);
    env.fs.rename(&whole, folder).map_err(|e| Error::io("rename", &whole, e))?;
    sync_parent(env, folder)
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove_if_there(env: &Env, folder: &Path) -> Result<()> {
    match env.fs.list(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => remove_folder(&*env.fs, folder),
    }
}

fn sync_parent(env: &Env, folder: &Path) -> Result<()> {
    let Some(parent) = folder.parent() else { return Ok(()) };
    env.fs.sync_dir(parent).map_err(|e| Error::io("sync", parent, e))
}

#[cfg(test)]
mod tests;
