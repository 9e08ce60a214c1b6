//! Time to offset, exactly: whatever the order of timestamps, inside compressed batches too.
//!
//! The two facts in docs/disk.md (".timeindex") bound a search to one index interval of headers and one decoded batch. Ranges
//! that are set aside hold no answer.

use std::sync::Arc;

use leat_protocol::records::{BatchHeader, RecordIter, TimestampType};

use super::{LogReader, Opened};
use crate::error::{Error, Result};
use crate::log::View;
use crate::reader::FileRange;
use crate::segment::Segment;
use crate::segment::index::{self, TIME_LEN};
use crate::segment::name::Part;

/// A batch that is larger once decompressed is not searched.
const DECOMPRESSED_MAX: usize = 64 << 20;

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    pub offset: i64,
    pub timestamp: i64,
    pub leader_epoch: i32,
}

impl LogReader {
    /// The first record below `until` with a timestamp at or after `timestamp`; none where there is none.
    pub fn offset_for_timestamp(&self, timestamp: i64, until: i64) -> Result<Option<TimestampOffset>> {
        let until = until.min(self.end_offset());
        self.look(|view| {
            let start = self.log_start_offset();
            for segment in overlapping(view, start, until) {
                if segment.max_timestamp()? < timestamp {
                    continue;
                }
                if let Some(found) = Opened::new(segment)?.first_at_or_after(timestamp, start)? {
                    return Ok(Some(found).filter(|found| found.offset < until));
                }
            }
            Ok(None)
        })
    }

    /// The first record below `until` that has the largest timestamp of all of them; none where no record has one.
    pub fn max_timestamp(&self, until: i64) -> Result<Option<TimestampOffset>> {
        let until = until.min(self.end_offset());
        self.look(|view| {
            let start = self.log_start_offset();
            let mut best: Option<(i64, Opened)> = None;
            for segment in overlapping(view, start, until) {
                let most = best.as_ref().map_or(-1, |(most, _)| *most);
                if segment.max_timestamp()? <= most {
                    continue;
                }
                let opened = Opened::new(segment)?;
                let max = opened.max_between(start, until)?;
                if max > most {
                    best = Some((max, opened));
                }
            }
            let Some((max, opened)) = best else { return Ok(None) };
            Ok(opened.first_at_or_after(max, start)?.filter(|found| found.offset < until))
        })
    }
}

/// Segments that hold offsets in `start..until`.
fn overlapping(view: &View, start: i64, until: i64) -> &[Arc<Segment>] {
    let first = view.place_of(start).unwrap_or(0);
    let after = view.segments.partition_point(|segment| segment.base_offset < until);
    view.segments.get(first..after).unwrap_or(&[])
}

impl Opened {
    /// The first record of the segment at or past `start` with a timestamp >= `timestamp`.
    fn first_at_or_after(&self, timestamp: i64, start: i64) -> Result<Option<TimestampOffset>> {
        let times = self.segment.timeindex(&self.files, &self.extent)?;
        let indexed = self.segment.index(&self.files, &self.extent)?;
        let reached = index::ceiling_time(&times, timestamp).map_or(u32::MAX, |time| time.offset);
        let before =
            reached.checked_sub(1).and_then(|offset| index::floor_offset(&indexed, offset, self.extent.log_len));
        let mut position = match before {
            Some(entry) => entry.position,
            None => self.begin()?,
        };
        if start > self.segment.base_offset
            && let Some((first, _)) = self.locate(start)?
        {
            position = position.max(first);
        }
        let mut failed = None;
        let found = self.walk(position, |position, header| {
            if header.records_count == 0 || header.max_timestamp < timestamp || header.last_offset() < start {
                return None;
            }
            match self.first_in_batch(position, header, timestamp, start) {
                Ok(None) => None,
                Ok(found) => Some(found),
                Err(e) => {
                    failed = Some(e);
                    Some(None)
                }
            }
        })?;
        match failed {
            Some(e) => Err(e),
            None => Ok(found.flatten()),
        }
    }

    fn first_in_batch(
        &self,
        position: u32,
        header: &BatchHeader,
        timestamp: i64,
        start: i64,
    ) -> Result<Option<TimestampOffset>> {
        let leader_epoch = header.partition_leader_epoch;
        // Where compaction has left records out, the first one must be looked for.
        let dense = header.records_count == header.last_offset_delta.wrapping_add(1);
        if header.timestamp_type() == TimestampType::LogAppendTime && dense {
            let offset = header.base_offset.max(start);
            return Ok(Some(TimestampOffset { offset, timestamp: header.max_timestamp, leader_epoch }));
        }
        let mut records = self.records(position, header)?;
        while let Some(record) = records.next_ref() {
            let record = record.map_err(|e| self.unreadable(position, &e))?;
            if record.timestamp >= timestamp && record.offset >= start {
                return Ok(Some(TimestampOffset { offset: record.offset, timestamp: record.timestamp, leader_epoch }));
            }
        }
        Ok(None)
    }

    fn records(&self, position: u32, header: &BatchHeader) -> Result<RecordIter> {
        let batch = FileRange::new(&self.segment, &self.files.log, position, header.size() as u32).read_to_bytes()?;
        leat_protocol::records::records(&batch, DECOMPRESSED_MAX).map_err(|e| self.unreadable(position, &e))
    }

    fn unreadable(&self, position: u32, error: &leat_protocol::records::BatchError) -> Error {
        Error::corrupt(&self.segment.path(Part::Log), position.into(), error.to_string())
    }

    /// The largest timestamp of the segment's records in `start..until`, -1 where there is none.
    fn max_between(&self, start: i64, until: i64) -> Result<i64> {
        let base = self.segment.base_offset;
        if start <= base && self.extent.end_offset <= until {
            return self.segment.max_timestamp();
        }
        let (mut max, mut position) = (-1, self.begin()?);
        if start > base {
            match self.locate(start)? {
                Some((first, _)) => position = first,
                None => return Ok(-1),
            }
        } else if let Some(entry) = self.last_indexed_below(until)? {
            position = entry.position;
            let times = self.segment.timeindex(&self.files, &self.extent)?;
            let known =
                index::partition_point(times.len() / TIME_LEN, |n| index::time_at(&times, n).offset <= entry.offset);
            max = known.checked_sub(1).map_or(-1, |n| index::time_at(&times, n).timestamp);
        }
        let mut split = Vec::new();
        self.walk(position, |position, header| {
            if header.base_offset >= until {
                return Some(());
            }
            if header.records_count == 0 {
                return None;
            }
            if header.base_offset >= start && header.last_offset() < until {
                max = max.max(header.max_timestamp);
            } else if header.last_offset() >= start && header.max_timestamp > max {
                split.push((position, *header));
            }
            None
        })?;
        for (position, header) in split {
            let mut records = self.records(position, &header)?;
            while let Some(record) = records.next_ref() {
                let record = record.map_err(|e| self.unreadable(position, &e))?;
                if (start..until).contains(&record.offset) {
                    max = max.max(record.timestamp);
                }
            }
        }
        Ok(max)
    }

    fn last_indexed_below(&self, until: i64) -> Result<Option<index::OffsetPosition>> {
        let indexed = self.segment.index(&self.files, &self.extent)?;
        let below = until - self.segment.base_offset - 1;
        let offset = u32::try_from(below).unwrap_or(if below < 0 { 0 } else { u32::MAX });
        Ok(index::floor_offset(&indexed, offset, self.extent.log_len))
    }
}
