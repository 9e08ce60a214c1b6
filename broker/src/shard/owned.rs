//! A replica in its shard: carries out its effects and shows its state to the other threads.

use std::sync::Arc;

use leat_storage::Checkpoint;
use tokio::sync::oneshot;

use super::open::{self, Opened};
use super::{Command, Machine, Surroundings, Ticket};
use crate::disk::{Done, Job, Slot, Writer};
use crate::partition::{Partition, State};
use crate::replica::{Answer, Applied, Effects, Event, Replica};

pub(super) struct Owned {
    pub(super) partition: Arc<Partition>,
    pub(super) phase: Phase,
    pub(super) dirty: bool,
    effects: Effects<Ticket>,
}

pub(super) enum Phase {
    Opening { waiting: Vec<Command> },
    Open(Box<Running>),
    Offline,
}

pub(super) struct Running {
    pub(super) replica: Replica<Ticket>,
    machine: Option<Box<dyn Machine>>,
    /// Bytes written since the last checkpoint.
    unsaved_bytes: u64,
}

impl Owned {
    pub(super) fn new(partition: Arc<Partition>) -> Owned {
        Owned { partition, phase: Phase::Opening { waiting: Vec::new() }, dirty: false, effects: Effects::default() }
    }

    pub(super) fn take_waiting(&mut self) -> Vec<Command> {
        match &mut self.phase {
            Phase::Opening { waiting } => std::mem::take(waiting),
            _ => Vec::new(),
        }
    }

    /// The log is there: hands it to the write thread and serves.
    pub(super) fn begin(&mut self, slot: Slot, opened: Opened, around: &Surroundings, writer: &Writer) {
        let Opened { replica, machine, log } = opened;
        if let crate::disk::Adopted::Open(log) = &log {
            let reader = log.reader();
            self.partition.set_log_start(reader.log_start_offset());
            self.partition.set_reader(reader);
        }
        let flush = open::flush(&self.partition.config());
        writer.send(Job::Adopt { slot, log, group: self.partition.group, flush });
        self.phase = Phase::Open(Box::new(Running { replica, machine, unsaved_bytes: 0 }));
        // What the log holds beyond the checkpoint is applied before anybody reads.
        self.flush(slot, 0, writer, around);
        if self.partition.state() == State::Closed {
            self.partition.set_state(State::Open);
        }
    }

    pub(super) fn set_offline(&mut self, reason: &str) {
        self.phase = Phase::Offline;
        self.partition.set_offline(reason);
    }

    pub(super) fn wants_ticks(&self) -> bool {
        matches!(&self.phase, Phase::Open(running) if running.replica.wants_ticks())
    }

    pub(super) fn step(&mut self, event: Event<Ticket>) {
        if let Phase::Open(running) = &mut self.phase {
            running.replica.step(event, &mut self.effects);
        }
    }

    /// Carries out what the replica asks for and shows where it stands.
    pub(super) fn flush(&mut self, slot: Slot, now_ms: i64, writer: &Writer, around: &Surroundings) {
        let Phase::Open(running) = &mut self.phase else { return };
        running.replica.flush(&mut self.effects);
        for write in self.effects.writes.drain(..) {
            running.unsaved_bytes += write.frames.iter().map(|frame| frame.len() as u64).sum::<u64>();
            writer.send(Job::Write { slot, write, now_ms });
        }
        for applied in self.effects.applied.drain(..) {
            match applied {
                Applied::Trim { offset } => {
                    self.partition.set_log_start(offset.max(self.partition.log_start()));
                    writer.send(Job::Trim { slot, offset });
                }
                Applied::Records { index, batch } => {
                    if let Some(machine) = &mut running.machine {
                        machine.apply(index, &batch);
                    }
                }
            }
        }
        self.partition.set_leader_epoch(running.replica.leader_epoch());
        self.partition.advance_high_watermark(running.replica.high_watermark());
        for (ticket, answer) in self.effects.answers.drain(..) {
            ticket.answer(answer);
        }
        self.checkpoint_if_due(slot, writer, around);
    }

    fn checkpoint_if_due(&mut self, slot: Slot, writer: &Writer, around: &Surroundings) {
        if matches!(&self.phase, Phase::Open(running) if running.unsaved_bytes >= around.checkpoint_bytes) {
            self.save_checkpoint(slot, writer, None);
        }
    }

    /// Saves what is applied; `saved` is dropped where there is no log yet.
    pub(super) fn save_checkpoint(&mut self, slot: Slot, writer: &Writer, saved: Option<oneshot::Sender<()>>) {
        let Phase::Open(running) = &mut self.phase else { return };
        running.unsaved_bytes = 0;
        let checkpoint = Box::new(running.checkpoint(&self.partition));
        writer.send(Job::Checkpoint { slot, checkpoint, saved });
    }

    /// The state to save at a clean stop, where there is a log.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        match &self.phase {
            Phase::Open(running) if self.partition.reader().is_some() => Some(running.checkpoint(&self.partition)),
            _ => None,
        }
    }

    pub(super) fn disk(&mut self, done: Done) {
        match done {
            Done::Created { reader, .. } => self.partition.set_reader(reader),
            Done::Written { ready, .. } => {
                self.partition.set_disk_full(false);
                self.step(Event::Written { ready });
            }
            Done::Synced { ready, .. } => self.step(Event::Synced { ready }),
            Done::Trimmed { log_start_offset, first_index, .. } => {
                self.partition.set_log_start(log_start_offset);
                self.step(Event::Trimmed { first_index, log_start_offset });
            }
            Done::Full { reason, .. } => {
                tracing::warn!(partition = %self.partition.folder(), %reason, "disk full: produces are refused until there is room");
                self.partition.set_disk_full(true);
            }
            Done::Offline { reason, .. } => {
                tracing::error!(partition = %self.partition.folder(), %reason, "partition is offline");
                self.set_offline(&reason);
            }
            Done::Deleted { .. } | Done::Stopped => {}
        }
    }

    pub(super) fn configure(&mut self, slot: Slot, around: &Surroundings, writer: &Writer) {
        let config = self.partition.config();
        if let Phase::Open(running) = &mut self.phase {
            running.replica.configure(open::settings(around, &self.partition, running.machine.is_some()));
            let log_config = open::log_config(&config, self.partition.index());
            writer.send(Job::Configure { slot, config: log_config, flush: open::flush(&config) });
        }
    }

    /// Ends the replica; who waits is told that it leads no more.
    pub(super) fn delete(&mut self, slot: Slot, writer: &Writer) {
        self.take_waiting().into_iter().for_each(Command::refuse);
        if matches!(self.phase, Phase::Opening { .. }) {
            // The log is being opened on another thread; it is deleted when it comes.
            return;
        }
        self.phase = Phase::Offline;
        self.effects.answers.drain(..).for_each(|(ticket, _)| ticket.answer(Answer::NotLeader));
        writer.send(Job::Delete { slot });
    }
}

impl Running {
    fn checkpoint(&self, partition: &Partition) -> Checkpoint {
        let machine = self.machine.as_ref().map(|machine| machine.save());
        self.replica.checkpoint(partition.log_start(), machine)
    }
}
