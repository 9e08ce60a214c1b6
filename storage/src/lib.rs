//! One partition's log on disk, and the small files beside it. No async runtime, no network, no clock of its own: who calls
//! passes the time in.
//!
//! ```text
//!   log start                                 end offset
//!      |                                          |
//!  [ segment 0 ][ segment 1 ][ segment 2 (active) ]        docs/disk.md has every byte
//!    .log         record batches and control frames, one per Raft entry
//!    .index       offset -> position        .timeindex   timestamp -> offset
//!    .entries     Raft index -> position
//! ```
//!
//! | folder | what |
//! |---|---|
//! | [`log`] | [`Log`], the one writer: append, sync, truncate, trim, recovery |
//! | [`reader`] | [`LogReader`], any number of them: byte ranges for fetch, entries for Raft, look-ups by time |
//! | [`compact`] | keyed compaction: of each key the latest record stays |
//! | `segment` | one segment's files and formats |
//! | [`data_dir`], [`ballots`], [`checkpoint`] | the small files |
//! | [`fs`] | the file system as a trait, and one that fails on purpose |
//! | [`dump`] | a log as text, and a check of all of it |
//!
//! What never happens here: a byte of a record is changed, a record is copied to be fetched, a sync that failed is tried again,
//! a file is pulled from under a reader.

#![deny(unsafe_code)]

pub mod ballots;
pub mod budget;
pub mod checkpoint;
pub mod compact;
pub mod data_dir;
pub mod dump;
pub mod env;
mod error;
pub mod founding;
mod frame;
pub mod fs;
pub mod log;
pub mod reader;
pub mod seed;
mod segment;

pub use ballots::{Ballot, Ballots, GroupId};
pub use budget::{OpenFiles, raise_file_limit};
pub use checkpoint::{Checkpoint, Epoch};
pub use compact::Compaction;
pub use data_dir::DataDir;
pub use env::Env;
pub use error::{Error, Result};
pub use founding::{Founder, Founding};
pub use log::{Identity, Log, LogConfig, OpenHint, Quarantined, Report, Swap, SyncRound, SyncTarget, delete_folder};
pub use reader::{FileRange, LogReader, Slice, TimestampOffset};
pub use seed::{Outline, Seed, SeedPart, Seeding, Staged};
