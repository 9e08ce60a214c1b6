//! Recovery: where the log ends, and what of it can be trusted (docs/disk.md, "Start").
//!
//! Frames up to the checkpoint were synced and are looked at only where a restart point lies; after it each one is checked.
//! A bad frame is an unfinished write that is cut, or damage that is set aside; never something that is skipped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::open::{Listing, OnEntry, OpenHint};
use super::rescan::{Outcome, Rescan};
use super::shared::Gap;
use super::{Active, Identity, LogConfig, Quarantined, Report};
use crate::checkpoint::Epoch;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::fs::Mode;
use crate::segment::Segment;
use crate::segment::header::{Cleaned, SegmentHeader};
use crate::segment::name::{self, Part};
use crate::segment::scan::Bad;

/// A log as it was found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) gaps: Vec<Gap>,
    pub(super) active: Option<Active>,
    pub(super) epochs: Vec<Epoch>,
    pub(super) log_start: i64,
    pub(super) first_index: u64,
    pub(super) previous_term: u64,
    pub(super) clean_end: i64,
    pub(super) next_index: u64,
    pub(super) end_offset: i64,
    pub(super) last_term: u64,
    pub(super) membership: (u64, Bytes),
    pub(super) unsynced: Vec<PathBuf>,
    pub(super) synced: u64,
    /// The active segment's indexes are what was synced before the checkpoint was saved.
    pub(super) indexes_durable: bool,
    pub(super) report: Report,
}

/// Where a scan stands: what the next frame must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) next_index: u64,
    pub(super) end_offset: i64,
    pub(super) term: u64,
}

/// One recovery.
pub(super) struct Recovery<'a> {
    env: &'a Env,
    folder: &'a Arc<Path>,
    identity: Identity,
    config: LogConfig,
    hint: OpenHint,
    listing: Listing,
    out: Recovered,
}

/// What becomes of the segments after the one that was scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    /// The log was cut; what lies behind is not part of it.
    DropRest,
}

impl<'a> Recovery<'a> {
    pub(super) fn new(
        env: &'a Env,
        folder: &'a Arc<Path>,
        identity: Identity,
        config: LogConfig,
        hint: OpenHint,
        listing: Listing,
    ) -> Self {
        Self { env, folder, identity, config, hint, listing, out: Recovered::empty(1, 0, 0) }
    }

    pub(super) fn run(mut self, on_entry: &mut OnEntry<'_>) -> Result<Recovered> {
        let bases: Vec<i64> = self.listing.segments.iter().copied().collect();
        let segments: Vec<_> = bases.iter().map(|base| self.segment(*base)).collect();
        let first = self.first_to_scan(&segments);
        self.begin(&segments, first)?;
        let mut kept: Vec<Arc<Segment>> = segments[..first].to_vec();
        for n in first..segments.len() {
            let last = n + 1 == segments.len();
            match self.recover_segment(&segments[n], last, &mut kept, on_entry)? {
                Then::GoOn => {}
                Then::DropRest => {
                    self.drop_segments(&segments[n + 1..])?;
                    break;
                }
            }
        }
        self.out.segments = kept;
        self.finish()
    }

    fn segment(&self, base: i64) -> Arc<Segment> {
        Arc::new(Segment::lazy(self.env, self.folder, self.identity, base))
    }

    fn applied(&self) -> u64 {
        self.hint.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.applied)
    }

    /// The segment that holds the checkpoint's last entry; what comes before needs no look. Where that entry is its last, its
    /// last time entry may be missing: it was made when the next segment was, and may not have been synced.
    fn first_to_scan(&self, segments: &[Arc<Segment>]) -> usize {
        if self.hint.checkpoint.is_none() {
            return 0;
        }
        let applied = self.applied();
        let begins_before = |segment: &Arc<Segment>| segment.header().is_ok_and(|header| header.first_index <= applied);
        segments.iter().rposition(begins_before).unwrap_or(0)
    }

    /// What is known before the first frame is read.
    fn begin(&mut self, segments: &[Arc<Segment>], first: usize) -> Result<()> {
        if let Some(checkpoint) = &self.hint.checkpoint {
            let applied = checkpoint.applied;
            self.out.epochs = checkpoint.epochs.iter().copied().filter(|epoch| epoch.first_index <= applied).collect();
            self.out.log_start = checkpoint.log_start_offset;
            self.out.membership = (checkpoint.membership_index, checkpoint.membership.clone());
        }
        // A damaged header is dealt with when its segment is scanned; a foreign or newer one refuses the log.
        match segments.first().map(|segment| segment.header()) {
            Some(Ok(header)) => {
                (self.out.first_index, self.out.previous_term) = (header.first_index, header.previous_term);
                if self.hint.checkpoint.is_none() {
                    self.out.log_start = header.log_start_offset;
                }
            }
            Some(Err(Error::Corrupt { .. })) | None => {}
            Some(Err(e)) => return Err(e),
        }
        (self.out.next_index, self.out.last_term) = (self.out.first_index, self.out.previous_term);
        if let Some(manifest) = &self.listing.manifest {
            self.out.clean_end = manifest.clean_end;
            if manifest.first_index > self.out.first_index {
                (self.out.first_index, self.out.previous_term) = (manifest.first_index, manifest.previous_term);
            }
        }
        let start = segments.first().map_or(self.out.log_start, |segment| segment.base_offset);
        self.out.end_offset = start;
        if let Some(Ok(header)) = segments.get(first).map(|segment| segment.header()) {
            (self.out.next_index, self.out.last_term) = (header.first_index, header.previous_term);
            self.out.end_offset = header.base_offset;
        }
        Ok(())
    }

    fn position(&self) -> Position {
        Position { next_index: self.out.next_index, end_offset: self.out.end_offset, term: self.out.last_term }
    }

    fn recover_segment(
        &mut self,
        segment: &Arc<Segment>,
        last: bool,
        kept: &mut Vec<Arc<Segment>>,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<Then> {
        let path = segment.path(Part::Log);
        let file = self.env.fs.open(&path, Mode::Read).map_err(|e| Error::io("open", &path, e))?;
        let len = file.stat().map_err(|e| Error::io("stat", &path, e))?.len;
        let (header, header_len) = match SegmentHeader::read(&path, &*file) {
            Ok(read) => read,
            Err(Error::Corrupt { what, .. }) => {
                return self.bad_header(segment, last, kept, what);
            }
            Err(e) => return Err(e),
        };
        header.check(&path, &self.identity, segment.base_offset)?;
        if let Some(then) = self.check_continuity(segment, &header, kept)? {
            return Ok(then);
        }
        if let Some(cleaned) = header.cleaned {
            return Ok(self.pass_cleaned(segment, &header, cleaned, kept));
        }
        let rescan = Rescan {
            env: self.env,
            segment,
            header: &header,
            header_len,
            file: file.clone(),
            len,
            interval: self.config.index_interval_bytes,
            applied: self.applied(),
            same_boot: self.hint.same_boot,
        };
        let mut scanned = rescan.run(&mut self.out.epochs, on_entry)?;
        self.out.report.scanned_bytes += scanned.scanned_bytes;
        let scanned_to = scanned.end;
        if let Outcome::Bad(bad) = &scanned.outcome {
            let before_checkpoint = scanned_to.next_index <= self.applied();
            let was_complete =
                self.hint.same_boot && (!last || scanned.indexed > scanned_to.next_index - header.first_index);
            if before_checkpoint || was_complete {
                let end = rescan.end_behind(&scanned)?;
                self.quarantine(segment, bad, end, last)?;
                return Ok(Then::GoOn);
            }
            self.cut(segment, bad, len)?;
            scanned.rewrite = true;
        }
        (self.out.next_index, self.out.end_offset, self.out.last_term) =
            (scanned_to.next_index, scanned_to.end_offset, scanned_to.term);
        if header.membership_index > self.out.membership.0 {
            self.out.membership = (header.membership_index, header.membership.clone());
        }
        let ends_here = last || matches!(scanned.outcome, Outcome::Bad(_));
        let rewritten = scanned.rewrite;
        let indexer = rescan.write_indexes(scanned, !ends_here)?;
        // After another boot, what was read came from the disk; within one it may be in the page cache only.
        if self.hint.same_boot && self.out.next_index > self.applied() + 1 {
            self.out.unsynced.push(path);
        }
        if !ends_here {
            self.out.unsynced.extend(Part::INDEXES.map(|part| segment.path(part)));
        }
        if !ends_here {
            kept.push(segment.clone());
            return Ok(Then::GoOn);
        }
        self.out.indexes_durable = !rewritten && self.out.next_index == self.applied() + 1;
        let created_ms = header.created_ms;
        let grown = Arc::new(Segment::growing(self.env, self.folder, header, &indexer.marks, self.out.end_offset));
        kept.push(grown.clone());
        self.out.active = Some(Active { segment: grown, indexer, created_ms });
        Ok(Then::DropRest)
    }

    /// A cleaned segment holds no entry, and was synced before it got its name. The log never ends in one: the next append
    /// makes a segment.
    fn pass_cleaned(
        &mut self,
        segment: &Arc<Segment>,
        header: &SegmentHeader,
        cleaned: Cleaned,
        kept: &mut Vec<Arc<Segment>>,
    ) -> Then {
        let Cleaned { next_index, end_offset, last_term } = cleaned;
        if self.hint.checkpoint.is_none() && self.out.epochs.last().is_none_or(|epoch| epoch.term < last_term) {
            let (first_index, first_offset) = (header.first_index, header.base_offset);
            self.out.epochs.push(Epoch { term: last_term, first_index, first_offset });
        }
        (self.out.next_index, self.out.end_offset, self.out.last_term) = (next_index, end_offset, last_term);
        if header.membership_index > self.out.membership.0 {
            self.out.membership = (header.membership_index, header.membership.clone());
        }
        kept.push(segment.clone());
        Then::GoOn
    }

    /// A segment must go on where the one before it ended.
    fn check_continuity(
        &mut self,
        segment: &Arc<Segment>,
        header: &SegmentHeader,
        kept: &mut [Arc<Segment>],
    ) -> Result<Option<Then>> {
        let (at, first) = (self.position(), kept.is_empty() && self.out.gaps.is_empty());
        if header.first_index == at.next_index && header.base_offset == at.end_offset {
            return Ok(None);
        }
        let known = self.listing.quarantined.range(at.end_offset..header.base_offset).next_back().is_some();
        let forward = header.first_index >= at.next_index && header.base_offset >= at.end_offset;
        if forward && (first || known || at.next_index <= self.applied() || self.hint.same_boot) {
            if !first {
                self.gap(at.end_offset, header.base_offset, "files are missing".to_owned());
            }
            (self.out.next_index, self.out.end_offset, self.out.last_term) =
                (header.first_index, header.base_offset, header.previous_term);
            return Ok(None);
        }
        // What was between them, or its removal, was never synced: the log ends before it.
        tracing::warn!(log = %segment.path(Part::Log).display(), "does not go on where the log ends and is dropped");
        self.drop_segments(std::slice::from_ref(segment))?;
        self.reopen_last(kept)?;
        Ok(Some(Then::DropRest))
    }

    /// A header that can't be read: of a segment that was never synced, or damage.
    fn bad_header(
        &mut self,
        segment: &Arc<Segment>,
        last: bool,
        kept: &mut [Arc<Segment>],
        what: String,
    ) -> Result<Then> {
        let at = self.position();
        let proven = self.hint.same_boot && (!last || self.has_entries(segment));
        if at.next_index > self.applied() && !proven {
            self.drop_segments(std::slice::from_ref(segment))?;
            self.reopen_last(kept)?;
            return Ok(Then::DropRest);
        }
        self.quarantine(segment, &Bad { position: 0, what }, at, last)?;
        Ok(Then::GoOn)
    }

    fn has_entries(&self, segment: &Segment) -> bool {
        self.env.fs.stat(&segment.path(Part::Entries)).is_ok_and(|stat| stat.len > 0)
    }

    /// The log ends in a segment that was taken for a sealed one.
    fn reopen_last(&mut self, kept: &mut [Arc<Segment>]) -> Result<()> {
        let Some(last) = kept.last_mut() else { return Ok(()) };
        if last.header()?.cleaned.is_some() {
            return Ok(());
        }
        let active = super::truncate::restore(self.env, self.folder, last, self.config.index_interval_bytes, None)?;
        *last = active.segment.clone();
        self.out.active = Some(active);
        Ok(())
    }

    /// Ends the log before an unfinished frame.
    fn cut(&mut self, segment: &Segment, bad: &Bad, len: u64) -> Result<()> {
        let path = segment.path(Part::Log);
        let cut = len - u64::from(bad.position);
        tracing::warn!(log = %path.display(), position = bad.position, bytes = cut, what = bad.what, "unfinished tail is cut");
        let file = self.env.fs.open(&path, Mode::Write).map_err(|e| Error::io("open", &path, e))?;
        file.truncate(bad.position.into()).map_err(|e| Error::io("truncate", &path, e))?;
        file.sync_data().map_err(|e| Error::io("sync", &path, e))?;
        self.out.report.cut_bytes += cut;
        Ok(())
    }

    fn drop_segments(&mut self, segments: &[Arc<Segment>]) -> Result<()> {
        for segment in segments.iter().rev() {
            self.out.report.cut_bytes += segment.log_len()?;
            for part in Part::ALL {
                super::open::remove(self.env, &segment.path(part))?;
            }
        }
        if !segments.is_empty() {
            self.env.fs.sync_dir(self.folder).map_err(|e| Error::io("sync", self.folder, e))?;
        }
        Ok(())
    }

    /// Sets a damaged segment aside; `end` is the furthest that is known of it.
    fn quarantine(&mut self, segment: &Segment, bad: &Bad, end: Position, last: bool) -> Result<()> {
        let path = segment.path(Part::Log);
        let error = Error::corrupt(&path, bad.position.into(), &*bad.what);
        tracing::error!(%error, "segment is quarantined");
        for part in Part::ALL {
            let to = name::quarantined_path(self.folder, segment.base_offset, part);
            match self.env.fs.rename(&segment.path(part), &to) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("rename", &segment.path(part), e));
                }
                _ => {}
            }
        }
        self.env.fs.sync_dir(self.folder).map_err(|e| Error::io("sync", self.folder, e))?;
        self.listing.quarantined.insert(segment.base_offset);
        let mut end = Position {
            next_index: end.next_index.max(self.out.next_index),
            end_offset: end.end_offset.max(segment.base_offset),
            ..end
        };
        if let Some(checkpoint) =
            self.hint.checkpoint.as_ref().filter(|checkpoint| checkpoint.applied >= end.next_index)
        {
            end = Position {
                next_index: checkpoint.applied + 1,
                end_offset: checkpoint.end_offset_at_applied,
                term: checkpoint.term_at_applied,
            };
        }
        if last {
            self.gap(segment.base_offset, end.end_offset, error.to_string());
            (self.out.next_index, self.out.end_offset, self.out.last_term) = (end.next_index, end.end_offset, end.term);
        } else {
            // The next segment says where it goes on; the gap is noted there.
            self.out.end_offset = segment.base_offset;
        }
        Ok(())
    }

    fn gap(&mut self, from: i64, until: i64, reason: String) {
        let quarantined = self.listing.quarantined.range(..until).next_back().filter(|base| **base >= from);
        let path = match quarantined {
            Some(base) => name::quarantined_path(self.folder, *base, Part::Log),
            None => self.folder.to_path_buf(),
        };
        let reason =
            if quarantined.is_some() && reason == "files are missing" { "quarantined".to_owned() } else { reason };
        self.out.gaps.push(Gap { from, until, path: path.clone() });
        self.out.report.quarantined.push(Quarantined { path, from, until, reason });
    }

    /// Gaps before the part that was scanned, and a log whose files are all gone.
    fn finish(mut self) -> Result<Recovered> {
        for base in self.listing.quarantined.clone() {
            if !self.out.gaps.iter().any(|gap| gap.from <= base && base < gap.until) && base < self.out.end_offset {
                let next = self.out.segments.iter().find(|segment| segment.base_offset > base);
                let until = next.map_or(self.out.end_offset, |segment| segment.base_offset);
                self.gap(base, until, "quarantined".to_owned());
            }
        }
        if let Some(checkpoint) = self.hint.checkpoint.take()
            && self.out.next_index <= checkpoint.applied
        {
            let from = self.out.end_offset.min(checkpoint.end_offset_at_applied);
            self.gap(from, checkpoint.end_offset_at_applied, "files are missing".to_owned());
            self.out.next_index = checkpoint.applied + 1;
            self.out.end_offset = checkpoint.end_offset_at_applied;
            self.out.last_term = checkpoint.term_at_applied;
            self.out.active = None;
        }
        if self.out.segments.is_empty() || self.out.first_index > self.out.next_index {
            self.out.first_index = self.out.next_index;
            self.out.previous_term = self.out.last_term;
        }
        let first_base = self.out.segments.first().map(|segment| segment.base_offset);
        let first_gap = self.out.gaps.iter().map(|gap| gap.from).min();
        let held_from = [first_base, first_gap].into_iter().flatten().min().unwrap_or(self.out.end_offset);
        self.out.log_start = self.out.log_start.max(held_from).min(self.out.end_offset);
        self.out.synced = if self.out.unsynced.is_empty() { self.out.next_index } else { self.out.first_index };
        Ok(self.out)
    }
}
