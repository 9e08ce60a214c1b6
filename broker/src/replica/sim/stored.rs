//! The real log, ballots and checkpoint, on files that lose what was not synced.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use leat_protocol::Uuid;
use leat_storage::fs::fault::FaultFs;
use leat_storage::{Ballots, Checkpoint, Env, GroupId, Identity, Log, LogConfig, OpenHint, SyncRound};
use raft::eraftpb::ConfState;
use tempfile::TempDir;

use super::super::{Start, Write, decode_membership, describe_recovered};
use super::Plant;
use super::disk::Disk;
use super::random::Random;
use crate::producers::ProducerState;

const GROUP: GroupId = GroupId { topic_id: Uuid::from_u128(1), partition: 0 };

/// Small, so that segments roll and their indexes fill within a run.
const CONFIG: LogConfig =
    LogConfig { segment_bytes: 3000, segment_ms: u64::MAX, segment_index_bytes: 1024, index_interval_bytes: 300 };

#[derive(Debug)]
pub(super) struct StoredDisk {
    plant: Option<Plant>,
    folder: TempDir,
    files: FaultFs,
    env: Env,
    running: Option<Running>,
    /// The power was cut since the log was last open.
    lost_power: bool,
    queue: VecDeque<Write>,
    last_queued: u64,
    last_written: u64,
    last_synced: u64,
    next_checkpoint: Option<(u64, Checkpoint)>,
    cuts: u64,
}

/// What goes with the process.
#[derive(Debug)]
struct Running {
    log: Log,
    ballots: Ballots,
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
            lost_power: false,
            queue: VecDeque::new(),
            last_queued: 0,
            last_written: 0,
            last_synced: 0,
            next_checkpoint: None,
            cuts: 0,
        }
    }

    fn store_checkpoint(&mut self) -> Result<(), String> {
        let synced = self.last_synced;
        match self.next_checkpoint.take_if(|(ready, _)| *ready <= synced) {
            // Before the first entry there is no folder.
            Some(_) if self.next_index() == 1 => Ok(()),
            Some((_, checkpoint)) => checkpoint.save(&self.env, &self.folder.path().join("log")).map_err(say),
            None => Ok(()),
        }
    }

    fn end(&mut self) {
        self.running = None;
        self.queue.clear();
        self.next_checkpoint = None;
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
        self.lost_power = true;
        self.files.crash().map_err(|error| error.to_string())
    }

    fn open(&mut self, replica_id: u64, voters: &ConfState) -> Result<Start, String> {
        let folder = self.folder.path().join("log");
        let ballots = Ballots::open(&self.env, self.folder.path()).map_err(say)?;
        let saved = Checkpoint::load(&self.env, &folder).map_err(say)?;
        let checkpoint = saved.clone().unwrap_or_default();
        let mut producers = ProducerState::decode(&checkpoint.producers).map_err(|error| error.to_string())?;
        let mut held = Vec::new();
        let mut end_offset = checkpoint.end_offset_at_applied;
        let mut replay = |index: u64, header: &_, frame: &[u8]| {
            producers.append(index, header);
            let entry = describe_recovered(header, frame, end_offset, true);
            end_offset = entry.end_offset;
            held.push(entry);
        };
        let identity = Identity { topic_id: GROUP.topic_id, partition: GROUP.partition, replica_id };
        let hint = OpenHint { checkpoint: saved, same_boot: !self.lost_power };
        let mut log = Log::open(&self.env, &folder, identity, CONFIG, hint, &mut replay).map_err(say)?;
        // What a killed process wrote may be in the page cache only, and is about to count as persisted.
        if self.plant != Some(Plant::OpenedUnsynced) {
            log.sync().map_err(say)?;
        }
        self.lost_power = false;
        let reader = log.reader();
        let start = Start {
            replica_id,
            ballot: ballots.get(GROUP).unwrap_or_default(),
            membership: decode_membership(&checkpoint.membership).unwrap_or_else(|| voters.clone()),
            membership_index: checkpoint.membership_index,
            decided: (0, 0),
            first_index: reader.first_index(),
            before_first_term: reader.term_of(reader.first_index() - 1).unwrap_or(0),
            applied: checkpoint.applied,
            applied_end_offset: checkpoint.end_offset_at_applied,
            commit: checkpoint.commit,
            epochs: reader.epochs(),
            held,
            producers,
        };
        self.running = Some(Running { log, ballots, syncing: None });
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

    fn next_index(&self) -> u64 {
        self.running.as_ref().map_or(1, |running| running.log.next_index())
    }

    fn cuts(&self) -> u64 {
        self.cuts
    }
}
