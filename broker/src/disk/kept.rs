//! One log as the write thread keeps it: how far it is written and synced, and when its next sync is due.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use leat_storage::{Checkpoint, Env, Error, GroupId, Log, LogReader, SyncRound};

use super::saver::Saver;
use super::{Absent, Adopted, Ballots, Flush};
use crate::replica::Write;

/// A relaxed log is synced after this many unsynced bytes, whatever its settings, so that what is held in memory until
/// the sync, and what recovery has to look at, stays bounded.
const UNSYNCED_BYTES_MAX: u64 = 256 << 20;

/// A full disk is tried again this often.
const FULL_RETRY: Duration = Duration::from_millis(500);

pub(super) struct Kept {
    group: GroupId,
    log: State,
    flush: Flush,
    /// Number of the last write in the file, and of the last one whose sync somebody waits for.
    written: u64,
    wanted: u64,
    synced: u64,
    /// Number that the sync under way covers.
    syncing: Option<u64>,
    /// Where the log ended when the last sync began, and the bytes written since.
    synced_end_offset: i64,
    unsynced_bytes: u64,
    dirty_since: Option<Instant>,
    /// Writes that found the disk full, oldest first.
    stuck: VecDeque<(Write, i64)>,
    retry_at: Option<Instant>,
    checkpoint: Option<Box<Checkpoint>>,
    pub(super) saver: Saver,
    /// What is to become of it when the sync under way has ended.
    leaving: Option<Leaving>,
}

/// Why a log is kept no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    Deleted,
    Released,
}

enum State {
    Open(Box<Log>),
    Absent(Box<Absent>),
    Offline,
}

impl Kept {
    pub(super) fn group(&self) -> GroupId {
        self.group
    }

    pub(super) fn new(log: Adopted, group: GroupId, flush: Flush) -> Kept {
        let (log, synced_end_offset) = match log {
            Adopted::Open(log) => {
                let end_offset = log.end_offset();
                (State::Open(log), end_offset)
            }
            Adopted::Absent(absent) => (State::Absent(absent), 0),
        };
        Kept {
            group,
            log,
            flush,
            written: 0,
            wanted: 0,
            synced: 0,
            syncing: None,
            synced_end_offset,
            unsynced_bytes: 0,
            dirty_since: None,
            stuck: VecDeque::new(),
            retry_at: None,
            checkpoint: None,
            saver: Saver::default(),
            leaving: None,
        }
    }

    pub(super) fn log(&mut self) -> Option<&mut Log> {
        match &mut self.log {
            State::Open(log) => Some(log),
            State::Absent(_) | State::Offline => None,
        }
    }

    /// Gives the log away; what comes later is dropped.
    pub(super) fn take_log(&mut self) -> Option<Box<Log>> {
        match std::mem::replace(&mut self.log, State::Offline) {
            State::Open(log) => Some(log),
            State::Absent(_) | State::Offline => None,
        }
    }

    pub(super) fn configure(&mut self, config: leat_storage::LogConfig, flush: Flush) {
        self.flush = flush;
        match &mut self.log {
            State::Open(log) => log.set_config(config),
            State::Absent(absent) => absent.config = config,
            State::Offline => {}
        }
    }

    pub(super) fn set_checkpoint(&mut self, checkpoint: Box<Checkpoint>) {
        self.checkpoint = Some(checkpoint);
    }

    pub(super) fn take_checkpoint(&mut self) -> Option<Box<Checkpoint>> {
        self.checkpoint.take()
    }

    /// Makes the log if this is its first write.
    pub(super) fn create(&mut self, env: &Env) -> Result<Option<LogReader>, Error> {
        let State::Absent(absent) = &self.log else { return Ok(None) };
        let log = Log::create(env, &absent.folder, absent.identity, absent.config, 1, 0)?;
        let reader = log.reader();
        self.log = State::Open(Box::new(log));
        Ok(Some(reader))
    }

    /// Writes, after what is stuck. The ballot is on stable storage before the frames are written: mostly it came there with
    /// those of the groups that changed theirs at the same time.
    pub(super) fn append(&mut self, write: &Write, now_ms: i64, ballots: &Ballots) -> Result<(), Error> {
        if let Some(ballot) = write.ballot {
            let mut ballots = ballots.lock();
            ballots.record(self.group, ballot);
            ballots.sync()?;
        }
        if let Some(log) = self.log() {
            if let Some(index) = write.truncate_from {
                log.truncate_from(index)?;
            }
            log.append(&write.frames, now_ms)?;
        }
        self.unsynced_bytes += write.frames.iter().map(|frame| frame.len() as u64).sum::<u64>();
        self.written = write.ready;
        self.dirty_since.get_or_insert_with(Instant::now);
        if !write.relaxed {
            self.wanted = write.ready;
        }
        Ok(())
    }

    pub(super) fn is_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    pub(super) fn stick(&mut self, write: Write, now_ms: i64) {
        self.stuck.push_back((write, now_ms));
    }

    pub(super) fn unstick(&mut self) -> Option<(Write, i64)> {
        self.stuck.pop_front()
    }

    /// The disk is still full: the write goes back to the front.
    pub(super) fn stick_again(&mut self, write: Write, now_ms: i64) {
        self.stuck.push_front((write, now_ms));
        self.retry_at = Some(Instant::now() + FULL_RETRY);
    }

    pub(super) fn may_retry(&self, now: Instant) -> bool {
        self.is_stuck() && self.retry_at.is_none_or(|at| at <= now)
    }

    /// Whether all is synced and nothing waits.
    pub(super) fn is_clean(&self) -> bool {
        self.written == self.synced && self.stuck.is_empty() && self.syncing.is_none()
    }

    pub(super) fn set_leaving(&mut self, leaving: Leaving) {
        self.leaving = Some(leaving);
    }

    pub(super) fn leaving(&self) -> Option<Leaving> {
        self.leaving
    }

    pub(super) fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// When something is to be done for this log, if not at once.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match (self.retry_at, self.syncing) {
            (Some(at), _) if self.is_stuck() => Some(at),
            (_, None) => self.dirty_since?.checked_add(self.flush.interval),
            _ => None,
        }
    }

    /// Begins a sync if one is due and none runs: of everything written so far.
    pub(super) fn begin_sync(&mut self, now: Instant) -> Result<Option<(u64, SyncRound)>, Error> {
        if self.syncing.is_some() || self.written == self.synced || !self.is_due(now) {
            return Ok(None);
        }
        let ready = self.written;
        let State::Open(log) = &mut self.log else { return Ok(None) };
        let round = log.begin_sync()?;
        (self.synced_end_offset, self.unsynced_bytes) = (log.end_offset(), 0);
        self.syncing = Some(ready);
        self.dirty_since = None;
        Ok(Some((ready, round)))
    }

    fn is_due(&self, now: Instant) -> bool {
        if self.wanted > self.synced {
            return true;
        }
        let State::Open(log) = &self.log else { return false };
        let messages = u64::try_from(log.end_offset() - self.synced_end_offset).unwrap_or(0);
        messages >= self.flush.messages
            || self.unsynced_bytes >= UNSYNCED_BYTES_MAX
            || self.deadline().is_some_and(|at| at <= now)
    }

    /// The sync that covered `ready` ended. After a failure the log takes nothing more.
    pub(super) fn sync_ended(&mut self, ready: u64, round: SyncRound, result: Result<(), Error>) -> Result<(), Error> {
        self.syncing = None;
        if let State::Open(log) = &mut self.log {
            log.sync_done(round, result)?;
            self.synced = ready;
        }
        Ok(())
    }
}
