//! One fetch: what it reads, and what of that goes into its response.

use leat_protocol::messages::fetch::{FetchPartition, FetchResponse, FetchableTopicResponse, PartitionData};
use leat_protocol::{ErrorCode, Records, Str, Uuid};

use super::cache::SessionCache;
use super::{NO_SESSION, next_epoch};

/// How the request names a topic: by id from version 13 on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicKey {
    Name(Str),
    Id(Uuid),
}

/// One partition to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub topic: TopicKey,
    pub partition: i32,
    /// The epoch that the client believes the leader has; -1 where it makes no claim.
    pub current_leader_epoch: i32,
    pub fetch_offset: i64,
    /// The epoch of the record before `fetch_offset`, to find out about divergence; -1 where not asked for.
    pub last_fetched_epoch: i32,
    pub max_bytes: i32,
}

impl Read {
    pub(super) fn new(topic: TopicKey, wanted: &FetchPartition) -> Self {
        Self {
            topic,
            partition: wanted.partition,
            current_leader_epoch: wanted.current_leader_epoch,
            fetch_offset: wanted.fetch_offset,
            last_fetched_epoch: wanted.last_fetched_epoch,
            max_bytes: wanted.partition_max_bytes,
        }
    }
}

/// A fetch between its request and its response. Holds no borrow of the cache, so it may wait.
#[derive(Debug)]
pub struct Context {
    kind: Kind,
    reads: Vec<Read>,
}

#[derive(Debug)]
enum Kind {
    /// No session is wanted, or none is left.
    Sessionless,
    /// A session is wanted.
    Full { uses_topic_ids: bool },
    /// The request with this epoch of a session.
    Incremental { session_id: i32, epoch: i32 },
}

impl Context {
    pub(super) fn sessionless(reads: Vec<Read>) -> Self {
        Self { kind: Kind::Sessionless, reads }
    }

    pub(super) fn full(reads: Vec<Read>, uses_topic_ids: bool) -> Self {
        Self { kind: Kind::Full { uses_topic_ids }, reads }
    }

    pub(super) fn incremental(reads: Vec<Read>, session_id: i32, epoch: i32) -> Self {
        Self { kind: Kind::Incremental { session_id, epoch }, reads }
    }

    /// The partitions to read, in the order in which they may take from the request's `max_bytes`.
    #[must_use]
    pub fn partitions(&self) -> &[Read] {
        &self.reads
    }

    /// The response, given what was read of each partition, in the order of [`Context::partitions`]. Without a session all of
    /// it is answered; in a session, only partitions with records, an error, or a watermark or log start that the client has
    /// not been told.
    ///
    /// # Panics
    /// If `data` is not of the same partitions.
    pub fn respond(self, cache: &mut SessionCache, data: Vec<PartitionData>, now_ms: i64) -> FetchResponse {
        assert_eq!(data.len(), self.reads.len(), "one answer for each partition");
        let (session_id, answered) = match self.kind {
            Kind::Sessionless => (NO_SESSION, self.reads.into_iter().zip(data).collect()),
            Kind::Full { uses_topic_ids } => {
                let id = cache.create(&self.reads, &data, uses_topic_ids, now_ms);
                (id, self.reads.into_iter().zip(data).collect())
            }
            Kind::Incremental { session_id, epoch } => match cache.session_mut(session_id) {
                Some(session) if session.epoch != next_epoch(epoch) => {
                    let error_code = ErrorCode::INVALID_FETCH_SESSION_EPOCH;
                    return FetchResponse { error_code, session_id, ..FetchResponse::default() };
                }
                Some(session) => (session_id, session.partitions.changed(self.reads, data)),
                // Evicted meanwhile: what was told before is forgotten, so all is told. The next request learns of it.
                None => (session_id, self.reads.into_iter().zip(data).collect()),
            },
        };
        FetchResponse { session_id, responses: by_topic(answered), ..FetchResponse::default() }
    }
}

/// The data of a partition that could not be read, with Kafka's values for what is then unknown.
#[must_use]
pub fn failed(partition: i32, error_code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: partition,
        error_code,
        high_watermark: -1,
        records: Some(Records::default()),
        ..PartitionData::default()
    }
}

/// Neighbours of the same topic share its entry; the order stays.
fn by_topic(answered: Vec<(Read, PartitionData)>) -> Vec<FetchableTopicResponse> {
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut last = None;
    for (read, data) in answered {
        if last.as_ref() != Some(&read.topic) {
            let (topic, topic_id) = match &read.topic {
                TopicKey::Name(name) => (name.clone(), Uuid::nil()),
                TopicKey::Id(id) => (Str::default(), *id),
            };
            responses.push(FetchableTopicResponse { topic, topic_id, partitions: Vec::new() });
            last = Some(read.topic);
        }
        if let Some(response) = responses.last_mut() {
            response.partitions.push(data);
        }
    }
    responses
}
