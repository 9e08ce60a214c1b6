//! What keeps logs small, and what follows from it: checkpoints, trims, compaction, and logs that are sent as a whole.

use leat_protocol::records::entry::EntryKind;
use leat_storage::GroupId;

use super::node::{Fetch, Token};
use super::world::{EVENTS, World, is_keyed, tell};
use crate::cluster::METADATA_GROUP;
use crate::replica::{Event, Replica, trim_payload};

impl World {
    /// Saves what a replica has applied.
    pub(super) fn save(&mut self, at: usize, group: GroupId) -> Result<(), String> {
        let node = &mut self.nodes[at];
        let machine = (group == METADATA_GROUP).then(|| node.image.to_snapshot().into());
        let Some(held) = node.held.get_mut(&group) else { return Ok(()) };
        match &held.replica {
            Some(replica) => held.disk.save(replica.checkpoint(held.log_start, machine)),
            None => Ok(()),
        }
    }

    pub(super) fn checkpoint(&mut self, at: usize) -> Result<(), String> {
        let Some(group) = self.some_group(at) else { return Ok(()) };
        self.save(at, group)?;
        self.moved(at, group)
    }

    /// Logs that a node leads are to begin later: somewhere below their high watermark, or, of the metadata, below its saved image.
    pub(super) fn trim(&mut self, at: usize) -> Result<(), String> {
        for group in self.groups_of(at) {
            let Some(held) = self.nodes[at].held.get(&group).filter(|held| held.leads()) else { continue };
            let until = match group.topic_id {
                EVENTS => held.high_watermark,
                _ if group == METADATA_GROUP => held.disk.saved()?.map_or(0, |saved| saved.end_offset_at_applied),
                _ => continue,
            };
            let room = usize::try_from(until - held.log_start).unwrap_or(0);
            if self.healed || room == 0 || self.random.per_mille(500) {
                continue;
            }
            let offset = held.log_start + 1 + self.random.below(room) as i64;
            self.summary.trims += 1;
            tell!(self, "node {} trims {group:?} to {offset}", at + 1);
            let payload = trim_payload(offset);
            self.event(at, group, Event::Control { kind: EntryKind::Trim, payload, token: Token::Nobody })?;
        }
        Ok(())
    }

    /// A trim is applied.
    pub(super) fn trimmed(&mut self, at: usize, group: GroupId, offset: i64) -> Result<(), String> {
        let account = self.accounts.entry(group).or_default();
        account.trimmed = account.trimmed.max(offset);
        let node = &mut self.nodes[at];
        let machine = (group == METADATA_GROUP).then(|| node.image.to_snapshot().into());
        let Some(held) = node.held.get_mut(&group) else { return Ok(()) };
        held.log_start = held.log_start.max(offset);
        if let Some(replica) = &held.replica {
            held.disk.trim(offset, replica.checkpoint(held.log_start, machine))?;
        }
        self.moved(at, group)
    }

    /// A replica keeps of each key the latest record, up to its checkpoint.
    pub(super) fn compact(&mut self, at: usize) -> Result<(), String> {
        for group in self.groups_of(at).into_iter().filter(|group| is_keyed(*group)) {
            let now_ms = self.nodes[at].wall_ms(self.now);
            let Some(held) = self.nodes[at].held.get_mut(&group) else { continue };
            let Some(high_watermark) = held.replica.as_ref().map(|replica| replica.high_watermark()) else { continue };
            if held.disk.compact(high_watermark, now_ms)? {
                self.summary.compactions += 1;
                tell!(self, "node {} compacts {group:?}", at + 1);
                self.moved(at, group)?;
                self.read_all(at, group)?;
            }
        }
        Ok(())
    }

    /// A consumer reads a whole partition from its leader.
    pub(super) fn look(&mut self, at: usize) -> Result<(), String> {
        let Some(group) = self.some_group(at) else { return Ok(()) };
        match self.nodes[at].held[&group].leads() {
            true => self.read_all(at, group),
            false => Ok(()),
        }
    }

    fn read_all(&self, at: usize, group: GroupId) -> Result<(), String> {
        let (node, account) = (&self.nodes[at], self.accounts.get(&group));
        let Some((held, account)) = node.held.get(&group).zip(account) else { return Ok(()) };
        // What is committed here; another may know of more.
        let until = held.high_watermark.min(held.replica.as_ref().map_or(0, |replica| replica.high_watermark()));
        let checked = account.check(&*held.disk, held.log_start, until, is_keyed(group));
        checked.map_err(|broken| format!("{group:?} on node {}: {broken}", node.id))
    }

    /// The leader, on another node, can't serve this replica with entries.
    pub(super) fn lacks(&mut self, at: usize, group: GroupId, leader: i32, first_index: u64) -> Result<(), String> {
        let Some(held) = self.nodes[at].held.get(&group) else { return Ok(()) };
        let Some(replica) = &held.replica else { return Ok(()) };
        if replica.continues_at(first_index) {
            return self.event(at, group, Event::Seeded);
        }
        let from = leader as usize - 1;
        if held.fetching.is_some() || !self.nodes[from].runs(self.now) {
            return Ok(());
        }
        // Who gives it saves a checkpoint first, and may be unable to before its disk has done what it was asked to.
        let held = self.nodes[from].held.get(&group);
        if !held.and_then(|held| held.replica.as_ref()).is_some_and(Replica::is_leader) {
            return Ok(());
        }
        self.save(from, group)?;
        self.moved(from, group)?;
        let Some(copy) = self.nodes[from].held.get(&group).and_then(|held| held.disk.copy().ok()) else {
            return Ok(());
        };
        let arrives = self.now + self.random.below(900) as u32;
        if let Some(held) = self.nodes[at].held.get_mut(&group) {
            held.fetching = Some(Fetch { arrives, copy });
        }
        Ok(())
    }

    /// A log that was fetched takes the place of a replica's own, if that is still right.
    pub(super) fn arrived(&mut self, at: usize, group: GroupId) -> Result<(), String> {
        let (now, fails) = (self.now, !self.healed && self.random.per_mille(100));
        let Some(held) = self.nodes[at].held.get_mut(&group) else { return Ok(()) };
        let Some(fetch) = held.fetching.take_if(|fetch| fetch.arrives <= now).filter(|_| !fails) else { return Ok(()) };
        let Some(replica) = &held.replica else { return Ok(()) };
        let (applied, term) = (fetch.copy.checkpoint().applied, fetch.copy.checkpoint().term_at_applied);
        if !replica.may_become(applied, term) {
            return Ok(());
        }
        self.summary.seeds += 1;
        held.end();
        held.log_start = fetch.copy.checkpoint().log_start_offset;
        held.disk.replace(fetch.copy, held.replica_id)?;
        tell!(self, "node {} has fetched {group:?} up to entry {applied}", at + 1);
        self.open(at, group)?;
        match group == METADATA_GROUP {
            true => self.follow(at),
            false => Ok(()),
        }
    }
}
