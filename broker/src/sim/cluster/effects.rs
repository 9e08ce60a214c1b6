//! Carries out what replicas ask for, and checks after every step what must always hold.

use std::collections::BTreeMap;
use std::hash::Hash;

use leat_storage::GroupId;

use super::super::disk::{Opening, readable};
use super::Plant;
use super::network::{Body, Packet};
use super::node::Token;
use super::world::{World, is_keyed, tell};
use crate::cluster::METADATA_GROUP;
use crate::metadata::Image;
use crate::replica::{Acks, Applied, Effects, Event, Replica, Settings, members};

/// Steps between two signs to a replica that it has to be seeded.
const TELL_LACKING_EVERY: u32 = 60;

impl World {
    /// A process begins: it opens the metadata, and the rest once its image is what the cluster has decided.
    pub(super) fn start(&mut self, at: usize) -> Result<(), String> {
        tell!(self, "node {} starts", at + 1);
        let node = &mut self.nodes[at];
        node.up = true;
        node.starts += 1;
        (node.caught_up, node.decided) = (false, None);
        node.seen.clear();
        self.open(at, METADATA_GROUP)
    }

    pub(super) fn open(&mut self, at: usize, group: GroupId) -> Result<(), String> {
        let now_and_then = self.random.below(1 << 20) as u64;
        let machine = group == METADATA_GROUP;
        if machine {
            let saved = self.nodes[at].held.get(&group).map(|held| held.disk.saved()).transpose()?.flatten();
            let saved = saved.filter(|saved| !saved.producers.is_empty());
            self.nodes[at].image = match saved {
                Some(saved) => Image::from_snapshot(&saved.producers).map_err(|error| error.to_string())?,
                None => Image::default(),
            };
        }
        let node = &mut self.nodes[at];
        let Some(placed) = node.placement(group).cloned() else { return Ok(()) };
        let Some(held) = node.held.get_mut(&group) else { return Ok(()) };
        let opening = Opening {
            replica_id: held.replica_id,
            founders: members(placed.founders.iter().map(|replica| replica.id)),
            decided: placed.decided,
            machine,
        };
        let start = held.disk.open(&opening).map_err(|error| format!("node {} opens {group:?}: {error}", at + 1))?;
        (held.applied, held.begin) = (start.applied, held.disk.begin());
        held.log_start = held.log_start.max(held.begin.1);
        (held.high_watermark, held.read, held.looked, held.led) = (0, 0, (0, 0), false);
        let settings = Settings {
            relaxed: false,
            applies_records: true,
            // Small, so that entries for a peer that lags are read back.
            tail_bytes_max: 300,
            producer_expiration_ms: 86_400_000,
            election_seed: now_and_then,
            insync_min: 1,
        };
        let mut replica = Replica::open(start, settings).map_err(|error| format!("node {}: {error}", at + 1))?;
        let mut effects = Effects::default();
        replica.flush(&mut effects);
        held.replica = Some(replica);
        self.carry_out(at, group, effects)?;
        let down = self.down(at, group);
        self.event(at, group, Event::Down { replicas: down })?;
        let preferred = placed.replicas.first().map(|first| first.node_id);
        match preferred == Some(self.nodes[at].id) {
            true => self.event(at, group, Event::Campaign),
            false => Ok(()),
        }
    }

    /// Replicas whose nodes this one does not hear of.
    pub(super) fn down(&self, at: usize, group: GroupId) -> Vec<u64> {
        let node = &self.nodes[at];
        let gone = |node_id: i32| node_id != node.id && !node.seen.contains_key(&node_id);
        let placed = node.placement(group).into_iter().flat_map(|placed| placed.members());
        placed.filter(|replica| gone(replica.node_id)).map(|replica| replica.id).collect()
    }

    pub(super) fn event(&mut self, at: usize, group: GroupId, event: Event<Token>) -> Result<(), String> {
        let held = self.nodes[at].held.get_mut(&group);
        let Some(replica) = held.and_then(|held| held.replica.as_mut()) else { return Ok(()) };
        let mut effects = Effects::default();
        replica.step(event, &mut effects);
        replica.flush(&mut effects);
        self.carry_out(at, group, effects)
    }

    pub(super) fn deliver(&mut self) -> Result<(), String> {
        for _ in 0..6 {
            let (nodes, now) = (&self.nodes, self.now);
            let takes = |to: i32| !nodes[to as usize - 1].up || nodes[to as usize - 1].runs(now);
            let Some(packet) = self.network.arrive(&mut self.random, takes) else { return Ok(()) };
            let (at, group) = (packet.to as usize - 1, packet.group);
            match packet.body {
                Body::Raft(message) => {
                    (message.from, message.to, message.term, message.index).hash(&mut self.trace);
                    let Some(held) = self.nodes[at].held.get_mut(&group).filter(|held| held.replica_id == message.to)
                    else {
                        continue;
                    };
                    held.heard.insert(message.from, packet.from);
                    self.event(at, group, Event::Message(message))?;
                }
                Body::Lacking { first_index } => self.lacks(at, group, packet.from, first_index)?,
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self, at: usize) -> Result<(), String> {
        for group in self.groups_of(at) {
            let Some(held) = self.nodes[at].held.get_mut(&group).filter(|held| held.replica.is_some()) else {
                continue;
            };
            if let Some(ready) = held.disk.write()? {
                self.event(at, group, Event::Written { ready })?;
            }
            self.moved(at, group)?;
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, at: usize) -> Result<(), String> {
        for group in self.groups_of(at) {
            // A disk may be slow for some logs and not for others.
            if self.random.per_mille(300) {
                continue;
            }
            let Some(held) = self.nodes[at].held.get_mut(&group).filter(|held| held.replica.is_some()) else {
                continue;
            };
            if let Some(ready) = held.disk.sync()? {
                self.event(at, group, Event::Synced { ready })?;
            }
            self.moved(at, group)?;
        }
        Ok(())
    }

    pub(super) fn groups_of(&self, at: usize) -> Vec<GroupId> {
        self.nodes[at].held.keys().copied().collect()
    }

    /// The replica is told where its log begins, where that is elsewhere now.
    pub(super) fn moved(&mut self, at: usize, group: GroupId) -> Result<(), String> {
        let Some(held) = self.nodes[at].held.get_mut(&group) else { return Ok(()) };
        let begin = held.disk.begin();
        if held.replica.is_none() || std::mem::replace(&mut held.begin, begin) == begin {
            return Ok(());
        }
        held.log_start = held.log_start.max(begin.1);
        self.event(at, group, Event::Trimmed { first_index: begin.0, log_start_offset: begin.1 })
    }

    /// Clocks run apart, and a replica at rest hears none.
    pub(super) fn tick(&mut self, at: usize) -> Result<(), String> {
        for _ in 0..2 {
            if !self.random.per_mille(self.nodes[at].speed) {
                continue;
            }
            self.nodes[at].ticks += 1;
            for group in self.groups_of(at) {
                let replica = self.nodes[at].held.get(&group).and_then(|held| held.replica.as_ref());
                if replica.is_some_and(Replica::wants_ticks) {
                    self.event(at, group, Event::Tick)?;
                }
            }
        }
        Ok(())
    }

    /// A node notices which others can't be heard, and which were started again.
    pub(super) fn notice(&mut self, at: usize) -> Result<(), String> {
        let own = self.nodes[at].id;
        let lives = |id: i32, runs: bool| id != own && runs && !self.network.is_cut(id, own);
        let now = self.now;
        let seen: BTreeMap<i32, u32> = self
            .nodes
            .iter()
            .filter(|node| lives(node.id, node.runs(now)))
            .map(|node| (node.id, node.starts))
            .collect();
        let before = std::mem::replace(&mut self.nodes[at].seen, seen);
        for group in self.groups_of(at) {
            let node = &self.nodes[at];
            let Some(replica) = node.held.get(&group).and_then(|held| held.replica.as_ref()) else { continue };
            let leader = node.node_of(group, replica.leader());
            let gone = |leader: i32| before.contains_key(&leader) && before.get(&leader) != node.seen.get(&leader);
            let lost = leader.is_some_and(gone);
            let replicas = self.down(at, group);
            self.event(at, group, Event::Down { replicas })?;
            // A group may have fallen asleep behind a leader that was gone by then.
            let doubted = leader.is_some_and(|leader| leader != own && !self.nodes[at].seen.contains_key(&leader));
            if lost || (doubted && self.random.per_mille(200)) {
                let rank = self.random.below(3);
                self.event(at, group, Event::LeaderLost { rank })?;
            }
        }
        Ok(())
    }

    pub(super) fn produce(&mut self) -> Result<(), String> {
        let number = self.random.below(self.producers.len());
        let at = self.producers[number].1.leader % self.nodes.len();
        let (group, producer) = &mut self.producers[number];
        let group = *group;
        let sends = producer.send(self.now, &mut self.random);
        for (batch, bytes, mut header) in sends {
            let node = &self.nodes[at];
            let open = node.runs(self.now) && node.held.get(&group).is_some_and(|held| held.replica.is_some());
            if !open {
                self.producers[number].1.disconnected(&mut self.random);
                return Ok(());
            }
            if self.options.plant == Some(Plant::RepeatAppended) {
                header.producer_id = -1;
            }
            let acks = if self.options.plant == Some(Plant::AnsweredEarly) { Acks::Leader } else { Acks::All };
            self.event(
                at,
                group,
                Event::Propose { batch: bytes, header, acks, token: Token::Producer { of: number, batch } },
            )?;
        }
        Ok(())
    }

    pub(super) fn carry_out(&mut self, at: usize, group: GroupId, effects: Effects<Token>) -> Result<(), String> {
        // Now and then the process ends in the middle of it.
        let dies_at = if !self.healed && self.random.below(6000) == 0 { self.random.below(4) } else { usize::MAX };
        let (from, node) = (self.nodes[at].id, &mut self.nodes[at]);
        let Some(held) = node.held.get_mut(&group) else { return Ok(()) };
        for write in effects.writes {
            held.disk.queue(write);
        }
        if dies_at == 0 {
            return self.crash(at, true);
        }
        for message in effects.messages {
            if let Some(to) = self.nodes[at].node_of(group, message.to) {
                self.network.send(Packet { from, to, group, body: Body::Raft(Box::new(message)) });
            }
        }
        if dies_at == 1 {
            return self.crash(at, false);
        }
        for replica in effects.lacking {
            self.tell_lacking(at, group, replica);
        }
        let (mut trim_to, mut save, mut followed) = (None, false, false);
        for applied in effects.applied {
            match applied {
                Applied::Records { index, batch } => {
                    let Some(held) = self.nodes[at].held.get_mut(&group) else { return Ok(()) };
                    if index <= held.applied {
                        return Err(format!("node {from} applied entry {index} of {group:?} again"));
                    }
                    held.applied = index;
                    let account = self.accounts.entry(group).or_default();
                    account.applied(held.replica_id, index, &batch, is_keyed(group))?;
                    if group == METADATA_GROUP {
                        self.apply_metadata(at, index, &batch)?;
                        followed = true;
                    }
                }
                Applied::Trim { offset } => trim_to = trim_to.max(Some(offset)),
                Applied::Membership { .. } => save = group == METADATA_GROUP,
            }
        }
        if dies_at == 2 {
            return self.crash(at, true);
        }
        if let Some(offset) = trim_to {
            self.trimmed(at, group, offset)?;
        }
        for (token, answer) in effects.answers {
            format!("{answer:?}").hash(&mut self.trace);
            self.answered(at, group, token, &answer)?;
        }
        if save {
            self.save(at, group)?;
        }
        self.check(at, group)?;
        for request in effects.reads {
            let Some(held) = self.nodes[at].held.get(&group) else { return Ok(()) };
            let mut frames = held.disk.read(request.first, request.until);
            let mut bytes = 0;
            let fitting = frames.iter().take_while(|frame| {
                bytes += frame.len() as u64;
                bytes <= request.bytes_max
            });
            frames.truncate(fitting.count().max(1));
            self.event(at, group, Event::Read { request, frames })?;
        }
        if followed {
            self.follow(at)?;
        }
        match dies_at {
            3 => self.crash(at, false),
            _ => Ok(()),
        }
    }

    fn answered(
        &mut self,
        at: usize,
        group: GroupId,
        token: Token,
        answer: &crate::replica::Answer,
    ) -> Result<(), String> {
        match token {
            Token::Producer { of, batch } => {
                let producer = &mut self.producers[of].1;
                if let Some(base_offset) = producer.answered(batch, answer, &mut self.random)? {
                    tell!(self, "node {} acknowledges {:?} at {base_offset}", at + 1, batch);
                    let account = self.accounts.entry(group).or_default();
                    account.ledger.acknowledged(self.producers[of].1.id, batch.sequence, base_offset)?;
                }
                Ok(())
            }
            Token::Coordinator { life, write } => self.coordinator_wrote(at, group, (life, write), answer),
            Token::Nobody => Ok(()),
        }
    }

    fn tell_lacking(&mut self, at: usize, group: GroupId, replica: u64) {
        let (now, from) = (self.now, self.nodes[at].id);
        let Some(to) = self.nodes[at].node_of(group, replica) else { return };
        let Some(held) = self.nodes[at].held.get_mut(&group) else { return };
        let told = held.told_lacking.get(&replica).is_some_and(|told| now - told < TELL_LACKING_EVERY);
        if let Some(open) = held.replica.as_ref().filter(|_| !told) {
            held.told_lacking.insert(replica, now);
            self.network.send(Packet { from, to, group, body: Body::Lacking { first_index: open.first_index() } });
        }
    }

    /// What must hold after every step of a replica.
    fn check(&mut self, at: usize, group: GroupId) -> Result<(), String> {
        let Some(held) = self.nodes[at].held.get_mut(&group) else { return Ok(()) };
        let Some(replica) = &held.replica else { return Ok(()) };
        let account = self.accounts.entry(group).or_default();
        if group != METADATA_GROUP {
            account.ledger.state(held.replica_id, replica.applied(), replica.producers().checksum())?;
        }
        let high_watermark = replica.high_watermark();
        if high_watermark < held.high_watermark {
            let before = held.high_watermark;
            return Err(format!("node {}: the high watermark of {group:?} was {before}, is {high_watermark}", at + 1));
        }
        held.high_watermark = high_watermark;
        if !replica.is_leader() {
            held.led = false;
            return Ok(());
        }
        let term = replica.leader_epoch() as u64;
        let settled = replica.is_settled().then_some(high_watermark);
        let led = account.leads(held.replica_id, term, settled);
        led.map_err(|broken| format!("{group:?}: {broken}"))?;
        let readable_upto = (held.disk.next_index(), high_watermark);
        if std::mem::replace(&mut held.looked, readable_upto) != readable_upto {
            for (index, batch) in readable(&*held.disk, &mut held.read, high_watermark) {
                account.ledger.read(held.replica_id, index, &batch)?;
            }
        }
        if !std::mem::replace(&mut held.led, true) {
            self.summary.leaders += 1;
            tell!(self, "node {} leads {group:?} in term {term}", at + 1);
        }
        Ok(())
    }
}
