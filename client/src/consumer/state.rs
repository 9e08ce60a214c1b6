//! What the consumer knows of its partitions. No I/O; behind one lock that is held briefly.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::Start;
use super::chunk::Chunk;
use crate::{CommittedOffset, ConsumerConfig, Error, IsolationLevel, TopicPartition};

/// Damaged data is asked for again after this wait.
const AFTER_DAMAGE: Duration = Duration::from_millis(100);

/// One partition being read.
#[derive(Debug)]
pub(super) struct Part {
    /// Changes with every seek; what belongs to another generation is dropped.
    pub(super) generation: u64,
    /// Where to start, while that is no offset yet.
    pub(super) start: Option<Start>,
    /// What the group has committed is to be asked for before anything else.
    pub(super) from_committed: bool,
    /// The next offset to hand out, and the leader epoch of the batch before it.
    position: Option<i64>,
    position_epoch: Option<i32>,
    /// The next offset to fetch, and the leader epoch of the batch before it (-1: not known).
    pub(super) fetch_from: i64,
    pub(super) fetch_epoch: i32,
    /// The leader epoch under which `fetch_from` is known to be on the leader's log.
    pub(super) checked_epoch: i32,
    paused: bool,
    /// Not fetched before this.
    pub(super) retry_at: Option<Instant>,
    /// What keeps it from being read until a seek.
    stuck: Option<Error>,
    end: Option<Ends>,
    /// A replica other than the leader to fetch from, and until when (KIP-392).
    pub(super) preferred: Option<(i32, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    high_watermark: i64,
    last_stable: i64,
}

/// What a fetch answer said about a partition.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) high_watermark: i64,
    pub(super) last_stable: i64,
    /// The offset after the last whole batch, and that batch's leader epoch.
    pub(super) next: Option<(i64, i32)>,
    pub(super) chunk: Option<Chunk>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) parts: HashMap<TopicPartition, Part>,
    chunks: VecDeque<Chunk>,
    /// Bytes in `chunks` and in the one being drained.
    buffered: usize,
    errors: VecDeque<Error>,
    /// What keeps the consumer out of its group, and whether it can't come back.
    group_error: Option<(Error, bool)>,
    generations: u64,
    /// Brokers that a fetcher runs for.
    pub(super) fetchers: BTreeSet<i32>,
}

impl State {
    /// Reads exactly these. New ones start where the group has committed, if `from_committed`, else at `start`.
    pub(super) fn assign(&mut self, partitions: &[TopicPartition], from_committed: bool, start: Option<Start>) {
        let mut before = std::mem::take(&mut self.parts);
        for partition in partitions {
            let part = before.remove(partition).unwrap_or_else(|| {
                self.generations += 1;
                let mut part = Part::new(self.generations);
                part.from_committed = from_committed;
                if !from_committed {
                    part.begin_at(partition, start);
                }
                part
            });
            self.parts.insert(partition.clone(), part);
        }
        self.drop_stale();
    }

    /// Stops reading these.
    pub(super) fn unassign(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.parts.remove(partition);
        }
        self.drop_stale();
    }

    /// What the group has committed for a partition: `None`: nothing, so that it starts at `start`.
    pub(super) fn found_committed(
        &mut self,
        partition: &TopicPartition,
        generation: u64,
        committed: Option<(i64, Option<i32>)>,
        start: Option<Start>,
    ) {
        let Some(part) = self.parts.get_mut(partition).filter(|part| part.generation == generation) else { return };
        match committed {
            None => {
                part.from_committed = false;
                part.begin_at(partition, start);
            }
            Some((offset, epoch)) => {
                self.seek(partition, offset);
                if let Some(part) = self.parts.get_mut(partition) {
                    part.fetch_epoch = epoch.unwrap_or(-1);
                    part.checked_epoch = -1;
                    part.position_epoch = epoch;
                }
            }
        }
    }

    /// Where the program is: the position of each partition, and the leader epoch before it.
    pub(super) fn positions(&self) -> HashMap<TopicPartition, CommittedOffset> {
        let position = |part: &Part| {
            let (offset, leader_epoch) = (part.position?, part.position_epoch);
            Some(CommittedOffset { offset, leader_epoch, metadata: Default::default() })
        };
        let known = self.parts.iter().filter(|(_, part)| part.start.is_none());
        known.filter_map(|(partition, part)| Some((partition.clone(), position(part)?))).collect()
    }

    /// The consumer is not in its group; the program is told once, or always if that is for good.
    pub(super) fn set_group_error(&mut self, error: Error, for_good: bool) {
        self.group_error = Some((error, for_good));
    }

    pub(super) fn clear_group_error(&mut self) {
        self.group_error = None;
    }

    /// Partitions that start where the group has committed, while that is not known.
    pub(super) fn wanting_committed(&self) -> Vec<(TopicPartition, u64)> {
        let wanting = self.parts.iter().filter(|(_, part)| part.from_committed && part.stuck.is_none());
        wanting.map(|(partition, part)| (partition.clone(), part.generation)).collect()
    }

    pub(super) fn assigned(&self) -> Vec<TopicPartition> {
        let mut all: Vec<_> = self.parts.keys().cloned().collect();
        all.sort();
        all
    }

    pub(super) fn is_assigned(&self, partition: &TopicPartition) -> bool {
        self.parts.contains_key(partition)
    }

    /// Reads on from an offset, whatever the partition did before.
    pub(super) fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        self.generations += 1;
        let generation = self.generations;
        if let Some(part) = self.parts.get_mut(partition) {
            *part =
                Part { paused: part.paused, end: part.end, checked_epoch: part.checked_epoch, ..Part::new(generation) };
            part.position = Some(offset);
            part.fetch_from = offset;
        }
        self.drop_stale();
    }

    /// As [`State::seek`], unless the program has sought since `generation`.
    pub(super) fn resolved(&mut self, partition: &TopicPartition, generation: u64, offset: i64) {
        if self.parts.get(partition).is_some_and(|part| part.generation == generation) {
            self.seek(partition, offset);
        }
    }

    pub(super) fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.parts.get(partition)?.position
    }

    pub(super) fn stuck_at(&self, partition: &TopicPartition) -> Option<Error> {
        self.parts.get(partition)?.stuck.clone()
    }

    pub(super) fn lag(&self, partition: &TopicPartition, isolation: IsolationLevel) -> Option<u64> {
        let part = self.parts.get(partition)?;
        let ends = part.end?;
        let end = match isolation {
            IsolationLevel::ReadUncommitted => ends.high_watermark,
            IsolationLevel::ReadCommitted => ends.last_stable,
        };
        Some(u64::try_from(end.saturating_sub(part.position?)).unwrap_or(0))
    }

    pub(super) fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) {
        for partition in partitions {
            if let Some(part) = self.parts.get_mut(partition) {
                part.paused = paused;
            }
        }
    }

    pub(super) fn paused(&self) -> Vec<TopicPartition> {
        let paused = self.parts.iter().filter(|(_, part)| part.paused);
        paused.map(|(partition, _)| partition.clone()).collect()
    }

    /// Partitions that are to be fetched now.
    pub(super) fn fetchable(&self, now: Instant) -> impl Iterator<Item = (&TopicPartition, &Part)> {
        self.parts.iter().filter(move |(_, part)| {
            let ready = part.position.is_some()
                && part.start.is_none()
                && !part.from_committed
                && part.stuck.is_none()
                && !part.paused;
            ready && part.retry_at.is_none_or(|at| at <= now)
        })
    }

    /// When the next partition may be fetched again after an error.
    pub(super) fn next_retry(&self, now: Instant) -> Option<Instant> {
        self.parts.values().filter_map(|part| part.retry_at).filter(|at| *at > now).min()
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffered
    }

    pub(super) fn has_room(&self, config: &ConsumerConfig) -> bool {
        self.buffered < config.queued_max_kbytes as usize * 1024
    }

    /// Takes in what a fetch brought, unless the partition has moved since. `true`: there is something to poll.
    pub(super) fn fetched(&mut self, partition: &TopicPartition, generation: u64, fetched: Fetched) -> bool {
        let Some(part) = self.parts.get_mut(partition).filter(|part| part.generation == generation) else {
            return false;
        };
        part.end = Some(Ends { high_watermark: fetched.high_watermark, last_stable: fetched.last_stable });
        if let Some((offset, epoch)) = fetched.next {
            part.fetch_from = offset;
            part.fetch_epoch = epoch;
        }
        let Some(chunk) = fetched.chunk else { return false };
        self.buffered += chunk.bytes;
        self.chunks.push_back(chunk);
        true
    }

    /// The partition is not read until a seek; the error is for the program.
    pub(super) fn stick(&mut self, partition: &TopicPartition, generation: u64, error: Error) {
        if let Some(part) = self.parts.get_mut(partition).filter(|part| part.generation == generation) {
            part.stuck = Some(error);
        }
    }

    /// The oldest chunk of a partition that is not paused.
    pub(super) fn next_chunk(&mut self) -> Option<Chunk> {
        let at =
            self.chunks.iter().position(|chunk| self.parts.get(&chunk.partition).is_some_and(|part| !part.paused))?;
        self.chunks.remove(at)
    }

    /// Takes back a chunk after some of it was decoded. `false`: the partition has moved meanwhile, and what was decoded
    /// is not to be seen.
    pub(super) fn drained(&mut self, chunk: Chunk, done: bool, error: Option<&Error>) -> bool {
        let part = self.parts.get_mut(&chunk.partition).filter(|part| part.generation == chunk.generation);
        let Some(part) = part else {
            self.buffered -= chunk.bytes;
            return false;
        };
        part.position = Some(chunk.position);
        part.position_epoch = chunk.epoch.or(part.position_epoch);
        if let Some(error) = error {
            // What follows the damage is asked for again: it may have happened on the way.
            self.errors.push_back(error.clone());
            self.buffered -= chunk.bytes;
            self.seek(&chunk.partition, chunk.position);
            if let Some(part) = self.parts.get_mut(&chunk.partition) {
                part.retry_at = Some(Instant::now() + AFTER_DAMAGE);
            }
        } else if done {
            self.buffered -= chunk.bytes;
        } else {
            self.chunks.push_front(chunk);
        }
        true
    }

    pub(super) fn push_error(&mut self, error: Error) {
        self.errors.push_back(error);
    }

    /// Whether there is something of this partition that was not polled yet.
    pub(super) fn has_chunks(&self, partition: &TopicPartition) -> bool {
        self.chunks.iter().any(|chunk| chunk.partition == *partition)
    }

    /// An error for the program: one that happened once, or else one that lasts.
    pub(super) fn next_error(&mut self) -> Option<Error> {
        let once = self.errors.pop_front().or_else(|| match &self.group_error {
            Some((error, true)) => Some(error.clone()),
            _ => self.group_error.take().map(|(error, _)| error),
        });
        once.or_else(|| self.parts.values().filter(|part| !part.paused).find_map(|part| part.stuck.clone()))
    }

    fn drop_stale(&mut self) {
        let (parts, mut freed) = (&self.parts, 0);
        self.chunks.retain(|chunk| {
            let keep = parts.get(&chunk.partition).is_some_and(|part| part.generation == chunk.generation);
            freed += if keep { 0 } else { chunk.bytes };
            keep
        });
        self.buffered -= freed;
    }
}

impl Part {
    fn new(generation: u64) -> Self {
        Self {
            generation,
            start: None,
            from_committed: false,
            position: None,
            position_epoch: None,
            fetch_from: -1,
            fetch_epoch: -1,
            checked_epoch: -1,
            paused: false,
            retry_at: None,
            stuck: None,
            end: None,
            preferred: None,
        }
    }

    fn begin_at(&mut self, partition: &TopicPartition, start: Option<Start>) {
        self.start = start;
        if start.is_none() {
            self.stuck = Some(Error::NoOffset { partition: partition.clone(), offset: None });
        }
    }

    /// The broker to fetch from: the leader, or a replica that the leader named for a while.
    pub(super) fn node(&self, leader: i32, now: Instant) -> i32 {
        self.preferred.filter(|(_, until)| *until > now).map_or(leader, |(node, _)| node)
    }

    /// Whether the log under this leader epoch is known to hold the position. A position without an epoch can't be
    /// checked.
    pub(super) fn is_checked(&self, leader_epoch: i32) -> bool {
        self.fetch_epoch < 0 || leader_epoch <= self.checked_epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn part() -> TopicPartition {
        TopicPartition::new("t", 0)
    }

    fn fetched(state: &State, bytes: usize) -> Fetched {
        let generation = state.parts[&part()].generation;
        let chunk = Chunk::new(part(), generation, 0, &Bytes::from(vec![0; bytes]), Vec::new());
        Fetched { high_watermark: 10, last_stable: 8, next: Some((5, 1)), chunk: Some(chunk) }
    }

    #[test]
    fn a_seek_drops_what_was_fetched_before_it() {
        let mut state = State::default();
        state.assign(&[part()], false, Some(Start::Earliest));
        state.seek(&part(), 0);
        let (old, generation) = (fetched(&state, 10), state.parts[&part()].generation);
        assert!(state.fetched(&part(), generation, fetched(&state, 10)));
        assert_eq!(state.buffered, 10);
        state.seek(&part(), 3);
        assert_eq!((state.buffered, state.chunks.len()), (0, 0));
        assert!(!state.fetched(&part(), generation, old));
        assert_eq!(state.position(&part()), Some(3));
    }

    #[test]
    fn a_seek_while_a_chunk_is_decoded_wins() {
        let mut state = State::default();
        state.assign(&[part()], false, Some(Start::Earliest));
        state.seek(&part(), 0);
        let generation = state.parts[&part()].generation;
        state.fetched(&part(), generation, fetched(&state, 10));
        let chunk = state.next_chunk().unwrap();
        state.seek(&part(), 7);
        assert!(!state.drained(chunk, true, None));
        assert_eq!((state.buffered, state.position(&part())), (0, Some(7)));
    }

    #[test]
    fn lag_follows_the_isolation_level_and_paused_partitions_keep_their_chunks() {
        let mut state = State::default();
        state.assign(&[part()], false, Some(Start::Earliest));
        state.seek(&part(), 4);
        let generation = state.parts[&part()].generation;
        state.fetched(&part(), generation, fetched(&state, 10));
        assert_eq!(state.lag(&part(), IsolationLevel::ReadUncommitted), Some(6));
        assert_eq!(state.lag(&part(), IsolationLevel::ReadCommitted), Some(4));
        state.set_paused(&[part()], true);
        assert!(state.next_chunk().is_none());
        state.set_paused(&[part()], false);
        assert!(state.next_chunk().is_some());
    }
}
