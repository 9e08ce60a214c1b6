//! A shard: one thread that owns many replicas, shares nothing, and never blocks on a disk.
//!
//! ```text
//!   connections --Command--> inbox --step--> replicas --flush--> write thread, answers
//!   write thread --Done----> inbox
//! ```
//!
//! Commands that have gathered are all stepped before the replicas they touched are flushed, so that one write and one
//! sync cover them.

mod command;
mod deleting;
mod lag;
mod machine;
mod open;
mod owned;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_storage::{Env, GroupId, Staged};
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::command::{Command, ShardHandle, Ticket};
pub(crate) use self::deleting::Deleting;
pub(crate) use self::lag::Lag;
pub(crate) use self::machine::{Machine, MachineFactory, TellMembers};
pub(crate) use self::open::log_config;

use self::open::Opened;
use self::owned::{Hands, Owned, Phase};
use crate::clock::now_ms;
use crate::disk::{Ballots, Done, Job, Pool, Slot, Writer};
use crate::metrics::Metrics;
use crate::partition::{Partition, State};
use crate::peers::{Alive, Links, Peers};
use crate::replica::{Answer, Event, ReadRequest};

/// Commands taken from the inbox before the replicas they touched are flushed.
const GATHER_MAX: usize = 512;

/// How often leaders other than the preferred ones are looked at; one that came back is given this long before it leads.
const BALANCE_EVERY: Duration = Duration::from_secs(10);

/// What a shard shares with the others.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) env: Env,
    pub(crate) ballots: Ballots,
    pub(crate) pool: Pool,
    pub(crate) folder: std::path::PathBuf,
    /// Whether the page cache is the one of the last run: after a kill nothing written is lost, after a boot it may be.
    pub(crate) same_boot: bool,
    /// Bytes of log between two checkpoints of a partition.
    pub(crate) checkpoint_bytes: u64,
    pub(crate) producer_expiration_ms: u64,
    pub(crate) machines: MachineFactory,
    pub(crate) tell_members: TellMembers,
    pub(crate) deleting: Arc<Deleting>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) peers: Arc<Peers>,
}

pub(crate) struct Shard {
    around: Surroundings,
    writer: Writer,
    done: mpsc::UnboundedSender<Command>,
    inbox: mpsc::UnboundedReceiver<Command>,
    slots: Vec<Option<Owned>>,
    free: Vec<Slot>,
    by_group: HashMap<GroupId, Slot>,
    dirty: Vec<Slot>,
    links: Links,
    alive: Arc<Alive>,
    /// When leaders were last looked at, and who lived then.
    balanced: (Instant, Arc<Alive>),
}

impl Shard {
    /// Starts the write thread; `run` does the rest on the caller's thread.
    pub(crate) fn new(id: usize, around: Surroundings) -> std::io::Result<(Shard, ShardHandle)> {
        let (sender, inbox) = mpsc::unbounded_channel();
        let report = sender.clone();
        let writer = Writer::start(
            id,
            around.env.clone(),
            around.ballots.clone(),
            around.pool.clone(),
            around.metrics.clone(),
            Arc::new(move |done| {
                // The shard outlives its write thread.
                let _ = report.send(Command::Disk(done));
            }),
        )?;
        let handle = ShardHandle::new(sender.clone());
        let shard = Shard {
            links: Links::new(around.peers.clone(), id),
            alive: around.peers.alive(),
            balanced: (Instant::now(), around.peers.alive()),
            around,
            writer,
            done: sender,
            inbox,
            slots: Vec::new(),
            free: Vec::new(),
            by_group: HashMap::new(),
            dirty: Vec::new(),
        };
        Ok((shard, handle))
    }

    /// Takes commands until told to stop.
    pub(crate) async fn run(mut self) {
        let mut gathered = Vec::with_capacity(GATHER_MAX);
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let ticking = self.around.peers.is_clustered();
        let mut stopping: Option<oneshot::Sender<()>> = None;
        loop {
            tokio::select! {
                count = self.inbox.recv_many(&mut gathered, GATHER_MAX) => {
                    if count == 0 {
                        return;
                    }
                }
                _ = ticks.tick(), if ticking => self.tick(),
            }
            for command in gathered.drain(..) {
                match command {
                    Command::Stop { reply } => {
                        stopping = Some(reply);
                        let checkpoints = self.final_checkpoints();
                        self.writer.send(Job::Stop { checkpoints });
                    }
                    Command::Disk(Done::Stopped) => {
                        self.writer.join();
                        if let Some(reply) = stopping.take() {
                            let _ = reply.send(());
                        }
                        return;
                    }
                    command if stopping.is_none() || matches!(command, Command::Disk(_)) => self.take(command),
                    command => command.refuse(),
                }
            }
            self.flush();
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Propose { partition, batch, header, acks, ticket } => {
                self.with_open(
                    &partition,
                    Command::Propose { partition: partition.clone(), batch, header, acks, ticket },
                );
            }
            Command::Control { partition, kind, payload, ticket } => {
                self.with_open(&partition, Command::Control { partition: partition.clone(), kind, payload, ticket });
            }
            Command::Open { partition, reply } => {
                self.with_open(&partition, Command::Open { partition: partition.clone(), reply });
            }
            Command::Inspect { partition, look } => {
                self.with_open(&partition, Command::Inspect { partition: partition.clone(), look });
            }
            Command::Checkpoint { partition, saved } => {
                self.with_open(&partition, Command::Checkpoint { partition: partition.clone(), saved });
            }
            Command::Swap { partition, swap, generation, done } => {
                self.with_open(&partition, Command::Swap { partition: partition.clone(), swap, generation, done });
            }
            Command::Peer { partition, message } => {
                self.with_open(&partition, Command::Peer { partition: partition.clone(), message });
            }
            Command::Prefer { partition } => {
                self.with_open(&partition, Command::Prefer { partition: partition.clone() })
            }
            Command::Lacking { partition, leader, first_index } => {
                self.with_open(&partition, Command::Lacking { partition: partition.clone(), leader, first_index });
            }
            Command::Staged { slot, group, staged } => self.staged(slot, group, staged),
            Command::Read { slot, group, request, frames } => self.read(slot, group, request, frames),
            Command::Nodes(alive) => self.nodes(alive),
            Command::Evacuate => self.evacuate(),
            Command::Lags { reply } => {
                // Whoever waits may be gone.
                let _ = reply.send(self.lags());
            }
            Command::Configure { partition } => self.configure(&partition),
            Command::Placed { partition } => self.placed(&partition),
            Command::Delete { partition } => self.delete(&partition),
            Command::Opened { slot, result } => self.opened(slot, *result),
            Command::Disk(done) => self.disk(done),
            Command::Run(run) => run(),
            Command::Stop { .. } => {}
        }
    }

    /// Runs a command on an open partition; opens it first if it is not, and lets the command wait.
    fn with_open(&mut self, partition: &Arc<Partition>, command: Command) {
        if partition.is_gone() {
            return command.refuse();
        }
        let slot = match self.by_group.get(&partition.group) {
            Some(&slot) => slot,
            None => self.begin_open(partition),
        };
        let Some(owned) = self.slots[slot].as_mut() else { return command.refuse() };
        match &mut owned.phase {
            Phase::Opening { waiting } => waiting.push(command),
            Phase::Offline => command.refuse(),
            Phase::Open(_) => self.run_open(slot, command),
        }
    }

    fn begin_open(&mut self, partition: &Arc<Partition>) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(Owned::new(partition.clone()));
        self.by_group.insert(partition.group, slot);
        let (around, partition, done) = (self.around.clone(), partition.clone(), self.done.clone());
        open::spawn(around, partition, move |result| {
            let _ = done.send(Command::Opened { slot, result: Box::new(result) });
        });
        slot
    }

    fn opened(&mut self, slot: Slot, result: Result<Opened, String>) {
        let Some(owned) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        let mut hands = Hands { writer: &self.writer, around: &self.around, links: &mut self.links, done: &self.done };
        let waiting = owned.take_waiting();
        if owned.partition.is_gone() {
            match result {
                Ok(opened) => owned.begin(slot, opened, &mut hands),
                Err(_) => owned.phase = Phase::Offline,
            }
            return owned.delete(slot, &self.writer);
        }
        match result {
            Ok(opened) => {
                owned.begin(slot, opened, &mut hands);
                owned.join(&self.alive);
            }
            Err(reason) => {
                tracing::error!(partition = %owned.partition.folder(), %reason, "partition is offline");
                owned.set_offline(&reason);
            }
        }
        self.touch(slot);
        let online = self.slots[slot].as_ref().is_some_and(|owned| matches!(owned.phase, Phase::Open(_)));
        for command in waiting {
            if online { self.run_open(slot, command) } else { command.refuse() }
        }
    }

    fn run_open(&mut self, slot: Slot, command: Command) {
        let Some(owned) = self.slots[slot].as_mut() else { return command.refuse() };
        match command {
            Command::Propose { batch, header, acks, ticket, .. } => {
                owned.step(Event::Propose { batch, header, acks, token: ticket });
            }
            Command::Control { kind, payload, ticket, .. } => {
                owned.step(Event::Control { kind, payload, token: ticket });
            }
            Command::Open { reply, .. } => {
                let _ = reply.send(());
            }
            Command::Checkpoint { saved, .. } => owned.save_checkpoint(slot, &self.writer, Some(saved)),
            Command::Swap { swap, generation, done, .. } if generation == owned.partition.generation() => {
                self.writer.send(Job::Swap { slot, swap, done });
            }
            Command::Lacking { leader, first_index, .. } => {
                owned.lacks(slot, leader, first_index, &self.around, &self.done);
            }
            Command::Prefer { .. } => {
                owned.prefer(|node| self.alive.contains_key(&node) && !self.around.peers.is_stuck(node));
            }
            Command::Peer { message, .. } => owned.step(Event::Message(message)),
            Command::Inspect { look, .. } => {
                if let Phase::Open(running) = &owned.phase {
                    look(&running.replica);
                }
            }
            _ => {}
        }
        self.touch(slot);
    }

    fn touch(&mut self, slot: Slot) {
        if let Some(owned) = self.slots[slot].as_mut()
            && !std::mem::replace(&mut owned.dirty, true)
        {
            self.dirty.push(slot);
        }
    }

    fn flush(&mut self) {
        let now = now_ms();
        for slot in std::mem::take(&mut self.dirty) {
            if let Some(owned) = self.slots[slot].as_mut() {
                owned.dirty = false;
                owned.flush(
                    slot,
                    now,
                    &mut Hands { writer: &self.writer, around: &self.around, links: &mut self.links, done: &self.done },
                );
            }
        }
    }

    fn read(&mut self, slot: Slot, group: GroupId, request: ReadRequest, frames: Option<Vec<Bytes>>) {
        // The slot may be another partition's by now.
        let owned = self.slots.get_mut(slot).and_then(Option::as_mut).filter(|owned| owned.partition.group == group);
        if let (Some(owned), Some(frames)) = (owned, frames) {
            owned.step(Event::Read { request, frames });
            self.touch(slot);
        }
    }

    fn staged(&mut self, slot: Slot, group: GroupId, staged: Result<Box<Staged>, String>) {
        let owned = self.slots.get_mut(slot).and_then(Option::as_mut).filter(|owned| owned.partition.group == group);
        if let Some(owned) = owned {
            owned.staged(slot, staged, &self.writer);
        }
    }

    /// The old log is closed: the new one takes its place.
    fn released(&mut self, slot: Slot) {
        let Some(owned) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        let Some(staged) = owned.staged.take() else { return };
        let (around, partition, done) = (self.around.clone(), owned.partition.clone(), self.done.clone());
        self.around.pool.spawn(move || {
            let report = move |result| {
                let _ = done.send(Command::Opened { slot, result: Box::new(result) });
            };
            match staged.take_place() {
                Ok(()) => open::spawn(around, partition, report),
                Err(error) => report(Err(error.to_string())),
            }
        });
    }

    fn nodes(&mut self, alive: Arc<Alive>) {
        let before = std::mem::replace(&mut self.alive, alive);
        let lost: Vec<i32> = before
            .iter()
            .filter(|(node, process)| self.alive.get(node) != Some(process))
            .map(|(node, _)| *node)
            .collect();
        for slot in 0..self.slots.len() {
            if let Some(owned) = self.slots[slot].as_mut().filter(|owned| owned.partition.is_replicated()) {
                owned.nodes(&self.alive, &lost);
                self.touch(slot);
            }
        }
    }

    fn evacuate(&mut self) {
        for slot in 0..self.slots.len() {
            if let Some(owned) = self.slots[slot].as_mut() {
                owned.evacuate(&self.around.peers);
                self.touch(slot);
            }
        }
    }

    /// Gives partitions back to their preferred leaders, where those have been there for a while, and doubts leaders that are gone.
    fn balance(&mut self) {
        let before = std::mem::replace(&mut self.balanced, (Instant::now(), self.alive.clone())).1;
        for slot in 0..self.slots.len() {
            let Some(owned) = self.slots[slot].as_mut() else { continue };
            if owned.partition.is_led_here() {
                let is_steady = |node| self.alive.get(&node).is_some_and(|process| before.get(&node) == Some(process));
                owned.prefer(|node| is_steady(node) && !self.around.peers.is_stuck(node));
            } else if !owned.doubt(&self.alive) {
                continue;
            }
            self.touch(slot);
        }
    }

    fn tick(&mut self) {
        if self.balanced.0.elapsed() >= BALANCE_EVERY {
            self.balance();
        }
        for slot in 0..self.slots.len() {
            let Some(owned) = self.slots[slot].as_mut() else { continue };
            if owned.hangs() {
                self.around.peers.set_stuck(self.around.peers.me.node_id);
                owned.evacuate(&self.around.peers);
            }
            if owned.wants_ticks() {
                owned.step(Event::Tick);
                self.touch(slot);
            } else if owned.partition.is_changing() {
                self.touch(slot);
            }
        }
    }

    /// Other replicas should hold a partition, or do.
    fn placed(&mut self, partition: &Arc<Partition>) {
        if let Some(&slot) = self.by_group.get(&partition.group)
            && let Some(owned) = self.slots[slot].as_mut()
        {
            owned.placed(&self.alive);
            self.touch(slot);
        }
    }

    fn disk(&mut self, done: Done) {
        let slot = match &done {
            Done::Created { slot, .. }
            | Done::Written { slot, .. }
            | Done::Synced { slot, .. }
            | Done::Trimmed { slot, .. }
            | Done::Offline { slot, .. }
            | Done::Full { slot, .. }
            | Done::Released { slot }
            | Done::Deleted { slot } => *slot,
            Done::Stopped => return,
        };
        if matches!(done, Done::Deleted { .. }) {
            if let Some(owned) = self.slots[slot].take() {
                self.around.deleting.end(&owned.partition.folder());
            }
            self.free.push(slot);
            return;
        }
        if matches!(done, Done::Released { .. }) {
            return self.released(slot);
        }
        let Some(owned) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        owned.disk(done, &self.around.peers);
        self.touch(slot);
    }

    fn configure(&mut self, partition: &Arc<Partition>) {
        if let Some(&slot) = self.by_group.get(&partition.group)
            && let Some(owned) = self.slots[slot].as_mut()
        {
            owned.configure(slot, &self.around, &self.writer);
        }
    }

    fn delete(&mut self, partition: &Arc<Partition>) {
        if !partition.is_gone() {
            partition.set_state(State::Deleted);
        }
        match self.by_group.remove(&partition.group) {
            Some(slot) => {
                if let Some(owned) = self.slots[slot].as_mut() {
                    owned.delete(slot, &self.writer);
                }
            }
            // Never opened: there may be files of an earlier run.
            None => {
                let (around, partition) = (self.around.clone(), partition.clone());
                self.around.pool.spawn(move || open::remove_folder(&around, &partition));
            }
        }
    }

    fn final_checkpoints(&mut self) -> Vec<(Slot, leat_storage::Checkpoint)> {
        self.flush();
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(slot, owned)| Some((slot, owned.as_ref()?.checkpoint()?))).collect()
    }
}

impl Command {
    /// Tells who waits that this shard can't serve the partition.
    fn refuse(self) {
        match self {
            Command::Propose { ticket, .. } | Command::Control { ticket, .. } => ticket.answer(Answer::NotLeader),
            // Whoever waits sees the partition's state when the sender is dropped.
            _ => {}
        }
    }
}
