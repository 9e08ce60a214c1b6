//! The write thread of a shard: it owns the logs and carries out their writes in order.
//!
//! It never waits for a data sync. A dirty log has at most one sync under way, on the pool; what is written meanwhile
//! gathers and is covered by the next one.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use leat_storage::{Checkpoint, Env, Error, GroupId, Log, Swap, SyncRound};
use tokio::sync::oneshot;

use super::kept::{Kept, Leaving};
use super::saver::Saver;
use super::{Adopted, Ballots, Done, Flush, Job, Pool, Slot};
use crate::metrics::Metrics;
use crate::replica::Write;

/// Tells a shard what is done, from the write thread and from the pool.
pub(crate) type Report = Arc<dyn Fn(Done) + Send + Sync>;

/// The way to a write thread.
#[derive(Debug)]
pub(crate) struct Writer {
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Job(Job),
    SyncEnded {
        slot: Slot,
        ready: u64,
        round: SyncRound,
        result: Result<(), Error>,
    },
    /// The checkpoint is saved that a trim waits for.
    Trim {
        slot: Slot,
        group: GroupId,
        offset: i64,
        /// Where the checkpoint ends.
        applied: u64,
    },
    Deleted {
        slot: Slot,
    },
}

impl Writer {
    pub(crate) fn start(
        shard: usize,
        env: Env,
        ballots: Ballots,
        pool: Pool,
        metrics: Arc<Metrics>,
        report: Report,
    ) -> std::io::Result<Writer> {
        let (orders, queue) = unbounded();
        let own = orders.clone();
        let ended = Panicked(report.clone());
        let run = move || {
            let _ended = ended;
            Loop::new(env, ballots, pool, metrics, report, own).run(&queue);
        };
        let thread = thread::Builder::new().name(format!("leat-write-{shard}")).spawn(run)?;
        Ok(Writer { orders, thread: Some(thread) })
    }

    /// Hands over a job. Bounded by the bytes that the broker lets clients have in flight.
    pub(crate) fn send(&self, job: Job) {
        // The thread ends only after `Stop`, which is the last job.
        let _ = self.orders.send(Order::Job(job));
    }

    /// Waits for the thread, after `Stop`.
    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A write thread that panics ends its shard, which can do nothing without it.
struct Panicked(Report);

impl Drop for Panicked {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0)(Done::Stopped);
        }
    }
}

struct Loop {
    env: Env,
    ballots: Ballots,
    pool: Pool,
    metrics: Arc<Metrics>,
    report: Report,
    own: Sender<Order>,
    /// Orders that were taken from the queue and not yet carried out.
    gathered: VecDeque<Order>,
    slots: Vec<Option<Kept>>,
    /// Slots with something unsynced, stuck or under way.
    dirty: BTreeSet<Slot>,
}

impl Loop {
    fn new(env: Env, ballots: Ballots, pool: Pool, metrics: Arc<Metrics>, report: Report, own: Sender<Order>) -> Loop {
        let (gathered, slots, dirty) = (VecDeque::new(), Vec::new(), BTreeSet::new());
        Loop { env, ballots, pool, metrics, report, own, gathered, slots, dirty }
    }

    fn run(mut self, queue: &Receiver<Order>) {
        loop {
            let deadline = self.dirty.iter().filter_map(|&slot| self.slots[slot].as_ref()?.deadline()).min();
            let order = match deadline {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(deadline) => queue.recv_deadline(deadline),
            };
            match order {
                Ok(order) => {
                    self.gathered.push_back(order);
                    if self.take_gathered(queue) {
                        return self.stop(queue);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.attend();
        }
    }

    /// Carries out all orders that have gathered, so that one sync covers them. True at `Stop`.
    fn take_gathered(&mut self, queue: &Receiver<Order>) -> bool {
        self.gather(queue);
        while let Some(order) = self.gathered.pop_front() {
            match order {
                Order::SyncEnded { slot, ready, round, result } => self.sync_ended(slot, ready, round, result),
                Order::Job(Job::Stop { checkpoints }) => {
                    for (slot, checkpoint) in checkpoints {
                        if let Some(kept) = self.slot(slot) {
                            kept.set_checkpoint(Box::new(checkpoint));
                        }
                    }
                    return true;
                }
                // The slot may be another log's by now.
                Order::Trim { slot, group, offset, applied } => {
                    if self.slot(slot).is_some_and(|kept| kept.group() == group) {
                        self.trim(slot, offset, applied);
                    }
                }
                Order::Deleted { slot } => (self.report)(Done::Deleted { slot }),
                Order::Job(job) => self.job(job),
            }
            if self.gathered.is_empty() {
                self.gather(queue);
            }
        }
        false
    }

    /// Notes what votes there are among the next orders: the first write that carries one syncs them all. When a node fails,
    /// every group that it led has one.
    fn gather(&mut self, queue: &Receiver<Order>) {
        self.gathered.extend(queue.try_iter());
        let voted = self.gathered.iter().filter_map(|order| match order {
            Order::Job(Job::Write { group, write, .. }) => Some((*group, write.ballot?)),
            _ => None,
        });
        let mut ballots = None;
        for (group, ballot) in voted {
            ballots.get_or_insert_with(|| self.ballots.lock()).record(group, ballot);
        }
    }

    fn slot(&mut self, slot: Slot) -> Option<&mut Kept> {
        self.slots.get_mut(slot)?.as_mut()
    }

    fn job(&mut self, job: Job) {
        match job {
            Job::Adopt { slot, log, group, flush } => self.adopt(slot, log, group, flush),
            Job::Write { slot, write, now_ms, .. } => self.write(slot, write, now_ms),
            Job::Trim { slot, offset, checkpoint } => {
                let Some(group) = self.slot(slot).map(|kept| kept.group()) else { return };
                let (own, applied) = (self.own.clone(), checkpoint.applied);
                // The thread may be ending: then the next start does it.
                self.checkpoint(slot, checkpoint, move || drop(own.send(Order::Trim { slot, group, offset, applied })));
            }
            Job::Membership { slot, index, members } => {
                if let Some(log) = self.slot(slot).and_then(Kept::log) {
                    log.set_membership(index, members);
                }
            }
            Job::Configure { slot, config, flush } => {
                if let Some(kept) = self.slot(slot) {
                    kept.configure(config, flush);
                }
            }
            Job::Checkpoint { slot, checkpoint, saved } => {
                self.checkpoint(slot, checkpoint, move || {
                    // Nobody may wait for it.
                    let _ = saved.map(|saved| saved.send(()));
                });
            }
            Job::Swap { slot, swap, done } => self.swap(slot, *swap, done),
            Job::Delete { slot } => self.leave(slot, Leaving::Deleted),
            Job::Release { slot } => self.leave(slot, Leaving::Released),
            Job::Stop { .. } => {}
        }
    }

    fn adopt(&mut self, slot: Slot, log: Adopted, group: GroupId, flush: Flush) {
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(Kept::new(log, group, flush));
    }

    fn write(&mut self, slot: Slot, write: Write, now_ms: i64) {
        let Some(kept) = self.slot(slot) else { return };
        if kept.is_stuck() {
            kept.stick(write, now_ms);
        } else {
            self.try_write(slot, write, now_ms);
        }
    }

    /// Writes now, or keeps the write until the disk has room. False where it did not get through.
    fn try_write(&mut self, slot: Slot, write: Write, now_ms: i64) -> bool {
        self.dirty.insert(slot);
        let Loop { env, ballots, slots, report, .. } = self;
        let Some(kept) = slots.get_mut(slot).and_then(Option::as_mut) else { return false };
        let created = kept.create(env);
        let done = created.and_then(|reader| {
            if let Some(reader) = reader {
                report(Done::Created { slot, reader });
            }
            kept.append(&write, now_ms, ballots)
        });
        match done {
            Ok(()) => {
                report(Done::Written { slot, ready: write.ready });
                true
            }
            Err(error) if error.is_full() => {
                kept.stick_again(write, now_ms);
                report(Done::Full { slot, reason: error.to_string().into() });
                false
            }
            Err(error) => {
                self.offline(slot, &error);
                false
            }
        }
    }

    /// Begins what is due: syncs, and writes that found the disk full.
    fn attend(&mut self) {
        let now = Instant::now();
        for slot in self.dirty.clone() {
            while self.slot(slot).is_some_and(|kept| kept.may_retry(now)) {
                let Some((write, now_ms)) = self.slot(slot).and_then(Kept::unstick) else { break };
                if !self.try_write(slot, write, now_ms) {
                    break;
                }
            }
            let Some(kept) = self.slot(slot) else {
                self.dirty.remove(&slot);
                continue;
            };
            match kept.begin_sync(now) {
                Ok(Some((ready, round))) => {
                    let (own, report, metrics) = (self.own.clone(), self.report.clone(), self.metrics.clone());
                    self.pool.spawn(move || {
                        let result = metrics.syncs.observe_closure_duration(|| round.run());
                        if result.is_ok() {
                            // Who waits for it hears it first; the slot is this log's until the next line.
                            report(Done::Synced { slot, ready });
                        }
                        let _ = own.send(Order::SyncEnded { slot, ready, round, result });
                    });
                }
                Ok(None) if kept.is_clean() => {
                    self.dirty.remove(&slot);
                }
                Ok(None) => {}
                Err(error) => self.offline(slot, &error),
            }
        }
    }

    fn sync_ended(&mut self, slot: Slot, ready: u64, round: SyncRound, result: Result<(), Error>) {
        let Some(kept) = self.slot(slot) else { return };
        let ended = kept.sync_ended(ready, round, result);
        if let Some(leaving) = kept.leaving() {
            self.leave(slot, leaving);
        } else if let Err(error) = ended {
            self.offline(slot, &error);
        }
    }

    /// Saves a checkpoint off this thread. It says only what is applied, hence synced.
    fn checkpoint(&mut self, slot: Slot, checkpoint: Box<Checkpoint>, saved: impl FnOnce() + Send + 'static) {
        let Some(kept) = self.slot(slot) else { return };
        let saver = kept.saver.clone();
        let Some(log) = kept.log() else { return };
        if let Err(error) = log.sync_indexes() {
            return self.offline(slot, &error);
        }
        let folder = log.folder().to_owned();
        let (env, metrics) = (self.env.clone(), self.metrics.clone());
        self.pool.spawn(move || {
            match saver.save(&checkpoint, &env, &folder) {
                Ok(()) => {
                    metrics.checkpoints.inc();
                    saved();
                }
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "checkpoint not saved; recovery will read further back");
                }
            }
        });
    }

    fn trim(&mut self, slot: Slot, offset: i64, applied: u64) {
        self.begin_elsewhere(slot, |log| log.trim_applied(offset, applied));
    }

    /// Compaction hears no more where the log can't be used.
    fn swap(&mut self, slot: Slot, swap: Swap, done: oneshot::Sender<()>) {
        if self.begin_elsewhere(slot, |log| log.swap_in(swap)) {
            let _ = done.send(());
        }
    }

    /// Moves the front of a log, and tells. False where that can't be done.
    fn begin_elsewhere(&mut self, slot: Slot, change: impl FnOnce(&mut Log) -> Result<(), Error>) -> bool {
        let Some(log) = self.slot(slot).and_then(Kept::log) else { return false };
        match change(log) {
            Ok(()) => {
                let reader = log.reader();
                let (log_start_offset, first_index) = (reader.log_start_offset(), reader.first_index());
                (self.report)(Done::Trimmed { slot, log_start_offset, first_index });
                true
            }
            Err(error) => {
                self.offline(slot, &error);
                false
            }
        }
    }

    fn leave(&mut self, slot: Slot, leaving: Leaving) {
        if let Some(kept) = self.slot(slot).filter(|kept| kept.is_syncing()) {
            return kept.set_leaving(leaving);
        }
        let mut taken = self.slots.get_mut(slot).and_then(Option::take);
        self.dirty.remove(&slot);
        let log = taken.as_mut().and_then(Kept::take_log);
        let (own, report) = (self.own.clone(), self.report.clone());
        self.pool.spawn(move || match leaving {
            Leaving::Deleted => {
                if let Some(Err(error)) = log.map(|log| log.delete()) {
                    tracing::warn!(%error, "files of a deleted partition were left behind");
                }
                let _ = own.send(Order::Deleted { slot });
            }
            Leaving::Released => {
                taken.iter().for_each(|kept| kept.saver.end());
                drop(log);
                report(Done::Released { slot });
            }
        });
    }

    fn offline(&mut self, slot: Slot, error: &Error) {
        if let Some(kept) = self.slot(slot) {
            drop(kept.take_log());
        }
        self.dirty.remove(&slot);
        (self.report)(Done::Offline { slot, reason: error.to_string().into() });
    }

    /// Syncs and closes every log. What is stuck on a full disk was never answered and is given up.
    fn stop(mut self, queue: &Receiver<Order>) {
        while self.dirty.iter().any(|&slot| self.slots[slot].as_ref().is_some_and(Kept::is_syncing)) {
            let next = self.gathered.pop_front().map_or_else(|| queue.recv(), Ok);
            match next {
                Ok(Order::SyncEnded { slot, ready, round, result }) => self.sync_ended(slot, ready, round, result),
                Ok(Order::Job(_) | Order::Trim { .. } | Order::Deleted { .. }) => {}
                Err(_) => break,
            }
        }
        // Closed side by side: the file system merges the journal commits of syncs that overlap.
        let (closing, closed) = bounded::<()>(0);
        for kept in self.slots.iter_mut().flatten() {
            let (checkpoint, saver) = (kept.take_checkpoint(), kept.saver.clone());
            let Some(log) = kept.take_log() else { continue };
            let (env, closing) = (self.env.clone(), closing.clone());
            self.pool.spawn(move || {
                close(*log, checkpoint, &saver, &env);
                drop(closing);
            });
        }
        drop(closing);
        // Nothing is ever sent; this ends when the last closer is done.
        let _ = closed.recv();
        (self.report)(Done::Stopped);
    }
}

fn close(log: Log, checkpoint: Option<Box<Checkpoint>>, saver: &Saver, env: &Env) {
    let folder = log.folder().to_owned();
    let closed = log.close().and_then(|()| match checkpoint {
        Some(checkpoint) => saver.save(&checkpoint, env, &folder),
        None => Ok(()),
    });
    if let Err(error) = closed {
        tracing::error!(folder = %folder.display(), %error, "log not closed cleanly");
    }
}

#[cfg(test)]
mod tests;
