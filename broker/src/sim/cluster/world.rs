//! Chooses what happens next: whose turn it is, and what goes wrong.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use leat_protocol::Uuid;
use leat_storage::GroupId;

use super::super::client::Producer;
use super::super::disk;
use super::super::random::Random;
use super::Plant;
use super::account::Account;
use super::coordinator::Committer;
use super::network::Network;
use super::node::{Held, Node};
use crate::cluster::METADATA_GROUP;
use crate::metadata::{Image, Partition, Replica};

/// Topics, by what is done to them.
pub(super) const EVENTS: Uuid = Uuid::from_u128(1);
pub(super) const TABLE: Uuid = Uuid::from_u128(2);
pub(super) const OFFSETS: Uuid = Uuid::from_u128(3);

pub(super) const COORDINATED: GroupId = GroupId { topic_id: OFFSETS, partition: 0 };

/// Partitions that producers write to.
const WRITTEN: [GroupId; 3] = [
    GroupId { topic_id: EVENTS, partition: 0 },
    GroupId { topic_id: EVENTS, partition: 1 },
    GroupId { topic_id: TABLE, partition: 0 },
];

/// Steps after the last fault in which all that is under way has to end.
const PATIENCE: u32 = 400_000;

/// Whether compaction keeps the latest record of each key.
pub(super) fn is_keyed(group: GroupId) -> bool {
    group.topic_id == TABLE || group.topic_id == OFFSETS
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Steps with faults; then all is made well and what is under way must end.
    pub(super) steps: u32,
    /// Batches of each producer.
    pub(super) batches: u32,
    pub(super) plant: Option<Plant>,
    /// Real files instead of a model of them.
    pub(super) stored: bool,
    /// Prints what happens.
    pub(super) tells: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { steps: 12_000, batches: 25, plant: None, stored: false, tells: false }
    }
}

/// What happened, to see that enough did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) nodes: u64,
    pub(super) steps: u64,
    pub(super) batches: u64,
    pub(super) leaders: u64,
    pub(super) power_cuts: u64,
    pub(super) kills: u64,
    pub(super) lost: u64,
    pub(super) cuts: u64,
    pub(super) repeats: u64,
    pub(super) trims: u64,
    pub(super) compactions: u64,
    pub(super) seeds: u64,
    pub(super) moves: u64,
    pub(super) loads: u64,
    pub(super) commits: u64,
    /// Of everything that happened, in order.
    pub(super) trace: u64,
}

impl Summary {
    pub(super) fn add(&mut self, other: &Self) {
        self.nodes += other.nodes;
        self.steps += other.steps;
        self.batches += other.batches;
        self.leaders += other.leaders;
        self.power_cuts += other.power_cuts;
        self.kills += other.kills;
        self.lost += other.lost;
        self.cuts += other.cuts;
        self.repeats += other.repeats;
        self.trims += other.trims;
        self.compactions += other.compactions;
        self.seeds += other.seeds;
        self.moves += other.moves;
        self.loads += other.loads;
        self.commits += other.commits;
    }
}

pub(super) struct World {
    pub(super) options: Options,
    pub(super) random: Random,
    /// A node's place is one less than its id.
    pub(super) nodes: Vec<Node>,
    pub(super) network: Network,
    pub(super) producers: Vec<(GroupId, Producer)>,
    pub(super) committers: Vec<Committer>,
    pub(super) accounts: BTreeMap<GroupId, Account>,
    /// Checksums of the image after entries of the metadata.
    pub(super) images: BTreeMap<u64, u64>,
    /// The newest epoch in which a coordinator was loaded, and how many were.
    pub(super) loaded: (i32, u64),
    pub(super) summary: Summary,
    pub(super) trace: DefaultHasher,
    pub(super) now: u32,
    pub(super) healed: bool,
}

/// Prints a line of the trace, where somebody reads it.
macro_rules! tell {
    ($world:expr, $($what:tt)*) => {
        if $world.options.tells {
            eprintln!("{:>6} {}", $world.now, format_args!($($what)*));
        }
    };
}
pub(super) use tell;

impl World {
    pub(super) fn new(seed: u64, options: Options) -> World {
        let mut random = Random::new(seed);
        let nodes = 3 + random.below(5);
        let founders = if nodes >= 5 && random.per_mille(300) { 5 } else { 3 };
        let mut world = World {
            options,
            random,
            nodes: Vec::new(),
            network: Network::default(),
            producers: WRITTEN
                .into_iter()
                .enumerate()
                .map(|(number, group)| {
                    (group, Producer::new(number, options.batches, if is_keyed(group) { 5 } else { 0 }, 840))
                })
                .collect(),
            committers: (0..3).map(|number| Committer::new(number, options.batches)).collect(),
            accounts: BTreeMap::new(),
            images: BTreeMap::new(),
            loaded: (0, 0),
            summary: Summary { nodes: nodes as u64, ..Summary::default() },
            trace: DefaultHasher::new(),
            now: 0,
            healed: false,
        };
        let replicas = |count: usize| (1..=count).map(|id| Replica { id: id as u64, node_id: id as i32 }).collect();
        let met = Partition::placed(replicas(founders));
        for at in 0..nodes {
            world.add_node(met.clone());
            if at < founders {
                let disk = world.new_disk();
                world.nodes[at].held.insert(METADATA_GROUP, Held::new(at as u64 + 1, disk));
            }
        }
        world
    }

    pub(super) fn add_node(&mut self, met: Partition) {
        let (id, speed) = (self.nodes.len() as i32 + 1, 500 + self.random.below(500));
        let skew_ms = self.random.below(100_000) as i64;
        self.nodes.push(Node::new(id, met, speed, skew_ms));
    }

    pub(super) fn new_disk(&mut self) -> Box<dyn disk::Disk> {
        let seed = self.random.next();
        disk::make(self.options.stored, seed, self.options.plant)
    }

    /// One world from beginning to end; an error says which promise was broken.
    pub(super) fn run(mut self) -> Result<Summary, String> {
        for at in 0..self.nodes.len() {
            if !self.nodes[at].held.is_empty() {
                self.start(at)?;
            }
        }
        while self.now < self.options.steps {
            self.step()?;
        }
        self.heal()?;
        while !(self.now.is_multiple_of(128) && self.is_settled()) {
            if self.now > self.options.steps + PATIENCE {
                return Err(self.stuck());
            }
            self.step()?;
        }
        self.finish()
    }

    fn step(&mut self) -> Result<(), String> {
        self.now += 1;
        let at = self.random.below(self.nodes.len());
        let choice = self.random.below(1000);
        (at, choice).hash(&mut self.trace);
        let node = &self.nodes[at];
        if !node.up && !node.lost && !node.held.is_empty() && self.now >= node.not_before {
            return self.start(at);
        }
        match choice {
            300..620 => return self.deliver(),
            790..870 => return self.produce(),
            870..890 => return self.commit(),
            926..938 => return self.operate(),
            _ => {}
        }
        if self.nodes[at].runs(self.now) {
            match choice {
                0..170 => return self.tick(at),
                170..300 => return self.write(at),
                620..760 => return self.sync(at),
                760..775 => return self.coordinate(at),
                775..790 => return self.steer(at),
                890..905 => return self.checkpoint(at),
                905..915 => return self.trim(at),
                915..920 => return self.compact(at),
                920..926 => return self.notice(at),
                938..941 => return self.look(at),
                _ => {}
            }
        }
        if self.healed || !self.random.per_mille(300) {
            return Ok(());
        }
        match choice {
            941..946 => self.unrest(at),
            946..952 => self.cut_off(at),
            // To see that a number is given twice, disks have to be lost often.
            952..957 if self.options.plant == Some(Plant::IdReused) => self.lose(at),
            952..957 => self.crash(at, true),
            957..962 => self.crash(at, false),
            962..967 => {
                tell!(self, "node {} stands still", at + 1);
                self.nodes[at].not_before = self.now + self.random.below(400) as u32;
                Ok(())
            }
            967..972 => self.lose(at),
            972.. => {
                self.network.heal();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Something that an operator, or a false alarm, may do at any time.
    fn unrest(&mut self, at: usize) -> Result<(), String> {
        use crate::replica::Event;
        let Some(group) = self.some_group(at) else { return Ok(()) };
        let rank = self.random.below(3);
        let members: Vec<u64> =
            self.nodes[at].placement(group).iter().flat_map(|placed| placed.members()).map(|held| held.id).collect();
        match self.random.below(3) {
            0 => self.event(at, group, Event::LeaderLost { rank }),
            1 => self.event(at, group, Event::Campaign),
            _ if members.is_empty() => Ok(()),
            _ => {
                let to = members[self.random.below(members.len())];
                self.event(at, group, Event::Transfer { to })
            }
        }
    }

    /// A group of which a node holds a replica.
    pub(super) fn some_group(&mut self, at: usize) -> Option<GroupId> {
        let count = self.nodes[at].held.len();
        let place = self.random.below(count.max(1));
        self.nodes[at].held.keys().nth(place).copied()
    }

    /// A node can't be heard, or can't hear, or both.
    fn cut_off(&mut self, at: usize) -> Result<(), String> {
        let (from, to, id) = (self.random.per_mille(700), self.random.per_mille(700), self.nodes[at].id);
        tell!(self, "node {id} can't {}", if from { "be heard" } else { "hear" });
        for other in 1..=self.nodes.len() as i32 {
            // Now and then some links are left.
            if other == id || self.random.per_mille(200) {
                continue;
            }
            if from {
                self.network.cut(id, other);
            }
            if to {
                self.network.cut(other, id);
            }
        }
        Ok(())
    }

    pub(super) fn crash(&mut self, at: usize, power: bool) -> Result<(), String> {
        if !self.nodes[at].up {
            return Ok(());
        }
        tell!(self, "node {} {}", at + 1, if power { "loses power" } else { "is killed" });
        let node = &mut self.nodes[at];
        node.up = false;
        node.not_before = self.now + self.random.below(400) as u32;
        for held in node.held.values_mut() {
            held.end();
            match power {
                true => held.disk.cut_power(&mut self.random)?,
                false => held.disk.kill(&mut self.random),
            }
        }
        *(if power { &mut self.summary.power_cuts } else { &mut self.summary.kills }) += 1;
        let nodes = self.nodes.len();
        for (_, producer) in self.producers.iter_mut().filter(|(_, producer)| producer.leader % nodes == at) {
            producer.disconnected(&mut self.random);
        }
        Ok(())
    }

    /// A node's disks are gone for good, where nothing is lost with them: it holds one of three replicas at most, and of no
    /// partition that changes. A new node comes for it. It is one that votes on the metadata, and few of those: nobody takes a
    /// broker out of the metadata, so that one which is lost may never become a voter.
    fn lose(&mut self, at: usize) -> Result<(), String> {
        let Some(newest) = self.newest_image() else { return Ok(()) };
        let settled = |placed: &Partition| {
            let dead = |held: &Replica| self.nodes[held.node_id as usize - 1].lost;
            placed.change.is_none() && placed.replicas.len() >= 3 && !placed.replicas.iter().any(dead)
        };
        let votes = |image: &Image| image.metadata().replicas.iter().any(|held| held.node_id == at as i32 + 1);
        let image = &self.nodes[newest].image;
        let safe = image.topic_count() == 3
            && image.topics().flat_map(|topic| &topic.partitions).all(settled)
            && settled(image.metadata())
            && votes(image)
            && self.nodes[at].up;
        if !safe {
            return Ok(());
        }
        self.crash(at, true)?;
        self.summary.lost += 1;
        if self.options.plant == Some(Plant::IdReused) {
            for group in self.nodes[at].held.keys().copied().collect::<Vec<_>>() {
                let disk = self.new_disk();
                if let Some(held) = self.nodes[at].held.get_mut(&group) {
                    held.disk = disk;
                }
            }
            self.nodes[at].not_before = 0;
            return Ok(());
        }
        tell!(self, "node {} is lost for good", at + 1);
        self.nodes[at].lost = true;
        self.nodes[at].held.clear();
        let met = self.nodes[0].met.clone();
        self.add_node(Partition { observers: Vec::new(), ..met });
        Ok(())
    }

    /// No faults from here on.
    fn heal(&mut self) -> Result<(), String> {
        tell!(self, "no more faults");
        self.healed = true;
        self.network.heal();
        self.network.lossless = true;
        for at in 0..self.nodes.len() {
            self.nodes[at].not_before = 0;
            if !self.nodes[at].up && !self.nodes[at].lost && !self.nodes[at].held.is_empty() {
                self.start(at)?;
            }
        }
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let clients = self.producers.iter().all(|(_, producer)| producer.is_done())
            && self.committers.iter().all(Committer::is_done);
        let Some(newest) = self.newest_image().filter(|_| clients) else { return false };
        let image = &self.nodes[newest].image;
        let placed = |group: GroupId, placed: &Partition| {
            placed.change.is_none()
                && placed.members().all(|replica| {
                    let node = &self.nodes[replica.node_id as usize - 1];
                    let whole = |held: &Held| {
                        held.replica.is_some()
                            && held.replica_id == replica.id
                            && held.disk.is_idle()
                            && held.fetching.is_none()
                            && self
                                .accounts
                                .get(&group)
                                .is_some_and(|account| account.is_in(&*held.disk, held.log_start))
                    };
                    let lost_voter = node.lost && group == METADATA_GROUP;
                    lost_voter || (node.caught_up && node.held.get(&group).is_some_and(whole))
                })
        };
        image.topic_count() == 3
            && self.nodes.iter().all(|node| node.lost || (node.caught_up && node.image.version() == image.version()))
            && placed(METADATA_GROUP, image.metadata())
            && image.topics().all(|topic| {
                let group = |partition| GroupId { topic_id: topic.id, partition };
                (0..).zip(&topic.partitions).all(|(index, decided)| placed(group(index), decided))
            })
    }

    fn stuck(&self) -> String {
        let mut told = format!("nothing goes on: {} packets under way", self.network.len());
        for node in self.nodes.iter().filter(|node| !node.lost) {
            told += &format!(
                "\nnode {} up {} caught up {} image {}",
                node.id,
                node.up,
                node.caught_up,
                node.image.version()
            );
            for (group, held) in &node.held {
                let account = self.accounts.get(group);
                told += &format!(
                    "\n  {group:?} {:?} placed {:?} start {} of {:?} idle {} whole {:?} fetching {}",
                    held.replica,
                    node.placement(*group),
                    held.log_start,
                    account.map(|account| account.trimmed),
                    held.disk.is_idle(),
                    account.map(|account| account.is_in(&*held.disk, held.log_start)),
                    held.fetching.is_some()
                );
            }
        }
        told + &format!("\n{:?}\n{:?}", self.producers, self.committers)
    }

    fn finish(mut self) -> Result<Summary, String> {
        for (group, account) in &self.accounts {
            account.ledger.settle().map_err(|broken| format!("{group:?}: {broken}"))?;
            for node in &self.nodes {
                let Some(held) = node.held.get(group) else { continue };
                let checked = account.check(&*held.disk, held.log_start, account.end(), is_keyed(*group));
                checked.map_err(|broken| format!("{group:?} at the end, on node {}: {broken}", node.id))?;
                self.summary.cuts += held.disk.cuts();
            }
            self.summary.batches += account.ledger.batches() as u64;
        }
        self.summary.repeats = self.producers.iter().map(|(_, producer)| producer.repeats).sum();
        self.summary.steps = self.now.into();
        self.summary.trace = self.trace.finish();
        Ok(self.summary)
    }
}
