//! The files of a cleaned segment, until they get their names.

use std::path::Path;
use std::sync::Arc;

use leat_protocol::records::BatchHeader;

use crate::env::Env;
use crate::error::{Error, Result};
use crate::fs::{self, File, Mode};
use crate::segment::Segment;
use crate::segment::header::SegmentHeader;
use crate::segment::index::{ENTRY_LEN, INDEX_LEN, TIME_LEN};
use crate::segment::indexer::{Indexer, Marks};
use crate::segment::map::IndexFile;
use crate::segment::name::{self, Part};

/// Written at once.
const WRITE_BYTES: usize = 512 << 10;
/// Synced at once, so that the disk never has much to do before somebody else's sync.
const SYNC_BYTES: u64 = 4 << 20;

/// See the module. Dropped before it is finished, it removes its files.
#[derive(Debug)]
pub(super) struct Writer {
    env: Env,
    folder: Arc<Path>,
    header: SegmentHeader,
    /// Of [`Part::ALL`], in this order.
    files: [Arc<dyn File>; 4],
    indexer: Indexer,
    interval: u32,
    /// What is in the files.
    written: Marks,
    buffer: Vec<u8>,
    unsynced: u64,
    finished: bool,
}

impl Writer {
    pub(super) fn create(env: &Env, folder: &Arc<Path>, header: SegmentHeader, interval: u32) -> Result<Self> {
        let create = |part| {
            let path = name::cleaned_path(folder, header.base_offset, part);
            env.fs.open(&path, Mode::Replace).map_err(|e| Error::io("create", &path, e))
        };
        let files = [create(Part::Log)?, create(Part::Index)?, create(Part::TimeIndex)?, create(Part::Entries)?];
        let frame = header.encode();
        let empty = Marks::empty(frame.len() as u32, header.base_offset);
        Ok(Self {
            env: env.clone(),
            folder: folder.clone(),
            indexer: Indexer::new(header.base_offset, empty),
            header,
            files,
            interval,
            written: Marks { position: 0, ..empty },
            buffer: frame.to_vec(),
            unsynced: 0,
            finished: false,
        })
    }

    pub(super) fn append(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<()> {
        if i32::try_from(u64::from(self.indexer.marks.position) + batch.len() as u64).is_err() {
            // Tombstones take a few bytes more once their batch has a delete horizon.
            return Err(Error::InvalidFrame { what: "a cleaned segment would pass 2 GiB; lower segment.bytes".into() });
        }
        self.indexer.add(header, self.interval);
        self.buffer.extend_from_slice(batch);
        if self.buffer.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        let Indexer { entries, index, timeindex, .. } = &self.indexer;
        let parts: [(&[u8], u64); 4] = [
            (&self.buffer, self.written.position.into()),
            (index, u64::from(self.written.index) * INDEX_LEN as u64),
            (timeindex, u64::from(self.written.timeindex) * TIME_LEN as u64),
            (entries, u64::from(self.written.entries) * ENTRY_LEN as u64),
        ];
        for ((part, file), (bytes, at)) in Part::ALL.into_iter().zip(&self.files).zip(parts) {
            if !bytes.is_empty() {
                fs::write_all_at(&**file, bytes, at).map_err(|e| Error::io("write", &self.path(part), e))?;
            }
        }
        self.unsynced += self.buffer.len() as u64;
        self.buffer.clear();
        self.written = self.indexer.marks;
        self.indexer.reset(self.written);
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.files[0].sync_data().map_err(|e| Error::io("sync", &self.path(Part::Log), e))?;
        }
        Ok(())
    }

    /// Brings the files and their names to stable storage. Who has named them in the manifest calls [`Finished::keep`].
    pub(super) fn finish(mut self) -> Result<Finished> {
        self.indexer.add_time();
        self.write()?;
        for (part, file) in Part::ALL.into_iter().zip(&self.files) {
            file.sync_data().map_err(|e| Error::io("sync", &self.path(part), e))?;
        }
        self.env.fs.sync_dir(&self.folder).map_err(|e| Error::io("sync", &self.folder, e))?;
        let map = |n: usize, entries: u32, entry_len: usize| {
            let path = self.path(Part::ALL[n]);
            IndexFile::fixed(&*self.files[n], entries as usize * entry_len).map_err(|e| Error::io("map", &path, e))
        };
        let Marks { index, timeindex, entries, .. } = self.written;
        let indexes = [map(1, index, INDEX_LEN)?, map(2, timeindex, TIME_LEN)?, map(3, entries, ENTRY_LEN)?];
        let end_offset = self.header.cleaned.map_or(self.header.base_offset, |cleaned| cleaned.end_offset);
        let header = self.header.clone();
        let log = self.files[0].clone();
        let segment = Segment::pinned(&self.env, &self.folder, header, &self.written, end_offset, log, indexes);
        Ok(Finished { segment: Arc::new(segment), writer: self })
    }

    fn path(&self, part: Part) -> std::path::PathBuf {
        name::cleaned_path(&self.folder, self.header.base_offset, part)
    }
}

/// A cleaned segment that nobody has named yet.
#[derive(Debug)]
pub(super) struct Finished {
    segment: Arc<Segment>,
    writer: Writer,
}

impl Finished {
    /// The files are no longer this one's to remove.
    pub(super) fn keep(mut self) -> Arc<Segment> {
        self.writer.finished = true;
        self.segment
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        for part in Part::ALL {
            if let Err(error) = self.env.fs.remove_file(&self.path(part)) {
                tracing::debug!(file = %self.path(part).display(), %error, "left behind until the next start");
            }
        }
    }
}
