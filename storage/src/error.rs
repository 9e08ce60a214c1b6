//! What can go wrong with a log on disk, in words for the person who has to act on it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The error of every call of this crate.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The operating system refused; `source` says why.
    #[error("cannot {op} {}: {source}", path.display())]
    Io { op: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// A sync failed earlier. What the kernel did with the pages is unknown, so nothing more is read or written.
    #[error(
        "the log is offline: {reason}; mend the disk and restart, the log is then checked from its last checkpoint"
    )]
    Offline { reason: Arc<str> },
    /// The offset is below the log start or past the end.
    #[error("offset {offset} is not in this log, which has {start} up to (not including) {end}")]
    OffsetOutOfRange { offset: i64, start: i64, end: i64 },
    /// The Raft index is before the first or past the last entry.
    #[error("entry {index} is not in this log, which has {first} up to (not including) {next}")]
    IndexOutOfRange { index: u64, first: u64, next: u64 },
    /// The range failed a check and was set aside; it can be repaired from a replica.
    #[error(
        "offsets {from} up to (not including) {until} are quarantined: {} failed its check; repair it from a replica, or \
         delete records below {until}",
        path.display()
    )]
    Quarantined { from: i64, until: i64, path: PathBuf },
    /// Bytes that are not what was written.
    #[error("{} is damaged at byte {position}: {what}", path.display())]
    Corrupt { path: PathBuf, position: u64, what: String },
    /// The caller handed in what cannot be appended; nothing was written.
    #[error("this cannot be appended: {what}")]
    InvalidFrame { what: String },
    /// Another live process holds the folder.
    #[error(
        "{} is in use by {holder}; stop that process, or start this one with another log.dirs",
        path.display()
    )]
    Locked { path: PathBuf, holder: String },
    /// The files belong to another cluster, node, topic or replica.
    #[error(
        "{} belongs to {what} {found}, not to {expected}; use the right folder, or move this one away if its data is not needed",
        path.display()
    )]
    Foreign { path: PathBuf, what: &'static str, found: String, expected: String },
    /// A later release wrote this.
    #[error("{} has format version {found}, this release knows up to {known}; start the release that wrote it, or a later one", path.display())]
    NewerFormat { path: PathBuf, found: u32, known: u32 },
    /// A read-only file system, or a lack of permission.
    #[error("{} is read-only, or this user may not use it; mount it writable, or give this user read and write permission", path.display())]
    ReadOnly { path: PathBuf },
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps an error of the operating system with what was tried and where.
    pub(crate) fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path: path.to_owned() }
            }
            _ => Self::Io { op, path: path.to_owned(), source: Arc::new(source) },
        }
    }

    pub(crate) fn corrupt(path: &Path, position: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), position, what: what.into() }
    }

    /// The disk is full (or the quota used up): refuse writes, go on reading, try again later.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// The same call may succeed later without anyone mending something in between.
    pub fn is_retryable(&self) -> bool {
        self.is_full() || matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::Interrupted)
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
