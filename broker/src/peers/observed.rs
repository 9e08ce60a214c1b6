//! Who leads what, as the leaders say: each tells every node, the highest epoch wins, and nothing of it is ever decided.

use std::collections::{BTreeMap, HashMap};

use leat_storage::GroupId;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

/// What a leader says of its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observation {
    pub(crate) leader: i32,
    pub(crate) epoch: i32,
    /// Nodes in sync, the leader among them.
    pub(crate) in_sync: Vec<i32>,
}

/// Everything that this node was told, and what it tells.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    known: RwLock<HashMap<GroupId, Observation>>,
    own: Mutex<Own>,
    /// Told when there is something new to tell.
    pub(super) news: Notify,
}

/// What is led here, in the order in which it changed.
#[derive(Debug, Default)]
struct Own {
    version: u64,
    changes: BTreeMap<u64, GroupId>,
    versions: HashMap<GroupId, u64>,
}

impl Observed {
    pub(crate) fn get(&self, group: GroupId) -> Option<Observation> {
        self.known.read().get(&group).cloned()
    }

    /// Takes in what a leader says. An older epoch, or the same one of another node, is out of date.
    pub(super) fn learn(&self, group: GroupId, observation: Observation) {
        let mut known = self.known.write();
        let newer = known.get(&group).is_none_or(|before| {
            before.epoch < observation.epoch
                || (before.epoch == observation.epoch && before.leader == observation.leader)
        });
        if newer {
            known.insert(group, observation);
        }
    }

    /// Says that this node leads a partition.
    pub(crate) fn lead(&self, group: GroupId, observation: Observation) {
        if self.known.read().get(&group) == Some(&observation) && self.own.lock().versions.contains_key(&group) {
            return;
        }
        self.learn(group, observation);
        let mut own = self.own.lock();
        own.version += 1;
        let version = own.version;
        own.changes.insert(version, group);
        if let Some(before) = own.versions.insert(group, version) {
            own.changes.remove(&before);
        }
        drop(own);
        self.news.notify_waiters();
    }

    /// This node leads a partition no longer.
    pub(crate) fn follow(&self, group: GroupId) {
        let mut own = self.own.lock();
        if let Some(before) = own.versions.remove(&group) {
            own.changes.remove(&before);
        }
    }

    /// A partition is gone.
    pub(crate) fn forget(&self, group: GroupId) {
        self.follow(group);
        self.known.write().remove(&group);
    }

    /// What changed here after `version`, up to `count` of it, and the version that the receiver then has.
    pub(super) fn since(&self, version: u64, count: usize) -> (Vec<(GroupId, Observation)>, u64) {
        let own = self.own.lock();
        let mut upto = version;
        let changed: Vec<GroupId> = own
            .changes
            .range(version + 1..)
            .take(count)
            .map(|(&version, &group)| {
                upto = version;
                group
            })
            .collect();
        drop(own);
        let known = self.known.read();
        (changed.into_iter().filter_map(|group| Some((group, known.get(&group)?.clone()))).collect(), upto)
    }
}

#[cfg(test)]
mod tests {
    use leat_protocol::Uuid;

    use super::*;

    fn group(partition: i32) -> GroupId {
        GroupId { topic_id: Uuid::nil(), partition }
    }

    fn says(leader: i32, epoch: i32) -> Observation {
        Observation { leader, epoch, in_sync: vec![leader] }
    }

    #[test]
    fn the_highest_epoch_wins() {
        let observed = Observed::default();
        for (told, then) in [(says(1, 3), says(1, 3)), (says(2, 2), says(1, 3)), (says(2, 4), says(2, 4))] {
            observed.learn(group(0), told);
            assert_eq!(observed.get(group(0)), Some(then));
        }
        let grown = Observation { in_sync: vec![2, 1], ..says(2, 4) };
        observed.learn(group(0), grown.clone());
        assert_eq!(observed.get(group(0)), Some(grown));
    }

    #[test]
    fn each_change_is_told_once_and_the_newest_only() {
        let observed = Observed::default();
        observed.lead(group(0), says(1, 1));
        observed.lead(group(1), says(1, 1));
        observed.lead(group(0), says(1, 2));
        observed.lead(group(0), says(1, 2));
        let (first, version) = observed.since(0, 1);
        assert_eq!(first, [(group(1), says(1, 1))]);
        let (second, version) = observed.since(version, 10);
        assert_eq!(second, [(group(0), says(1, 2))]);
        assert!(observed.since(version, 10).0.is_empty());
        observed.follow(group(1));
        assert_eq!(observed.since(0, 10).0, [(group(0), says(1, 2))]);
    }
}
