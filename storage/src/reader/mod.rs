//! Reading a log: cheap to clone, never blocks an append and is never blocked by one.
//!
//! What it returns are ranges of files, which hold their file open: deletion never pulls one from under its reader. Look-ups
//! read indexes through mappings and a few headers; they may block on the disk where that is cold.

mod entries;
mod fetch;
mod range;
mod retention;
mod timestamp;

use std::sync::Arc;

use crate::checkpoint::Epoch;
use crate::error::{Error, Result};
use crate::log::{Shared, View};
use crate::segment::index;
use crate::segment::name::Part;
use crate::segment::scan::Headers;
use crate::segment::{Extent, Files, Segment};
use leat_protocol::records::BatchHeader;

pub use fetch::Slice;
pub use range::FileRange;
pub use timestamp::TimestampOffset;

/// See the module.
#[derive(Debug, Clone)]
pub struct LogReader {
    shared: Arc<Shared>,
}

/// A segment with its files and how far they are written.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) segment: Arc<Segment>,
    pub(crate) files: Arc<Files>,
    pub(crate) extent: Extent,
}

impl LogReader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The first offset that can be read.
    pub fn log_start_offset(&self) -> i64 {
        self.shared.log_start()
    }

    /// Offset of the next record.
    pub fn end_offset(&self) -> i64 {
        self.shared.end_offset()
    }

    /// Where the part ends that compaction has cleaned: below it no key has two records.
    pub fn clean_end(&self) -> i64 {
        self.shared.view.load().clean_end
    }

    /// Raft index of the first entry, which may lie behind the first record; of the next one where there is none.
    pub fn first_index(&self) -> u64 {
        self.shared.view.load().first_index
    }

    /// Raft index of the next entry.
    pub fn next_index(&self) -> u64 {
        self.shared.next_index()
    }

    /// Index and term of the last entry; of the one before the first where there is none.
    pub fn last_entry(&self) -> (u64, u64) {
        loop {
            let last = self.next_index() - 1;
            match self.term_of(last) {
                Some(term) => return (last, term),
                None if last == self.next_index() - 1 => return (last, 0),
                // Trimmed or truncated away in between.
                None => {}
            }
        }
    }

    /// The term of an entry, or of the one before the first.
    pub fn term_of(&self, index: u64) -> Option<u64> {
        self.shared.term_of(index)
    }

    /// Terms and where they begin, ascending.
    pub fn epochs(&self) -> Vec<Epoch> {
        Vec::clone(&self.shared.epochs.load())
    }

    /// What OffsetForLeaderEpoch asks for (KIP-279): the largest epoch of the log that is <= `epoch`, and where it ends.
    /// `end` is the end of what the asker may know. `(-1, -1)` where the epoch is newer than all.
    pub fn epoch_end_offset(&self, epoch: i32, end: i64) -> (i32, i64) {
        let epochs = self.shared.epochs.load();
        let asked = match u64::try_from(epoch) {
            Ok(asked) => asked,
            Err(_) => return (-1, -1),
        };
        let after = epochs.partition_point(|known| known.term <= asked);
        let known = after.checked_sub(1).map(|n| epochs[n].term);
        match epochs.get(after) {
            Some(next) => (known.map_or(epoch, |term| term as i32), next.first_offset.min(end)),
            None if known == Some(asked) => (epoch, end),
            None => (-1, -1),
        }
    }

    #[cfg(test)]
    pub(crate) fn shared_segments(&self) -> usize {
        self.shared.view.load().segments.len()
    }

    /// Looks into the log as it is now; again where a file was deleted under the look.
    pub(crate) fn look<R>(&self, look: impl Fn(&View) -> Result<R>) -> Result<R> {
        let mut view = self.view()?;
        loop {
            match look(&view) {
                Err(e) if e.is_not_found() => {
                    let now = self.view()?;
                    if Arc::ptr_eq(&view, &now) {
                        return Err(e);
                    }
                    view = now;
                }
                looked => return looked,
            }
        }
    }

    fn view(&self) -> Result<Arc<View>> {
        self.shared.check_online()?;
        Ok(self.shared.view.load_full())
    }
}

/// Place of the segment that holds entry `index`. Reads the headers of those it looks at for the first time.
pub(crate) fn place_of_index(segments: &[Arc<Segment>], index: u64) -> Result<usize> {
    let mut failed = None;
    let place = index::partition_point(segments.len(), |n| match segments[n].header() {
        Ok(header) => header.first_index <= index,
        Err(e) => {
            failed = Some(e);
            false
        }
    });
    match (failed, place.checked_sub(1)) {
        (Some(e), _) => Err(e),
        (None, Some(place)) => Ok(place),
        (None, None) => Err(Error::IndexOutOfRange { index, first: index + 1, next: index + 1 }),
    }
}

impl Opened {
    pub(crate) fn new(segment: &Arc<Segment>) -> Result<Self> {
        let files = segment.open()?;
        Ok(Self { segment: segment.clone(), files, extent: segment.extent() })
    }

    /// Walks the headers of data batches and control frames from `position` on.
    pub(crate) fn walk<R>(
        &self,
        position: u32,
        mut found: impl FnMut(u32, &BatchHeader) -> Option<R>,
    ) -> Result<Option<R>> {
        let path = self.segment.path(Part::Log);
        let mut headers = Headers::new(&path, &*self.files.log, position, self.extent.log_len);
        while let Some((position, header)) = headers.next()? {
            if let Some(found) = found(position, &header) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Where the first entry lies.
    pub(crate) fn begin(&self) -> Result<u32> {
        let entries = self.segment.entries(&self.files, &self.extent)?;
        Ok(if entries.is_empty() { self.extent.log_len } else { index::entry_at(&entries, 0).0 })
    }

    /// Position and header of the data batch that holds `offset`, or of the next one where compaction has left a hole; none
    /// past the segment's last record.
    fn locate(&self, offset: i64) -> Result<Option<(u32, BatchHeader)>> {
        let relative = u32::try_from(offset - self.segment.base_offset).unwrap_or(0);
        let indexed = self.segment.index(&self.files, &self.extent)?;
        let position = match index::floor_offset(&indexed, relative, self.extent.log_len) {
            Some(entry) => entry.position,
            None => self.begin()?,
        };
        let located = self.walk(position, |position, header| {
            (!header.is_entry() && header.last_offset() >= offset).then_some((position, *header))
        })?;
        match located {
            // What was appended has no holes: an index that leads past the batch is not this log's.
            Some((_, header))
                if header.base_offset > offset.max(self.segment.base_offset)
                    && self.segment.header()?.cleaned.is_none() =>
            {
                Err(Error::corrupt(&self.segment.path(Part::Index), 0, format!("it leads past offset {offset}")))
            }
            located => Ok(located),
        }
    }
}
