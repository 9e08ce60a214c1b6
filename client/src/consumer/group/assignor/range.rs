//! `range`: of each topic, members get neighbouring partitions, the first ones the odd ones.

use leat_protocol::Str;

use super::{Assigned, Counts, Member, by_identity, java, partitions_of};

pub(super) fn assign(counts: &Counts, members: &[Member]) -> Assigned {
    let mut assigned = vec![Vec::new(); members.len()];
    let order = by_identity(members);
    for topic in topics(counts, members) {
        let readers: Vec<usize> = order.iter().copied().filter(|at| members[*at].topics.contains(&topic)).collect();
        let count = usize::try_from(counts[&topic]).unwrap_or(0);
        let (each, mut odd) = (count / readers.len(), count % readers.len());
        let mut partitions = partitions_of(&topic, counts);
        for reader in readers {
            let own = each + usize::from(odd > 0);
            odd = odd.saturating_sub(1);
            assigned[reader].extend(partitions.by_ref().take(own));
        }
    }
    assigned
}

/// The topics that there are, in the order of Java's map of them, which a set of all subscriptions fills.
fn topics(counts: &Counts, members: &[Member]) -> Vec<Str> {
    let mut all: Vec<Str> = Vec::new();
    for topic in members.iter().flat_map(|member| &member.topics) {
        if !all.contains(topic) {
            all.push(topic.clone());
        }
    }
    let mut topics = java::map_order(all, |topic| java::string_hash(topic));
    topics.retain(|topic| counts.contains_key(topic));
    java::map_order(topics, |topic| java::string_hash(topic))
}
