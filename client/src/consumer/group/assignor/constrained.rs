//! Sticky assignment where all members subscribe to the same topics: everybody keeps what is within its share, and what is
//! left goes round.
//!
//! With n partitions and m members each gets n/m, and n%m of them one more. Source: ConstrainedAssignmentBuilder of Apache
//! Kafka 4.3.1, without racks.

use std::collections::{HashMap, HashSet, VecDeque};

use super::sticky::{Before, Moves};
use super::{Assigned, Counts, Member, partitions_of};
use crate::TopicPartition;

struct Builder<'a> {
    members: &'a [Member],
    /// The share of everybody.
    least: usize,
    /// The share of those who get one more, and how many they are and may be.
    most: usize,
    with_more: usize,
    with_more_max: usize,
    assigned: Assigned,
    /// Members below the least share, and members at it that may get one more.
    below: Vec<usize>,
    at_least: VecDeque<usize>,
    /// What a member has to give up, unless it gets it back.
    given_up: HashMap<TopicPartition, usize>,
    disputed: HashSet<TopicPartition>,
    moves: Moves,
}

pub(super) fn assign(counts: &Counts, members: &[Member], before: Before) -> (Assigned, Moves) {
    let total: usize = counts.values().map(|count| usize::try_from(*count).unwrap_or(0)).sum();
    let mut builder = Builder {
        members,
        least: total / members.len(),
        most: total.div_ceil(members.len()),
        with_more: 0,
        with_more_max: total % members.len(),
        assigned: vec![Vec::new(); members.len()],
        below: Vec::new(),
        at_least: VecDeque::new(),
        given_up: HashMap::new(),
        disputed: before.disputed,
        moves: Moves::new(),
    };
    for (member, owned) in before.owned.into_iter().enumerate() {
        builder.keep(member, owned);
    }
    let taken: HashSet<_> = builder.assigned.iter().flatten().cloned().collect();
    let mut topics: Vec<_> = counts.keys().collect();
    topics.sort();
    let all = topics.into_iter().flat_map(|topic| partitions_of(topic, counts));
    builder.hand_out(all.filter(|partition| !taken.contains(partition)));
    (builder.assigned, builder.moves)
}

impl Builder<'_> {
    /// A member keeps what it owns, up to its share.
    fn keep(&mut self, member: usize, mut owned: Vec<TopicPartition>) {
        owned.retain(|partition| !self.disputed.contains(partition));
        owned.sort_by(|a, b| (a.partition, &a.topic).cmp(&(b.partition, &b.topic)));
        let room_for_more = self.with_more < self.with_more_max;
        let kept = if owned.len() < self.least {
            self.below.push(member);
            owned.len()
        } else if owned.len() >= self.most && room_for_more {
            self.with_more += 1;
            if self.with_more == self.with_more_max {
                self.at_least.clear();
            }
            self.most
        } else {
            if room_for_more {
                self.at_least.push_back(member);
            }
            self.least
        };
        self.given_up.extend(owned.drain(kept..).map(|partition| (partition, member)));
        self.assigned[member] = owned;
    }

    /// What nobody keeps goes round among those below their share, then once to those who may get one more.
    fn hand_out(&mut self, partitions: impl Iterator<Item = TopicPartition>) {
        let members = self.members;
        self.below.sort_by(|a, b| members[*a].id.cmp(&members[*b].id));
        self.at_least.make_contiguous().sort_by(|a, b| members[*a].id.cmp(&members[*b].id));
        let mut turn = 0;
        for partition in partitions {
            let from_below = !self.below.is_empty();
            let member = if from_below {
                turn = if turn < self.below.len() { turn } else { 0 };
                self.below[turn]
            } else if let Some(member) = self.at_least.pop_front() {
                member
            } else {
                debug_assert!(false, "more partitions than shares");
                return;
            };
            self.give(partition, member);
            if self.assigned[member].len() == self.least && from_below {
                self.below.remove(turn);
                self.at_least.push_back(member);
            } else if from_below {
                turn += 1;
            }
        }
    }

    fn give(&mut self, partition: TopicPartition, member: usize) {
        let from_another = self.given_up.get(&partition).is_some_and(|owner| *owner != member);
        if from_another || self.disputed.contains(&partition) {
            self.moves.insert(partition.clone(), member);
        }
        self.assigned[member].push(partition);
    }
}
