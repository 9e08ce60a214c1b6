//! The front of the log: moving its start, deleting whole segments below it, deleting it altogether.

use std::path::Path;
use std::sync::Arc;

use super::append::Change;
use super::{Identity, Log, SyncTarget};
use crate::data_dir::{DELETED, remove_folder};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::segment::Segment;
use crate::segment::name::{self, Part};

impl Log {
    /// Moves the log start to `offset` and deletes the segments that lie wholly below it. Moving back does nothing.
    ///
    /// At the end offset everything goes: the active segment ends and a new one describes where the log stands.
    pub fn trim_to(&mut self, offset: i64) -> Result<()> {
        self.trim_applied(offset, u64::MAX)
    }

    /// As [`Log::trim_to`], but no segment goes that has an entry after `applied`, where the saved checkpoint ends. Such entries take no
    /// offsets where they are of the control kind, so that they lie below the log start too; but a later leader may cut
    /// them, and without them and without a checkpoint that covers them the log can't be opened.
    pub fn trim_applied(&mut self, offset: i64, applied: u64) -> Result<()> {
        self.shared.check_online()?;
        if offset > self.end_offset {
            let (start, end) = (self.shared.log_start(), self.end_offset);
            return Err(Error::OffsetOutOfRange { offset, start, end });
        }
        if offset <= self.shared.log_start() {
            return Ok(());
        }
        self.shared.set_log_start(offset);
        let all_expired = offset == self.end_offset && self.next_index <= applied.saturating_add(1);
        if all_expired && self.active.as_ref().is_some_and(|active| active.indexer.marks.has_records) {
            let mut change = Change::default();
            self.roll(&mut change)?;
            self.commit(change);
        }
        self.delete_below_start(applied)
    }

    /// Deletes segments up to entry `applied`, and quarantined files, below the log start.
    pub(super) fn delete_below_start(&mut self, applied: u64) -> Result<()> {
        let start = self.shared.log_start();
        let view = self.shared.view.load_full();
        let is_applied =
            |next: &Segment| next.header().is_ok_and(|header| header.first_index <= applied.saturating_add(1));
        let goes = |pair: &&[Arc<Segment>]| pair[1].base_offset <= start && is_applied(&pair[1]);
        let gone = view.segments.windows(2).take_while(goes).count();
        let old_gaps: Vec<_> = view.gaps.iter().filter(|gap| gap.until <= start).cloned().collect();
        if gone == 0 && old_gaps.is_empty() {
            return Ok(());
        }
        let (first_index, previous_term) = match view.segments.get(gone) {
            Some(first) => first.header().map(|header| (header.first_index, header.previous_term))?,
            None => (view.first_index, view.previous_term),
        };
        // Readers stop finding the segments before their files go.
        self.publish_view(|view| {
            view.segments.drain(..gone);
            view.gaps.retain(|gap| gap.until > start);
            // Where the first that stays is a cleaned one, entries begin behind it.
            if first_index > view.first_index {
                (view.first_index, view.previous_term) = (first_index, previous_term);
            }
        });
        // The first that stays must describe the log for good before those that did so go.
        if let Some(first) = view.segments.get(gone).filter(|_| gone > 0) {
            SyncTarget::by_name(&self.env, first.path(Part::Log)).run()?;
            SyncTarget::folder(&self.env, &self.folder).run()?;
        }
        for segment in &view.segments[..gone] {
            self.delete_segment(segment)?;
        }
        for gap in old_gaps {
            if gap.path != *self.folder {
                self.delete_quarantined(gap.from, gap.until)?;
            }
        }
        self.sync.segment_made();
        let mut epochs = Vec::clone(&self.shared.epochs.load());
        let kept_from = epochs.partition_point(|epoch| epoch.first_index < first_index).saturating_sub(1);
        epochs.drain(..kept_from);
        self.shared.epochs.store(Arc::new(epochs));
        Ok(())
    }

    /// The log goes first: indexes without one are removed at the next start.
    fn delete_segment(&self, segment: &Segment) -> Result<()> {
        segment.close_files();
        Part::ALL.into_iter().try_for_each(|part| super::open::remove(&self.env, &segment.path(part)))
    }

    fn delete_quarantined(&self, from: i64, until: i64) -> Result<()> {
        let entries = self.env.fs.list(&self.folder).map_err(|e| Error::io("list", &self.folder, e))?;
        for entry in entries {
            if let name::Name::Quarantined(base, _) = name::parse(&entry.name)
                && (from..until).contains(&base)
            {
                super::open::remove(&self.env, &self.folder.join(entry.name))?;
            }
        }
        Ok(())
    }

    /// Deletes the log and its folder. Readers finish what they have begun.
    pub fn delete(self) -> Result<()> {
        self.shared.view.store(Arc::new(super::View::default()));
        delete_folder(&self.env, &self.folder, &self.identity)
    }
}

/// Deletes the folder of a log that need not be open. It is renamed first, so that another topic may take its name at once.
pub fn delete_folder(env: &Env, folder: &Path, identity: &Identity) -> Result<()> {
    let Some(parent) = folder.parent() else { return Ok(()) };
    let deleted = parent.join(format!("{}-{}{DELETED}", identity.topic_id.simple(), identity.partition));
    let fs = &*env.fs;
    match fs.rename(folder, &deleted) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|e| Error::io("rename", folder, e))?,
    }
    fs.sync_dir(parent).map_err(|e| Error::io("sync", parent, e))?;
    remove_folder(fs, &deleted)
}
