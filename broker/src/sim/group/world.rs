//! Chooses what happens next and carries out what replicas ask for.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::super::Plant;
use super::super::client::{Producer, Token};
use super::super::disk::{self, Disk, Opening, readable};
use super::super::ledger::Ledger;
use super::super::random::Random;
use super::network::Network;
use super::placement::Placement;
use crate::replica::{Acks, Applied, Effects, Event, Replica, Settings, Wanted};

#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) voters: u64,
    /// Nodes beside those of the first voters: members change where there are some.
    pub(super) spares: u64,
    /// Steps with faults; then all is made well and what is under way must end.
    pub(super) steps: u32,
    pub(super) producers: usize,
    /// Batches of each producer.
    pub(super) batches: u32,
    pub(super) plant: Option<Plant>,
    /// Real files instead of a model of them.
    pub(super) stored: bool,
    /// Few faults, so that there is time to rest between them.
    pub(super) calm: bool,
    /// Answers come once a majority has written. Then no machine loses power.
    pub(super) relaxed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            voters: 3,
            spares: 0,
            steps: 4000,
            producers: 3,
            batches: 25,
            plant: None,
            stored: false,
            calm: false,
            relaxed: false,
        }
    }
}

/// What happened, to see that enough did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) batches: u64,
    pub(super) leaders: u64,
    pub(super) power_cuts: u64,
    pub(super) kills: u64,
    pub(super) cuts: u64,
    pub(super) repeats: u64,
    pub(super) checkpoints: u64,
    /// Times that a replica was seen at rest.
    pub(super) rests: u64,
    /// Changes of members that were asked for, that ended, and of those asked that took one back.
    pub(super) moves: u64,
    pub(super) moved: u64,
    pub(super) cancels: u64,
    /// Of everything that happened, in order.
    pub(super) trace: u64,
}

impl Summary {
    pub(super) fn add(&mut self, other: &Self) {
        self.batches += other.batches;
        self.leaders += other.leaders;
        self.power_cuts += other.power_cuts;
        self.kills += other.kills;
        self.cuts += other.cuts;
        self.repeats += other.repeats;
        self.checkpoints += other.checkpoints;
        self.rests += other.rests;
        self.moves += other.moves;
        self.moved += other.moved;
        self.cancels += other.cancels;
    }
}

pub(super) struct Node {
    pub(super) id: u64,
    /// It may hold a replica.
    pub(super) hosts: bool,
    replica: Option<Replica<Token>>,
    disk: Box<dyn Disk>,
    /// The step at which it is started again.
    up_at: u32,
    starts: u32,
    /// The others as it last heard of them, with their starts.
    seen: BTreeMap<u64, u32>,
    led: bool,
    applied: u64,
    /// Entries that a consumer has read here.
    read: u64,
}

struct World {
    options: Options,
    random: Random,
    nodes: Vec<Node>,
    network: Network,
    producers: Vec<Producer>,
    ledger: Ledger,
    placement: Placement,
    summary: Summary,
    trace: DefaultHasher,
    now: u32,
    healed: bool,
}

/// One world from beginning to end; an error says which promise was broken.
pub(super) fn run(seed: u64, options: Options) -> Result<Summary, String> {
    let mut world = World::new(seed, options);
    for at in 0..options.voters as usize {
        world.start(at)?;
    }
    while world.now < options.steps {
        world.step()?;
    }
    world.heal()?;
    for _ in 0..200_000 {
        if world.is_settled() {
            break;
        }
        world.step()?;
    }
    world.finish()
}

impl World {
    fn new(seed: u64, options: Options) -> Self {
        let node = |id| Node {
            id,
            hosts: id <= options.voters,
            replica: None,
            disk: disk::make(options.stored, seed.wrapping_mul(31).wrapping_add(id), options.plant),
            up_at: 0,
            starts: 0,
            seen: BTreeMap::new(),
            led: false,
            applied: 0,
            read: 0,
        };
        Self {
            options,
            random: Random::new(seed),
            nodes: (1..=options.voters + options.spares).map(node).collect(),
            network: Network::default(),
            producers: (0..options.producers).map(|number| Producer::new(number, options.batches, 0, 8)).collect(),
            ledger: Ledger::default(),
            placement: Placement::new(options.voters, options.spares),
            summary: Summary::default(),
            trace: DefaultHasher::new(),
            now: 0,
            healed: false,
        }
    }

    fn step(&mut self) -> Result<(), String> {
        self.now += 1;
        let at = self.random.below(self.nodes.len());
        let choice = self.random.below(1000);
        (at, choice).hash(&mut self.trace);
        if self.nodes[at].hosts && self.nodes[at].replica.is_none() && self.now >= self.nodes[at].up_at {
            return self.start(at);
        }
        match choice {
            0..205 => self.tick(at),
            205..590 => self.deliver(),
            590..710 => self.write(at),
            710..820 => self.sync(at),
            820..950 if self.options.calm && self.now % 1000 < 800 => Ok(()),
            920..950 if self.placement.is_changing() => self.steer(at),
            820..950 => self.produce(),
            950..957 => self.checkpoint(at),
            957..963 => self.notice(at),
            998.. if self.options.spares > 0 && !self.healed => self.reassign(),
            // With more nodes each has fewer turns to recover in.
            966..986 if self.options.spares > 0 && self.random.per_mille(700) => Ok(()),
            _ if self.healed || (self.options.calm && !self.random.per_mille(60)) => Ok(()),
            963..966 => self.unrest(at),
            966..974 => self.cut_off(at),
            974..980 => self.crash(at, !self.options.relaxed),
            980..986 => self.crash(at, false),
            _ => {
                self.network.heal();
                Ok(())
            }
        }
    }

    fn start(&mut self, at: usize) -> Result<(), String> {
        let settings = Settings {
            relaxed: self.options.relaxed,
            applies_records: true,
            // Small, so that entries for a peer that lags are read back.
            tail_bytes_max: 300,
            producer_expiration_ms: 86_400_000,
            election_seed: self.random.below(1 << 20) as u64,
            insync_min: 1,
        };
        let node = &mut self.nodes[at];
        let opening = Opening {
            replica_id: node.id,
            founders: self.placement.founders.clone(),
            decided: self.placement.decided,
            machine: false,
        };
        let start = node.disk.open(&opening)?;
        node.applied = start.applied;
        let replica = Replica::open(start, settings).map_err(|error| format!("node {}: {error}", node.id))?;
        node.replica = Some(replica);
        (node.led, node.read) = (false, 0);
        node.starts += 1;
        let mut effects = Effects::default();
        if let Some(replica) = &mut self.nodes[at].replica {
            replica.flush(&mut effects);
        }
        self.carry_out(at, effects)
    }

    fn event(&mut self, at: usize, event: Event<Token>) -> Result<(), String> {
        let Some(replica) = &mut self.nodes[at].replica else { return Ok(()) };
        let mut effects = Effects::default();
        replica.step(event, &mut effects);
        replica.flush(&mut effects);
        self.carry_out(at, effects)
    }

    fn deliver(&mut self) -> Result<(), String> {
        let Some(message) = self.network.arrive(&mut self.random) else { return Ok(()) };
        let Some(at) = self.nodes.iter().position(|node| node.id == message.to) else { return Ok(()) };
        (message.from, message.to, message.term, message.index).hash(&mut self.trace);
        self.event(at, Event::Message(Box::new(message)))
    }

    fn write(&mut self, at: usize) -> Result<(), String> {
        match self.nodes[at].disk.write()? {
            Some(ready) => self.event(at, Event::Written { ready }),
            None => Ok(()),
        }
    }

    fn sync(&mut self, at: usize) -> Result<(), String> {
        match self.nodes[at].disk.sync()? {
            Some(ready) => self.event(at, Event::Synced { ready }),
            None => Ok(()),
        }
    }

    fn produce(&mut self) -> Result<(), String> {
        let number = self.random.below(self.producers.len());
        let producer = &mut self.producers[number];
        let sends = producer.send(self.now, &mut self.random);
        let at = producer.leader % self.nodes.len();
        for (token, batch, mut header) in sends {
            if self.nodes[at].replica.is_none() {
                self.producers[number].disconnected(&mut self.random);
                return Ok(());
            }
            if self.options.plant == Some(Plant::RepeatAppended) {
                header.producer_id = -1;
            }
            self.event(at, Event::Propose { batch, header, acks: Acks::All, token })?;
        }
        Ok(())
    }

    /// A replica at rest hears no clock.
    fn tick(&mut self, at: usize) -> Result<(), String> {
        match self.nodes[at].replica.as_ref().is_some_and(Replica::wants_ticks) {
            true => self.event(at, Event::Tick),
            false => Ok(()),
        }
    }

    /// A node notices which others can't be heard, and which were started again.
    fn notice(&mut self, at: usize) -> Result<(), String> {
        let lives = |node: &Node| node.replica.is_some() && !self.network.is_cut_off(node.id);
        let seen: BTreeMap<u64, u32> =
            self.nodes.iter().filter(|node| lives(node)).map(|node| (node.id, node.starts)).collect();
        let own = self.nodes[at].id;
        let down = self.nodes.iter().map(|node| node.id).filter(|id| *id != own && !seen.contains_key(id)).collect();
        let leader = self.nodes[at].replica.as_ref().map_or(0, Replica::leader);
        let before = std::mem::replace(&mut self.nodes[at].seen, seen);
        let lost = before.get(&leader).is_some_and(|starts| self.nodes[at].seen.get(&leader) != Some(starts));
        self.summary.rests += u64::from(self.nodes[at].replica.as_ref().is_some_and(|replica| !replica.wants_ticks()));
        self.event(at, Event::Down { replicas: down })?;
        let rank = self.random.below(3);
        match lost {
            true => self.event(at, Event::LeaderLost { rank }),
            false => Ok(()),
        }
    }

    /// Something that an operator, or a false alarm, may do at any time.
    fn unrest(&mut self, at: usize) -> Result<(), String> {
        let to = self.nodes[self.random.below(self.nodes.len())].id;
        let rank = self.random.below(3);
        match self.random.below(3) {
            0 => self.event(at, Event::LeaderLost { rank }),
            1 => self.event(at, Event::Campaign),
            _ => self.event(at, Event::Transfer { to }),
        }
    }

    /// A node takes the next step towards the members that are wanted. Once its group has them, the others' disks are wiped.
    fn steer(&mut self, at: usize) -> Result<(), String> {
        let wanted = Wanted { voters: self.placement.wanted.clone(), learners: Vec::new() };
        self.event(at, Event::Members { wanted: wanted.clone() })?;
        let replica = self.nodes[at].replica.as_ref();
        let Some(decided) = replica.and_then(|replica| replica.has_members(&wanted)) else {
            return Ok(());
        };
        self.summary.moved += 1;
        for id in self.placement.complete(decided) {
            let Some(node) = self.nodes.iter_mut().find(|node| node.id == id) else { continue };
            (node.hosts, node.replica) = (false, None);
            node.disk = disk::make(self.options.stored, self.random.next(), self.options.plant);
        }
        Ok(())
    }

    /// Other nodes should hold the log, or those of before again.
    fn reassign(&mut self) -> Result<(), String> {
        self.summary.moves += 1;
        if self.placement.is_changing() && self.random.per_mille(600) {
            if self.random.per_mille(600) {
                return Ok(());
            }
            self.summary.cancels += 1;
            self.placement.cancel();
            return Ok(());
        }
        let mut wanted = Vec::new();
        for _ in 0..=self.random.below(3) {
            let at = self.random.below(self.nodes.len());
            let node = &mut self.nodes[at];
            if !node.hosts {
                // A replica id is never given twice.
                if self.options.plant != Some(Plant::IdReused) {
                    node.id = self.placement.next_id();
                }
                (node.hosts, node.up_at) = (true, self.now + self.random.below(200) as u32);
            }
            if !wanted.contains(&node.id) {
                wanted.push(node.id);
            }
        }
        self.placement.ask(wanted);
        Ok(())
    }

    fn checkpoint(&mut self, at: usize) -> Result<(), String> {
        let node = &mut self.nodes[at];
        if let Some(replica) = &node.replica {
            node.disk.save(replica.checkpoint(0, None))?;
            self.summary.checkpoints += 1;
        }
        Ok(())
    }

    fn cut_off(&mut self, at: usize) -> Result<(), String> {
        self.network.cut_off(self.nodes[at].id);
        Ok(())
    }

    fn crash(&mut self, at: usize, power: bool) -> Result<(), String> {
        let node = &mut self.nodes[at];
        if node.replica.take().is_none() {
            return Ok(());
        }
        match power {
            true => node.disk.cut_power(&mut self.random)?,
            false => node.disk.kill(&mut self.random),
        }
        *(if power { &mut self.summary.power_cuts } else { &mut self.summary.kills }) += 1;
        node.up_at = self.now + self.random.below(300) as u32;
        let nodes = self.nodes.len();
        for producer in self.producers.iter_mut().filter(|producer| producer.leader % nodes == at) {
            producer.disconnected(&mut self.random);
        }
        Ok(())
    }

    fn carry_out(&mut self, at: usize, effects: Effects<Token>) -> Result<(), String> {
        let id = self.nodes[at].id;
        for write in effects.writes {
            self.nodes[at].disk.queue(write);
        }
        for message in effects.messages {
            self.network.send(message);
        }
        for applied in effects.applied {
            if let Applied::Records { index, batch } = applied {
                if index <= self.nodes[at].applied {
                    return Err(format!("node {id} applied entry {index} again"));
                }
                self.nodes[at].applied = index;
                self.ledger.applied(id, index, &batch)?;
            }
        }
        for (token, answer) in effects.answers {
            (token.sequence, format!("{answer:?}")).hash(&mut self.trace);
            let producer = &mut self.producers[token.producer];
            if let Some(base_offset) = producer.answered(token, &answer, &mut self.random)? {
                self.ledger.acknowledged(producer.id, token.sequence, base_offset)?;
            }
        }
        self.check(at)?;
        for request in effects.reads {
            let mut frames = self.nodes[at].disk.read(request.first, request.until);
            let mut bytes = 0;
            let fitting = frames.iter().take_while(|frame| {
                bytes += frame.len() as u64;
                bytes <= request.bytes_max
            });
            frames.truncate(fitting.count().max(1));
            self.event(at, Event::Read { request, frames })?;
        }
        Ok(())
    }

    /// What must hold after every step of a replica.
    fn check(&mut self, at: usize) -> Result<(), String> {
        let node = &mut self.nodes[at];
        let Some(replica) = &node.replica else { return Ok(()) };
        self.ledger.state(node.id, replica.applied(), replica.producers().checksum())?;
        // Only leaders serve consumers. The file of another may still hold what it has been told to cut.
        if replica.is_leader() {
            for (index, batch) in readable(&*node.disk, &mut node.read, replica.high_watermark()) {
                self.ledger.read(node.id, index, &batch)?;
            }
        }
        self.summary.leaders += u64::from(replica.is_leader() && !node.led);
        node.led = replica.is_leader();
        Ok(())
    }

    /// No faults from here on.
    fn heal(&mut self) -> Result<(), String> {
        self.healed = true;
        self.network.heal();
        self.network.lossless = true;
        for at in 0..self.nodes.len() {
            if self.nodes[at].hosts && self.nodes[at].replica.is_none() {
                self.start(at)?;
            }
        }
        Ok(())
    }

    fn is_settled(&self) -> bool {
        self.producers.iter().all(Producer::is_done)
            && !self.placement.is_changing()
            && self.ledger.is_caught_up()
            && self
                .nodes
                .iter()
                .filter(|node| node.hosts)
                .all(|node| node.disk.is_idle() && self.ledger.is_in(1, &node.disk.read(1, node.disk.next_index())))
    }

    fn finish(mut self) -> Result<Summary, String> {
        if !self.is_settled() {
            let replicas: Vec<_> = self.nodes.iter().map(|node| &node.replica).collect();
            return Err(format!(
                "nothing goes on: network empty {}, {:?}, {replicas:?}, {:?}",
                self.network.is_empty(),
                self.placement,
                self.producers
            ));
        }
        self.ledger.settle()?;
        self.summary.batches = self.ledger.batches() as u64;
        self.summary.cuts = self.nodes.iter().map(|node| node.disk.cuts()).sum();
        self.summary.repeats = self.producers.iter().map(|producer| producer.repeats).sum();
        self.summary.trace = self.trace.finish();
        Ok(self.summary)
    }
}
