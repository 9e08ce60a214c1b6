//! A replica in its shard: carries out its effects and shows its state to the other threads.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use leat_storage::{Checkpoint, Staged};
use tokio::sync::{mpsc, oneshot};

use super::open::{self, Opened};
use super::{Command, Machine, Surroundings, Ticket};
use crate::disk::{Done, Job, Slot, Writer};
use crate::metadata;
use crate::partition::{NOBODY, Partition, State};
use crate::peers::{self, Alive, Links, Observation, Peers, Wanted};
use crate::replica::{Answer, Applied, Effects, Event, ReadRequest, Replica, Wanted as Members};

/// How often a leader tells a replica that it has to be seeded.
const TELL_LACKING_EVERY: Duration = Duration::from_millis(500);

/// A disk that has brought nothing to an end for this long hangs, as far as who waits for it can tell.
const HANGS_AFTER: Duration = Duration::from_secs(5);

/// How often a leader tells that its group has the members that it should have, until the metadata says so too.
const TELL_MEMBERS_EVERY: Duration = Duration::from_secs(3);

pub(super) struct Owned {
    pub(super) partition: Arc<Partition>,
    pub(super) phase: Phase,
    pub(super) dirty: bool,
    /// Takes the place of the log that is being closed.
    pub(super) staged: Option<Box<Staged>>,
    effects: Effects<Ticket>,
}

pub(super) enum Phase {
    Opening { waiting: Vec<Command> },
    Open(Box<Running>),
    Offline,
}

/// What a replica's effects are carried out with.
pub(super) struct Hands<'a> {
    pub(super) writer: &'a Writer,
    pub(super) around: &'a Surroundings,
    pub(super) links: &'a mut Links,
    pub(super) done: &'a mpsc::UnboundedSender<Command>,
}

pub(super) struct Running {
    pub(super) replica: Replica<Ticket>,
    /// What the other nodes were told of it last, while it leads.
    told: Option<Observation>,
    /// When each replica was told last that it has to be seeded.
    told_lacking: HashMap<u64, Instant>,
    /// When it was told last that the group has its members.
    told_members: Option<Instant>,
    /// A seed is on its way here.
    seeding: bool,
    /// The last write whose sync is waited for, and since when the disk has brought none to an end.
    unsynced: Option<(u64, Instant)>,
    machine: Option<Box<dyn Machine>>,
    /// What was applied when the last checkpoint was saved.
    saved_applied: u64,
    /// Bytes of log beyond it, those of earlier lives too: one that is killed again and again has to save one some day.
    unsaved_bytes: u64,
}

impl Owned {
    pub(super) fn new(partition: Arc<Partition>) -> Owned {
        let phase = Phase::Opening { waiting: Vec::new() };
        Owned { partition, phase, dirty: false, staged: None, effects: Effects::default() }
    }

    pub(super) fn take_waiting(&mut self) -> Vec<Command> {
        match &mut self.phase {
            Phase::Opening { waiting } => std::mem::take(waiting),
            _ => Vec::new(),
        }
    }

    /// The log is there: hands it to the write thread and serves.
    pub(super) fn begin(&mut self, slot: Slot, opened: Opened, hands: &mut Hands<'_>) {
        let Opened { replica, machine, log, saved_applied, unsaved_bytes } = opened;
        if let crate::disk::Adopted::Open(log) = &log {
            let reader = log.reader();
            self.partition.set_log_start(reader.log_start_offset());
            self.partition.set_reader(reader);
        }
        let flush = open::flush(&self.partition.config());
        hands.writer.send(Job::Adopt { slot, log, group: self.partition.group, flush });
        self.phase = Phase::Open(Box::new(Running {
            replica,
            told: None,
            told_lacking: HashMap::new(),
            told_members: None,
            seeding: false,
            unsynced: None,
            machine,
            saved_applied,
            unsaved_bytes,
        }));
        // What the log holds beyond the checkpoint is applied before anybody reads.
        self.flush(slot, 0, hands);
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

    /// A partition with replicas elsewhere: its preferred leader does not wait for others to fall silent.
    pub(super) fn join(&mut self, alive: &Alive) {
        if !self.partition.is_replicated() {
            return;
        }
        self.step(Event::Down { replicas: self.down(alive) });
        let preferred = self.partition.placement().replicas.first().map(|first| first.id);
        if preferred == Some(self.partition.replica_id) {
            self.step(Event::Campaign);
        }
    }

    /// Other replicas should hold it, or do.
    pub(super) fn placed(&mut self, alive: &Alive) {
        if let Phase::Open(running) = &mut self.phase {
            running.told_members = None;
        }
        self.step(Event::Down { replicas: self.down(alive) });
    }

    /// Other nodes have come, or are lost.
    pub(super) fn nodes(&mut self, alive: &Alive, lost: &[i32]) {
        let down = self.down(alive);
        let led_by_lost = lost.contains(&self.partition.leader().0);
        self.step(Event::Down { replicas: down });
        if led_by_lost {
            self.leader_lost(alive);
        }
    }

    /// A group may have fallen asleep behind a leader that was gone by then: looked at now and then, it campaigns. True where
    /// it was so.
    pub(super) fn doubt(&mut self, alive: &Alive) -> bool {
        let leaderless = self.partition.is_replicated() && !alive.contains_key(&self.partition.leader().0);
        if leaderless {
            self.leader_lost(alive);
        }
        leaderless
    }

    fn leader_lost(&mut self, alive: &Alive) {
        let down = self.down(alive);
        let placement = self.partition.placement();
        let mut left = placement.members().filter(|replica| !down.contains(&replica.id));
        let rank = left.position(|replica| replica.id == self.partition.replica_id).unwrap_or(0);
        self.step(Event::LeaderLost { rank });
    }

    /// The leader can't serve this replica with entries: it fetches the log, unless it has done so already.
    pub(super) fn lacks(
        &mut self,
        slot: Slot,
        leader: i32,
        first_index: u64,
        around: &Surroundings,
        done: &mpsc::UnboundedSender<Command>,
    ) {
        let Phase::Open(running) = &mut self.phase else { return };
        if running.replica.continues_at(first_index) {
            return self.step(Event::Seeded);
        }
        if std::mem::replace(&mut running.seeding, true) {
            return;
        }
        let partition = &self.partition;
        tracing::info!(partition = %partition.folder(), leader, first_index, "entries are missing: the log is fetched");
        let wanted = Wanted {
            group: partition.group,
            from: leader,
            env: around.env.clone(),
            folder: around.folder.join(partition.folder()),
            identity: open::identity(partition),
            config: open::log_config(&partition.config(), partition.index()),
        };
        let (peers, done, group) = (around.peers.clone(), done.clone(), partition.group);
        let fetching = thread::Builder::new().name("leat-seed".into()).spawn(move || {
            let staged = peers::fetch(&peers, &wanted).map(Box::new).map_err(|error| error.to_string());
            // The shard may have ended.
            let _ = done.send(Command::Staged { slot, group, staged });
        });
        if let Err(error) = fetching {
            running.seeding = false;
            tracing::warn!(%error, "no thread to fetch a log");
        }
    }

    /// A log is there to take the place of this one, if that is still right.
    pub(super) fn staged(&mut self, slot: Slot, staged: Result<Box<Staged>, String>, writer: &Writer) {
        let Phase::Open(running) = &mut self.phase else { return };
        running.seeding = false;
        let folder = self.partition.folder();
        match staged {
            Ok(staged) if running.replica.may_become(staged.applied, staged.term) => {
                tracing::info!(partition = %folder, applied = staged.applied, "the fetched log takes the place of the old one");
                self.staged = Some(staged);
                self.partition.begin_anew();
                self.effects.answers.drain(..).for_each(|(ticket, _)| ticket.answer(Answer::NotLeader));
                self.effects = Effects::default();
                self.phase = Phase::Opening { waiting: Vec::new() };
                writer.send(Job::Release { slot });
            }
            Ok(staged) => {
                tracing::info!(partition = %folder, applied = staged.applied, "a fetched log is not needed any more")
            }
            Err(reason) => tracing::warn!(partition = %folder, %reason, "the log could not be fetched"),
        }
    }

    fn down(&self, alive: &Alive) -> Vec<u64> {
        let placement = self.partition.placement();
        placement.members().filter(|replica| !alive.contains_key(&replica.node_id)).map(|replica| replica.id).collect()
    }

    /// Lets the preferred leader lead, if it is another one, has been there for a while and follows closely.
    pub(super) fn prefer(&mut self, is_steady: impl Fn(i32) -> bool) {
        let Phase::Open(running) = &self.phase else { return };
        let Some(preferred) = self.partition.placement().replicas.first().copied() else { return };
        let is_other = preferred.id != self.partition.replica_id && is_steady(preferred.node_id);
        let follows =
            is_other && running.replica.is_settled() && running.replica.in_sync().any(|id| id == preferred.id);
        if follows {
            self.step(Event::Transfer { to: preferred.id });
        }
    }

    /// Lets another node lead that follows closely and whose disk takes writes.
    pub(super) fn evacuate(&mut self, peers: &Peers) {
        let Phase::Open(running) = &self.phase else { return };
        let takes_writes = |id| self.partition.node_of(id).is_some_and(|node| !peers.is_stuck(node));
        let next = running.replica.is_leader().then(|| running.replica.successor(takes_writes)).flatten();
        if let Some(to) = next {
            self.step(Event::Transfer { to });
        }
    }

    /// Whether somebody has waited for this node's disk for too long.
    pub(super) fn hangs(&self) -> bool {
        let Phase::Open(running) = &self.phase else { return false };
        self.partition.is_replicated() && running.unsynced.is_some_and(|(_, since)| since.elapsed() >= HANGS_AFTER)
    }

    /// Carries out what the replica asks for and shows where it stands.
    pub(super) fn flush(&mut self, slot: Slot, now_ms: i64, hands: &mut Hands<'_>) {
        if let Phase::Open(running) = &mut self.phase {
            running.replica.flush(&mut self.effects);
            if self.partition.is_changing() {
                running.steer(&self.partition, &mut self.effects, hands.around);
            }
        }
        // Messages first: the others write while this node does. One whose log failed has sent its last.
        for message in self.effects.messages.drain(..) {
            if let Some(node) = self.partition.node_of(message.to) {
                hands.links.send(node, self.partition.group, message);
            }
        }
        let Phase::Open(running) = &mut self.phase else { return };
        for replica in std::mem::take(&mut self.effects.lacking) {
            running.tell_lacking(replica, &self.partition, hands.links);
        }
        for write in self.effects.writes.drain(..) {
            running.unsaved_bytes += write.frames.iter().map(|frame| frame.len() as u64).sum::<u64>();
            if !write.relaxed {
                let since = running.unsynced.map_or_else(Instant::now, |(_, since)| since);
                running.unsynced = Some((write.ready, since));
            }
            hands.writer.send(Job::Write { slot, group: self.partition.group, write, now_ms });
        }
        let mut trim_to = None;
        let mut save = false;
        for applied in self.effects.applied.drain(..) {
            match applied {
                Applied::Trim { offset } => trim_to = trim_to.max(Some(offset)),
                Applied::Membership { index, members } => {
                    hands.writer.send(Job::Membership { slot, index, members });
                    // Of the metadata nobody else says which change is decided.
                    save = running.machine.is_some();
                }
                Applied::Records { index, batch } => {
                    if let Some(machine) = &mut running.machine {
                        machine.apply(index, &batch);
                    }
                }
            }
        }
        if let Some(machine) = &mut running.machine {
            machine.reach(running.replica.applied());
        }
        if let Some(offset) = trim_to {
            self.partition.set_log_start(offset.max(self.partition.log_start()));
            (running.saved_applied, running.unsaved_bytes) = (running.replica.applied(), 0);
            let checkpoint = Box::new(running.checkpoint(&self.partition));
            hands.writer.send(Job::Trim { slot, offset, checkpoint });
        }
        for request in self.effects.reads.drain(..) {
            read(&self.partition, slot, request, hands);
        }
        running.show(&self.partition, &hands.around.peers);
        for (ticket, answer) in self.effects.answers.drain(..) {
            ticket.answer(answer);
        }
        if save {
            self.save_checkpoint(slot, hands.writer, None);
        }
        self.checkpoint_if_due(slot, hands.writer, hands.around);
    }

    fn checkpoint_if_due(&mut self, slot: Slot, writer: &Writer, around: &Surroundings) {
        let Phase::Open(running) = &self.phase else { return };
        // What was recovered counts from the start, and is applied only when it is committed again.
        let moved = running.replica.applied() > running.saved_applied;
        if moved && running.unsaved_bytes >= around.checkpoint_bytes {
            self.save_checkpoint(slot, writer, None);
        }
    }

    /// Saves what is applied; `saved` is dropped where there is no log yet.
    pub(super) fn save_checkpoint(&mut self, slot: Slot, writer: &Writer, saved: Option<oneshot::Sender<()>>) {
        let Phase::Open(running) = &mut self.phase else { return };
        (running.saved_applied, running.unsaved_bytes) = (running.replica.applied(), 0);
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

    pub(super) fn disk(&mut self, done: Done, peers: &Peers) {
        match done {
            Done::Created { reader, .. } => self.partition.set_reader(reader),
            Done::Written { ready, .. } => {
                self.partition.set_disk_full(false);
                self.step(Event::Written { ready });
            }
            Done::Synced { ready, .. } => {
                if let Phase::Open(running) = &mut self.phase {
                    let waits_on = running.unsynced.filter(|(last, _)| *last > ready);
                    running.unsynced = waits_on.map(|(last, _)| (last, Instant::now()));
                }
                self.step(Event::Synced { ready });
            }
            Done::Trimmed { log_start_offset, first_index, .. } => {
                // A later trim may be applied already, and its files not yet gone.
                self.partition.set_log_start(log_start_offset.max(self.partition.log_start()));
                self.step(Event::Trimmed { first_index, log_start_offset });
            }
            Done::Full { reason, .. } => {
                if self.partition.set_disk_full(true) {
                    tracing::warn!(partition = %self.partition.folder(), %reason, "disk full: nothing is led here until there is room");
                }
                peers.set_stuck(peers.me.node_id);
                self.evacuate(peers);
            }
            Done::Offline { reason, .. } => {
                tracing::error!(partition = %self.partition.folder(), %reason, "partition is offline");
                self.step(Event::Resign);
                self.set_offline(&reason);
            }
            Done::Deleted { .. } | Done::Released { .. } | Done::Stopped => {}
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

/// Reads entries that a follower lacks and that are no longer in memory.
fn read(partition: &Arc<Partition>, slot: Slot, request: ReadRequest, hands: &Hands<'_>) {
    let (partition, done) = (partition.clone(), hands.done.clone());
    hands.around.pool.spawn(move || {
        let read = partition.reader().map(|reader| reader.read_entries(request.first, request.until, request.bytes_max));
        let frames = match read {
            Some(Ok(frames)) => Some(frames),
            Some(Err(error)) => {
                tracing::warn!(partition = %partition.folder(), first = request.first, %error, "entries for a follower can not be read");
                None
            }
            None => None,
        };
        // The shard outlives the pool's work for it.
        let _ = done.send(Command::Read { slot, group: partition.group, request, frames });
    });
}

impl Running {
    /// Tells a replica that it has to be seeded, now and then until it is.
    fn tell_lacking(&mut self, replica: u64, partition: &Partition, links: &mut Links) {
        let told = self.told_lacking.get(&replica).is_some_and(|at| at.elapsed() < TELL_LACKING_EVERY);
        if let (Some(node), false) = (partition.node_of(replica), told) {
            self.told_lacking.insert(replica, Instant::now());
            links.tell_lacking(node, partition.group, self.replica.first_index());
        }
    }

    /// Goes on towards the members that the group should have, or tells that it has them.
    fn steer(&mut self, partition: &Partition, effects: &mut Effects<Ticket>, around: &Surroundings) {
        let placement = partition.placement();
        let ids = |replicas: &[metadata::Replica]| replicas.iter().map(|replica| replica.id).collect();
        let wanted = Members { voters: ids(&placement.replicas), learners: ids(&placement.observers) };
        let Some(decided) = self.replica.has_members(&wanted) else {
            return self.replica.step(Event::Members { wanted }, effects);
        };
        if self.told_members.is_none_or(|at| at.elapsed() >= TELL_MEMBERS_EVERY) {
            self.told_members = Some(Instant::now());
            (around.tell_members)(partition.group, placement.wanted_ids(), decided);
        }
    }

    /// Publishes who leads and how far the log may be read.
    fn show(&mut self, partition: &Partition, peers: &Peers) {
        let replica = &self.replica;
        let node = partition.node_of(replica.leader()).unwrap_or(NOBODY);
        let epoch = replica.leader_epoch();
        let led_here = node == peers.me.node_id;
        partition.advance_high_watermark(replica.high_watermark());
        partition.advance_applied(replica.applied());
        partition.set_leader(node, epoch, replica.is_settled());
        if !peers.is_clustered() {
            return;
        }
        if led_here {
            let placement = partition.placement();
            let in_sync = placement.members().filter(|held| replica.in_sync().any(|id| id == held.id));
            let in_sync = in_sync.map(|held| held.node_id).collect();
            let observation = Observation { leader: node, epoch, in_sync };
            if self.told.as_ref() != Some(&observation) {
                peers.observed.lead(partition.group, observation.clone());
                self.told = Some(observation);
            }
        } else if self.told.take().is_some() {
            peers.observed.follow(partition.group);
        }
    }

    fn checkpoint(&self, partition: &Partition) -> Checkpoint {
        let machine = self.machine.as_ref().map(|machine| machine.save());
        self.replica.checkpoint(partition.log_start(), machine)
    }
}
