//! Who reads what: Java's four assignors, which make the same choice for the same input. No I/O.
//!
//! The leader of a group assigns for all members, whatever client they are, so names, what members say of themselves
//! (`user_data`) and the choice itself are those of Java's kafka-clients 4.3.1. Racks are not looked at (KIP-881).

mod constrained;
mod general;
mod java;
mod movements;
mod range;
mod round_robin;
mod sticky;
mod user_data;

use std::collections::HashMap;

use leat_protocol::consumer_protocol::{ConsumerProtocolSubscription, ConsumerProtocolTopicPartitions};
use leat_protocol::{Bytes, Str};

use crate::TopicPartition;
use crate::config::Assignor;

/// A member, as the leader is told of it.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: Str,
    pub(super) instance: Option<Str>,
    pub(super) topics: Vec<Str>,
    pub(super) owned: Vec<TopicPartition>,
    /// The generation in which it got what it owns.
    pub(super) generation: Option<i32>,
    pub(super) user_data: Option<Bytes>,
}

impl Member {
    pub(super) fn new(id: Str, instance: Option<Str>, subscription: ConsumerProtocolSubscription) -> Self {
        Self {
            id,
            instance,
            topics: subscription.topics,
            owned: flat(&subscription.owned_partitions),
            generation: (subscription.generation_id >= 0).then_some(subscription.generation_id),
            user_data: subscription.user_data,
        }
    }
}

/// How many partitions each topic has; topics that are not there are left out.
pub(super) type Counts = HashMap<Str, i32>;

/// What each member gets, in the order of the members.
pub(super) type Assigned = Vec<Vec<TopicPartition>>;

impl Assignor {
    /// Whether members keep what they own through a rebalance (KIP-429).
    pub(super) fn is_cooperative(self) -> bool {
        self == Assignor::CooperativeSticky
    }

    /// What a member says of itself to the leader, beside its subscription.
    pub(super) fn user_data(self, owned: Option<&[TopicPartition]>, generation: i32) -> Option<Bytes> {
        match self {
            Assignor::Range | Assignor::RoundRobin => None,
            Assignor::Sticky => owned.map(|owned| user_data::sticky(owned, generation)),
            Assignor::CooperativeSticky => Some(user_data::cooperative(generation)),
        }
    }

    /// Assigns every partition of the topics that are subscribed to.
    pub(super) fn assign(self, counts: &Counts, members: &[Member]) -> Assigned {
        // Java's choice depends on the order of its hash maps here and there, so their order is ours.
        let order = java::map_order((0..members.len()).collect(), |at: &usize| java::string_hash(&members[*at].id));
        let ordered: Vec<Member> = order.iter().map(|at| members[*at].clone()).collect();
        let assigned = match self {
            Assignor::Range => range::assign(counts, &ordered),
            Assignor::RoundRobin => round_robin::assign(counts, &ordered),
            Assignor::Sticky => sticky::assign(counts, &ordered, user_data::sticky_memory).0,
            Assignor::CooperativeSticky => sticky::cooperative(counts, &ordered),
        };
        let mut by_member = vec![Vec::new(); members.len()];
        for (at, partitions) in order.into_iter().zip(assigned) {
            by_member[at] = partitions;
        }
        by_member
    }
}

/// Static members by their names, before the others by their ids.
fn by_identity(members: &[Member]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (&members[*a], &members[*b]);
        match (&a.instance, &b.instance) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => a.id.cmp(&b.id),
        }
    });
    order
}

/// All partitions of a topic.
fn partitions_of<'a>(topic: &'a Str, counts: &Counts) -> impl Iterator<Item = TopicPartition> + use<'a> {
    let count = counts.get(topic).copied().unwrap_or(0);
    (0..count).map(|partition| TopicPartition { topic: topic.clone(), partition })
}

/// Partitions by topic, topics in the order in which they come first.
pub(super) fn by_topic(partitions: &[TopicPartition]) -> Vec<ConsumerProtocolTopicPartitions> {
    let mut topics: Vec<ConsumerProtocolTopicPartitions> = Vec::new();
    let mut at: HashMap<&Str, usize> = HashMap::new();
    for TopicPartition { topic, partition } in partitions {
        let at = *at.entry(topic).or_insert_with(|| {
            topics.push(ConsumerProtocolTopicPartitions { topic: topic.clone(), partitions: Vec::new() });
            topics.len() - 1
        });
        topics[at].partitions.push(*partition);
    }
    topics
}

/// The partitions of a list by topic.
pub(super) fn flat(topics: &[ConsumerProtocolTopicPartitions]) -> Vec<TopicPartition> {
    let one = |topic: &ConsumerProtocolTopicPartitions| {
        let name = topic.topic.clone();
        topic.partitions.clone().into_iter().map(move |partition| TopicPartition { topic: name.clone(), partition })
    };
    topics.iter().flat_map(one).collect()
}

#[cfg(test)]
mod tests;
