//! The log of one partition as its one writer sees it.
//!
//! A [`Log`] belongs to one thread at a time. It blocks on the disk; whoever must not block holds a [`LogReader`] and sends
//! it work. After an error of a sync it answers every call with [`Error::Offline`].

mod append;
mod config;
pub(crate) mod manifest;
mod open;
mod recover;
mod rescan;
mod shared;
mod swap;
mod sync;
mod trim;
mod truncate;

pub use trim::delete_folder;

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::env::Env;
use crate::error::Result;
use crate::reader::LogReader;
use crate::segment::Segment;
use crate::segment::indexer::Indexer;

pub use config::LogConfig;
pub use open::OpenHint;
pub(crate) use shared::{Shared, View};
pub use swap::Swap;
pub use sync::{SyncRound, SyncTarget};

/// Whose log it is. Written into each segment and checked when one is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub topic_id: Uuid,
    pub partition: i32,
    /// Given by the cluster's metadata once per placement, >= 1.
    pub replica_id: u64,
}

/// What opening a log found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Read and checked.
    pub scanned_bytes: u64,
    /// Cut as an unfinished or unsynced tail.
    pub cut_bytes: u64,
    /// Ranges that are set aside now, in this start or an earlier one.
    pub quarantined: Vec<Quarantined>,
    pub took: Duration,
}

/// A range that failed a check before its last sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The `.log` file, or the folder where files are missing.
    pub path: PathBuf,
    /// Offsets `from..until` cannot be read.
    pub from: i64,
    pub until: i64,
    pub reason: String,
}

/// See the module.
#[derive(Debug)]
pub struct Log {
    env: Env,
    folder: Arc<Path>,
    identity: Identity,
    config: LogConfig,
    shared: Arc<Shared>,
    /// None until the first append makes the folder.
    active: Option<Active>,
    next_index: u64,
    end_offset: i64,
    last_term: u64,
    membership: (u64, Bytes),
    /// The time of the last append, for segments that are made without one.
    now_ms: i64,
    sync: sync::Dirty,
    report: Report,
}

/// The segment that is written.
#[derive(Debug)]
struct Active {
    segment: Arc<Segment>,
    indexer: Indexer,
    created_ms: i64,
}

impl Log {
    /// Where its files are, or will be after the first append.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whose log it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What opening it found.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// A reader. Readers stay valid while the log is written, trimmed and truncated, and after it is closed.
    pub fn reader(&self) -> LogReader {
        LogReader::new(self.shared.clone())
    }

    /// Raft index of the next entry.
    pub fn next_index(&self) -> u64 {
        self.next_index
    }

    /// Offset of the next record.
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Index and term of the last entry; (0, 0) before the first.
    pub fn last_entry(&self) -> (u64, u64) {
        (self.next_index - 1, self.last_term)
    }

    /// Changes the configuration from the next append on.
    pub fn set_config(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// The membership that an entry at `index` made valid; the next segment's header carries it.
    pub fn set_membership(&mut self, index: u64, membership: Bytes) {
        self.membership = (index, membership);
    }

    /// The newest membership that segments and the checkpoint know of, and the index that made it valid.
    pub fn membership(&self) -> (u64, Bytes) {
        self.membership.clone()
    }

    fn publish_view(&self, change: impl FnOnce(&mut View)) {
        let mut view = View::clone(&self.shared.view.load());
        change(&mut view);
        self.shared.view.store(Arc::new(view));
    }

    /// Syncs everything and lets go of the files.
    pub fn close(mut self) -> Result<()> {
        self.sync()?;
        self.sync_indexes()
    }
}
