//! The sessions of one shard: who has one, and who loses it when there is no room.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use leat_protocol::ErrorCode;
use leat_protocol::messages::fetch::{FetchRequest, PartitionData};

use super::context::{Context, Read, TopicKey};
use super::partitions::Partitions;
use super::{FINAL_EPOCH, INITIAL_EPOCH, NO_SESSION, TOPIC_ID_VERSION, next_epoch};

/// A session not used for this long may be evicted by any other, and one this old by any that is no smaller. As in Kafka.
const EVICTION_MS: i64 = 120_000;

/// Partitions in all sessions of a cache, about 200 bytes each. Kafka has no such bound, and so no bound on what a
/// client can make it remember.
const PARTITIONS_MAX: usize = 1 << 18;

#[derive(Debug)]
pub(super) struct Session {
    /// Of the next request.
    pub(super) epoch: i32,
    pub(super) partitions: Partitions,
    uses_topic_ids: bool,
    created_ms: i64,
    used_ms: i64,
    /// As in `SessionCache::by_size`.
    size: usize,
}

/// Fetch sessions of one shard.
#[derive(Debug)]
pub struct SessionCache {
    sessions: HashMap<i32, Session>,
    /// (last use, id): the first is the stalest.
    by_use: BTreeSet<(i64, i32)>,
    /// (partitions, id) of sessions that were old enough to be evicted when they were last used.
    by_size: BTreeSet<(usize, i32)>,
    partitions: usize,
    slots: usize,
    partitions_max: usize,
    ids: Ids,
}

impl SessionCache {
    /// The cache of shard `shard` of `shards`, with its part of `slots` (`max.incremental.fetch.session.cache.slots`).
    /// `seed` is a random number: a session is known by its id alone, so ids must not be guessed.
    #[must_use]
    pub fn new(shard: usize, shards: usize, slots: usize, seed: u64) -> Self {
        Self {
            sessions: HashMap::new(),
            by_use: BTreeSet::new(),
            by_size: BTreeSet::new(),
            partitions: 0,
            slots: slots.div_ceil(shards.max(1)),
            partitions_max: PARTITIONS_MAX,
            ids: Ids::new(shard, shards, seed),
        }
    }

    /// Begins a fetch. An error is that of the whole response, whose session id is then 0.
    pub fn begin(&mut self, request: &FetchRequest, version: i16, now_ms: i64) -> Result<Context, ErrorCode> {
        let uses_topic_ids = version >= TOPIC_ID_VERSION;
        match request.session_epoch {
            INITIAL_EPOCH => {
                self.remove(request.session_id);
                Ok(Context::full(asked_for(request, uses_topic_ids), uses_topic_ids))
            }
            FINAL_EPOCH => {
                self.remove(request.session_id);
                Ok(Context::sessionless(asked_for(request, uses_topic_ids)))
            }
            _ => self.proceed(request, uses_topic_ids, now_ms),
        }
    }

    /// Number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Number of partitions in all sessions.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    pub(super) fn session_mut(&mut self, id: i32) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    /// Makes a session of a full fetch that is answered with all of `data`, and returns its id, or that of none.
    pub(super) fn create(&mut self, reads: &[Read], data: &[PartitionData], uses_topic_ids: bool, now_ms: i64) -> i32 {
        if !self.make_room(reads.len(), now_ms) {
            return NO_SESSION;
        }
        let mut partitions = Partitions::default();
        for read in reads {
            partitions.set(read.clone());
        }
        partitions.told(reads, data);
        let session = Session {
            epoch: next_epoch(INITIAL_EPOCH),
            size: partitions.len(),
            partitions,
            uses_topic_ids,
            created_ms: now_ms,
            used_ms: now_ms,
        };
        let id = loop {
            let id = self.ids.draw();
            if let Entry::Vacant(vacant) = self.sessions.entry(id) {
                self.partitions += session.size;
                vacant.insert(session);
                break id;
            }
        };
        self.by_use.insert((now_ms, id));
        id
    }

    /// The next request of a session.
    fn proceed(&mut self, request: &FetchRequest, uses_topic_ids: bool, now_ms: i64) -> Result<Context, ErrorCode> {
        let id = request.session_id;
        let Some(session) = self.sessions.get_mut(&id) else {
            return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        };
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.uses_topic_ids != uses_topic_ids {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        let room = self.partitions_max - (self.partitions - session.size);
        for (topic, wanted) in wanted(request, uses_topic_ids) {
            session.partitions.set(Read::new(topic, wanted));
            if session.partitions.len() > room {
                // The client then starts again with a full fetch, and is refused a session if there is no room still.
                self.remove(id);
                return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
            }
        }
        for topic in &request.forgotten_topics_data {
            let key = topic_key(uses_topic_ids, &topic.topic, topic.topic_id);
            for &partition in &topic.partitions {
                session.partitions.remove(&key, partition);
            }
        }
        if session.partitions.is_empty() {
            self.remove(id);
            return Ok(Context::sessionless(Vec::new()));
        }
        session.epoch = next_epoch(session.epoch);
        let reads = session.partitions.reads();
        self.touch(id, now_ms);
        Ok(Context::incremental(reads, id, request.session_epoch))
    }

    fn touch(&mut self, id: i32, now_ms: i64) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        self.by_use.remove(&(session.used_ms, id));
        self.by_size.remove(&(session.size, id));
        self.partitions -= session.size;
        session.used_ms = now_ms;
        session.size = session.partitions.len();
        self.partitions += session.size;
        self.by_use.insert((now_ms, id));
        if now_ms - session.created_ms > EVICTION_MS {
            self.by_size.insert((session.size, id));
        }
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.by_use.remove(&(session.used_ms, id));
            self.by_size.remove(&(session.size, id));
            self.partitions -= session.size;
        }
    }

    /// Evicts until a session of `size` partitions fits; false if those left are worth more.
    fn make_room(&mut self, size: usize, now_ms: i64) -> bool {
        if size > self.partitions_max || self.slots == 0 {
            return false;
        }
        while self.sessions.len() >= self.slots || self.partitions + size > self.partitions_max {
            match self.evictable(size, now_ms) {
                Some(id) => self.remove(id),
                None => return false,
            }
        }
        true
    }

    fn evictable(&self, size: usize, now_ms: i64) -> Option<i32> {
        let stale = self.by_use.first().filter(|(used_ms, _)| now_ms - used_ms > EVICTION_MS).map(|&(_, id)| id);
        stale.or_else(|| self.by_size.first().filter(|(other, _)| *other <= size).map(|&(_, id)| id))
    }

    #[cfg(test)]
    pub(super) fn bound_partitions(&mut self, partitions_max: usize) {
        self.partitions_max = partitions_max;
    }

    #[cfg(test)]
    pub(super) fn set_epoch(&mut self, id: i32, epoch: i32) {
        if let Some(session) = self.session_mut(id) {
            session.epoch = epoch;
        }
    }
}

fn topic_key(uses_topic_ids: bool, name: &leat_protocol::Str, id: leat_protocol::Uuid) -> TopicKey {
    if uses_topic_ids { TopicKey::Id(id) } else { TopicKey::Name(name.clone()) }
}

/// The partitions that a request names.
fn wanted(
    request: &FetchRequest,
    uses_topic_ids: bool,
) -> impl Iterator<Item = (TopicKey, &leat_protocol::messages::fetch::FetchPartition)> {
    request.topics.iter().flat_map(move |topic| {
        let key = topic_key(uses_topic_ids, &topic.topic, topic.topic_id);
        topic.partitions.iter().map(move |wanted| (key.clone(), wanted))
    })
}

/// The same for a full fetch, each once: the last word counts, at the first one's place.
fn asked_for(request: &FetchRequest, uses_topic_ids: bool) -> Vec<Read> {
    let mut reads: Vec<Read> = Vec::new();
    let mut places: HashMap<(TopicKey, i32), usize> = HashMap::new();
    for (topic, wanted) in wanted(request, uses_topic_ids) {
        let read = Read::new(topic, wanted);
        match places.entry((read.topic.clone(), read.partition)) {
            Entry::Occupied(place) => reads[*place.get()] = read,
            Entry::Vacant(place) => {
                place.insert(reads.len());
                reads.push(read);
            }
        }
    }
    reads
}

/// Session ids: positive, drawn from the shard's own range.
#[derive(Debug)]
struct Ids {
    first: i32,
    count: u64,
    state: u64,
}

impl Ids {
    fn new(shard: usize, shards: usize, seed: u64) -> Self {
        let shards = shards.clamp(1, 1 << 16) as u64;
        let count = (i32::MAX as u64) / shards;
        let first = 1 + (shard as u64 % shards) * count;
        Self { first: i32::try_from(first).unwrap_or(1), count, state: seed }
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn draw(&mut self) -> i32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        self.first + i32::try_from(z % self.count).unwrap_or(0)
    }
}
