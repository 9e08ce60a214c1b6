//! One partition of the image: who holds it, who should, and who may still.
//!
//! ```text
//!   settled --asked--> changing --asked again, or taken back--> changing --its leader says that it is done--> settled
//! ```
//!
//! While it changes, every replica that its Raft group may have is one of `replicas` or `leaving`, and keeps its log.

/// One placement of a partition on a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The replica's number in its Raft group: at least 1, given once and never again.
    pub id: u64,
    /// The broker; 0 is legal.
    pub node_id: i32,
}

/// A partition: who holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Its replicas, the preferred leader first; while they change, those that should be.
    pub replicas: Vec<Replica>,
    /// Replicas that follow without a vote: of the metadata only.
    pub observers: Vec<Replica>,
    /// The first members of its Raft group, as its log does not say.
    pub founders: Vec<Replica>,
    /// Set while others should hold it than do.
    pub change: Option<Change>,
    /// An entry of its log that is known to be committed, by index and term: it is at or past the last change of members. Zeros
    /// where they never changed.
    pub decided: (u64, u64),
}

/// A change of replicas that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Who held it when the first of the changes was asked for: what it goes back to.
    pub before: Vec<Replica>,
    /// Who may still be a member of the group, but should not.
    pub leaving: Vec<Replica>,
}

/// Voters of the metadata at most.
const VOTERS_MAX: usize = 5;

impl Partition {
    /// As it is made.
    pub(crate) fn placed(replicas: Vec<Replica>) -> Self {
        Self { founders: replicas.clone(), replicas, ..Self::default() }
    }

    /// Every replica that its group may have, the preferred leader first.
    pub fn members(&self) -> impl Iterator<Item = Replica> {
        let leaving = self.change.iter().flat_map(|change| &change.leaving);
        self.replicas.iter().chain(&self.observers).chain(leaving).copied()
    }

    /// The brokers that hold it, the preferred leader first.
    pub fn nodes(&self) -> Vec<i32> {
        self.members().map(|replica| replica.node_id).collect()
    }

    /// The replica on a broker.
    pub fn replica_on(&self, node_id: i32) -> Option<Replica> {
        self.members().find(|replica| replica.node_id == node_id)
    }

    /// Replicas that did not hold it before the change.
    pub fn adding(&self) -> impl Iterator<Item = Replica> {
        let before = self.change.as_ref().map(|change| &change.before);
        self.replicas.iter().copied().filter(move |replica| before.is_some_and(|before| !before.contains(replica)))
    }

    /// Replicas that will no more hold it.
    pub fn removing(&self) -> &[Replica] {
        self.change.as_ref().map_or(&[], |change| &change.leaving)
    }

    /// The ids of all replicas that there should be, those that vote first.
    pub fn wanted_ids(&self) -> Vec<u64> {
        self.replicas.iter().chain(&self.observers).map(|replica| replica.id).collect()
    }

    /// The group has one more replica, on a broker that is new. Of the metadata there are at most five voters, and an odd
    /// number: an even one bears no more losses.
    pub(super) fn join(&mut self, replica: Replica) {
        self.observers.push(replica);
        self.vote(self.replicas.clone());
    }

    /// The group has one replica less, whose broker is taken out; another votes in its place, or one more follows only.
    pub(super) fn leave(&mut self, node_id: i32) {
        let left = self.replica_on(node_id);
        self.observers.retain(|replica| replica.node_id != node_id);
        self.vote(self.replicas.iter().copied().filter(|replica| replica.node_id != node_id).collect());
        if let (Some(left), Some(change)) = (left, &mut self.change)
            && !change.leaving.contains(&left)
        {
            change.leaving.push(left);
        }
    }

    /// These should vote, and of those that follow as many more, or of these as many less, as there should be.
    fn vote(&mut self, mut replicas: Vec<Replica>) {
        let all = replicas.len() + self.observers.len();
        let voters = (all - (all + 1) % 2).min(VOTERS_MAX);
        if voters > replicas.len() {
            replicas.extend(self.observers.drain(..voters - replicas.len()));
        } else {
            self.observers.splice(0..0, replicas.split_off(voters));
        }
        self.reassign(replicas);
    }

    /// These replicas should hold it.
    pub(super) fn reassign(&mut self, replicas: Vec<Replica>) {
        let was = std::mem::replace(&mut self.replicas, replicas);
        let change = self.change.get_or_insert_with(|| Change { before: was.clone(), leaving: Vec::new() });
        for replica in was {
            if !change.leaving.contains(&replica) {
                change.leaving.push(replica);
            }
        }
        change.leaving.retain(|replica| !self.replicas.contains(replica) && !self.observers.contains(replica));
    }
}
