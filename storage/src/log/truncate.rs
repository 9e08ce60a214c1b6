//! Truncation from an entry on, as Raft asks for where a follower has what the leader has not.

use std::path::Path;
use std::sync::Arc;

use super::recover::Position;
use super::rescan::{Outcome, Rescan, Scanned};
use super::{Active, Log};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::fs::Mode;
use crate::segment::Segment;
use crate::segment::header::SegmentHeader;
use crate::segment::index;
use crate::segment::name::Part;

impl Log {
    /// Removes the entry at `index` and all after it; nothing where there is none. They may come back after a crash until
    /// the next sync, as they may in Raft.
    ///
    /// Committed entries are never truncated, so no fetch is under way in what goes.
    pub fn truncate_from(&mut self, index: u64) -> Result<()> {
        self.shared.check_online()?;
        if index >= self.next_index {
            return Ok(());
        }
        let view = self.shared.view.load_full();
        if index < view.first_index {
            return Err(Error::IndexOutOfRange { index, first: view.first_index, next: self.next_index });
        }
        let place = self.place_of_index(&view.segments, index)?;
        let segment = &view.segments[place];
        let cut = cut_position(segment, index)?;
        let term = self.shared.term_of(index - 1).unwrap_or(view.previous_term);
        let end_offset = header_offset(segment, cut)?;
        // Whoever looks from now on sees the shorter log.
        self.shared.set_end(index, end_offset);
        let outcome = self.truncate_files(&view.segments, place, cut);
        let active = match outcome {
            Ok(active) => active,
            Err(e) => {
                self.shared.take_offline(&format!("truncation from entry {index} failed half-way: {e}"));
                return Err(e);
            }
        };
        let reopened = active.segment.clone();
        self.publish_view(|view| {
            view.segments.truncate(place);
            view.segments.push(reopened);
        });
        let mut epochs = Vec::clone(&self.shared.epochs.load());
        epochs.retain(|epoch| epoch.first_index < index);
        self.shared.epochs.store(Arc::new(epochs));
        let files = active.segment.open()?;
        self.sync.truncated_to(index);
        self.sync.log_written(&self.env, &active.segment, &files);
        self.active = Some(active);
        (self.next_index, self.end_offset, self.last_term) = (index, end_offset, term);
        Ok(())
    }

    /// Later segments go first and for good, so that what is left is always a log; then the indexes, which prove entries
    /// only where the log still has them; then the log.
    fn truncate_files(&mut self, segments: &[Arc<Segment>], place: usize, cut: u32) -> Result<Active> {
        for later in segments[place + 1..].iter().rev() {
            for part in Part::ALL {
                super::open::remove(&self.env, &later.path(part))?;
            }
        }
        if place + 1 < segments.len() {
            self.env.fs.sync_dir(&self.folder).map_err(|e| Error::io("sync", &self.folder, e))?;
        }
        let active = restore(&self.env, &self.folder, &segments[place], self.config.index_interval_bytes, Some(cut))?;
        let path = active.segment.path(Part::Log);
        active.segment.open()?.log.truncate(cut.into()).map_err(|e| Error::io("truncate", &path, e))?;
        Ok(active)
    }

    pub(super) fn place_of_index(&self, segments: &[Arc<Segment>], index: u64) -> Result<usize> {
        crate::reader::place_of_index(segments, index)
    }
}

fn cut_position(segment: &Arc<Segment>, index: u64) -> Result<u32> {
    let files = segment.open()?;
    let extent = segment.extent();
    let entries = segment.entries(&files, &extent)?;
    let place = index - segment.header()?.first_index;
    if place >= extent.entries as u64 {
        return Err(Error::corrupt(&segment.path(Part::Entries), 0, format!("it has no entry {index}")));
    }
    Ok(index::entry_at(&entries, place as usize).0)
}

fn header_offset(segment: &Arc<Segment>, position: u32) -> Result<i64> {
    let files = segment.open()?;
    let header = crate::segment::scan::header_at(&*files.log, position);
    Ok(header.map_err(|e| Error::io("read", &segment.path(Part::Log), e))?.base_offset)
}

/// Makes a segment the one that is written, up to `cut` or as it is. Its index files are replaced where they say more.
pub(super) fn restore(
    env: &Env,
    folder: &Arc<Path>,
    segment: &Segment,
    interval: u32,
    cut: Option<u32>,
) -> Result<Active> {
    let path = segment.path(Part::Log);
    let file = env.fs.open(&path, Mode::Read).map_err(|e| Error::io("open", &path, e))?;
    let len = file.stat().map_err(|e| Error::io("stat", &path, e))?.len;
    let len = cut.map_or(len, |cut| len.min(cut.into()));
    let (header, header_len) = SegmentHeader::read(&path, &*file)?;
    let applied = last_entry_before(segment, &header, len)?;
    let rescan = Rescan { env, segment, header: &header, header_len, file, len, interval, applied, same_boot: true };
    let scanned: Scanned = rescan.run(&mut Vec::new(), &mut |_, _, _| {})?;
    if let Outcome::Bad(bad) = &scanned.outcome {
        return Err(Error::corrupt(&path, bad.position.into(), &*bad.what));
    }
    let Position { end_offset, .. } = scanned.end;
    let indexer = rescan.write_indexes(scanned, false)?;
    let created_ms = header.created_ms;
    let segment = Arc::new(Segment::growing(env, folder, header, &indexer.marks, end_offset));
    Ok(Active { segment, indexer, created_ms })
}

/// The last entry that lies wholly before `len`, so that the scan begins near it; 0 where the indexes do not say.
fn last_entry_before(segment: &Segment, header: &SegmentHeader, len: u64) -> Result<u64> {
    let extent = segment.extent();
    let Some(entries) = segment.open_entries(&extent)? else {
        return Ok(0);
    };
    let before = index::entry_from(&entries, u32::try_from(len).unwrap_or(u32::MAX)) as u64;
    Ok((header.first_index + before).saturating_sub(1))
}
