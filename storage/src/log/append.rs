//! Append: frames that are complete and numbered go to the end of the log, each byte written once.
//!
//! One call is one vectored write to `.log` for each segment it touches, one write to `.entries`, and where an interval
//! is over one each to `.index` and `.timeindex`. Nothing of the payload is copied. An error leaves the log as it was.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use leat_protocol::records::BatchHeader;

use super::{Active, Log, LogConfig};
use crate::checkpoint::Epoch;
use crate::error::{Error, Result};
use crate::fs::{self, File, Mode};
use crate::segment::header::SegmentHeader;
use crate::segment::index::{ENTRY_LEN, INDEX_LEN, TIME_LEN};
use crate::segment::indexer::{Indexer, Marks};
use crate::segment::map::IndexFile;
use crate::segment::name::Part;
use crate::segment::{Files, Segment};

/// Positions are 31 bits wide: the top bit of an entry marks a control frame.
const SEGMENT_LEN_MAX: u64 = i32::MAX as u64;

/// What a run of frames does to the log, worked out before anything is written.
#[derive(Debug, Clone, Copy)]
struct End {
    next_index: u64,
    end_offset: i64,
    term: u64,
}

/// What a call has done so far and readers do not know of yet.
#[derive(Debug, Default)]
pub(super) struct Change {
    sealed: Vec<Sealed>,
    made: Vec<Arc<Segment>>,
    epochs: Vec<Epoch>,
}

/// A segment that a call has ended.
#[derive(Debug)]
struct Sealed {
    segment: Arc<Segment>,
    files: Arc<Files>,
    marks: Marks,
    end_offset: i64,
}

impl Log {
    /// Appends `frames`, each one complete batch or control frame whose base offset and leader epoch are already those it
    /// has in this log. The first gets [`Log::next_index`]. CRCs are not looked at. `now_ms` is the wall clock.
    ///
    /// On an error nothing was appended; after a full disk the same call may succeed later. Not durable before a sync.
    pub fn append(&mut self, frames: &[Bytes], now_ms: i64) -> Result<()> {
        self.shared.check_online()?;
        self.now_ms = now_ms;
        let end = self.end();
        let active =
            self.active.as_ref().map(|active| (active.segment.clone(), active.indexer.marks, active.created_ms));
        let mut change = Change::default();
        let mut rest = frames;
        while !rest.is_empty() {
            match self.append_run(rest, &mut change) {
                Ok(taken) => rest = &rest[taken..],
                Err(error) => {
                    self.undo(active, end, &change);
                    return Err(error);
                }
            }
        }
        self.commit(change);
        Ok(())
    }

    /// Appends as many frames as fit the active segment, at least one; returns how many.
    fn append_run(&mut self, frames: &[Bytes], change: &mut Change) -> Result<usize> {
        let first = check(&frames[0], self.end())?;
        let roll = match &self.active {
            None => true,
            Some(active) => ends_before(&self.config, active, &first, self.now_ms),
        };
        if roll {
            self.roll(change)?;
        }
        let before = self.end();
        let Some(active) = &mut self.active else { return Err(invalid("the log has no active segment")) };
        let marks = active.indexer.marks;
        let known = change.epochs.last().or(self.shared.epochs.load().last()).map(|epoch| epoch.term);
        let (taken, end) = plan(&self.config, active, before, known, frames, &mut change.epochs)?;
        let files = active.segment.open()?;
        write(&active.segment, &files, &active.indexer, &marks, &frames[..taken])?;
        let marks = active.indexer.marks;
        active.indexer.reset(marks);
        self.sync.log_written(&self.env, &active.segment, &files);
        (self.next_index, self.end_offset, self.last_term) = (end.next_index, end.end_offset, end.term);
        Ok(taken)
    }

    /// Lets readers see what a call has done. The end moves last.
    pub(super) fn commit(&mut self, change: Change) {
        for Sealed { segment, files, marks, end_offset } in change.sealed {
            segment.publish(&marks, end_offset);
            segment.seal();
            self.sync.segment_sealed(&self.env, &segment, &files);
        }
        if let Some(active) = &self.active {
            active.segment.publish(&active.indexer.marks, self.end_offset);
        }
        if !change.made.is_empty() {
            self.publish_view(|view| view.segments.extend(change.made));
        }
        if !change.epochs.is_empty() {
            let mut list = Vec::clone(&self.shared.epochs.load());
            list.extend(change.epochs);
            self.shared.epochs.store(Arc::new(list));
        }
        self.shared.set_end(self.next_index, self.end_offset);
    }

    /// Takes back what a call has done before it failed; readers have seen none of it.
    fn undo(&mut self, active: Option<(Arc<Segment>, Marks, i64)>, end: End, change: &Change) {
        for segment in change.made.iter().rev() {
            self.remove_files(segment);
        }
        (self.next_index, self.end_offset, self.last_term) = (end.next_index, end.end_offset, end.term);
        self.active = active.map(|(segment, marks, created_ms)| {
            cut_back(&segment, &marks);
            Active { indexer: Indexer::new(segment.base_offset, marks), segment, created_ms }
        });
    }

    fn end(&self) -> End {
        End { next_index: self.next_index, end_offset: self.end_offset, term: self.last_term }
    }

    /// Ends the active segment, if there is one, and begins the next. On an error the active one goes on.
    pub(super) fn roll(&mut self, change: &mut Change) -> Result<()> {
        let header = SegmentHeader {
            identity: self.identity,
            base_offset: self.end_offset,
            first_index: self.next_index,
            previous_index: self.next_index - 1,
            previous_term: self.last_term,
            log_start_offset: self.shared.log_start(),
            created_ms: self.now_ms,
            producers_checksum: 0,
            membership_index: self.membership.0,
            membership: self.membership.1.clone(),
            cleaned: None,
        };
        if self.active.is_none() {
            self.make_folder()?;
        }
        let next = self.create_segment(header)?;
        match self.end_active() {
            Ok(sealed) => change.sealed.extend(sealed),
            Err(e) => {
                self.remove_files(&next.segment);
                return Err(e);
            }
        }
        self.sync.segment_made();
        change.made.push(next.segment.clone());
        self.active = Some(next);
        Ok(())
    }

    /// Writes the last entry of `.timeindex`; the segment is synced as a whole in the next round.
    fn end_active(&mut self) -> Result<Option<Sealed>> {
        let Some(active) = &mut self.active else { return Ok(None) };
        let files = active.segment.open()?;
        let before = active.indexer.marks;
        active.indexer.add_time();
        let written = append_index(&files.timeindex, &active.indexer.timeindex, before.timeindex, TIME_LEN);
        let marks = active.indexer.marks;
        active.indexer.reset(before);
        if let Err(e) = written {
            cut_back(&active.segment, &before);
            return Err(Error::io("write", &active.segment.path(Part::TimeIndex), e));
        }
        Ok(Some(Sealed { segment: active.segment.clone(), files, marks, end_offset: self.end_offset }))
    }

    fn make_folder(&mut self) -> Result<()> {
        self.env.fs.create_dir_all(&self.folder).map_err(|e| Error::io("create", &self.folder, e))?;
        self.sync.folder_made();
        Ok(())
    }

    /// The files of a segment that holds nothing but its header.
    pub(super) fn create_segment(&mut self, header: SegmentHeader) -> Result<Active> {
        let frame = header.encode();
        let (base, created_ms) = (header.base_offset, header.created_ms);
        let marks = Marks::empty(frame.len() as u32, base);
        let segment = Arc::new(Segment::growing(&self.env, &self.folder, header, &marks, base));
        let files = match segment.open_as(Mode::Replace) {
            Ok(files) => files,
            Err(e) => {
                self.remove_files(&segment);
                return Err(e);
            }
        };
        if let Err(e) = fs::write_all_at(&*files.log, &frame, 0) {
            let error = Error::io("write", &segment.path(Part::Log), e);
            self.remove_files(&segment);
            return Err(error);
        }
        self.sync.log_written(&self.env, &segment, &files);
        Ok(Active { indexer: Indexer::new(base, marks), segment, created_ms })
    }

    /// Best effort: what is left over is emptied or removed when the name is used again or the log is next opened.
    fn remove_files(&self, segment: &Segment) {
        for part in Part::ALL {
            if let Err(e) = self.env.fs.remove_file(&segment.path(part)) {
                tracing::debug!(file = %segment.path(part).display(), error = %e, "left behind");
            }
        }
    }
}

/// Goes through frames until one must begin a new segment, and collects what goes into the indexes.
fn plan(
    config: &LogConfig,
    active: &mut Active,
    mut end: End,
    mut known_term: Option<u64>,
    frames: &[Bytes],
    epochs: &mut Vec<Epoch>,
) -> Result<(usize, End)> {
    for (n, frame) in frames.iter().enumerate() {
        let header = check(frame, end)?;
        // The first frame was asked about before; the clock matters only where there are no timestamps.
        if n > 0 && ends_before(config, active, &header, active.created_ms) {
            return Ok((n, end));
        }
        if u64::from(active.indexer.marks.position) + frame.len() as u64 > SEGMENT_LEN_MAX {
            return Err(invalid("a segment without a record has no room left"));
        }
        let term = header.partition_leader_epoch as u64;
        // The term of the entry before may be known only from its segment's header, once that entry is trimmed away.
        if known_term.is_none_or(|known| known < term) {
            known_term = Some(term);
            epochs.push(Epoch { term, first_index: end.next_index, first_offset: header.base_offset });
        }
        active.indexer.add(&header, config.index_interval_bytes);
        end = End { next_index: end.next_index + 1, end_offset: header.next_offset(), term };
    }
    Ok((frames.len(), end))
}

/// A frame must follow the one before it; anything else is a mistake of the caller that would make the log unreadable.
fn check(frame: &Bytes, end: End) -> Result<BatchHeader> {
    let header = BatchHeader::parse(frame).map_err(|e| invalid(e.to_string()))?;
    if header.size() != frame.len() {
        return Err(invalid(format!("a frame of {} bytes says it has {}", frame.len(), header.size())));
    }
    if header.base_offset != end.end_offset {
        return Err(invalid(format!(
            "a frame at offset {}, but the log ends at {}",
            header.base_offset, end.end_offset
        )));
    }
    let taken = header.next_offset().wrapping_sub(header.base_offset);
    if header.is_entry() != (taken == 0) || taken < 0 {
        return Err(invalid(format!("a frame with last offset delta {}", header.last_offset_delta)));
    }
    if u64::try_from(header.partition_leader_epoch).is_err() || (header.partition_leader_epoch as u64) < end.term {
        return Err(invalid(format!("a frame of term {}, after term {}", header.partition_leader_epoch, end.term)));
    }
    Ok(header)
}

/// Whether the active segment ends before this frame (docs/disk.md, "When a segment ends").
fn ends_before(config: &LogConfig, active: &Active, header: &BatchHeader, now_ms: i64) -> bool {
    let marks = &active.indexer.marks;
    if !marks.has_records {
        return false;
    }
    let len = u64::from(marks.position) + header.size() as u64;
    if len > u64::from(config.segment_bytes).min(SEGMENT_LEN_MAX) || active.indexer.is_full(config.segment_index_bytes)
    {
        return true;
    }
    if header.last_offset() - active.segment.base_offset > i64::from(i32::MAX) {
        return true;
    }
    let waited = match marks.first_timestamp {
        Some(first) if first >= 0 && header.max_timestamp >= 0 => header.max_timestamp.saturating_sub(first),
        Some(first) if first >= 0 => 0,
        _ => now_ms.saturating_sub(active.created_ms),
    };
    u64::try_from(waited).is_ok_and(|waited| waited > config.segment_ms)
}

fn write(segment: &Segment, files: &Files, indexer: &Indexer, before: &Marks, frames: &[Bytes]) -> Result<()> {
    let written = match frames {
        [frame] => fs::write_all_at(&*files.log, frame, before.position.into()),
        frames => {
            let mut slices: Vec<_> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
            fs::write_all_vectored_at(&*files.log, &mut slices, before.position.into())
        }
    };
    written.map_err(|e| Error::io("write", &segment.path(Part::Log), e))?;
    let index = |file, bytes: &[u8], at, len, part| {
        append_index(file, bytes, at, len).map_err(|e| Error::io("write", &segment.path(part), e))
    };
    index(&files.entries, &indexer.entries, before.entries, ENTRY_LEN, Part::Entries)?;
    index(&files.index, &indexer.index, before.index, INDEX_LEN, Part::Index)?;
    index(&files.timeindex, &indexer.timeindex, before.timeindex, TIME_LEN, Part::TimeIndex)
}

fn append_index(index: &IndexFile, bytes: &[u8], entries: u32, entry_len: usize) -> std::io::Result<()> {
    match index.file() {
        _ if bytes.is_empty() => Ok(()),
        Some(file) => fs::write_all_at(&**file, bytes, u64::from(entries) * entry_len as u64),
        None => Err(std::io::Error::other("the index is no longer written")),
    }
}

/// Cuts what a failed append left past the published lengths. What this misses is overwritten by the next append.
fn cut_back(segment: &Arc<Segment>, marks: &Marks) {
    let cut = |file: &dyn File, len: u64| {
        if let Err(e) = file.truncate(len) {
            tracing::debug!(error = %e, "a failed append's bytes stay until they are overwritten");
        }
    };
    let files = match segment.open() {
        Ok(files) => files,
        Err(error) => {
            tracing::debug!(%error, "a failed append's bytes stay until they are overwritten");
            return;
        }
    };
    cut(&*files.log, marks.position.into());
    let indexes = [
        (&files.entries, marks.entries, ENTRY_LEN),
        (&files.index, marks.index, INDEX_LEN),
        (&files.timeindex, marks.timeindex, TIME_LEN),
    ];
    for (index, entries, len) in indexes {
        if let Some(file) = index.file() {
            cut(&**file, u64::from(entries) * len as u64);
        }
    }
}

fn invalid(what: impl Into<String>) -> Error {
    Error::InvalidFrame { what: what.into() }
}
