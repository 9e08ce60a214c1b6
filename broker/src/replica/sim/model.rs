//! A disk in memory: what it was asked to write, what it has written, and what of that survives a power cut.

use std::collections::VecDeque;

use bytes::Bytes;
use leat_protocol::records::BatchHeader;
use leat_storage::{Ballot, Checkpoint, Epoch};
use raft::eraftpb::ConfState;

use super::super::{Start, Write, decode_membership, describe_recovered};
use super::Plant;
use super::disk::Disk;
use super::random::Random;
use crate::producers::ProducerState;

/// A change of the log.
#[derive(Debug, Clone)]
enum Change {
    Cut { from: usize },
    Append(Bytes),
}

impl Change {
    fn apply(&self, log: &mut Vec<Bytes>) {
        match self {
            Self::Cut { from } => log.truncate(*from),
            Self::Append(frame) => log.push(frame.clone()),
        }
    }
}

#[derive(Debug)]
pub(super) struct ModelDisk {
    plant: Option<Plant>,
    ballot: Ballot,
    /// The log as the file has it, and as stable storage has it; the changes between them.
    written: Vec<Bytes>,
    durable: Vec<Bytes>,
    unsynced: Vec<Change>,
    queue: VecDeque<Write>,
    last_written: u64,
    last_synced: u64,
    /// The write and the number of changes that the sync under way covers.
    syncing: Option<(u64, usize)>,
    checkpoint: Option<Checkpoint>,
    /// Stored once everything up to this write is synced.
    next_checkpoint: Option<(u64, Checkpoint)>,
    last_queued: u64,
    cuts: u64,
}

impl ModelDisk {
    pub(super) fn new(plant: Option<Plant>) -> Self {
        Self {
            plant,
            ballot: Ballot::default(),
            written: Vec::new(),
            durable: Vec::new(),
            unsynced: Vec::new(),
            queue: VecDeque::new(),
            last_written: 0,
            last_synced: 0,
            syncing: None,
            checkpoint: None,
            next_checkpoint: None,
            last_queued: 0,
            cuts: 0,
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.written);
        self.unsynced.push(change);
    }

    fn store_checkpoint(&mut self) {
        if let Some((_, checkpoint)) = self.next_checkpoint.take_if(|(ready, _)| *ready <= self.last_synced) {
            self.checkpoint = Some(checkpoint);
        }
    }

    /// Nobody is left to wait; whoever opens the log next syncs what it finds.
    fn settle(&mut self) {
        self.queue.clear();
        self.unsynced.clear();
        self.durable = self.written.clone();
        (self.last_written, self.last_synced, self.last_queued) = (0, 0, 0);
        self.syncing = None;
        self.next_checkpoint = None;
    }

    fn epochs(&self) -> Result<Vec<Epoch>, String> {
        let mut epochs: Vec<Epoch> = Vec::new();
        for (index, frame) in (1..).zip(&self.written) {
            let header = BatchHeader::parse(frame).map_err(|error| error.to_string())?;
            let term = u64::try_from(header.partition_leader_epoch).map_err(|error| error.to_string())?;
            if epochs.last().is_none_or(|epoch| epoch.term < term) {
                epochs.push(Epoch { term, first_index: index, first_offset: header.base_offset });
            }
        }
        Ok(epochs)
    }
}

impl Disk for ModelDisk {
    fn queue(&mut self, write: Write) {
        self.last_queued = write.ready;
        self.queue.push_back(write);
    }

    fn save(&mut self, checkpoint: Checkpoint) -> Result<(), String> {
        self.next_checkpoint = Some((self.last_queued, checkpoint));
        self.store_checkpoint();
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.syncing.is_none() && self.last_written == self.last_synced
    }

    fn read(&self, first: u64, until: u64) -> Vec<Bytes> {
        let last = self.written.len();
        let range = (first as usize - 1).min(last)..(until as usize - 1).min(last);
        self.written[range].to_vec()
    }

    fn next_index(&self) -> u64 {
        self.written.len() as u64 + 1
    }

    fn cuts(&self) -> u64 {
        self.cuts
    }

    fn write(&mut self) -> Result<Option<u64>, String> {
        let Some(write) = self.queue.pop_front() else { return Ok(None) };
        if let Some(ballot) = write.ballot
            && self.plant != Some(Plant::BallotForgotten)
        {
            self.ballot = ballot;
        }
        if let Some(from) = write.truncate_from {
            self.cuts += 1;
            if self.plant != Some(Plant::CutForgotten) {
                self.change(Change::Cut { from: from as usize - 1 });
            }
        }
        for frame in write.frames {
            self.change(Change::Append(frame));
        }
        self.last_written = write.ready;
        let lies = self.plant == Some(Plant::WriteLies);
        Ok(Some(if lies { self.last_queued } else { write.ready }))
    }

    fn sync(&mut self) -> Result<Option<u64>, String> {
        match self.syncing.take() {
            None => {
                if self.last_written > self.last_synced {
                    self.syncing = Some((self.last_written, self.unsynced.len()));
                }
                if self.plant == Some(Plant::SyncLies) {
                    return Ok(self.syncing.map(|(ready, _)| ready));
                }
                Ok(None)
            }
            Some((ready, changes)) => {
                for change in self.unsynced.drain(..changes) {
                    change.apply(&mut self.durable);
                }
                self.last_synced = ready;
                self.store_checkpoint();
                Ok(Some(ready))
            }
        }
    }

    fn kill(&mut self, random: &mut Random) {
        // The write under way may be there in part.
        if let Some(write) = self.queue.pop_front()
            && write.truncate_from.is_none()
        {
            let frames = random.below(write.frames.len() + 1);
            for frame in &write.frames[..frames] {
                self.change(Change::Append(frame.clone()));
            }
        }
        self.settle();
    }

    fn cut_power(&mut self, random: &mut Random) -> Result<(), String> {
        let kept = random.below(self.unsynced.len() + 1);
        for change in &self.unsynced[..kept] {
            change.apply(&mut self.durable);
        }
        self.written = self.durable.clone();
        self.settle();
        Ok(())
    }

    fn open(&mut self, replica_id: u64, voters: &ConfState) -> Result<Start, String> {
        let checkpoint = self.checkpoint.clone().unwrap_or_default();
        let applied = checkpoint.applied as usize;
        if applied > self.written.len() {
            return Err(format!("checkpoint at entry {applied}, log ends at {}", self.written.len()));
        }
        let mut producers = ProducerState::decode(&checkpoint.producers).map_err(|error| error.to_string())?;
        let mut held = Vec::new();
        let mut end_offset = checkpoint.end_offset_at_applied;
        for (at, frame) in self.written.iter().enumerate().skip(applied) {
            let header = BatchHeader::parse(frame).map_err(|error| error.to_string())?;
            producers.append(at as u64 + 1, &header);
            let entry = describe_recovered(&header, frame, end_offset, true);
            end_offset = entry.end_offset;
            held.push(entry);
        }
        Ok(Start {
            replica_id,
            ballot: self.ballot,
            membership: decode_membership(&checkpoint.membership).unwrap_or_else(|| voters.clone()),
            membership_index: checkpoint.membership_index,
            decided: (0, 0),
            first_index: 1,
            before_first_term: 0,
            applied: checkpoint.applied,
            applied_end_offset: checkpoint.end_offset_at_applied,
            commit: checkpoint.commit,
            epochs: self.epochs()?,
            held,
            producers,
        })
    }
}
