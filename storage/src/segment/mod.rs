//! One segment as readers and the writer share it: its files, opened when needed, and how far they are written.
//!
//! ```text
//! name      file names          header    the frame that opens a segment
//! checked   what was verified
//! index     look-ups in bytes   indexer   what goes into the indexes
//! map       mapped index files  scan      frames one after another, each checked
//! rebuild   indexes made again from the log
//! ```
//!
//! The writer publishes in the order entries, extent, timeindex, index; readers load in the opposite order. So what a reader
//! loads later is never older than what it loaded first, and every index entry it sees lies within the extent it sees.

pub(crate) mod checked;
pub(crate) mod header;
pub(crate) mod index;
pub(crate) mod indexer;
pub(crate) mod map;
pub(crate) mod name;
pub(crate) mod rebuild;
pub(crate) mod scan;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use crate::env::Env;
use crate::error::{Error, Result};
use crate::fs::{File, Mode};
use crate::log::Identity;
use checked::Checked;
use header::SegmentHeader;
use index::{ENTRY_LEN, INDEX_LEN, TIME_LEN};
use indexer::Marks;
use map::IndexFile;
use name::Part;

/// A segment; see the module.
#[derive(Debug)]
pub(crate) struct Segment {
    env: Env,
    folder: Arc<Path>,
    identity: Identity,
    pub(crate) base_offset: i64,
    /// Known once the segment was opened, or when it was made here.
    header: OnceLock<SegmentHeader>,
    /// Whether the counters below hold what the files hold.
    loaded: AtomicBool,
    growing: AtomicBool,
    entries: AtomicU32,
    /// Length of the log (high half) and next offset less the base (low half), published as one.
    extent: AtomicU64,
    timeindex: AtomicU32,
    index: AtomicU32,
    max_timestamp: AtomicI64,
    files: ArcSwapOption<Files>,
    opening: Mutex<Opening>,
    used: AtomicBool,
    pub(crate) checked: Checked,
    /// Its files have no name yet, so they stay open.
    pinned: AtomicBool,
}

/// What may be opened under a segment's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    Its,
    /// Another segment's files: it was replaced.
    Others,
}

/// The open files of a segment.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) log: Arc<dyn File>,
    pub(crate) index: IndexFile,
    pub(crate) timeindex: IndexFile,
    pub(crate) entries: IndexFile,
}

impl Files {
    /// In the order of [`Part::INDEXES`].
    pub(crate) fn indexes(&self) -> [(Part, &IndexFile); 3] {
        [(Part::Index, &self.index), (Part::TimeIndex, &self.timeindex), (Part::Entries, &self.entries)]
    }
}

/// How far a segment was written when a reader looked; lengths of indexes in entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) index: usize,
    pub(crate) timeindex: usize,
    pub(crate) log_len: u32,
    pub(crate) end_offset: i64,
    pub(crate) entries: usize,
}

impl Segment {
    /// A segment that exists and is opened when someone needs it.
    pub(crate) fn lazy(env: &Env, folder: &Arc<Path>, identity: Identity, base_offset: i64) -> Self {
        Self {
            env: env.clone(),
            folder: folder.clone(),
            identity,
            base_offset,
            header: OnceLock::new(),
            loaded: AtomicBool::new(false),
            growing: AtomicBool::new(false),
            entries: AtomicU32::new(0),
            extent: AtomicU64::new(0),
            timeindex: AtomicU32::new(0),
            index: AtomicU32::new(0),
            max_timestamp: AtomicI64::new(-1),
            files: ArcSwapOption::empty(),
            opening: Mutex::new(Opening::Its),
            used: AtomicBool::new(false),
            checked: Checked::nothing(),
            pinned: AtomicBool::new(false),
        }
    }

    /// The segment that is written: `marks` and `end_offset` say what it holds.
    pub(crate) fn growing(
        env: &Env,
        folder: &Arc<Path>,
        header: SegmentHeader,
        marks: &Marks,
        end_offset: i64,
    ) -> Self {
        let segment = Self::lazy(env, folder, header.identity, header.base_offset);
        segment.header.get_or_init(|| header);
        segment.growing.store(true, Ordering::Relaxed);
        segment.checked.written_from(marks.position);
        segment.publish(marks, end_offset);
        segment.loaded.store(true, Ordering::Release);
        segment
    }

    /// A segment that compaction has written and nobody can find by its name until [`Segment::unpin`].
    pub(crate) fn pinned(
        env: &Env,
        folder: &Arc<Path>,
        header: SegmentHeader,
        marks: &Marks,
        end_offset: i64,
        log: Arc<dyn File>,
        indexes: [IndexFile; 3],
    ) -> Self {
        let segment = Self::growing(env, folder, header, marks, end_offset);
        segment.seal();
        let [index, timeindex, entries] = indexes;
        segment.files.store(Some(Arc::new(Files { log, index, timeindex, entries })));
        segment.pinned.store(true, Ordering::Release);
        segment.checked.written_from(0);
        segment
    }

    /// Its files have their names now and may be closed.
    pub(crate) fn unpin(self: &Arc<Self>) {
        self.pinned.store(false, Ordering::Release);
        self.env.open_files.opened(self);
    }

    /// Another segment takes its names: it never opens again. Who has its files open reads on.
    pub(crate) fn retire(&self) {
        *self.opening.lock() = Opening::Others;
    }

    pub(crate) fn path(&self, part: Part) -> PathBuf {
        name::path(&self.folder, self.base_offset, part)
    }

    /// Where it lies and whose it is.
    pub(crate) fn place(&self) -> (Env, Arc<Path>, Identity) {
        (self.env.clone(), self.folder.clone(), self.identity)
    }

    /// Lets readers see what was written. Only the writer calls it, and only with more than before.
    pub(crate) fn publish(&self, marks: &Marks, end_offset: i64) {
        self.max_timestamp.store(marks.max_timestamp, Ordering::Release);
        self.entries.store(marks.entries, Ordering::Release);
        let next = (end_offset - self.base_offset) as u64 & 0xFFFF_FFFF;
        self.extent.store(u64::from(marks.position) << 32 | next, Ordering::Release);
        self.timeindex.store(marks.timeindex, Ordering::Release);
        self.index.store(marks.index, Ordering::Release);
    }

    /// Nothing more is written: the next time it opens, its index files are closed once mapped.
    pub(crate) fn seal(&self) {
        self.growing.store(false, Ordering::Release);
    }

    /// See the module for why the order matters.
    pub(crate) fn extent(&self) -> Extent {
        let index = self.index.load(Ordering::Acquire) as usize;
        let timeindex = self.timeindex.load(Ordering::Acquire) as usize;
        let extent = self.extent.load(Ordering::Acquire);
        let entries = self.entries.load(Ordering::Acquire) as usize;
        let end_offset = self.base_offset + (extent & 0xFFFF_FFFF) as i64;
        Extent { index, timeindex, log_len: (extent >> 32) as u32, end_offset, entries }
    }

    /// Length of the log: published, or of the file where the segment was not opened yet.
    pub(crate) fn log_len(&self) -> Result<u64> {
        if self.loaded.load(Ordering::Acquire) {
            return Ok(self.extent.load(Ordering::Acquire) >> 32);
        }
        let path = self.path(Part::Log);
        Ok(self.env.fs.stat(&path).map_err(|e| Error::io("stat", &path, e))?.len)
    }

    /// When the log file was last changed, ms since 1970.
    pub(crate) fn modified_ms(&self) -> Result<i64> {
        let path = self.path(Part::Log);
        Ok(self.env.fs.stat(&path).map_err(|e| Error::io("stat", &path, e))?.modified_ms)
    }

    /// The largest timestamp of its records, -1 where they have none. Opens a sealed segment that was never opened.
    pub(crate) fn max_timestamp(self: &Arc<Self>) -> Result<i64> {
        if !self.loaded.load(Ordering::Acquire) {
            self.open()?;
        }
        Ok(self.max_timestamp.load(Ordering::Acquire))
    }

    /// What the segment says about itself. Reads only that where the segment was never opened.
    pub(crate) fn header(&self) -> Result<&SegmentHeader> {
        if let Some(header) = self.header.get() {
            return Ok(header);
        }
        let path = self.path(Part::Log);
        let file = self.env.fs.open(&path, Mode::Read).map_err(|e| Error::io("open", &path, e))?;
        let (header, _) = SegmentHeader::read(&path, &*file)?;
        header.check(&path, &self.identity, self.base_offset)?;
        Ok(self.header.get_or_init(|| header))
    }

    /// Its files, opened now if they are not.
    pub(crate) fn open(self: &Arc<Self>) -> Result<Arc<Files>> {
        self.used.store(true, Ordering::Relaxed);
        if let Some(files) = self.files.load_full() {
            return Ok(files);
        }
        let guard = self.opening.lock();
        if let Some(files) = self.files.load_full() {
            return Ok(files);
        }
        if *guard == Opening::Others {
            // Whoever looked for it finds the one that has replaced it.
            return Err(Error::io("open", &self.path(Part::Log), io::ErrorKind::NotFound.into()));
        }
        let files =
            if self.growing.load(Ordering::Acquire) { self.open_growing(Mode::Write)? } else { self.open_sealed()? };
        let files = Arc::new(files);
        self.files.store(Some(files.clone()));
        drop(guard);
        self.env.open_files.opened(self);
        Ok(files)
    }

    /// Makes the files of a new segment, or opens those that the writer goes on with.
    pub(crate) fn open_as(self: &Arc<Self>, mode: Mode) -> Result<Arc<Files>> {
        let files = Arc::new(self.open_growing(mode)?);
        self.files.store(Some(files.clone()));
        self.env.open_files.opened(self);
        Ok(files)
    }

    fn open_growing(&self, mode: Mode) -> Result<Files> {
        let extent = self.extent();
        let open = |part, len: usize| {
            let file = self.open_part(part, mode)?;
            // What was published is read through mappings, so it must be there.
            let found = file.stat().map_err(|e| Error::io("stat", &self.path(part), e))?.len;
            if mode != Mode::Replace && found < len as u64 {
                return Err(Error::corrupt(&self.path(part), found, format!("{len} bytes were written to it")));
            }
            Ok(file)
        };
        Ok(Files {
            log: open(Part::Log, extent.log_len as usize)?,
            index: IndexFile::growing(open(Part::Index, extent.index * INDEX_LEN)?),
            timeindex: IndexFile::growing(open(Part::TimeIndex, extent.timeindex * TIME_LEN)?),
            entries: IndexFile::growing(open(Part::Entries, extent.entries * ENTRY_LEN)?),
        })
    }

    fn open_part(&self, part: Part, mode: Mode) -> Result<Arc<dyn File>> {
        let path = self.path(part);
        self.env.fs.open(&path, mode).map_err(|e| Error::io("open", &path, e))
    }

    fn open_sealed(&self) -> Result<Files> {
        let log_path = self.path(Part::Log);
        let log = self.open_part(Part::Log, Mode::Read)?;
        let (header, header_len) = SegmentHeader::read(&log_path, &*log)?;
        header.check(&log_path, &self.identity, self.base_offset)?;
        let header = self.header.get_or_init(|| header);
        let files = match self.map_indexes(log.clone()) {
            Ok(mapped) => match self.load(&mapped, header, header_len) {
                Ok(()) => mapped,
                Err(what) => {
                    tracing::warn!(log = %log_path.display(), what, "indexes do not fit the log and are made again");
                    self.rebuild(header, header_len, log)?
                }
            },
            Err(e) if e.is_not_found() => {
                // A segment is deleted log first: without its log it is gone, not damaged.
                self.env.fs.stat(&log_path).map_err(|e| Error::io("stat", &log_path, e))?;
                tracing::warn!(log = %log_path.display(), what = %e, "an index is missing and is made again");
                self.rebuild(header, header_len, log)?
            }
            Err(e) => return Err(e),
        };
        self.loaded.store(true, Ordering::Release);
        Ok(files)
    }

    fn rebuild(&self, header: &SegmentHeader, header_len: u32, log: Arc<dyn File>) -> Result<Files> {
        rebuild::rebuild(&*self.env.fs, &self.folder, header, header_len, log.clone())?;
        // They may have fewer entries than the lost ones had.
        self.loaded.store(false, Ordering::Release);
        let files = self.map_indexes(log)?;
        self.load(&files, header, header_len).map_err(|what| Error::corrupt(&self.path(Part::Log), 0, what))?;
        Ok(files)
    }

    fn map_indexes(&self, log: Arc<dyn File>) -> Result<Files> {
        let map = |part, entry_len| {
            let path = self.path(part);
            let file = self.open_part(part, Mode::Read)?;
            let len = file.stat().map_err(|e| Error::io("stat", &path, e))?.len;
            // What does not fill an entry, or is longer than any index can be, is not read.
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(u32::MAX as usize) / entry_len * entry_len;
            IndexFile::fixed(&*file, len)
                .map(|mapped| (mapped, len / entry_len))
                .map_err(|e| Error::io("map", &path, e))
        };
        let (index, index_len) = map(Part::Index, INDEX_LEN)?;
        let (timeindex, timeindex_len) = map(Part::TimeIndex, TIME_LEN)?;
        let (entries, entries_len) = map(Part::Entries, ENTRY_LEN)?;
        if !self.loaded.load(Ordering::Acquire) {
            self.index.store(index_len as u32, Ordering::Release);
            self.timeindex.store(timeindex_len as u32, Ordering::Release);
            self.entries.store(entries_len as u32, Ordering::Release);
        }
        Ok(Files { log, index, timeindex, entries })
    }

    /// Checks the indexes of a sealed segment against its log and learns its extent from them.
    fn load(&self, files: &Files, header: &SegmentHeader, header_len: u32) -> Result<(), &'static str> {
        if self.loaded.load(Ordering::Acquire) {
            return Ok(());
        }
        let (index, timeindex, entries) =
            self.index_bytes(files, &self.extent()).map_err(|_| "its indexes can't be mapped")?;
        let log_len = files.log.stat().map_err(|_| "its log has no length")?.len;
        let log_len = u32::try_from(log_len).map_err(|_| "its log is longer than 4 GiB")?;
        index::check(&index, &timeindex, &entries, log_len)?;
        let (end, next_offset) = match (entries.len() / ENTRY_LEN).checked_sub(1) {
            Some(last) => {
                let (position, _) = index::entry_at(&entries, last);
                let frame = scan::header_at(&*files.log, position).map_err(|_| "its last entry is not a frame")?;
                (position as usize + frame.size(), frame.next_offset())
            }
            None if header.cleaned.is_some() => (header_len as usize, self.base_offset),
            None => return Err("its .entries is empty"),
        };
        if end != log_len as usize {
            return Err("its last entry does not end where its log ends");
        }
        let next_offset = header.cleaned.map_or(next_offset, |cleaned| cleaned.end_offset);
        let next = (next_offset - self.base_offset) as u64;
        if next > u64::from(u32::MAX) {
            return Err("its last entry has an offset out of range");
        }
        let max_timestamp =
            (timeindex.len() / TIME_LEN).checked_sub(1).map_or(-1, |n| index::time_at(&timeindex, n).timestamp);
        self.max_timestamp.store(max_timestamp, Ordering::Release);
        self.extent.store(u64::from(log_len) << 32 | next, Ordering::Release);
        Ok(())
    }

    fn index_bytes(
        &self,
        files: &Files,
        extent: &Extent,
    ) -> Result<(map::IndexBytes, map::IndexBytes, map::IndexBytes)> {
        Ok((self.index(files, extent)?, self.timeindex(files, extent)?, self.entries(files, extent)?))
    }

    /// The published part of `.entries` where the segment is open.
    pub(crate) fn open_entries(&self, extent: &Extent) -> Result<Option<map::IndexBytes>> {
        self.files.load_full().map(|files| self.entries(&files, extent)).transpose()
    }

    /// The published part of `.index`.
    pub(crate) fn index(&self, files: &Files, extent: &Extent) -> Result<map::IndexBytes> {
        files.index.bytes(extent.index * INDEX_LEN).map_err(|e| Error::io("map", &self.path(Part::Index), e))
    }

    /// The published part of `.timeindex`.
    pub(crate) fn timeindex(&self, files: &Files, extent: &Extent) -> Result<map::IndexBytes> {
        files.timeindex.bytes(extent.timeindex * TIME_LEN).map_err(|e| Error::io("map", &self.path(Part::TimeIndex), e))
    }

    /// The published part of `.entries`.
    pub(crate) fn entries(&self, files: &Files, extent: &Extent) -> Result<map::IndexBytes> {
        files.entries.bytes(extent.entries * ENTRY_LEN).map_err(|e| Error::io("map", &self.path(Part::Entries), e))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.files.load().is_some()
    }

    /// Whether it was used since the clock last came by; the next time it must have been used again.
    pub(crate) fn take_second_chance(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Gives the files back; who still uses them keeps them.
    pub(crate) fn close_files(&self) {
        if !self.pinned.load(Ordering::Acquire) {
            self.files.store(None);
        }
    }
}
