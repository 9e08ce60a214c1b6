//! A node: what it holds of which groups, and what it knows of the others.

use std::collections::{BTreeMap, VecDeque};

use leat_storage::GroupId;

use super::super::client::Token as Batch;
use super::super::disk::{Copy, Disk};
use crate::coordinator::Machine;
use crate::groups::Groups;
use crate::metadata::{Image, Partition};
use crate::replica::Replica;

/// Names a proposal to whoever made it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token {
    /// Of this producer.
    Producer { of: usize, batch: Batch },
    /// Of a coordinator in one of its lives.
    Coordinator { life: u64, write: u64 },
    /// Nobody waits for it.
    Nobody,
}

pub(super) struct Node {
    pub(super) id: i32,
    pub(super) up: bool,
    /// It never comes back: its disks are gone.
    pub(super) lost: bool,
    /// The step at which it is started again, where it is down; until then it stands still, where it is up.
    pub(super) not_before: u32,
    pub(super) starts: u32,
    /// How many of a thousand ticks its clock makes, and how far it is from the others'.
    pub(super) speed: usize,
    pub(super) skew_ms: i64,
    pub(super) ticks: u64,
    /// The others as it last heard of them, with their starts.
    pub(super) seen: BTreeMap<i32, u32>,
    pub(super) image: Image,
    /// What it knows of the metadata's replicas while the image says nothing.
    pub(super) met: Partition,
    /// The image is what the cluster had decided when the node came: up to this entry.
    pub(super) caught_up: bool,
    pub(super) decided: Option<u64>,
    pub(super) held: BTreeMap<GroupId, Held>,
}

/// A replica on its node.
pub(super) struct Held {
    pub(super) replica_id: u64,
    pub(super) disk: Box<dyn Disk>,
    pub(super) replica: Option<Replica<Token>>,
    pub(super) applied: u64,
    pub(super) log_start: i64,
    pub(super) high_watermark: i64,
    /// Where its log was last seen to begin.
    pub(super) begin: (u64, i64),
    pub(super) led: bool,
    /// Entries that a consumer has read here.
    pub(super) read: u64,
    /// How much there was to read when one last looked.
    pub(super) looked: (u64, i64),
    /// Replicas that were heard of, and where they are.
    pub(super) heard: BTreeMap<u64, i32>,
    /// When each replica was told last that it has to be seeded.
    pub(super) told_lacking: BTreeMap<u64, u32>,
    pub(super) fetching: Option<Fetch>,
    pub(super) coordinator: Option<Coordinator>,
}

/// A log on its way here.
pub(super) struct Fetch {
    pub(super) arrives: u32,
    pub(super) copy: Copy,
}

/// The coordinator of a partition, while its replica leads.
pub(super) struct Coordinator {
    pub(super) life: u64,
    pub(super) machine: Groups,
    pub(super) epoch: i32,
    pub(super) in_flight: VecDeque<(u64, Vec<<Groups as Machine>::Written>)>,
    pub(super) writes: u64,
}

impl Held {
    pub(super) fn new(replica_id: u64, disk: Box<dyn Disk>) -> Held {
        Held {
            replica_id,
            disk,
            replica: None,
            applied: 0,
            log_start: 0,
            high_watermark: 0,
            begin: (1, 0),
            led: false,
            read: 0,
            looked: (0, 0),
            heard: BTreeMap::new(),
            told_lacking: BTreeMap::new(),
            fetching: None,
            coordinator: None,
        }
    }

    pub(super) fn leads(&self) -> bool {
        self.replica.as_ref().is_some_and(|replica| replica.is_leader() && replica.is_settled())
    }

    /// The process has ended.
    pub(super) fn end(&mut self) {
        (self.replica, self.fetching, self.coordinator) = (None, None, None);
        self.led = false;
        self.heard.clear();
        self.told_lacking.clear();
    }
}

impl Node {
    pub(super) fn new(id: i32, met: Partition, speed: usize, skew_ms: i64) -> Node {
        Node {
            id,
            up: false,
            lost: false,
            not_before: 0,
            starts: 0,
            speed,
            skew_ms,
            ticks: 0,
            seen: BTreeMap::new(),
            image: Image::default(),
            met,
            caught_up: false,
            decided: None,
            held: BTreeMap::new(),
        }
    }

    pub(super) fn runs(&self, now: u32) -> bool {
        self.up && now >= self.not_before
    }

    /// Who holds a group, as far as this node knows.
    pub(super) fn placement(&self, group: GroupId) -> Option<&Partition> {
        if group == crate::cluster::METADATA_GROUP {
            let decided = self.image.metadata();
            return Some(if decided.replicas.is_empty() { &self.met } else { decided });
        }
        self.image.topic_by_id(group.topic_id)?.partition(group.partition)
    }

    /// The node of a replica.
    pub(super) fn node_of(&self, group: GroupId, replica_id: u64) -> Option<i32> {
        let placed = self.placement(group).and_then(|placed| placed.members().find(|held| held.id == replica_id));
        let heard = || self.held.get(&group)?.heard.get(&replica_id).copied();
        placed.map(|held| held.node_id).or_else(heard)
    }

    pub(super) fn wall_ms(&self, now: u32) -> i64 {
        1_000_000 + i64::from(now) * 10 + self.skew_ms
    }
}
