//! What `sticky` and `cooperative-sticky` share: what members had, which of two ways to assign, and what has to be given up
//! first.

use std::collections::{HashMap, HashSet};

use leat_protocol::Str;

use super::{Assigned, Counts, Member, constrained, general, user_data};
use crate::TopicPartition;

/// What a member had, and in which generation.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    pub(super) owned: Vec<TopicPartition>,
    pub(super) generation: Option<i32>,
}

/// Partitions that go from one member to another, with the new one.
pub(super) type Moves = HashMap<TopicPartition, usize>;

/// What the assignment starts from.
#[derive(Debug)]
pub(super) struct Before {
    /// What each member had and may keep.
    pub(super) owned: Assigned,
    /// What several members say they own in the same generation.
    pub(super) disputed: HashSet<TopicPartition>,
    pub(super) memories: Vec<Memory>,
}

/// The assignment, and the partitions that move if they are known already.
pub(super) fn assign(counts: &Counts, members: &[Member], memory: fn(&Member) -> Memory) -> (Assigned, Option<Moves>) {
    if members.is_empty() {
        return (Assigned::new(), None);
    }
    let counts = subscribed(counts, members);
    let before = before(&counts, members, members.iter().map(memory).collect());
    if all_equal(members) {
        let (assigned, moves) = constrained::assign(&counts, members, before);
        (assigned, Some(moves))
    } else {
        (general::assign(&counts, members, before), None)
    }
}

/// Assigns, and takes what another member still owns out of the assignment: its owner gives it up, and the rebalance that
/// follows hands it out (KIP-429).
pub(super) fn cooperative(counts: &Counts, members: &[Member]) -> Assigned {
    let (mut assigned, moves) = assign(counts, members, user_data::cooperative_memory);
    let moves = moves.unwrap_or_else(|| moves_between(members, &assigned));
    for (partition, member) in moves {
        assigned[member].retain(|own| *own != partition);
    }
    assigned
}

/// What one member owns and another was assigned.
fn moves_between(members: &[Member], assigned: &Assigned) -> Moves {
    let (mut added, mut revoked) = (Moves::new(), HashSet::new());
    for (at, (member, assigned)) in members.iter().zip(assigned).enumerate() {
        let owned: HashSet<_> = member.owned.iter().collect();
        let kept: HashSet<_> = assigned.iter().collect();
        added.extend(assigned.iter().filter(|own| !owned.contains(own)).map(|own| (own.clone(), at)));
        revoked.extend(member.owned.iter().filter(|own| !kept.contains(own)));
    }
    added.retain(|partition, _| revoked.contains(partition));
    added
}

/// Only the topics that somebody subscribes to.
fn subscribed(counts: &Counts, members: &[Member]) -> Counts {
    let topics: HashSet<&Str> = members.iter().flat_map(|member| &member.topics).collect();
    counts.iter().filter(|(topic, _)| topics.contains(topic)).map(|(topic, count)| (topic.clone(), *count)).collect()
}

fn all_equal(members: &[Member]) -> bool {
    let first: HashSet<_> = members[0].topics.iter().collect();
    members.iter().all(|member| {
        member.topics.len() == members[0].topics.len() && member.topics.iter().all(|topic| first.contains(topic))
    })
}

/// Two members that claim the same partition: that of the newer generation has it, and neither where they are of the same.
fn before(counts: &Counts, members: &[Member], memories: Vec<Memory>) -> Before {
    let mut owned: Assigned = vec![Vec::new(); members.len()];
    let mut disputed = HashSet::new();
    let mut owners: HashMap<TopicPartition, usize> = HashMap::new();
    for (at, memory) in memories.iter().enumerate() {
        let generation = memory.generation.unwrap_or(-1);
        for partition in &memory.owned {
            let count = counts.get(&partition.topic).copied().unwrap_or(0);
            if !(0..count).contains(&partition.partition) {
                continue;
            }
            let Some(other) = owners.get(partition).copied() else {
                owned[at].push(partition.clone());
                owners.insert(partition.clone(), at);
                continue;
            };
            let others = members[other].generation.unwrap_or(-1);
            if generation < others {
                continue;
            }
            owned[other].retain(|own| own != partition);
            owners.insert(partition.clone(), at);
            if generation > others {
                owned[at].push(partition.clone());
            } else {
                disputed.insert(partition.clone());
            }
        }
    }
    Before { owned, disputed, memories }
}
