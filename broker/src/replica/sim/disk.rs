//! What a replica needs of a disk, whichever it is: a model in memory, or the real log on files that lose power.

use std::fmt::Debug;

use bytes::Bytes;
use leat_protocol::records::BatchHeader;
use leat_storage::Checkpoint;
use raft::eraftpb::ConfState;

use super::super::{Start, Write};
use super::random::Random;

/// One replica's disk. An error is something that it must never come to.
pub(super) trait Disk: Debug {
    fn queue(&mut self, write: Write);

    /// Stores a checkpoint once all that was queued before it is synced.
    fn save(&mut self, checkpoint: Checkpoint) -> Result<(), String>;

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
    fn open(&mut self, replica_id: u64, voters: &ConfState) -> Result<Start, String>;

    /// Frames of a range of entries, as far as they are written.
    fn read(&self, first: u64, until: u64) -> Vec<Bytes>;

    /// The index after the last entry written.
    fn next_index(&self) -> u64;

    /// Times that the end of the log was cut.
    fn cuts(&self) -> u64;
}

/// Batches of records that are written below the high watermark, after the first `read` entries.
pub(super) fn readable(disk: &dyn Disk, read: &mut u64, high_watermark: i64) -> Vec<(u64, Bytes)> {
    let mut batches = Vec::new();
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
