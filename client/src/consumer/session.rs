//! Incremental fetch sessions (KIP-227): the broker remembers what is read, and is told only what changed.

use std::collections::HashMap;

use leat_protocol::messages::{FetchPartition, FetchTopic, ForgottenTopic};
use leat_protocol::{Str, Uuid};

use crate::TopicPartition;

/// What one partition's fetch says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) partition: TopicPartition,
    pub(super) topic_id: Uuid,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) max_bytes: i32,
}

/// One broker's session. Epoch 0 asks for a new one and lists everything.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) id: i32,
    pub(super) epoch: i32,
    known: HashMap<TopicPartition, Wanted>,
    by_id: bool,
}

/// The parts of a fetch request that a session decides.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Ask {
    pub(super) id: i32,
    pub(super) epoch: i32,
    pub(super) topics: Vec<FetchTopic>,
    pub(super) forgotten: Vec<ForgottenTopic>,
}

impl Session {
    /// What to ask so that the broker reads exactly `wanted`. `by_id`: the request's version has topic ids.
    pub(super) fn ask(&mut self, wanted: &[Wanted], by_id: bool) -> Ask {
        if self.by_id != by_id {
            self.reset();
            self.by_id = by_id;
        }
        let mut ask = Ask { id: self.id, epoch: self.epoch, ..Ask::default() };
        let mut before = std::mem::take(&mut self.known);
        for one in wanted {
            let old = before.remove(&one.partition);
            // A topic that was made again is another one.
            if let Some(old) = old.as_ref().filter(|old| old.topic_id != one.topic_id) {
                forget(&mut ask.forgotten, old);
            }
            if old.as_ref() != Some(one) {
                add(&mut ask.topics, one);
            }
            self.known.insert(one.partition.clone(), one.clone());
        }
        if self.epoch > 0 {
            for old in before.values() {
                forget(&mut ask.forgotten, old);
            }
        }
        ask
    }

    /// The broker answered without an error; `id` 0 means that it keeps no session.
    pub(super) fn answered(&mut self, id: i32) {
        if id == 0 {
            self.reset();
            return;
        }
        self.id = id;
        self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
    }

    /// The next request is a full one.
    pub(super) fn reset(&mut self) {
        self.id = 0;
        self.epoch = 0;
        self.known.clear();
    }
}

fn add(topics: &mut Vec<FetchTopic>, wanted: &Wanted) {
    if topics.last().is_none_or(|topic| topic.topic != wanted.partition.topic) {
        topics.push(FetchTopic {
            topic_id: wanted.topic_id,
            topic: wanted.partition.topic.clone(),
            partitions: Vec::new(),
        });
    }
    if let Some(topic) = topics.last_mut() {
        topic.partitions.push(FetchPartition {
            partition: wanted.partition.partition,
            current_leader_epoch: wanted.leader_epoch,
            fetch_offset: wanted.offset,
            partition_max_bytes: wanted.max_bytes,
            ..Default::default()
        });
    }
}

fn forget(topics: &mut Vec<ForgottenTopic>, old: &Wanted) {
    let name: &Str = &old.partition.topic;
    match topics.iter_mut().find(|topic| topic.topic == *name && topic.topic_id == old.topic_id) {
        Some(topic) => topic.partitions.push(old.partition.partition),
        None => topics.push(ForgottenTopic {
            topic_id: old.topic_id,
            topic: name.clone(),
            partitions: vec![old.partition.partition],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(partition: i32, offset: i64) -> Wanted {
        let partition = TopicPartition::new("t", partition);
        Wanted { partition, topic_id: Uuid::nil(), offset, leader_epoch: 0, max_bytes: 100 }
    }

    fn asked(ask: &Ask) -> Vec<(i32, i64)> {
        let partitions = ask.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| (partition.partition, partition.fetch_offset)).collect()
    }

    #[test]
    fn after_the_first_request_only_changes_are_said() {
        let mut session = Session::default();
        let first = session.ask(&[wanted(0, 5), wanted(1, 5)], false);
        assert_eq!((first.id, first.epoch, asked(&first)), (0, 0, vec![(0, 5), (1, 5)]));
        session.answered(77);
        let second = session.ask(&[wanted(0, 9), wanted(1, 5)], false);
        assert_eq!((second.id, second.epoch, asked(&second)), (77, 1, vec![(0, 9)]));
        session.answered(77);
        let third = session.ask(&[wanted(1, 5), wanted(2, 0)], false);
        assert_eq!((third.epoch, asked(&third)), (2, vec![(2, 0)]));
        assert_eq!(third.forgotten[0].partitions, [0]);
    }

    #[test]
    fn a_broker_without_sessions_is_told_everything_each_time() {
        let mut session = Session::default();
        session.ask(&[wanted(0, 5)], false);
        session.answered(0);
        let next = session.ask(&[wanted(0, 5)], false);
        assert_eq!((next.id, next.epoch, asked(&next), next.forgotten.len()), (0, 0, vec![(0, 5)], 0));
    }

    #[test]
    fn a_topic_made_again_is_forgotten_and_added() {
        let mut session = Session::default();
        session.ask(&[wanted(0, 5)], true);
        session.answered(7);
        let again = Wanted { topic_id: Uuid::from_u128(1), ..wanted(0, 0) };
        let next = session.ask(&[again], true);
        assert_eq!(asked(&next), [(0, 0)]);
        assert_eq!(next.forgotten[0].topic_id, Uuid::nil());
    }
}
