//! Decides what goes into the three indexes as frames are added to a segment. The same for an append, a recovery scan and a
//! rebuild, so that all three give the same bytes. No I/O.

use leat_protocol::records::BatchHeader;

use super::index::{self, INDEX_LEN, OffsetPosition, TIME_LEN, TimeOffset};

/// What is known about a segment up to some frame. Small, so that an append that fails goes back to a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Where the next frame goes.
    pub(crate) position: u32,
    /// Entries in each index.
    pub(crate) entries: u32,
    pub(crate) index: u32,
    pub(crate) timeindex: u32,
    pub(crate) bytes_since_index: u32,
    pub(crate) last_indexed_timestamp: i64,
    pub(crate) max_timestamp: i64,
    /// Last offset of the batch that first had `max_timestamp`.
    pub(crate) max_timestamp_offset: i64,
    /// Max timestamp of the segment's first batch; time-based rolling counts from it.
    pub(crate) first_timestamp: Option<i64>,
    pub(crate) has_records: bool,
}

impl Marks {
    /// A segment that holds nothing but its header of `header_len` bytes.
    pub(crate) fn empty(header_len: u32, base_offset: i64) -> Self {
        Self {
            position: header_len,
            entries: 0,
            index: 0,
            timeindex: 0,
            bytes_since_index: 0,
            last_indexed_timestamp: -1,
            max_timestamp: -1,
            max_timestamp_offset: base_offset,
            first_timestamp: None,
            has_records: false,
        }
    }
}

/// Marks, and the index bytes that were made and not yet written.
#[derive(Debug)]
pub(crate) struct Indexer {
    pub(crate) marks: Marks,
    pub(crate) entries: Vec<u8>,
    pub(crate) index: Vec<u8>,
    pub(crate) timeindex: Vec<u8>,
    base_offset: i64,
}

impl Indexer {
    pub(crate) fn new(base_offset: i64, marks: Marks) -> Self {
        Self { marks, entries: Vec::new(), index: Vec::new(), timeindex: Vec::new(), base_offset }
    }

    /// Adds the frame that begins at `marks.position`. Kafka's rule: an entry when more than `interval` bytes came since the
    /// last, with the largest timestamp before that batch included.
    #[inline]
    pub(crate) fn add(&mut self, header: &BatchHeader, interval: u32) {
        let size = header.size() as u32;
        let control = header.is_entry();
        let marks = &mut self.marks;
        index::put_entry(&mut self.entries, marks.position, control);
        marks.entries += 1;
        if !control {
            let last_offset = header.last_offset();
            // A batch that compaction has emptied has no record at its time.
            if header.max_timestamp > marks.max_timestamp && header.records_count != 0 {
                marks.max_timestamp = header.max_timestamp;
                marks.max_timestamp_offset = last_offset;
            }
            marks.has_records = true;
            marks.first_timestamp.get_or_insert(header.max_timestamp);
            if marks.bytes_since_index > interval {
                let offset = (last_offset - self.base_offset) as u32;
                index::put_offset(&mut self.index, OffsetPosition { offset, position: marks.position });
                marks.index += 1;
                marks.bytes_since_index = 0;
                self.add_time();
            }
        }
        self.marks.position += size;
        self.marks.bytes_since_index = self.marks.bytes_since_index.saturating_add(size);
    }

    /// An entry of `.timeindex`, if the largest timestamp has grown since the last. Also made when a segment is sealed.
    pub(crate) fn add_time(&mut self) {
        let marks = &mut self.marks;
        if marks.max_timestamp > marks.last_indexed_timestamp {
            let offset = (marks.max_timestamp_offset - self.base_offset) as u32;
            index::put_time(&mut self.timeindex, TimeOffset { timestamp: marks.max_timestamp, offset });
            marks.last_indexed_timestamp = marks.max_timestamp;
            marks.timeindex += 1;
        }
    }

    /// Whether indexes of at most `max` bytes have room for one more entry each and the last one of `.timeindex`.
    pub(crate) fn is_full(&self, max: u32) -> bool {
        let max = max as usize;
        (self.marks.index as usize + 1) * INDEX_LEN > max || (self.marks.timeindex as usize + 2) * TIME_LEN > max
    }

    /// Forgets the bytes that were written, or goes back to `marks` where they were not.
    pub(crate) fn reset(&mut self, marks: Marks) {
        self.marks = marks;
        self.entries.clear();
        self.index.clear();
        self.timeindex.clear();
    }
}
