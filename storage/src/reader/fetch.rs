//! Fetch: an offset and a limit to ranges of a file. Control frames' bytes are left out; nothing of the data is read.

use std::sync::Arc;

use leat_protocol::records::BatchHeader;

use super::{FileRange, LogReader, Opened};
use crate::error::{Error, Result};
use crate::log::View;
use crate::segment::name::Part;
use crate::segment::{Segment, index, scan};

/// Whole data batches of one segment.
#[derive(Debug, Clone, Default)]
pub struct Slice {
    /// To be sent one after another.
    pub ranges: Vec<FileRange>,
    /// Bytes of all ranges.
    pub len: u64,
    /// Where the next read goes on.
    pub next_offset: i64,
}

impl LogReader {
    /// Data batches from the one that holds `from`, below `until` (the high watermark), in at most `max_bytes`; the first one
    /// in any case where `at_least_one`. Ends at a segment's end: read on from [`Slice::next_offset`].
    pub fn read(&self, from: i64, until: i64, max_bytes: u32, at_least_one: bool) -> Result<Slice> {
        self.look(|view| self.read_in(view, from, until, max_bytes, at_least_one))
    }

    fn read_in(&self, view: &View, from: i64, until: i64, max_bytes: u32, at_least_one: bool) -> Result<Slice> {
        let (start, end) = (self.log_start_offset(), self.end_offset());
        let out_of_range = Err(Error::OffsetOutOfRange { offset: from, start, end });
        if from < start || from > end {
            return out_of_range;
        }
        let until = until.min(end);
        view.check_gap(from)?;
        let nothing = Slice { next_offset: from, ..Slice::default() };
        if from >= until {
            return Ok(nothing);
        }
        let Some(place) = view.place_of(from) else { return out_of_range };
        // Where compaction has left a hole up to there.
        let passed = Slice { next_offset: until, ..Slice::default() };
        let Some((opened, position, first)) = find(&view.segments[place..], from, end)? else { return Ok(passed) };
        if first.base_offset >= until {
            return Ok(passed);
        }
        let (limit, limit_offset) = opened.limit(until)?;
        let entries = opened.segment.entries(&opened.files, &opened.extent)?;
        let stop = stop_within(&entries, position, limit, max_bytes);
        let stop = match stop > position {
            true => stop,
            false if at_least_one && limit > position => position + first.size() as u32,
            false => return Ok(nothing),
        };
        let next_offset = if stop == limit { limit_offset } else { opened.offset_at(stop)? };
        let mut slice = Slice { next_offset, ..Slice::default() };
        opened.add_ranges(&entries, position, stop, &mut slice);
        Ok(slice)
    }
}

/// The batch that holds `from`, which lies in the first of `segments`, or the next one behind a hole that compaction has
/// left. `end` is that of the log.
fn find(segments: &[Arc<Segment>], from: i64, end: i64) -> Result<Option<(Opened, u32, BatchHeader)>> {
    for (n, segment) in segments.iter().enumerate() {
        let opened = Opened::new(segment)?;
        if let Some((position, first)) = opened.locate(from)? {
            return Ok(Some((opened, position, first)));
        }
        let until = segments.get(n + 1).map_or(end, |next| next.base_offset);
        let from = opened.extent.end_offset;
        if from < until {
            return Err(Error::Quarantined { from, until, path: segment.path(Part::Log) });
        }
    }
    Ok(None)
}

/// The end of the last frame that ends at most `max_bytes` after `position`: where the next one begins, or `limit`.
fn stop_within(entries: &[u8], position: u32, limit: u32, max_bytes: u32) -> u32 {
    if limit.saturating_sub(position) <= max_bytes {
        return limit;
    }
    let after = index::entry_from(entries, position.saturating_add(max_bytes).saturating_add(1));
    after.checked_sub(1).map_or(position, |n| index::entry_at(entries, n).0)
}

impl Opened {
    /// Position and offset of the first batch that is not wholly below `until`.
    fn limit(&self, until: i64) -> Result<(u32, i64)> {
        if until < self.extent.end_offset
            && let Some((position, header)) = self.locate(until)?
        {
            return Ok((position, header.base_offset));
        }
        Ok((self.extent.log_len, self.extent.end_offset))
    }

    /// Every frame, data or control, says the offset of the next record.
    fn offset_at(&self, position: u32) -> Result<i64> {
        if position >= self.extent.log_len {
            return Ok(self.extent.end_offset);
        }
        let path = self.segment.path(Part::Log);
        let header = scan::header_at(&*self.files.log, position).map_err(|e| Error::io("read", &path, e))?;
        if header.base_offset < self.segment.base_offset || header.base_offset > self.extent.end_offset {
            return Err(Error::corrupt(&path, position.into(), "no batch of this segment begins here"));
        }
        Ok(header.base_offset)
    }

    /// Runs of data frames between two positions.
    fn add_ranges(&self, entries: &[u8], position: u32, stop: u32, slice: &mut Slice) {
        let mut add = |from: u32, to: u32| {
            if from < to {
                slice.ranges.push(FileRange::new(&self.segment, &self.files.log, from, to - from));
                slice.len += u64::from(to - from);
            }
        };
        let mut run = position;
        let count = entries.len() / index::ENTRY_LEN;
        for n in index::entry_from(entries, position)..count {
            let (at, control) = index::entry_at(entries, n);
            if at >= stop {
                break;
            }
            if control {
                add(run, at);
                run = if n + 1 < count { index::entry_at(entries, n + 1).0.min(stop) } else { stop };
            }
        }
        add(run, stop);
    }
}
