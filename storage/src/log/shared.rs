//! What the writer shows to readers, without a lock between them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use crate::checkpoint::Epoch;
use crate::error::{Error, Result};
use crate::segment::Segment;

/// The segments of a log at some moment, ascending. Entries may begin behind the first segment: those of cleaned ones are
/// gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) gaps: Vec<Gap>,
    /// Raft index of the first entry that can be read, and the term of the one before it.
    pub(crate) first_index: u64,
    pub(crate) previous_term: u64,
    /// Below this offset no key has two records.
    pub(crate) clean_end: i64,
}

/// A range that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) path: PathBuf,
}

impl View {
    /// Refuses an offset in a range that was set aside.
    pub(crate) fn check_gap(&self, offset: i64) -> Result<()> {
        match self.gaps.iter().find(|gap| gap.from <= offset && offset < gap.until) {
            Some(gap) => Err(Error::Quarantined { from: gap.from, until: gap.until, path: gap.path.clone() }),
            None => Ok(()),
        }
    }

    /// Place of the segment that holds `offset`, if it is held at all.
    pub(crate) fn place_of(&self, offset: i64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.base_offset <= offset).checked_sub(1)
    }
}

/// Shared between one [`Log`](super::Log) and its readers. The end moves last: who sees it sees all below it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) view: ArcSwap<View>,
    pub(crate) epochs: ArcSwap<Vec<Epoch>>,
    log_start: AtomicI64,
    end_offset: AtomicI64,
    next_index: AtomicU64,
    offline: OnceLock<Arc<str>>,
}

impl Shared {
    pub(crate) fn new(view: View, epochs: Vec<Epoch>, log_start: i64, end_offset: i64, next_index: u64) -> Self {
        Self {
            view: ArcSwap::from_pointee(view),
            epochs: ArcSwap::from_pointee(epochs),
            log_start: log_start.into(),
            end_offset: end_offset.into(),
            next_index: next_index.into(),
            offline: OnceLock::new(),
        }
    }

    pub(crate) fn log_start(&self) -> i64 {
        self.log_start.load(Ordering::Acquire)
    }

    pub(crate) fn end_offset(&self) -> i64 {
        self.end_offset.load(Ordering::Acquire)
    }

    pub(crate) fn next_index(&self) -> u64 {
        self.next_index.load(Ordering::Acquire)
    }

    pub(crate) fn set_log_start(&self, offset: i64) {
        self.log_start.store(offset, Ordering::Release);
    }

    pub(crate) fn set_end(&self, next_index: u64, end_offset: i64) {
        self.next_index.store(next_index, Ordering::Release);
        self.end_offset.store(end_offset, Ordering::Release);
    }

    /// After this, every call of the log and its readers fails with the reason.
    pub(crate) fn take_offline(&self, reason: &str) {
        if self.offline.set(reason.into()).is_ok() {
            tracing::error!(reason, "log is offline");
        }
    }

    pub(crate) fn check_online(&self) -> Result<()> {
        match self.offline.get() {
            Some(reason) => Err(Error::Offline { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// The term of an entry, or of the one before the first; none for others.
    pub(crate) fn term_of(&self, index: u64) -> Option<u64> {
        let view = self.view.load();
        if index.checked_add(1) == Some(view.first_index) {
            return Some(view.previous_term);
        }
        if index < view.first_index || index >= self.next_index() {
            return None;
        }
        let epochs = self.epochs.load();
        let after = epochs.partition_point(|epoch| epoch.first_index <= index);
        after.checked_sub(1).map(|n| epochs[n].term)
    }
}
