//! What raft may ask of the log, answered from memory: terms from the epoch list, entries from the tail.
//!
//! Nothing here reads a disk. An entry whose payload has left the tail is answered without it where raft only applies
//! (its kind and offsets are kept until then), and as "temporarily unavailable" where raft wants to send it, which
//! queues a read that the driver carries out.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use leat_protocol::records::entry::EntryKind;
use leat_storage::Epoch;
use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

/// What an entry is, as far as applying it needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A batch of records.
    Data,
    /// A frame without records.
    Control(EntryKind),
}

/// One entry past the applied index, or young enough to be kept for peers.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) kind: Kind,
    /// The offset that the next record after this entry takes.
    pub(crate) end_offset: i64,
    /// Bytes of the frame in the log.
    pub(crate) len: u32,
    /// The entry as raft knows it: a whole batch, or a control entry's body. `None` once the tail has let it go.
    pub(crate) data: Option<Bytes>,
}

/// A range that raft wanted to send and the tail no longer has.
#[derive(Debug)]
pub(crate) struct ReadRequest {
    pub(crate) first: u64,
    pub(crate) until: u64,
    pub(crate) bytes_max: u64,
    pub(crate) context: GetEntriesContext,
}

/// The log as raft sees it.
#[derive(Debug)]
pub(crate) struct Store {
    hard_state: HardState,
    membership: ConfState,
    /// The entry that made it valid.
    membership_index: u64,
    first_index: u64,
    /// Term of the entry before `first_index`.
    before_first_term: u64,
    /// End offset of the log at its last entry.
    end_offset: i64,
    last_index: u64,
    epochs: Vec<Epoch>,
    held: VecDeque<Held>,
    /// Index of `held[0]`.
    held_first: u64,
    /// End offset of the entry before `held[0]`.
    before_held_end_offset: i64,
    held_bytes: usize,
    /// Entries before this one have given their payload away.
    kept_first: u64,
    reads: RefCell<Vec<ReadRequest>>,
    /// Replicas that lack what entries no longer give.
    lacking: RefCell<BTreeSet<u64>>,
    fetched: RefCell<Option<(u64, Vec<Entry>)>>,
}

/// What a store starts from.
#[derive(Debug, Default)]
pub(crate) struct StoreStart {
    pub(crate) hard_state: HardState,
    pub(crate) membership: ConfState,
    pub(crate) membership_index: u64,
    pub(crate) first_index: u64,
    pub(crate) before_first_term: u64,
    pub(crate) applied: u64,
    pub(crate) applied_end_offset: i64,
    pub(crate) epochs: Vec<Epoch>,
    /// The entries after `applied`, in order.
    pub(crate) held: Vec<Held>,
}

impl Store {
    pub(crate) fn new(start: StoreStart) -> Store {
        let last_index = start.applied + start.held.len() as u64;
        let end_offset = start.held.last().map_or(start.applied_end_offset, |last| last.end_offset);
        let held_bytes = start.held.iter().filter_map(|held| held.data.as_ref()).map(Bytes::len).sum();
        Store {
            hard_state: start.hard_state,
            membership: start.membership,
            membership_index: start.membership_index,
            first_index: start.first_index,
            before_first_term: start.before_first_term,
            end_offset,
            last_index,
            epochs: start.epochs,
            held: start.held.into(),
            held_first: start.applied + 1,
            before_held_end_offset: start.applied_end_offset,
            held_bytes,
            kept_first: start.applied + 1,
            reads: RefCell::default(),
            lacking: RefCell::default(),
            fetched: RefCell::default(),
        }
    }

    pub(crate) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Where the log ended after the entry at `index`, which is the last applied one or a later one.
    pub(crate) fn end_offset_at(&self, index: u64) -> i64 {
        self.held(index).map_or(self.before_held_end_offset, |held| held.end_offset)
    }

    pub(crate) fn last(&self) -> u64 {
        self.last_index
    }

    pub(crate) fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    pub(crate) fn membership(&self) -> &ConfState {
        &self.membership
    }

    pub(crate) fn membership_index(&self) -> u64 {
        self.membership_index
    }

    pub(crate) fn set_membership(&mut self, index: u64, membership: ConfState) {
        (self.membership, self.membership_index) = (membership, index);
    }

    pub(crate) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    pub(crate) fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    /// The entry at `index`, while it is held.
    pub(crate) fn held(&self, index: u64) -> Option<&Held> {
        let at = index.checked_sub(self.held_first)?;
        self.held.get(usize::try_from(at).ok()?)
    }

    /// Adds the entry after the last one.
    pub(crate) fn push(&mut self, term: u64, entry: Held) {
        let index = self.last_index + 1;
        if self.epochs.last().is_none_or(|epoch| epoch.term < term) {
            self.epochs.push(Epoch { term, first_index: index, first_offset: self.end_offset });
        }
        if self.held.is_empty() {
            self.held_first = index;
            self.before_held_end_offset = self.end_offset;
        }
        self.last_index = index;
        self.end_offset = entry.end_offset;
        self.held_bytes += entry.data.as_ref().map_or(0, Bytes::len);
        self.held.push_back(entry);
    }

    /// Drops every entry from `index` on. What is dropped was never committed, so it is still held.
    pub(crate) fn truncate_from(&mut self, index: u64) {
        assert!(index >= self.held_first, "an applied entry can not be cut");
        while self.last_index >= index {
            if let Some(entry) = self.held.pop_back() {
                self.held_bytes -= entry.data.as_ref().map_or(0, Bytes::len);
            }
            self.last_index -= 1;
        }
        self.kept_first = self.kept_first.min(index);
        while self.epochs.last().is_some_and(|epoch| epoch.first_index >= index) {
            self.epochs.pop();
        }
        self.end_offset = self.held.back().map_or(self.before_held_end_offset, |entry| entry.end_offset);
    }

    /// Lets payloads of written entries up to `written` go, oldest first, while more than `budget` bytes are held, and
    /// forgets entries up to `applied` whose payload is gone.
    pub(crate) fn release(&mut self, written: u64, applied: u64, budget: usize) {
        let first = self.kept_first.max(self.held_first);
        let from = usize::try_from(first - self.held_first).unwrap_or(usize::MAX);
        for (index, entry) in (first..).zip(self.held.iter_mut().skip(from)) {
            let needed = entry.kind != Kind::Data && index > applied;
            if index > written || self.held_bytes <= budget || needed {
                break;
            }
            if let Some(data) = entry.data.take() {
                self.held_bytes -= data.len();
            }
            self.kept_first = index + 1;
        }
        while self.held_first <= applied {
            let Some(entry) = self.held.pop_front_if(|entry| entry.data.is_none()) else { break };
            self.before_held_end_offset = entry.end_offset;
            self.held_first += 1;
        }
    }

    /// Entries now begin at `first_index`; the term of the one before stays known. Records may begin before them, where the
    /// log is compacted, and clients ask for their epochs.
    pub(crate) fn trim_to(&mut self, first_index: u64, log_start_offset: i64) {
        if first_index > self.first_index {
            self.before_first_term = self.term_at(first_index - 1).unwrap_or(self.before_first_term);
            self.first_index = first_index;
        }
        let needed = |epoch: &Epoch| epoch.first_index > self.first_index || epoch.first_offset > log_start_offset;
        let keep = self.epochs.partition_point(|epoch| !needed(epoch)).saturating_sub(1);
        self.epochs.drain(..keep);
    }

    pub(crate) fn take_lacking(&mut self) -> BTreeSet<u64> {
        std::mem::take(self.lacking.get_mut())
    }

    pub(crate) fn first(&self) -> u64 {
        self.first_index
    }

    pub(crate) fn take_reads(&mut self) -> Vec<ReadRequest> {
        std::mem::take(self.reads.get_mut())
    }

    /// Keeps entries that were read for the next question about `first`.
    pub(crate) fn fetched(&mut self, first: u64, entries: Vec<Entry>) {
        *self.fetched.get_mut() = Some((first, entries));
    }

    fn term_at(&self, index: u64) -> Option<u64> {
        let at = self.epochs.partition_point(|epoch| epoch.first_index <= index);
        Some(self.epochs[at.checked_sub(1)?].term)
    }

    /// The entry at `index` for raft, with its payload if there is one.
    fn entry(&self, index: u64, held: &Held, payload: bool) -> Entry {
        let mut entry = Entry { index, term: self.term_at(index).unwrap_or(0), ..Entry::default() };
        if held.kind == Kind::Control(EntryKind::Membership) {
            entry.set_entry_type(EntryType::EntryConfChangeV2);
        }
        if payload || held.kind == Kind::Control(EntryKind::Membership) {
            entry.data = held.data.clone().unwrap_or_default();
        }
        entry
    }
}

impl Storage for Store {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.membership.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low < self.first_index {
            return Err(Error::Store(StorageError::Compacted));
        }
        let bytes_max = max_size.into().unwrap_or(u64::MAX);
        let sends = context.can_async();
        let mut entries = Vec::new();
        let mut bytes = 0u64;
        for index in low..high {
            let Some(held) = self.held(index).filter(|held| !sends || held.data.is_some()) else { break };
            bytes += u64::from(held.len);
            if bytes > bytes_max && !entries.is_empty() {
                return Ok(entries);
            }
            entries.push(self.entry(index, held, sends));
        }
        if !entries.is_empty() {
            return Ok(entries);
        }
        if !sends {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let mut fetched = self.fetched.borrow_mut();
        if fetched.as_ref().is_some_and(|(first, entries)| *first == low && !entries.is_empty())
            && let Some((_, mut entries)) = fetched.take()
        {
            entries.truncate(usize::try_from(high - low).unwrap_or(usize::MAX));
            return Ok(entries);
        }
        self.reads.borrow_mut().push(ReadRequest { first: low, until: high, bytes_max, context });
        Err(Error::Store(StorageError::LogTemporarilyUnavailable))
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index + 1 == self.first_index {
            return Ok(self.before_first_term);
        }
        if index < self.first_index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if index > self.last_index {
            return Err(Error::Store(StorageError::Unavailable));
        }
        self.term_at(index).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.first_index)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last_index)
    }

    /// There is none in raft's sense: whoever lacks entries is seeded with the log itself, and says then how far it is.
    fn snapshot(&self, _request_index: u64, to: u64) -> raft::Result<Snapshot> {
        self.lacking.borrow_mut().insert(to);
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
