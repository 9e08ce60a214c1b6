//! A range of a log file, ready to be sent by `sendfile` or read, once its checksums are known to be right.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use bytes::Bytes;
use leat_protocol::records;
use rustix::fs::{Advice, fadvise};
use rustix::io::ReadWriteFlags;

use crate::error::{Error, Result};
use crate::fs::{self, File};
use crate::segment::Segment;
use crate::segment::name::Part;

/// How far apart pages are looked at to guess whether a range is in memory: the kernel's usual readahead.
const PROBE_EVERY: u64 = 128 << 10;

/// Whole batches in a file that is held open.
#[derive(Debug, Clone)]
pub struct FileRange {
    pub file: Arc<dyn File>,
    pub position: u64,
    pub len: u32,
    segment: Arc<Segment>,
}

impl AsFd for FileRange {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl FileRange {
    /// Whole frames of `segment`, whose log `file` is.
    pub(crate) fn new(segment: &Arc<Segment>, file: &Arc<dyn File>, position: u32, len: u32) -> Self {
        Self { file: file.clone(), position: position.into(), len, segment: segment.clone() }
    }

    /// Reads it into memory. Blocks where it is not in the page cache. What this process neither wrote nor checked before is
    /// checked now, frame by frame.
    ///
    /// # Errors
    /// The disk can't be read, or does not hold what was written there.
    pub fn read_to_bytes(&self) -> Result<Bytes> {
        let mut bytes = vec![0; self.len as usize];
        let read = fs::read_exact_at(&*self.file, &mut bytes, self.position);
        read.map_err(|e| Error::io("read", &self.segment.path(Part::Log), e))?;
        let bytes = Bytes::from(bytes);
        if !self.is_checked() {
            self.check(&bytes)?;
        }
        Ok(bytes)
    }

    /// Whether it can be sent as it is: checked, and in the page cache as far as can be seen. Never blocks.
    pub fn is_ready(&self) -> bool {
        self.is_checked() && self.is_resident()
    }

    fn is_checked(&self) -> bool {
        let (from, to) = self.bounds();
        self.segment.checked.covers(from, to)
    }

    /// Positions of a log have 31 bits.
    fn bounds(&self) -> (u32, u32) {
        let from = u32::try_from(self.position).unwrap_or(u32::MAX);
        (from, from.saturating_add(self.len))
    }

    fn check(&self, bytes: &Bytes) -> Result<()> {
        let (from, to) = self.bounds();
        let mut at = from;
        for frame in records::split(bytes) {
            let checked = frame.and_then(|(_, frame)| records::check(&frame).map(|_| frame.len() as u32));
            at += checked.map_err(|e| self.damaged(at, &e.to_string()))?;
        }
        if at != to {
            return Err(self.damaged(at, "it ends within a batch"));
        }
        self.segment.checked.add(from, to);
        Ok(())
    }

    fn damaged(&self, position: u32, what: &str) -> Error {
        let error = Error::corrupt(&self.segment.path(Part::Log), position.into(), what);
        if self.segment.checked.first_report() {
            tracing::error!(%error, "the disk does not hold what was written there; it is not served");
        }
        error
    }

    /// Whether it seems to be in the page cache: its first and last byte are, and one in every 128 KiB between. Never blocks.
    pub fn is_resident(&self) -> bool {
        let Some(last) = (self.position + u64::from(self.len)).checked_sub(1) else {
            return true;
        };
        let mut position = self.position;
        while position < last {
            if !self.byte_is_resident(position) {
                return false;
            }
            position += PROBE_EVERY;
        }
        self.byte_is_resident(last)
    }

    fn byte_is_resident(&self, position: u64) -> bool {
        let mut byte = [0];
        let read = rustix::io::preadv2(
            self.file.as_fd(),
            &mut [io::IoSliceMut::new(&mut byte)],
            position,
            ReadWriteFlags::NOWAIT,
        );
        match read {
            Ok(read) => read == 1,
            // A file system that can't say is read as any other; the reader blocks as it would have.
            Err(rustix::io::Errno::OPNOTSUPP) => true,
            Err(_) => false,
        }
    }

    /// Asks the kernel to bring it into the page cache, and returns at once.
    pub fn read_ahead(&self) {
        let len = std::num::NonZeroU64::new(self.len.into());
        if let Err(e) = fadvise(self.file.as_fd(), self.position, len, Advice::WillNeed) {
            tracing::debug!(error = %e, "no readahead");
        }
    }
}
