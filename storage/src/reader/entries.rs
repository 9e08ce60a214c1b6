//! Raft entries by index, control frames too.

use bytes::Bytes;
use leat_protocol::records::BatchHeader;

use super::{FileRange, LogReader, Opened, place_of_index};
use crate::error::{Error, Result};
use crate::log::View;
use crate::segment::index;
use crate::segment::name::Part;
use crate::segment::scan;

impl LogReader {
    /// The frames of entries `first..until`, as many as fit `max_bytes` but at least one. One read for each segment.
    pub fn read_entries(&self, first: u64, until: u64, max_bytes: u64) -> Result<Vec<Bytes>> {
        self.look(|view| self.read_entries_in(view, first, until, max_bytes))
    }

    fn read_entries_in(&self, view: &View, first: u64, until: u64, max_bytes: u64) -> Result<Vec<Bytes>> {
        let next = self.next_index();
        if first < view.first_index || first > next {
            return Err(Error::IndexOutOfRange { index: first, first: view.first_index, next });
        }
        let until = until.min(next);
        let (mut frames, mut at, mut left) = (Vec::new(), first, max_bytes);
        let mut place = if at < until {
            place_of_index(&view.segments, at)?
        } else {
            return Ok(frames);
        };
        while at < until {
            let Some(segment) = view.segments.get(place) else { break };
            // Entries that were set aside lie before the segment, or end within it.
            let there = segment.header()?.first_index <= at;
            let taken = match there {
                true => Opened::new(segment)?.take_entries(at, until, left, frames.is_empty(), &mut frames)?,
                false => Taken { count: 0, bytes: 0, at_end: true },
            };
            if taken.count == 0 && taken.at_end && frames.is_empty() {
                return Err(Error::IndexOutOfRange { index: at, first: view.first_index, next });
            }
            if !taken.at_end || taken.count == 0 {
                break;
            }
            at += taken.count;
            left = left.saturating_sub(taken.bytes);
            place += 1;
        }
        Ok(frames)
    }

    /// The last entry before `index` that is a control frame. Looks at indexes only.
    pub fn control_before(&self, index: u64) -> Result<Option<u64>> {
        self.look(|view| control_before_in(view, index))
    }

    /// The header of one entry.
    pub fn entry_header(&self, index: u64) -> Result<BatchHeader> {
        self.look(|view| self.entry_header_in(view, index))
    }

    fn entry_header_in(&self, view: &View, index: u64) -> Result<BatchHeader> {
        let next = self.next_index();
        if index < view.first_index || index >= next {
            return Err(Error::IndexOutOfRange { index, first: view.first_index, next });
        }
        let opened = Opened::new(&view.segments[place_of_index(&view.segments, index)?])?;
        let place = index - opened.segment.header()?.first_index;
        let entries = opened.segment.entries(&opened.files, &opened.extent)?;
        if place >= opened.extent.entries as u64 {
            return Err(Error::IndexOutOfRange { index, first: view.first_index, next });
        }
        let (position, _) = index::entry_at(&entries, place as usize);
        let path = opened.segment.path(Part::Log);
        scan::header_at(&*opened.files.log, position).map_err(|e| Error::io("read", &path, e))
    }
}

fn control_before_in(view: &View, index: u64) -> Result<Option<u64>> {
    for segment in view.segments.iter().rev() {
        let first = segment.header()?.first_index;
        if first >= index {
            continue;
        }
        let opened = Opened::new(segment)?;
        let entries = segment.entries(&opened.files, &opened.extent)?;
        let count = (index - first).min(opened.extent.entries as u64);
        let found = (0..count).rev().find(|&n| index::entry_at(&entries, n as usize).1);
        if let Some(n) = found {
            return Ok((first + n >= view.first_index).then_some(first + n));
        }
    }
    Ok(None)
}

/// What a segment gave.
struct Taken {
    count: u64,
    bytes: u64,
    /// There may be more in the next segment.
    at_end: bool,
}

impl Opened {
    fn take_entries(
        &self,
        first: u64,
        until: u64,
        max_bytes: u64,
        at_least_one: bool,
        out: &mut Vec<Bytes>,
    ) -> Result<Taken> {
        let entries = self.segment.entries(&self.files, &self.extent)?;
        let segment_first = self.segment.header()?.first_index;
        let count = self.extent.entries as u64;
        let (from, to) = (first - segment_first, (until - segment_first).min(count));
        let nothing = Taken { count: 0, bytes: 0, at_end: from >= count };
        if from >= to {
            return Ok(nothing);
        }
        // An entry may be published a moment before its frame's end is.
        let end_of = |n: u64| {
            if n + 1 < count { index::entry_at(&entries, n as usize + 1).0 } else { self.extent.log_len }
        };
        let begin = index::entry_at(&entries, from as usize).0;
        let within = (to - from) as usize;
        let fits = |n: usize| u64::from(end_of(from + n as u64).saturating_sub(begin)) <= max_bytes;
        let mut take = index::partition_point(within, fits) as u64;
        if take == 0 && at_least_one {
            take = 1;
        }
        if take == 0 {
            return Ok(Taken { at_end: false, ..nothing });
        }
        let end = end_of(from + take - 1);
        let mut ends = (from..from + take).map(end_of);
        if end > self.extent.log_len || ends.try_fold(begin, |at, end| (at < end).then_some(end)).is_none() {
            let path = self.segment.path(Part::Entries);
            return Err(Error::corrupt(
                &path,
                from * index::ENTRY_LEN as u64,
                "its positions do not ascend within the log",
            ));
        }
        let len = end - begin;
        let bytes = FileRange::new(&self.segment, &self.files.log, begin, len).read_to_bytes()?;
        for n in from..from + take {
            let at = index::entry_at(&entries, n as usize).0;
            out.push(bytes.slice((at - begin) as usize..(end_of(n) - begin) as usize));
        }
        Ok(Taken { count: take, bytes: len.into(), at_end: from + take == count })
    }
}
