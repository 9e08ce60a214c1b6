//! The partitions of one session: found by topic and number, read in an order that turns.

use std::collections::{BTreeMap, HashMap};

use leat_protocol::messages::fetch::PartitionData;
use leat_protocol::{ErrorCode, Str};

use super::context::{Read, TopicKey};

/// What the client last asked for and was last told of one partition.
#[derive(Debug)]
struct Cached {
    read: Read,
    /// -1 where the client was told of an error, so that it hears of the partition again once that is gone.
    high_watermark: i64,
    log_start_offset: i64,
}

impl Cached {
    fn new(read: Read) -> Self {
        Self { read, high_watermark: -1, log_start_offset: -1 }
    }

    /// Whether the client has to be told, which is then taken as done.
    fn tell(&mut self, data: &PartitionData) -> bool {
        let error = data.error_code != ErrorCode::NONE;
        let changed = self.high_watermark != data.high_watermark || self.log_start_offset != data.log_start_offset;
        self.high_watermark = if error { -1 } else { data.high_watermark };
        self.log_start_offset = data.log_start_offset;
        error || changed || has_records(data) || data.diverging_epoch.epoch >= 0 || data.preferred_read_replica >= 0
    }
}

/// Partitions by their place in the order, which is a number that only rises: new ones, and those whose records were
/// sent, go to the end.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    order: BTreeMap<u64, Cached>,
    places: HashMap<TopicKey, BTreeMap<i32, u64>>,
    next_place: u64,
}

impl Partitions {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Takes the request's word for a partition, old or new; an old one keeps its place. True for a new one.
    pub(super) fn set(&mut self, mut read: Read) -> bool {
        if let Some(&place) = self.places.get(&read.topic).and_then(|places| places.get(&read.partition)) {
            if let Some(cached) = self.order.get_mut(&place) {
                read.topic = cached.read.topic.clone();
                cached.read = read;
            }
            return false;
        }
        read.topic = self.own(read.topic);
        let place = self.take_place();
        self.places.entry(read.topic.clone()).or_default().insert(read.partition, place);
        self.order.insert(place, Cached::new(read));
        true
    }

    /// Forgets a partition, if it is there.
    pub(super) fn remove(&mut self, topic: &TopicKey, partition: i32) {
        let Some(places) = self.places.get_mut(topic) else {
            return;
        };
        if let Some(place) = places.remove(&partition) {
            self.order.remove(&place);
        }
        if places.is_empty() {
            self.places.remove(topic);
        }
    }

    /// All of them, in order.
    pub(super) fn reads(&self) -> Vec<Read> {
        self.order.values().map(|cached| cached.read.clone()).collect()
    }

    /// Remembers that the client is told all of `data`, which is of `reads`.
    pub(super) fn told(&mut self, reads: &[Read], data: &[PartitionData]) {
        for (read, data) in reads.iter().zip(data) {
            let place = self.places.get(&read.topic).and_then(|places| places.get(&read.partition));
            if let Some(cached) = place.and_then(|place| self.order.get_mut(place)) {
                cached.tell(data);
            }
        }
    }

    /// Keeps of `data`, which is of `reads` as [`Partitions::reads`] gave them, what the client has to be told.
    pub(super) fn changed(&mut self, reads: Vec<Read>, data: Vec<PartitionData>) -> Vec<(Read, PartitionData)> {
        let mut changed = Vec::new();
        let mut sent = Vec::new();
        for ((&place, cached), (read, data)) in self.order.iter_mut().zip(reads.into_iter().zip(data)) {
            debug_assert_eq!((&cached.read.topic, cached.read.partition), (&read.topic, read.partition));
            if cached.tell(&data) {
                if has_records(&data) {
                    sent.push(place);
                }
                changed.push((read, data));
            }
        }
        for place in sent {
            self.move_to_end(place);
        }
        changed
    }

    fn move_to_end(&mut self, place: u64) {
        let Some(cached) = self.order.remove(&place) else {
            return;
        };
        let end = self.take_place();
        if let Some(places) = self.places.get_mut(&cached.read.topic) {
            places.insert(cached.read.partition, end);
        }
        self.order.insert(end, cached);
    }

    fn take_place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place
    }

    /// The key as this session holds it. A name that was decoded is a slice of its whole frame, which must not live as long
    /// as the session, so it is copied, once per topic.
    fn own(&self, topic: TopicKey) -> TopicKey {
        match (self.places.get_key_value(&topic), topic) {
            (Some((held, _)), _) => held.clone(),
            (None, TopicKey::Name(name)) => TopicKey::Name(Str::from(String::from(&*name))),
            (None, id) => id,
        }
    }
}

fn has_records(data: &PartitionData) -> bool {
    data.records.as_ref().is_some_and(|records| !records.is_empty())
}
