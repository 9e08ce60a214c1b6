//! What a replica needs of a disk, whichever it is: a model in memory, or the real log on files that lose power.

use std::fmt::Debug;

use bytes::Bytes;
use leat_protocol::records::BatchHeader;
use leat_storage::{Checkpoint, Outline};
use raft::eraftpb::ConfState;

use super::Plant;
use super::model::{Base, ModelDisk};
use super::random::Random;
use super::stored::StoredDisk;
use crate::replica::{Start, Write};

/// Below it compaction keeps a producer's last batch, in bytes of a plain batch.
pub(super) const BATCH_BYTES_MAX: usize = 1 << 20;

/// One replica's disk. An error is something that it must never come to.
pub(super) trait Disk: Debug {
    fn queue(&mut self, write: Write);

    /// Stores a checkpoint once all that was queued before it is synced.
    fn save(&mut self, checkpoint: Checkpoint) -> Result<(), String>;

    /// Stores a checkpoint; then segments below the offset go.
    fn trim(&mut self, offset: i64, checkpoint: Checkpoint) -> Result<(), String>;

    /// Keeps of each key the latest record, up to what the stored checkpoint says is applied. False where nothing is to be cleaned.
    fn compact(&mut self, high_watermark: i64, now_ms: i64) -> Result<bool, String>;

    /// Carries out the next write: its number.
    fn write(&mut self) -> Result<Option<u64>, String>;

    /// Begins a sync, or ends the one under way: then the number of the last write that it covered.
    fn sync(&mut self) -> Result<Option<u64>, String>;

    /// Nothing is queued or to be synced.
    fn is_idle(&self) -> bool;

    /// The process dies: what was written stays.
    fn kill(&mut self, random: &mut Random);

    /// The power goes: of what was not synced, some stays.
    fn cut_power(&mut self, random: &mut Random) -> Result<(), String>;

    /// What a replica finds when it opens the log; all of it is then on stable storage.
    fn open(&mut self, opening: &Opening) -> Result<Start, String>;

    /// Frames of a range of entries, as far as they are written.
    fn read(&self, first: u64, until: u64) -> Vec<Bytes>;

    /// Batches of records from one offset to another, and how far they go.
    fn records(&self, from: i64, until: i64) -> Result<(Vec<Bytes>, i64), String>;

    /// Where entries begin, and records.
    fn begin(&self) -> (u64, i64);

    /// The index after the last entry written.
    fn next_index(&self) -> u64;

    /// The stored checkpoint.
    fn saved(&self) -> Result<Option<Checkpoint>, String>;

    /// The log up to the stored checkpoint.
    fn copy(&self) -> Result<Copy, String>;

    /// Another replica's log takes the place of this one. Nothing has it open.
    fn replace(&mut self, copy: Copy, replica_id: u64) -> Result<(), String>;

    /// Times that the end of the log was cut.
    fn cuts(&self) -> u64;
}

/// What a log is opened for.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) replica_id: u64,
    pub(super) founders: ConfState,
    pub(super) decided: (u64, u64),
    /// Checkpoints hold the state of a machine, not of producers.
    pub(super) machine: bool,
}

/// A log as one replica has it, on its way to another.
#[derive(Debug)]
pub(super) enum Copy {
    Model { base: Base, frames: Vec<Bytes>, checkpoint: Checkpoint },
    Stored { outline: Outline, parts: Vec<(i64, Bytes)>, checkpoint: Checkpoint },
}

impl Copy {
    pub(super) fn checkpoint(&self) -> &Checkpoint {
        match self {
            Self::Model { checkpoint, .. } | Self::Stored { checkpoint, .. } => checkpoint,
        }
    }
}

pub(super) fn make(stored: bool, seed: u64, plant: Option<Plant>) -> Box<dyn Disk> {
    match stored {
        true => Box::new(StoredDisk::new(seed, plant)),
        false => Box::new(ModelDisk::new(plant)),
    }
}

/// Batches of records that are written below the high watermark, after the first `read` entries.
pub(super) fn readable(disk: &dyn Disk, read: &mut u64, high_watermark: i64) -> Vec<(u64, Bytes)> {
    let mut batches = Vec::new();
    *read = (*read).max(disk.begin().0 - 1);
    for frame in disk.read(*read + 1, disk.next_index()) {
        let header = BatchHeader::parse(&frame).expect("a frame that was written");
        if header.next_offset() > high_watermark {
            break;
        }
        *read += 1;
        if !header.is_entry() {
            batches.push((*read, frame));
        }
    }
    batches
}
