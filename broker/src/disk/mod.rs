//! What a shard has carried out by other threads, so that it never blocks on a disk itself.
//!
//! ```text
//!   shard --Job--> write thread: appends in order, gathers while syncs run
//!                     | one sync per dirty log at a time, on the pool
//!   shard <--Done-----+
//! ```

mod kept;
mod pool;
mod saver;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leat_storage::{Checkpoint, GroupId, Identity, Log, LogConfig, LogReader, Swap};
use tokio::sync::oneshot;

pub(crate) use self::pool::Pool;
pub(crate) use self::writer::Writer;

use crate::replica::Write;

/// A partition's place in its shard.
pub(crate) type Slot = usize;

/// Something for the write thread, in order.
#[derive(Debug)]
pub(crate) enum Job {
    /// Takes over the log of a slot: an opened one, or the place where the first write creates one.
    Adopt {
        slot: Slot,
        log: Adopted,
        group: GroupId,
        flush: Flush,
    },
    Write {
        slot: Slot,
        group: GroupId,
        write: Write,
        now_ms: i64,
    },
    /// Segments below the offset go, once a checkpoint is saved: without one, what is left could not be recovered.
    Trim {
        slot: Slot,
        offset: i64,
        checkpoint: Box<Checkpoint>,
    },
    /// The members from an entry on, for the heads of segments.
    Membership {
        slot: Slot,
        index: u64,
        members: Bytes,
    },
    Configure {
        slot: Slot,
        config: LogConfig,
        flush: Flush,
    },
    /// Written beside the log once everything before it is; whoever waits is told when it is saved.
    Checkpoint {
        slot: Slot,
        checkpoint: Box<Checkpoint>,
        saved: Option<oneshot::Sender<()>>,
    },
    /// Compaction has made a segment.
    Swap {
        slot: Slot,
        swap: Box<Swap>,
        done: oneshot::Sender<()>,
    },
    Delete {
        slot: Slot,
    },
    /// Lets go of the log: another one is to take its place.
    Release {
        slot: Slot,
    },
    /// Syncs, checkpoints and closes every log, then ends the thread.
    Stop {
        checkpoints: Vec<(Slot, Checkpoint)>,
    },
}

/// A log to adopt.
#[derive(Debug)]
pub(crate) enum Adopted {
    Open(Box<Log>),
    /// No folder yet.
    Absent(Box<Absent>),
}

/// What a log is created with, at its first write.
#[derive(Debug)]
pub(crate) struct Absent {
    pub(crate) folder: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) config: LogConfig,
}

/// How far a relaxed log's syncs may fall behind its writes: `flush.messages` and `flush.ms`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flush {
    pub(crate) messages: u64,
    pub(crate) interval: Duration,
}

/// What the write thread has done.
#[derive(Debug)]
pub(crate) enum Done {
    /// The first write made the log.
    Created {
        slot: Slot,
        reader: LogReader,
    },
    Written {
        slot: Slot,
        ready: u64,
    },
    Synced {
        slot: Slot,
        ready: u64,
    },
    /// The log begins elsewhere: trimmed, or compacted.
    Trimmed {
        slot: Slot,
        log_start_offset: i64,
        first_index: u64,
    },
    /// The log takes no more: an fsync failed, or its files can not be made sense of.
    Offline {
        slot: Slot,
        reason: Arc<str>,
    },
    /// The disk is full. The write is tried again until there is room; `Written` tells when.
    Full {
        slot: Slot,
        reason: Arc<str>,
    },
    Deleted {
        slot: Slot,
    },
    /// The log is closed, and nothing is written into its folder any more.
    Released {
        slot: Slot,
    },
    Stopped,
}

/// Ballots of every group of this data folder, shared by the write threads.
pub(crate) type Ballots = Arc<parking_lot::Mutex<leat_storage::Ballots>>;
