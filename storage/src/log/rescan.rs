//! Scans one segment from its restart point: checks frames, hands them on, and brings its indexes up to date.

use std::path::Path;
use std::sync::Arc;

use leat_protocol::records::entry::EntryKind;
use leat_protocol::records::{BatchHeader, HEADER_LEN};

use super::open::OnEntry;
use super::recover::Position;
use crate::checkpoint::Epoch;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::frame;
use crate::fs::{self, File, Mode};
use crate::segment::Segment;
use crate::segment::header::SegmentHeader;
use crate::segment::index::{self, ENTRY_LEN, INDEX_LEN, TIME_LEN};
use crate::segment::indexer::{Indexer, Marks};
use crate::segment::name::Part;
use crate::segment::scan::{Bad, Found, Headers, Scanner};

/// What a rescan needs to know.
pub(super) struct Rescan<'a> {
    pub(super) env: &'a Env,
    pub(super) segment: &'a Segment,
    pub(super) header: &'a SegmentHeader,
    pub(super) header_len: u32,
    pub(super) file: Arc<dyn File>,
    pub(super) len: u64,
    pub(super) interval: u32,
    pub(super) applied: u64,
    pub(super) same_boot: bool,
}

/// Why a scan ended.
#[derive(Debug)]
pub(super) enum Outcome {
    End,
    Bad(Bad),
}

/// What a rescan found.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) outcome: Outcome,
    pub(super) end: Position,
    pub(super) scanned_bytes: u64,
    /// Entries that `.entries` has: within one boot, frames that were complete.
    pub(super) indexed: u64,
    /// Indexes are written whatever the files hold.
    pub(super) rewrite: bool,
    start: Marks,
    indexer: Indexer,
}

/// The index files as they are, read without mapping.
struct Indexes {
    entries: Vec<u8>,
    index: Vec<u8>,
    timeindex: Vec<u8>,
    missing: bool,
}

impl Rescan<'_> {
    pub(super) fn run(&self, epochs: &mut Vec<Epoch>, on_entry: &mut OnEntry<'_>) -> Result<Scanned> {
        let path = self.segment.path(Part::Log);
        let indexes = self.read_indexes()?;
        let (start, mut at) = self.restart(&path, &indexes)?;
        let mut indexer = Indexer::new(self.segment.base_offset, start);
        let mut scanner = Scanner::new(&path, self.file.clone(), start.position, self.len);
        let outcome = loop {
            match scanner.next()? {
                Found::End => break Outcome::End,
                Found::Bad(bad) => break Outcome::Bad(bad),
                Found::Frame { position, header, bytes } => {
                    if let Err(what) = follows(&header, bytes, at) {
                        break Outcome::Bad(Bad { position, what });
                    }
                    let term = header.partition_leader_epoch as u64;
                    if at.next_index > self.applied {
                        if epochs.last().is_none_or(|last| last.term < term) {
                            epochs.push(Epoch { term, first_index: at.next_index, first_offset: header.base_offset });
                        }
                        on_entry(at.next_index, &header, bytes);
                    }
                    indexer.add(&header, self.interval);
                    at = Position { next_index: at.next_index + 1, end_offset: header.next_offset(), term };
                }
            }
        };
        let scanned_bytes = u64::from(indexer.marks.position - start.position);
        let indexed = (indexes.entries.len() / ENTRY_LEN) as u64;
        let rewrite = indexes.missing || !indexes.match_from(&start, &indexer);
        if indexer.marks.first_timestamp.is_none() || start.entries > 0 {
            indexer.marks.first_timestamp = self.first_timestamp(&path, indexer.marks.position)?;
        }
        Ok(Scanned { outcome, end: at, scanned_bytes, indexed, rewrite, start, indexer })
    }

    fn read_indexes(&self) -> Result<Indexes> {
        let mut missing = false;
        let mut read = |part| -> Result<Vec<u8>> {
            let bytes = frame::read(&*self.env.fs, &self.segment.path(part))?;
            missing |= bytes.is_none();
            Ok(bytes.unwrap_or_default())
        };
        let (entries, index, timeindex) = (read(Part::Entries)?, read(Part::Index)?, read(Part::TimeIndex)?);
        Ok(Indexes { entries, index, timeindex, missing })
    }

    /// The last `.index` entry at or before the checkpoint, or the segment's start where the indexes do not reach it.
    fn restart(&self, path: &Path, indexes: &Indexes) -> Result<(Marks, Position)> {
        let (header, base) = (self.header, self.segment.base_offset);
        let begin = Position { next_index: header.first_index, end_offset: base, term: header.previous_term };
        let beginning = (Marks::empty(self.header_len, base), begin);
        let Some(place) = self.applied.checked_sub(header.first_index) else {
            return Ok(beginning);
        };
        let Some(position) = indexes.position_of(place) else {
            return Ok(beginning);
        };
        if !self.same_boot && indexes.check(position).is_err() {
            return Ok(beginning);
        }
        let Some(restart) = index::floor_offset(&indexes.index, u32::MAX, position.saturating_add(1)) else {
            return Ok(beginning);
        };
        let place = index::entry_from(&indexes.entries, restart.position);
        if indexes.position_of(place as u64) != Some(restart.position) || u64::from(restart.position) >= self.len {
            return Ok(beginning);
        }
        let mut headers = Headers::new(path, &*self.file, restart.position, self.len as u32);
        let Ok(Some((_, frame))) = headers.next() else {
            return Ok(beginning);
        };
        let last_offset = base + i64::from(restart.offset);
        if frame.is_entry() || frame.last_offset() != last_offset || frame.base_offset < base {
            return Ok(beginning);
        }
        let times = index::partition_point(indexes.timeindex.len() / TIME_LEN, |n| {
            index::time_at(&indexes.timeindex, n).offset <= restart.offset
        });
        let latest = times.checked_sub(1).map(|n| index::time_at(&indexes.timeindex, n));
        let marks = Marks {
            position: restart.position,
            entries: place as u32,
            index: index::partition_point(indexes.index.len() / INDEX_LEN, |n| {
                index::offset_at(&indexes.index, n).position <= restart.position
            }) as u32,
            timeindex: times as u32,
            bytes_since_index: 0,
            last_indexed_timestamp: latest.map_or(-1, |time| time.timestamp),
            max_timestamp: latest.map_or(-1, |time| time.timestamp),
            max_timestamp_offset: latest.map_or(base, |time| base + i64::from(time.offset)),
            first_timestamp: None,
            has_records: true,
        };
        let next_index = header.first_index + place as u64;
        let term = u64::try_from(frame.partition_leader_epoch).unwrap_or(0);
        Ok((marks, Position { next_index, end_offset: frame.base_offset, term }))
    }

    /// Max timestamp of the segment's first batch.
    fn first_timestamp(&self, path: &Path, end: u32) -> Result<Option<i64>> {
        let mut headers = Headers::new(path, &*self.file, self.header_len, end);
        while let Some((_, header)) = headers.next()? {
            if !header.is_entry() {
                return Ok(Some(header.max_timestamp));
            }
        }
        Ok(None)
    }

    /// How far entries go behind a bad frame, as far as `.entries` leads to whole frames.
    pub(super) fn end_behind(&self, scanned: &Scanned) -> Result<Position> {
        let indexes = self.read_indexes()?;
        let mut end = scanned.end;
        let mut scanner = Scanner::new(&self.segment.path(Part::Log), self.file.clone(), 0, self.len);
        let mut place = scanned.end.next_index - self.header.first_index + 1;
        while let Some(position) = indexes.position_of(place) {
            scanner.seek(position);
            while let Found::Frame { header, .. } = scanner.next()? {
                if header.base_offset < end.end_offset || header.partition_leader_epoch < 0 {
                    break;
                }
                place += 1;
                let term = header.partition_leader_epoch as u64;
                end = Position { next_index: self.header.first_index + place, end_offset: header.next_offset(), term };
            }
            place += 1;
        }
        Ok(end)
    }

    /// Writes what the index files lack, and cuts what they have too much. A sealed segment gets its last time entry.
    pub(super) fn write_indexes(&self, mut scanned: Scanned, sealed: bool) -> Result<Indexer> {
        if sealed {
            let indexes = self.read_indexes()?;
            scanned.indexer.add_time();
            scanned.rewrite |= !indexes.match_from(&scanned.start, &scanned.indexer);
        }
        let marks = scanned.indexer.marks;
        if scanned.rewrite {
            let (start, indexer) = (&scanned.start, &scanned.indexer);
            self.write_index(Part::Entries, &indexer.entries, start.entries, ENTRY_LEN)?;
            self.write_index(Part::Index, &indexer.index, start.index, INDEX_LEN)?;
            self.write_index(Part::TimeIndex, &indexer.timeindex, start.timeindex, TIME_LEN)?;
        }
        scanned.indexer.reset(marks);
        Ok(scanned.indexer)
    }

    /// Entries up to the checkpoint are on stable storage and must stay there. Within one boot someone may still have the
    /// file mapped, so it is replaced; after another nobody can, and only its end changes.
    fn write_index(&self, part: Part, bytes: &[u8], from: u32, entry_len: usize) -> Result<()> {
        let path = self.segment.path(part);
        let at = from as usize * entry_len;
        if self.same_boot {
            let mut whole = frame::read(&*self.env.fs, &path)?.unwrap_or_default();
            whole.truncate(at);
            whole.extend_from_slice(bytes);
            return frame::replace(&*self.env.fs, &path, &whole);
        }
        let file = self.env.fs.open(&path, Mode::Create).map_err(|e| Error::io("open", &path, e))?;
        fs::write_all_at(&*file, bytes, at as u64).map_err(|e| Error::io("write", &path, e))?;
        file.truncate((at + bytes.len()) as u64).map_err(|e| Error::io("truncate", &path, e))
    }
}

/// Whether a frame is the one that must come next.
fn follows(header: &BatchHeader, bytes: &[u8], at: Position) -> Result<(), String> {
    if header.base_offset != at.end_offset {
        return Err(format!("a batch at offset {} where {} must be", header.base_offset, at.end_offset));
    }
    let taken = header.next_offset().wrapping_sub(header.base_offset);
    if taken < 0 || header.is_entry() != (taken == 0) {
        return Err(format!("a batch with last offset delta {}", header.last_offset_delta));
    }
    if u64::try_from(header.partition_leader_epoch).is_ok_and(|term| term >= at.term) {
        if header.is_entry() && bytes.get(HEADER_LEN) == Some(&(EntryKind::SegmentHeader as u8)) {
            return Err("a segment header within a segment".to_owned());
        }
        return Ok(());
    }
    Err(format!("a batch of term {} after term {}", header.partition_leader_epoch, at.term))
}

impl Indexes {
    fn position_of(&self, place: u64) -> Option<u32> {
        let place = usize::try_from(place).ok()?;
        (place < self.entries.len() / ENTRY_LEN).then(|| index::entry_at(&self.entries, place).0)
    }

    /// Whether the indexes ascend up to the frame at `position`.
    fn check(&self, position: u32) -> Result<(), &'static str> {
        let entries = index::entry_from(&self.entries, position) * ENTRY_LEN;
        let count = index::partition_point(self.index.len() / INDEX_LEN, |n| {
            index::offset_at(&self.index, n).position <= position
        });
        let index = &self.index[..count * INDEX_LEN];
        let last = count.checked_sub(1).map_or(0, |n| index::offset_at(index, n).offset);
        let times = index::partition_point(self.timeindex.len() / TIME_LEN, |n| {
            index::time_at(&self.timeindex, n).offset <= last
        });
        index::check(index, &self.timeindex[..times * TIME_LEN], &self.entries[..entries], position.saturating_add(1))
    }

    /// Whether the files hold exactly what an indexer made from `start` on.
    fn match_from(&self, start: &Marks, indexer: &Indexer) -> bool {
        let holds =
            |file: &[u8], from: u32, entry_len: usize, made: &[u8]| file.get(from as usize * entry_len..) == Some(made);
        holds(&self.entries, start.entries, ENTRY_LEN, &indexer.entries)
            && holds(&self.index, start.index, INDEX_LEN, &indexer.index)
            && holds(&self.timeindex, start.timeindex, TIME_LEN, &indexer.timeindex)
    }
}
