//! `roundrobin`: all partitions of all topics in turn, to the next member that subscribes to the topic.

use std::collections::BTreeSet;

use super::{Assigned, Counts, Member, by_identity, partitions_of};

pub(super) fn assign(counts: &Counts, members: &[Member]) -> Assigned {
    let mut assigned = vec![Vec::new(); members.len()];
    let mut turns = by_identity(members).into_iter().cycle();
    let topics: BTreeSet<_> = members.iter().flat_map(|member| &member.topics).collect();
    for topic in topics {
        for partition in partitions_of(topic, counts) {
            // Somebody subscribes to it, so this ends.
            if let Some(reader) = turns.find(|at| members[*at].topics.contains(topic)) {
                assigned[reader].push(partition);
            }
        }
    }
    assigned
}
