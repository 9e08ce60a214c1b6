//! A disk in memory: what it was asked to write, what it has written, and what of that survives a power cut.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use leat_protocol::records::{BatchHeader, Retained, records, retain};
use leat_storage::{Ballot, Checkpoint, Epoch};

use super::Plant;
use super::disk::{BATCH_BYTES_MAX, Copy, Disk, Opening};
use super::random::Random;
use crate::producers::ProducerState;
use crate::replica::{Start, Write, decode_membership, describe_recovered};

/// Entries of a segment: the log begins with a whole one, and the last one is neither trimmed nor compacted.
const SEGMENT_ENTRIES: u64 = 8;

/// A change of the log.
#[derive(Debug, Clone)]
enum Change {
    /// From this entry on.
    Cut {
        from: u64,
    },
    Append(Bytes),
}

/// Where the entries of a log begin, and what is kept of those before.
#[derive(Debug, Clone)]
pub(super) struct Base {
    first_index: u64,
    before_first_term: u64,
    log_start: i64,
    clean_end: i64,
    /// Batches of the clean part.
    cleaned: Vec<Bytes>,
    epochs: Vec<Epoch>,
}

impl Base {
    fn apply(&self, change: &Change, log: &mut Vec<Bytes>) {
        match change {
            Change::Cut { from } => log.truncate((*from - self.first_index) as usize),
            Change::Append(frame) => log.push(frame.clone()),
        }
    }
}

#[derive(Debug)]
pub(super) struct ModelDisk {
    plant: Option<Plant>,
    ballot: Ballot,
    base: Base,
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
    /// The log start once the next checkpoint is stored.
    next_start: Option<i64>,
    last_queued: u64,
    cuts: u64,
}

impl ModelDisk {
    pub(super) fn new(plant: Option<Plant>) -> Self {
        let base = Base {
            first_index: 1,
            before_first_term: 0,
            log_start: 0,
            clean_end: 0,
            cleaned: Vec::new(),
            epochs: Vec::new(),
        };
        Self {
            plant,
            ballot: Ballot::default(),
            base,
            written: Vec::new(),
            durable: Vec::new(),
            unsynced: Vec::new(),
            queue: VecDeque::new(),
            last_written: 0,
            last_synced: 0,
            syncing: None,
            checkpoint: None,
            next_checkpoint: None,
            next_start: None,
            last_queued: 0,
            cuts: 0,
        }
    }

    fn change(&mut self, change: Change) {
        self.base.apply(&change, &mut self.written);
        self.unsynced.push(change);
    }

    fn store_checkpoint(&mut self) -> Result<(), String> {
        if let Some((_, checkpoint)) = self.next_checkpoint.take_if(|(ready, _)| *ready <= self.last_synced) {
            self.checkpoint = Some(checkpoint);
            if let Some(offset) = self.next_start.take() {
                self.move_start(offset)?;
            }
        }
        Ok(())
    }

    fn move_start(&mut self, offset: i64) -> Result<(), String> {
        if offset <= self.base.log_start {
            return Ok(());
        }
        self.base.log_start = offset;
        let boundaries = self.boundaries();
        let applied = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.applied);
        let goes = |(first, base_offset): &(u64, i64)| *base_offset <= offset && *first <= applied + 1;
        let past = boundaries.partition_point(goes);
        let past = if self.plant == Some(Plant::TrimGoesFar) { (past + 1).min(boundaries.len()) } else { past };
        let Some(&(first_index, _)) = past.checked_sub(1).and_then(|at| boundaries.get(at)) else { return Ok(()) };
        self.base.cleaned.clear();
        self.begin_at(first_index)
    }

    /// The first entries of segments other than the first, with their offsets.
    fn boundaries(&self) -> Vec<(u64, i64)> {
        let entries = (self.base.first_index..).zip(&self.written).skip(1);
        let firsts = entries.filter(|(index, _)| index % SEGMENT_ENTRIES == 1);
        firsts.map(|(index, frame)| (index, header(frame).base_offset)).collect()
    }

    /// Entries before this one go.
    fn begin_at(&mut self, first_index: u64) -> Result<(), String> {
        let gone = (first_index - self.base.first_index) as usize;
        let applied = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.applied);
        if gone > self.durable.len() || self.written[..gone] != self.durable[..gone] {
            return Err(format!("entries before {first_index} were to go, and are not synced"));
        }
        if first_index > applied + 1 && self.plant != Some(Plant::TailCompacted) {
            return Err(format!("entries before {first_index} were to go, and the checkpoint ends with {applied}"));
        }
        let Some(last) = gone.checked_sub(1) else { return Ok(()) };
        self.base.before_first_term = header(&self.written[last]).partition_leader_epoch as u64;
        let epochs = self.epochs();
        self.base.epochs = epochs.into_iter().take_while(|epoch| epoch.first_index < first_index).collect();
        self.base.first_index = first_index;
        self.written.drain(..gone);
        self.durable.drain(..gone);
        Ok(())
    }

    /// Nobody is left to wait; whoever opens the log next syncs what it finds.
    fn settle(&mut self) {
        self.queue.clear();
        self.unsynced.clear();
        self.durable = self.written.clone();
        (self.last_written, self.last_synced, self.last_queued) = (0, 0, 0);
        self.syncing = None;
        (self.next_checkpoint, self.next_start) = (None, None);
    }

    fn epochs(&self) -> Vec<Epoch> {
        let mut epochs = self.base.epochs.clone();
        for (index, frame) in (self.base.first_index..).zip(&self.written) {
            let header = header(frame);
            let term = header.partition_leader_epoch as u64;
            if epochs.last().is_none_or(|epoch| epoch.term < term) {
                epochs.push(Epoch { term, first_index: index, first_offset: header.base_offset });
            }
        }
        epochs
    }

    fn frame(&self, index: u64) -> Option<&Bytes> {
        self.written.get(usize::try_from(index.checked_sub(self.base.first_index)?).ok()?)
    }

    /// A checkpoint at the last entry, as if all of the log were committed.
    fn checkpoint_of_tail(&self) -> Checkpoint {
        let mut checkpoint = self.checkpoint.clone().unwrap_or_default();
        let mut producers = ProducerState::decode(&checkpoint.producers).unwrap_or_default();
        for index in checkpoint.applied + 1..self.next_index() {
            let Some(frame) = self.frame(index) else { continue };
            let header = header(frame);
            if !header.is_entry() {
                producers.append(index, &header);
                producers.commit(index);
            }
            (checkpoint.applied, checkpoint.commit) = (index, index);
            checkpoint.term_at_applied = header.partition_leader_epoch as u64;
            checkpoint.end_offset_at_applied = end_offset(&header);
        }
        checkpoint.producers = producers.encode();
        checkpoint.epochs = self.epochs();
        checkpoint
    }
}

fn header(frame: &[u8]) -> BatchHeader {
    BatchHeader::parse(frame).expect("a frame that a replica wrote")
}

/// Where the log ends after this frame.
fn end_offset(header: &BatchHeader) -> i64 {
    if header.is_entry() { header.base_offset } else { header.next_offset() }
}

impl Disk for ModelDisk {
    fn queue(&mut self, write: Write) {
        self.last_queued = write.ready;
        self.queue.push_back(write);
    }

    fn save(&mut self, checkpoint: Checkpoint) -> Result<(), String> {
        self.next_checkpoint = Some((self.last_queued, checkpoint));
        self.store_checkpoint()
    }

    fn trim(&mut self, offset: i64, checkpoint: Checkpoint) -> Result<(), String> {
        self.next_start = self.next_start.max(Some(offset));
        self.save(checkpoint)
    }

    fn compact(&mut self, high_watermark: i64, _now_ms: i64) -> Result<bool, String> {
        let applied = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.applied);
        let beyond = self.plant == Some(Plant::TailCompacted);
        let may_go = |(first, offset): &&(u64, i64)| beyond || (*first <= applied + 1 && *offset <= high_watermark);
        let boundaries = self.boundaries();
        let Some(&(first_index, clean_end)) = boundaries.iter().take_while(may_go).last() else { return Ok(false) };
        let gone = (first_index - self.base.first_index) as usize;
        let entries = self.written[..gone].iter().filter(|frame| !header(frame).is_entry());
        let sources: Vec<Bytes> = self.base.cleaned.iter().chain(entries).cloned().collect();
        let mut kept: HashMap<Bytes, i64> = HashMap::new();
        for batch in &sources {
            for record in records(batch, BATCH_BYTES_MAX).map_err(|error| error.to_string())? {
                let record = record.map_err(|error| error.to_string())?;
                let place = kept.entry(record.key.unwrap_or_default()).or_insert(record.offset);
                if self.plant != Some(Plant::OldValueKept) {
                    *place = record.offset;
                }
            }
        }
        let mut cleaned = Vec::new();
        for batch in &sources {
            let stays = |record: &leat_protocol::records::RecordRef<'_>| {
                kept.get(record.key.unwrap_or_default()) == Some(&record.offset)
            };
            match retain(&header(batch), batch, BATCH_BYTES_MAX, i64::MAX, stays).map_err(|error| error.to_string())? {
                Retained::Whole => cleaned.push(batch.clone()),
                Retained::Part(part) => cleaned.push(part),
                Retained::Nothing => {}
            }
        }
        self.begin_at(first_index)?;
        (self.base.cleaned, self.base.clean_end) = (cleaned, clean_end);
        Ok(true)
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.syncing.is_none() && self.last_written == self.last_synced
    }

    fn read(&self, first: u64, until: u64) -> Vec<Bytes> {
        let last = self.written.len();
        let place = |index: u64| (index.saturating_sub(self.base.first_index) as usize).min(last);
        if first < self.base.first_index {
            return Vec::new();
        }
        self.written[place(first)..place(until)].to_vec()
    }

    fn records(&self, from: i64, until: i64) -> Result<(Vec<Bytes>, i64), String> {
        let (mut batches, mut next) = (Vec::new(), from.max(self.base.clean_end.min(until)));
        for batch in self.base.cleaned.iter().chain(&self.written) {
            let header = header(batch);
            if header.next_offset() > until || header.is_entry() {
                continue;
            }
            if header.next_offset() > from {
                next = next.max(header.next_offset());
                batches.push(batch.clone());
            }
        }
        Ok((batches, next))
    }

    fn begin(&self) -> (u64, i64) {
        (self.base.first_index, self.base.log_start)
    }

    fn next_index(&self) -> u64 {
        self.base.first_index + self.written.len() as u64
    }

    fn saved(&self) -> Result<Option<Checkpoint>, String> {
        Ok(self.checkpoint.clone())
    }

    fn copy(&self) -> Result<Copy, String> {
        let checkpoint = match self.plant {
            Some(Plant::TailSeeded) => self.checkpoint_of_tail(),
            _ => self.checkpoint.clone().ok_or("no checkpoint is stored")?,
        };
        let frames = self.read(self.base.first_index, checkpoint.applied + 1);
        Ok(Copy::Model { base: self.base.clone(), frames, checkpoint })
    }

    fn replace(&mut self, copy: Copy, _replica_id: u64) -> Result<(), String> {
        let Copy::Model { base, frames, checkpoint } = copy else { return Err("a copy of files".to_owned()) };
        (self.base, self.written, self.checkpoint) = (base, frames, Some(checkpoint));
        self.settle();
        Ok(())
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
            if from < self.base.first_index {
                return Err(format!("entry {from} was to be cut, and entries begin with {}", self.base.first_index));
            }
            if self.plant != Some(Plant::CutForgotten) {
                self.change(Change::Cut { from });
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
                    self.base.apply(&change, &mut self.durable);
                }
                self.last_synced = ready;
                self.store_checkpoint()?;
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
            self.base.apply(change, &mut self.durable);
        }
        self.written = self.durable.clone();
        self.settle();
        Ok(())
    }

    fn open(&mut self, opening: &Opening) -> Result<Start, String> {
        let checkpoint = self.checkpoint.clone().unwrap_or_default();
        let (applied, first_index) = (checkpoint.applied, self.base.first_index);
        if applied + 1 > self.next_index() || first_index > applied + 1 {
            let next_index = self.next_index();
            return Err(format!("checkpoint at entry {applied}, the log has {first_index} to {next_index}"));
        }
        let mut producers = match opening.machine {
            true => ProducerState::default(),
            false => ProducerState::decode(&checkpoint.producers).map_err(|error| error.to_string())?,
        };
        let mut held = Vec::new();
        let mut end_offset = checkpoint.end_offset_at_applied;
        for (index, frame) in (first_index..).zip(&self.written).filter(|(index, _)| *index > applied) {
            let header = header(frame);
            producers.append(index, &header);
            let entry = describe_recovered(&header, frame, end_offset, true);
            end_offset = entry.end_offset;
            held.push(entry);
        }
        Ok(Start {
            replica_id: opening.replica_id,
            ballot: self.ballot,
            membership: decode_membership(&checkpoint.membership).unwrap_or_else(|| opening.founders.clone()),
            membership_index: checkpoint.membership_index,
            decided: opening.decided,
            first_index,
            before_first_term: self.base.before_first_term,
            applied,
            applied_end_offset: checkpoint.end_offset_at_applied,
            commit: checkpoint.commit,
            epochs: self.epochs(),
            held,
            producers,
        })
    }
}
