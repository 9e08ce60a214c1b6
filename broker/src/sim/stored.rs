//! The real log, ballots and checkpoint, on files that lose what was not synced.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use leat_protocol::Uuid;
use leat_protocol::records::split;
use leat_storage::compact::{Config, Limit, Order, Step};
use leat_storage::fs::fault::FaultFs;
use leat_storage::{
    Ballots, Checkpoint, Compaction, DataDir, Env, GroupId, Identity, Log, LogConfig, OpenHint, Seeding, SyncRound,
};
use tempfile::TempDir;

use super::Plant;
use super::disk::{Copy, Disk, Opening};
use super::random::Random;
use crate::producers::ProducerState;
use crate::replica::{Start, Write, decode_membership, describe_recovered};

const GROUP: GroupId = GroupId { topic_id: Uuid::from_u128(1), partition: 0 };

/// Small, so that segments roll and their indexes fill within a run.
const CONFIG: LogConfig =
    LogConfig { segment_bytes: 3000, segment_ms: u64::MAX, segment_index_bytes: 1024, index_interval_bytes: 300 };

/// Cleans whatever can be cleaned, in several passes where there are many keys. Tombstones stay.
const CLEANING: Config = Config {
    min_lag_ms: 0,
    max_lag_ms: u64::MAX,
    min_dirty_ratio: 0.0,
    delete_retention_ms: u64::MAX >> 2,
    keys_bytes_max: 24 * 16,
    keys_load_factor: 0.9,
};

#[derive(Debug)]
pub(super) struct StoredDisk {
    plant: Option<Plant>,
    folder: TempDir,
    files: FaultFs,
    env: Env,
    running: Option<Running>,
    replica_id: u64,
    queue: VecDeque<Write>,
    last_queued: u64,
    last_written: u64,
    last_synced: u64,
    next_checkpoint: Option<(u64, Checkpoint)>,
    /// The log start once the next checkpoint is stored.
    next_start: Option<i64>,
    cuts: u64,
}

/// What goes with the process.
#[derive(Debug)]
struct Running {
    log: Log,
    ballots: Ballots,
    /// Holds the lock of the folder.
    _data: DataDir,
    syncing: Option<(u64, SyncRound)>,
}

fn say(error: leat_storage::Error) -> String {
    error.to_string()
}

impl StoredDisk {
    pub(super) fn new(seed: u64, plant: Option<Plant>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let files = FaultFs::new(folder.path(), seed);
        let env = Env::with_fs(Arc::new(files.clone()));
        Self {
            plant,
            folder,
            files,
            env,
            running: None,
            replica_id: 0,
            queue: VecDeque::new(),
            last_queued: 0,
            last_written: 0,
            last_synced: 0,
            next_checkpoint: None,
            next_start: None,
            cuts: 0,
        }
    }

    fn log_folder(&self) -> PathBuf {
        self.folder.path().join("log-0")
    }

    fn identity(&self) -> Identity {
        Identity { topic_id: GROUP.topic_id, partition: GROUP.partition, replica_id: self.replica_id }
    }

    fn store_checkpoint(&mut self) -> Result<(), String> {
        let synced = self.last_synced;
        let Some((_, checkpoint)) = self.next_checkpoint.take_if(|(ready, _)| *ready <= synced) else { return Ok(()) };
        // Before the first entry there is no folder.
        if self.next_index() == 1 {
            return Ok(());
        }
        let folder = self.log_folder();
        let Some(running) = &mut self.running else { return Ok(()) };
        running.log.sync_indexes().map_err(say)?;
        checkpoint.save(&self.env, &folder).map_err(say)?;
        match self.next_start.take() {
            Some(offset) => running.log.trim_applied(offset, checkpoint.applied).map_err(say),
            None => Ok(()),
        }
    }

    fn end(&mut self) {
        self.running = None;
        self.queue.clear();
        (self.next_checkpoint, self.next_start) = (None, None);
        (self.last_queued, self.last_written, self.last_synced) = (0, 0, 0);
    }
}

impl Disk for StoredDisk {
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

    fn compact(&mut self, high_watermark: i64, now_ms: i64) -> Result<bool, String> {
        let Some(saved) = self.saved()? else { return Ok(false) };
        let Some(running) = &mut self.running else { return Ok(false) };
        let order = Order {
            limit: Limit { applied: saved.applied, stable_offset: high_watermark },
            now_ms,
            producers: ProducerState::decode(&saved.producers)
                .map_or_else(|_| HashMap::new(), |all| all.last_offsets()),
            secret: [7; 16],
        };
        let begun = Compaction::begin(&running.log.reader(), CONFIG, &CLEANING, order).map_err(say)?;
        let Some(mut pass) = begun else { return Ok(false) };
        loop {
            match pass.step().map_err(say)? {
                Step::More { .. } => {}
                Step::Swap(swap) => running.log.swap_in(*swap).map_err(say)?,
                Step::Done(_) => return Ok(true),
            }
        }
    }

    fn write(&mut self) -> Result<Option<u64>, String> {
        let Some(running) = &mut self.running else { return Ok(None) };
        let Some(write) = self.queue.pop_front() else { return Ok(None) };
        if let Some(ballot) = write.ballot {
            running.ballots.record(GROUP, ballot);
            running.ballots.sync().map_err(say)?;
        }
        if let Some(from) = write.truncate_from {
            self.cuts += 1;
            running.log.truncate_from(from).map_err(say)?;
        }
        running.log.append(&write.frames, 0).map_err(say)?;
        self.last_written = write.ready;
        Ok(Some(write.ready))
    }

    fn sync(&mut self) -> Result<Option<u64>, String> {
        let Some(running) = &mut self.running else { return Ok(None) };
        match running.syncing.take() {
            None => {
                if self.last_written > self.last_synced {
                    let round = running.log.begin_sync().map_err(say)?;
                    running.syncing = Some((self.last_written, round));
                }
                Ok(None)
            }
            Some((ready, round)) => {
                let outcome = round.run();
                running.log.sync_done(round, outcome).map_err(say)?;
                self.last_synced = ready;
                self.store_checkpoint()?;
                Ok(Some(ready))
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.last_written == self.last_synced
    }

    fn kill(&mut self, _random: &mut Random) {
        self.end();
        self.files.kill();
    }

    fn cut_power(&mut self, _random: &mut Random) -> Result<(), String> {
        self.end();
        self.files.crash().map_err(|error| error.to_string())
    }

    fn open(&mut self, opening: &Opening) -> Result<Start, String> {
        self.replica_id = opening.replica_id;
        let folder = self.log_folder();
        let data = DataDir::open(&self.env, self.folder.path(), Some("cluster"), 0).map_err(say)?;
        let ballots = Ballots::open(&self.env, self.folder.path()).map_err(say)?;
        let saved = Checkpoint::load(&self.env, &folder).map_err(say)?;
        let checkpoint = saved.clone().unwrap_or_default();
        let mut producers = match opening.machine {
            true => ProducerState::default(),
            false => ProducerState::decode(&checkpoint.producers).map_err(|error| error.to_string())?,
        };
        let mut held = Vec::new();
        let mut end_offset = checkpoint.end_offset_at_applied;
        let mut replay = |index: u64, header: &_, frame: &[u8]| {
            producers.append(index, header);
            let entry = describe_recovered(header, frame, end_offset, true);
            end_offset = entry.end_offset;
            held.push(entry);
        };
        let hint = OpenHint { checkpoint: saved, same_boot: data.same_boot() };
        let mut log = Log::open(&self.env, &folder, self.identity(), CONFIG, hint, &mut replay).map_err(say)?;
        // What a killed process wrote may be in the page cache only, and is about to count as persisted.
        if self.plant != Some(Plant::OpenedUnsynced) {
            log.sync().map_err(say)?;
        }
        let reader = log.reader();
        let (first_index, applied) = (reader.first_index(), checkpoint.applied);
        if first_index > applied + 1 {
            return Err(format!("entries begin with {first_index}, and the checkpoint ends with {applied}"));
        }
        let start = Start {
            replica_id: opening.replica_id,
            ballot: ballots.get(GROUP).unwrap_or_default(),
            membership: decode_membership(&checkpoint.membership).unwrap_or_else(|| opening.founders.clone()),
            membership_index: checkpoint.membership_index,
            decided: opening.decided,
            first_index,
            before_first_term: reader.term_of(first_index - 1).unwrap_or(0),
            applied,
            applied_end_offset: checkpoint.end_offset_at_applied,
            commit: checkpoint.commit,
            epochs: reader.epochs(),
            held,
            producers,
        };
        self.running = Some(Running { log, ballots, _data: data, syncing: None });
        Ok(start)
    }

    fn read(&self, first: u64, until: u64) -> Vec<Bytes> {
        let Some(running) = &self.running else { return Vec::new() };
        let until = until.min(running.log.next_index());
        if first >= until {
            return Vec::new();
        }
        running.log.reader().read_entries(first, until, u64::MAX).unwrap_or_default()
    }

    fn records(&self, from: i64, until: i64) -> Result<(Vec<Bytes>, i64), String> {
        let (mut batches, mut next) = (Vec::new(), from);
        let Some(running) = &self.running else { return Ok((batches, next)) };
        let reader = running.log.reader();
        while next < until.min(reader.end_offset()) {
            let slice = reader.read(next, until, u32::MAX >> 1, true).map_err(say)?;
            for range in &slice.ranges {
                let bytes = range.read_to_bytes().map_err(say)?;
                for batch in split(&bytes) {
                    batches.push(batch.map_err(|error| error.to_string())?.1);
                }
            }
            if slice.next_offset <= next {
                break;
            }
            next = slice.next_offset;
        }
        Ok((batches, next))
    }

    fn begin(&self) -> (u64, i64) {
        let reader = self.running.as_ref().map(|running| running.log.reader());
        reader.map_or((1, 0), |reader| (reader.first_index(), reader.log_start_offset()))
    }

    fn next_index(&self) -> u64 {
        self.running.as_ref().map_or(1, |running| running.log.next_index())
    }

    fn saved(&self) -> Result<Option<Checkpoint>, String> {
        Checkpoint::load(&self.env, &self.log_folder()).map_err(say)
    }

    fn copy(&self) -> Result<Copy, String> {
        let checkpoint = self.saved()?.ok_or("no checkpoint is stored")?;
        let running = self.running.as_ref().ok_or("it is not open")?;
        let seed = running.log.reader().seed(checkpoint.applied).map_err(say)?;
        let parts = seed.parts.iter().map(|part| Ok((part.base_offset, part.read(0, part.len).map_err(say)?)));
        Ok(Copy::Stored { outline: seed.outline, parts: parts.collect::<Result<_, String>>()?, checkpoint })
    }

    fn replace(&mut self, copy: Copy, replica_id: u64) -> Result<(), String> {
        let Copy::Stored { outline, parts, checkpoint } = copy else { return Err("a copy of a model".to_owned()) };
        self.replica_id = replica_id;
        let mut seeding = Seeding::begin(&self.env, &self.log_folder(), self.identity()).map_err(say)?;
        for (base_offset, bytes) in parts {
            seeding.segment(base_offset).map_err(say)?;
            seeding.write(&bytes).map_err(say)?;
        }
        let staged = seeding.finish(outline, &checkpoint, CONFIG).map_err(say)?;
        self.end();
        staged.take_place().map_err(say)
    }

    fn cuts(&self) -> u64 {
        self.cuts
    }
}
