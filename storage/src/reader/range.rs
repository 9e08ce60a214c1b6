//! A range of a log file, ready to be sent by `sendfile` or read.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{Advice, fadvise};
use rustix::io::ReadWriteFlags;

use crate::fs::{self, File};

/// How far apart pages are looked at to guess whether a range is in memory: the kernel's usual readahead.
const PROBE_EVERY: u64 = 128 << 10;

/// Whole batches in a file that is held open.
#[derive(Debug, Clone)]
pub struct FileRange {
    pub file: Arc<dyn File>,
    pub position: u64,
    pub len: u32,
}

impl AsFd for FileRange {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl FileRange {
    /// Reads it into memory. Blocks where it is not in the page cache.
    pub fn read_to_bytes(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.len as usize];
        fs::read_exact_at(&*self.file, &mut bytes, self.position)?;
        Ok(bytes.into())
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
