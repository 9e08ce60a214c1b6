//! One replica of one group: a state machine that turns events into effects.
//!
//! ```text
//!   events                      Replica                         effects
//!   propose, message, tick -->  RawNode over `Store`      --->  writes, messages
//!   written, synced        -->  producers, pending        --->  answers, applied, reads
//! ```
//!
//! It knows nothing of sockets, files, clocks or threads, and nothing above it knows how many voters there are. A batch
//! is numbered and proposed in one step, only while raft leads; proposals never travel between nodes.

#[cfg(test)]
mod alone_tests;
mod apply;
mod check;
#[cfg(test)]
mod election_tests;
mod event;
mod frame;
#[cfg(test)]
mod hostile_tests;
mod membership;
mod pending;
mod persist;
mod propose;
mod quiet;
mod recover;
mod seed;
mod standing;
mod steer;
mod store;
mod written;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use leat_protocol::records::entry;
use leat_storage::{Ballot, Checkpoint, Epoch};
use raft::eraftpb::{ConfState, Entry, HardState, Message, MessageType};
use raft::{ProgressState, RawNode, StateRole};

pub(crate) use self::event::{Acks, Answer, Applied, Effects, Event, Write};
pub(crate) use self::frame::describe_recovered;
pub(crate) use self::membership::{decode as decode_membership, of as members};
pub(crate) use self::standing::Standing;
pub(crate) use self::steer::Wanted;
pub(crate) use self::store::{Held, ReadRequest};

use self::frame::{TERM_MAX, from_log};
use self::pending::Pending;
use self::quiet::Heartbeat;
use self::store::{Kind, Store, StoreStart};
use crate::producers::ProducerState;

/// What a replica is opened with: its identity, and what its log, ballot and checkpoint say.
#[derive(Debug, Default)]
pub(crate) struct Start {
    /// At least 1, given by the metadata once per placement.
    pub(crate) replica_id: u64,
    pub(crate) ballot: Ballot,
    /// As of `applied`, and the entry that made it valid; 0 for the group's first members.
    pub(crate) membership: ConfState,
    pub(crate) membership_index: u64,
    /// An entry that is known to be committed, by its index and term; zeros where none is.
    pub(crate) decided: (u64, u64),
    pub(crate) first_index: u64,
    pub(crate) before_first_term: u64,
    pub(crate) applied: u64,
    pub(crate) applied_end_offset: i64,
    pub(crate) commit: u64,
    pub(crate) epochs: Vec<Epoch>,
    /// Entries after `applied`, in order; all of them on stable storage.
    pub(crate) held: Vec<Held>,
    /// State at `applied`, plus the entries after it as pending.
    pub(crate) producers: ProducerState,
}

/// Ticks for which a leader is sure of its followers; a follower waits for up to twice as many before it campaigns.
const ELECTION_TICKS: usize = 10;

/// What may change while a replica runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// The topic answers before the sync (`flush.messages` above 1).
    pub(crate) relaxed: bool,
    /// The state machine above reads the records of committed batches.
    pub(crate) applies_records: bool,
    /// Bytes of written entries kept for peers.
    pub(crate) tail_bytes_max: usize,
    /// `producer.id.expiration.ms`.
    pub(crate) producer_expiration_ms: u64,
    /// What the ticks without a leader before a campaign are drawn from, beside the replica and its term.
    pub(crate) election_seed: u64,
    /// `min.insync.replicas`.
    pub(crate) insync_min: usize,
}

/// A ready of raft's whose persistence is not reported yet.
#[derive(Debug)]
struct Unpersisted {
    number: u64,
    last_index: u64,
    /// Whether it has something to write; one that has not is persisted with its predecessor.
    writes: bool,
    /// Whether term or vote are among it.
    ballot: bool,
    messages: Vec<Message>,
    /// Of entries.
    bytes: u64,
    /// The leader was told that it is written.
    told: bool,
}

/// A member of one Raft group. `T` names a proposal to whoever made it.
pub(crate) struct Replica<T> {
    node: RawNode<Store>,
    settings: Settings,
    producers: ProducerState,
    /// Entries up to here are known to `producers`.
    producers_upto: u64,
    /// The next offset to give out, while leading.
    leading: Option<i64>,
    unpersisted: VecDeque<Unpersisted>,
    unsynced_bytes: u64,
    /// By replica, as it has said so to this leader; its own always.
    written: BTreeMap<u64, u64>,
    /// Of writes whose sync was put off one after another.
    put_off_bytes: u64,
    synced: u64,
    on_written: Pending<T>,
    on_commit: Pending<T>,
    on_applied: Pending<T>,
    high_watermark: i64,
    /// Leads, and an entry of its own term is committed: only then it knows where the committed log ends.
    settled: bool,
    asleep: bool,
    /// Replicas on nodes that are down.
    down: Vec<u64>,
}

impl<T> std::fmt::Debug for Replica<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let raft = &self.node.raft;
        let (log, members) = (&raft.raft_log, self.node.store().membership());
        let (last, committed) = (log.last_index(), log.committed);
        write!(f, "replica {} ({:?}, term {}, last {last}, committed {committed}", raft.id, raft.state, raft.term)?;
        write!(f, ", voters {:?}", members.voters)?;
        if !members.voters_outgoing.is_empty() {
            write!(f, " and {:?}", members.voters_outgoing)?;
        }
        if members.learners.is_empty() { write!(f, ")") } else { write!(f, ", learners {:?})", members.learners) }
    }
}

impl<T> Replica<T> {
    /// # Errors
    /// What the log and the ballot say contradicts itself.
    pub(crate) fn open(start: Start, settings: Settings) -> Result<Replica<T>, String> {
        let last = start.applied + start.held.len() as u64;
        let last_term = start.epochs.last().map_or(start.before_first_term, |epoch| epoch.term);
        let commit = start.known_commit();
        let hard_state = HardState {
            term: start.ballot.term.max(last_term),
            // A vote belongs to its term; of a term known only from the log it is unknown, so it is taken as spent.
            vote: if start.ballot.term >= last_term { start.ballot.vote } else { start.replica_id },
            commit,
            ..HardState::default()
        };
        let store = Store::new(StoreStart {
            hard_state,
            membership: start.membership,
            membership_index: start.membership_index,
            first_index: start.first_index,
            before_first_term: start.before_first_term,
            applied: start.applied,
            applied_end_offset: start.applied_end_offset,
            epochs: start.epochs,
            held: start.held,
        });
        let config = raft::Config {
            id: start.replica_id,
            election_tick: ELECTION_TICKS,
            min_election_tick: ELECTION_TICKS,
            max_election_tick: 2 * ELECTION_TICKS,
            heartbeat_tick: 1,
            applied: start.applied,
            max_size_per_msg: 1 << 20,
            max_inflight_msgs: 32,
            check_quorum: true,
            pre_vote: true,
            ..raft::Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, store, &logger).map_err(|error| error.to_string())?;
        Ok(Replica {
            node,
            settings,
            producers: start.producers,
            producers_upto: last,
            leading: None,
            unpersisted: VecDeque::new(),
            unsynced_bytes: 0,
            written: BTreeMap::from([(start.replica_id, last)]),
            put_off_bytes: 0,
            synced: last,
            on_written: Pending::default(),
            on_commit: Pending::default(),
            on_applied: Pending::default(),
            high_watermark: start.applied_end_offset,
            settled: false,
            asleep: false,
            down: Vec::new(),
        })
    }

    /// The offset after the last record that may be read.
    pub(crate) fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The epoch that clients are told: the term led, or the one that this replica would lead next where only it can.
    pub(crate) fn leader_epoch(&self) -> i32 {
        let next = self.node.raft.term + u64::from(self.node.raft.state != StateRole::Leader && self.decides_alone());
        i32::try_from(next).unwrap_or(i32::MAX)
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    /// The last entry that is decided, as a leader knows it once it has decided something itself.
    pub(crate) fn decided(&self) -> Option<u64> {
        self.is_settled().then_some(self.node.raft.raft_log.committed)
    }

    pub(crate) fn producers(&self) -> &ProducerState {
        &self.producers
    }

    pub(crate) fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    pub(crate) fn applied(&self) -> u64 {
        self.node.raft.raft_log.applied
    }

    /// The replica that leads, as far as this one knows; 0 is nobody. A group's only voter counts as its leader also before
    /// it has campaigned, since nobody else can be.
    pub(crate) fn leader(&self) -> u64 {
        if self.decides_alone() { self.node.raft.id } else { self.node.raft.leader_id }
    }

    /// Whether the leader knows where the committed log ends. An only voter does from the start, unless others have left after
    /// whose leaving there are records: those are committed again with an entry of its own.
    pub(crate) fn is_settled(&self) -> bool {
        let log = &self.node.raft.raft_log;
        let is_own = |index| self.is_leader() && log.term(index).is_ok_and(|term| term == self.node.raft.term);
        let inherited = || log.committed == log.last_index() || is_own(log.committed + 1);
        self.settled || self.decides_alone() && inherited()
    }

    /// Voters that follow closely and this one, while it leads.
    pub(crate) fn in_sync(&self) -> impl Iterator<Item = u64> {
        let raft = &self.node.raft;
        let last = raft.raft_log.last_index();
        let follows = move |&(id, progress): &(&u64, &raft::Progress)| {
            let close = progress.state == ProgressState::Replicate || progress.matched == last;
            let votes = raft.prs().conf().voters().contains(*id);
            votes && (*id == raft.id || (close && !self.down.contains(id)))
        };
        raft.prs().iter().filter(follows).map(|(id, _)| *id)
    }

    /// The state at the applied index, for the checkpoint. `machine` is the encoded state above, producers otherwise.
    pub(crate) fn checkpoint(&self, log_start_offset: i64, machine: Option<Bytes>) -> Checkpoint {
        let applied = self.applied();
        let store = self.node.store();
        Checkpoint {
            applied,
            commit: self.node.raft.raft_log.committed.min(self.synced),
            term_at_applied: self.node.raft.raft_log.term(applied).unwrap_or(0),
            end_offset_at_applied: store.end_offset_at(applied),
            log_start_offset,
            membership: membership::encode(store.membership()),
            membership_index: store.membership_index(),
            producers: machine.unwrap_or_else(|| self.producers.encode()),
            epochs: store.epochs().iter().take_while(|epoch| epoch.first_index <= applied).copied().collect(),
        }
    }

    /// Takes one event in. Effects of several events are gathered; `flush` completes them.
    pub(crate) fn step(&mut self, event: Event<T>, effects: &mut Effects<T>) {
        match event {
            Event::Propose { batch, header, acks, token } => {
                self.wake();
                self.propose(batch, &header, acks, token, effects);
            }
            Event::Control { kind, payload, token } => {
                self.wake();
                self.control(kind, &payload, token, effects);
            }
            Event::Message(message) => self.message(*message, effects),
            Event::Tick => {
                if self.may_campaign() {
                    self.draw_patience();
                    self.node.tick();
                }
                self.flush(effects);
                self.rest(effects);
            }
            Event::Down { replicas } => {
                self.set_down(replicas);
                self.flush(effects);
            }
            Event::Seeded => self.seeded(effects),
            Event::LeaderLost { rank } => self.leader_lost(rank, effects),
            Event::Campaign => {
                self.wake();
                self.campaign();
                self.flush(effects);
            }
            Event::Members { wanted } => self.steer(&wanted, effects),
            Event::Transfer { to } => {
                self.wake();
                self.node.transfer_leader(to);
                self.flush(effects);
            }
            Event::Resign => {
                self.hand_over();
                self.flush(effects);
            }
            Event::Written { ready } => self.on_written(ready, effects),
            Event::Synced { ready } => self.on_synced(ready, effects),
            Event::Trimmed { first_index, log_start_offset } => {
                self.node.mut_store().trim_to(first_index, log_start_offset);
            }
            Event::Read { request, frames } => self.on_read(request, &frames, effects),
        }
    }

    /// Does what raft has ready, in the order that correctness needs.
    pub(crate) fn flush(&mut self, effects: &mut Effects<T>) {
        self.flush_ready(effects);
        if self.is_left_alone() {
            self.campaign();
            self.flush_ready(effects);
        }
        self.advance_high_watermark(effects);
        let store = self.node.mut_store();
        effects.reads.append(&mut store.take_reads());
        effects.lacking.append(&mut store.take_lacking());
    }

    fn flush_ready(&mut self, effects: &mut Effects<T>) {
        while self.node.has_ready() {
            let mut ready = self.node.ready();
            // 1. New entries join the store at once, so that raft can read them, and are written in this order.
            let entries = ready.take_entries();
            let last_index = entries.last().map_or(0, |entry| entry.index);
            let (truncate_from, frames) = self.take_in(&entries);
            // 2. A changed ballot goes with them and is synced first.
            let ballot = ready.hs().and_then(|hard_state| self.changed_ballot(hard_state));
            if let Some(hard_state) = ready.hs() {
                self.node.mut_store().set_hard_state(hard_state.clone());
            }
            let number = ready.number();
            let writes = !frames.is_empty() || ballot.is_some();
            // 3. A leader's messages go out beside its own write, but none of a term that is not on stable storage: an only voter
            // leads at once, and after a crash would lead in that term again.
            let mut messages = ready.take_messages();
            let led = ballot.is_none() && !self.unpersisted.iter().any(|unpersisted| unpersisted.ballot);
            if led {
                effects.messages.append(&mut messages);
            }
            // 4. Messages that promise persistence wait for it.
            messages.append(&mut ready.take_persisted_messages());
            let (ballot_changes, bytes) = (ballot.is_some(), frames.iter().map(|frame| frame.len() as u64).sum());
            self.unsynced_bytes += bytes;
            self.unpersisted.push_back(Unpersisted {
                number,
                last_index,
                writes,
                ballot: ballot_changes,
                messages,
                bytes,
                told: false,
            });
            if writes {
                let only_records = !ballot_changes && self.are_records(&entries);
                let relaxed = self.may_put_off(only_records, bytes);
                effects.writes.push(Write { ready: number, ballot, truncate_from, frames, relaxed });
            } else if self.written_by(self.node.raft.id) == self.node.store().last() {
                self.tell_written(number, effects);
            }
            // 5. What is committed is applied.
            let committed = ready.take_committed_entries();
            self.node.advance_append_async(ready);
            self.apply(&committed, effects);
            self.persisted_upto(0, effects);
            // 6. Only now is it settled who leads and where the log ends.
            self.settle_leadership(effects);
        }
    }

    fn are_records(&self, entries: &[Entry]) -> bool {
        entries.iter().all(|entry| self.node.store().held(entry.index).is_some_and(|held| held.kind == Kind::Data))
    }

    /// Whether the group has no other member, not even one that learns.
    fn is_alone(&self) -> bool {
        self.decides_alone() && self.node.store().membership().learners.is_empty()
    }

    /// Whether the group has no other voter.
    fn decides_alone(&self) -> bool {
        membership::decides_alone(self.node.store().membership(), self.node.raft.id)
    }

    /// How long this replica waits for a leader before it campaigns: another time than the others, and another in each term, so
    /// that two who got half of the votes each do not try again at the same moment for ever. raft's own draw could not be
    /// repeated in a test.
    fn draw_patience(&mut self) {
        let raft = &mut self.node.raft;
        let drawn = mixed(mixed(self.settings.election_seed ^ raft.id) ^ raft.term) % ELECTION_TICKS as u64;
        raft.set_randomized_election_timeout(ELECTION_TICKS + drawn as usize);
    }

    /// Asks for votes, where this replica may have them.
    fn campaign(&mut self) {
        if self.node.raft.promotable() && self.may_campaign() && self.node.raft.term < TERM_MAX {
            // raft refuses only where it leads already.
            let _ = self.node.campaign();
        }
    }

    /// An only voter leads at once, and has to have all on stable storage then.
    fn may_campaign(&self) -> bool {
        let synced = || self.unpersisted.iter().all(|unpersisted| !unpersisted.writes);
        self.is_leader() || !self.decides_alone() || synced()
    }

    fn message(&mut self, message: Message, effects: &mut Effects<T>) {
        if let Err(refusal) = check::message(&self.node, &message) {
            tracing::warn!(from = message.from, %refusal, "message from a replica refused");
            return;
        }
        if message.get_msg_type() == MessageType::MsgTimeoutNow && !self.may_campaign() {
            return;
        }
        if written::says_written(&message) {
            return self.heard_written(&message, effects);
        }
        self.wake();
        let last = Heartbeat::last(&message);
        // A message from a member that has left is not an error.
        let _ = self.node.step(message);
        self.flush(effects);
        if let Some(last) = last {
            self.rest_after(&last, effects);
        }
    }

    fn on_read(&mut self, request: ReadRequest, frames: &[Bytes], effects: &mut Effects<T>) {
        let entries = (request.first..).zip(frames).map_while(|(index, frame)| from_log(index, frame).ok());
        let entries = entries.collect();
        self.node.mut_store().fetched(request.first, entries);
        self.node.on_entries_fetched(request.context);
        self.flush(effects);
    }
}

/// A number of which every bit depends on all bits of the other (the finish of SplitMix64, Steele, Lea and Flood 2014).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// The body of a trim entry: the new log start, big-endian.
pub(crate) fn trim_payload(offset: i64) -> Bytes {
    Bytes::copy_from_slice(&offset.to_be_bytes())
}

fn trim_offset(frame: &[u8]) -> Option<i64> {
    let (_, body) = entry::parse(frame).ok()??;
    Some(i64::from_be_bytes(body.try_into().ok()?))
}
