//! Sticky assignment where members subscribe to different topics: everybody keeps what it still subscribes to, the rest goes to
//! those with the least, and then partitions move for as long as that makes the assignment more even.
//!
//! Source: GeneralAssignmentBuilder of Apache Kafka 4.3.1, without racks.

use std::collections::{BTreeSet, HashMap};

use leat_protocol::Str;

use super::movements::Movements;
use super::sticky::{Before, Memory};
use super::{Assigned, Counts, Member, partitions_of};
use crate::TopicPartition;

struct Builder<'a> {
    members: &'a [Member],
    counts: &'a Counts,
    /// Who subscribes to a topic.
    readers: HashMap<Str, Vec<usize>>,
    /// Place of a member's id among all, and the member at each place.
    rank: Vec<usize>,
    by_rank: Vec<usize>,
    assigned: Assigned,
    owner: HashMap<TopicPartition, usize>,
    /// Members that may give or take, those with the least first: (partitions, rank).
    sorted: BTreeSet<(usize, usize)>,
    /// What members had in an older generation, with that generation.
    older: HashMap<TopicPartition, (usize, i32)>,
    movements: Movements,
}

pub(super) fn assign(counts: &Counts, members: &[Member], before: Before) -> Assigned {
    let mut builder = Builder::new(counts, members, &before);
    let revoked = builder.keep(before.owned);
    let all = builder.all_partitions();
    let unassigned: Vec<_> = all.iter().filter(|partition| !builder.owner.contains_key(partition)).cloned().collect();
    builder.sorted = (0..members.len()).map(|member| builder.key(member)).collect();
    builder.balance(all, unassigned, revoked);
    builder.assigned
}

impl<'a> Builder<'a> {
    fn new(counts: &'a Counts, members: &'a [Member], before: &Before) -> Self {
        let mut readers: HashMap<Str, Vec<usize>> = HashMap::new();
        for (at, member) in members.iter().enumerate() {
            for topic in member.topics.iter().filter(|topic| counts.contains_key(*topic)) {
                readers.entry(topic.clone()).or_default().push(at);
            }
        }
        let mut by_id: Vec<usize> = (0..members.len()).collect();
        by_id.sort_by(|a, b| members[*a].id.cmp(&members[*b].id));
        let mut rank = vec![0; members.len()];
        by_id.iter().enumerate().for_each(|(place, member)| rank[*member] = place);
        Self {
            members,
            counts,
            readers,
            rank,
            by_rank: by_id,
            assigned: vec![Vec::new(); members.len()],
            owner: HashMap::new(),
            sorted: BTreeSet::new(),
            older: older(&before.memories),
            movements: Movements::default(),
        }
    }

    fn key(&self, member: usize) -> (usize, usize) {
        (self.assigned[member].len(), self.rank[member])
    }

    fn subscribes(&self, member: usize, topic: &Str) -> bool {
        self.members[member].topics.contains(topic)
    }

    /// Members keep what they still subscribe to. `true`: some have to give something up.
    fn keep(&mut self, owned: Assigned) -> bool {
        let mut revoked = false;
        for (member, owned) in owned.into_iter().enumerate() {
            for partition in owned {
                if self.subscribes(member, &partition.topic) {
                    self.owner.insert(partition.clone(), member);
                    self.assigned[member].push(partition);
                } else {
                    revoked = true;
                }
            }
        }
        revoked
    }

    /// Those that the fewest members can read first.
    fn all_partitions(&self) -> Vec<TopicPartition> {
        let mut topics: Vec<_> = self.readers.iter().collect();
        topics.sort_by_key(|(topic, readers)| (readers.len(), *topic));
        topics.into_iter().flat_map(|(topic, _)| partitions_of(topic, self.counts)).collect()
    }

    fn balance(&mut self, mut all: Vec<TopicPartition>, mut unassigned: Vec<TopicPartition>, revoked: bool) {
        let from_nothing = self.assigned.iter().all(Vec::is_empty);
        for partition in &unassigned {
            let found = self.sorted.iter().find(|key| self.subscribes(self.member(**key), &partition.topic)).copied();
            if let Some(key) = found {
                let member = self.member(key);
                self.sorted.remove(&key);
                self.assigned[member].push(partition.clone());
                self.owner.insert(partition.clone(), member);
                self.sorted.insert(self.key(member));
            }
        }
        // What only one member can read stays where it is, and so do members with nothing but that.
        let fixed = |partition: &TopicPartition| self.readers[&partition.topic].len() < 2;
        all.retain(|partition| !fixed(partition));
        unassigned.retain(|partition| !fixed(partition));
        for member in 0..self.members.len() {
            if !self.takes_part(member) {
                self.sorted.remove(&self.key(member));
            }
        }
        let before = self.assigned.clone();
        if !revoked {
            self.reassign(&unassigned);
        }
        let moved = self.reassign(&all);
        if !from_nothing && moved && self.unevenness(&self.assigned) >= self.unevenness(&before) {
            self.assigned = before;
        }
    }

    fn member(&self, key: (usize, usize)) -> usize {
        self.by_rank[key.1]
    }

    /// How many partitions a member could have at most.
    fn most(&self, member: usize) -> usize {
        let count = |topic: &Str| self.counts.get(topic).map_or(0, |count| usize::try_from(*count).unwrap_or(0));
        self.members[member].topics.iter().map(count).sum()
    }

    /// Whether a member could get or give something.
    fn takes_part(&self, member: usize) -> bool {
        let assigned = &self.assigned[member];
        assigned.len() < self.most(member) || assigned.iter().any(|partition| self.readers[&partition.topic].len() >= 2)
    }

    /// Moves partitions until nothing gets better. `true`: some moved.
    fn reassign(&mut self, partitions: &[TopicPartition]) -> bool {
        let mut any = false;
        loop {
            let mut modified = false;
            for partition in partitions {
                if self.is_balanced() {
                    break;
                }
                let Some(to) = self.better_owner(partition) else { continue };
                self.move_to(partition, to);
                modified = true;
            }
            any |= modified;
            if !modified {
                return any;
            }
        }
    }

    /// Who should have a partition in its owner's place: who had it before, or who has the least.
    fn better_owner(&self, partition: &TopicPartition) -> Option<usize> {
        let owner = *self.owner.get(partition)?;
        let less = |member: usize| self.assigned[owner].len() > self.assigned[member].len() + 1;
        // Java does not ask whether that one still subscribes, and may assign it what it does not read.
        if let Some((earlier, _)) = self.older.get(partition)
            && self.subscribes(*earlier, &partition.topic)
            && less(*earlier)
        {
            return Some(*earlier);
        }
        if !self.readers[&partition.topic].iter().any(|reader| less(*reader)) {
            return None;
        }
        let mut sorted = self.sorted.iter().map(|key| self.member(*key));
        sorted.find(|member| self.subscribes(*member, &partition.topic))
    }

    fn move_to(&mut self, partition: &TopicPartition, to: usize) {
        let Some(owner) = self.owner.get(partition).copied() else { return };
        let partition = self.movements.instead_of(partition, owner, to);
        let Some(from) = self.owner.insert(partition.clone(), to) else { return };
        self.sorted.remove(&self.key(from));
        self.sorted.remove(&self.key(to));
        self.movements.moved(&partition, from, to);
        self.assigned[from].retain(|own| *own != partition);
        self.assigned[to].push(partition);
        self.sorted.insert(self.key(from));
        self.sorted.insert(self.key(to));
    }

    /// Whether no member could take a partition of one that has at least two more.
    fn is_balanced(&self) -> bool {
        let (Some(first), Some(last)) = (self.sorted.first(), self.sorted.last()) else { return true };
        if first.0 + 1 >= last.0 {
            return true;
        }
        self.sorted.iter().all(|key| {
            let member = self.member(*key);
            let richer = |owner: usize| key.0 + 1 < self.assigned[owner].len();
            let topics = &self.members[member].topics;
            key.0 == self.most(member)
                || !topics
                    .iter()
                    .flat_map(|topic| partitions_of(topic, self.counts))
                    .any(|partition| self.owner.get(&partition).is_some_and(|owner| *owner != member && richer(*owner)))
        })
    }

    /// The sum of the differences between all pairs of members that take part.
    fn unevenness(&self, assigned: &Assigned) -> usize {
        let sizes: Vec<usize> = self.sorted.iter().map(|key| assigned[self.member(*key)].len()).collect();
        let pairs = sizes.iter().enumerate().flat_map(|(at, a)| sizes[at + 1..].iter().map(move |b| a.abs_diff(*b)));
        pairs.sum()
    }
}

/// The newest of what members had in generations before the newest.
fn older(memories: &[Memory]) -> HashMap<TopicPartition, (usize, i32)> {
    let newest = memories.iter().filter_map(|memory| memory.generation).max().unwrap_or(-1);
    let mut older: HashMap<TopicPartition, (usize, i32)> = HashMap::new();
    for (member, memory) in memories.iter().enumerate() {
        let generation = memory.generation.unwrap_or(-1);
        if generation >= newest {
            continue;
        }
        for partition in &memory.owned {
            let known = older.get(partition).map(|(_, known)| *known);
            if known.is_none_or(|known| generation > known) {
                older.insert(partition.clone(), (member, generation));
            }
        }
    }
    older
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_generations_before_the_newest_are_older() {
        let partition = TopicPartition::new("t", 0);
        let memory = |generation| Memory { owned: vec![partition.clone()], generation };
        let found = older(&[memory(Some(3)), memory(None), memory(Some(5)), memory(Some(4))]);
        assert_eq!(found[&partition], (3, 4));
        assert!(older(&[memory(None), memory(None)]).is_empty());
    }
}
