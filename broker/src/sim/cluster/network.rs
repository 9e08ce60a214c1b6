//! What is under way between nodes: any may be next, lost or delivered twice. Links can be cut, in one direction or both.

use std::collections::BTreeSet;

use leat_storage::GroupId;
use raft::eraftpb::Message;

use super::super::random::Random;

/// More than this many are under way only for a moment; the oldest are lost then.
const UNDER_WAY_MAX: usize = 1500;

#[derive(Debug, Clone)]
pub(super) struct Packet {
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) group: GroupId,
    pub(super) body: Body,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Raft(Box<Message>),
    /// The sender leads, and its entries begin here.
    Lacking {
        first_index: u64,
    },
}

#[derive(Debug, Default)]
pub(super) struct Network {
    under_way: Vec<Packet>,
    cut: BTreeSet<(i32, i32)>,
    pub(super) lossless: bool,
}

impl Network {
    pub(super) fn send(&mut self, packet: Packet) {
        if self.under_way.len() >= UNDER_WAY_MAX {
            self.under_way.remove(0);
        }
        self.under_way.push(packet);
    }

    /// Nothing gets from one node to another any more.
    pub(super) fn cut(&mut self, from: i32, to: i32) {
        self.cut.insert((from, to));
    }

    pub(super) fn is_cut(&self, from: i32, to: i32) -> bool {
        self.cut.contains(&(from, to))
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// What arrives next, if something does: for a node that takes nothing it stays under way.
    pub(super) fn arrive(&mut self, random: &mut Random, takes: impl Fn(i32) -> bool) -> Option<Packet> {
        if self.under_way.is_empty() {
            return None;
        }
        // Mostly in order, as a connection is; sometimes overtaken.
        let at = if random.per_mille(850) { 0 } else { random.below(self.under_way.len()) };
        if !takes(self.under_way[at].to) {
            let packet = self.under_way.remove(at);
            self.send(packet);
            return None;
        }
        let packet = match !self.lossless && random.per_mille(30) {
            true => self.under_way[at].clone(),
            false => self.under_way.remove(at),
        };
        let lost = !self.lossless && random.per_mille(30);
        (!lost && !self.is_cut(packet.from, packet.to)).then_some(packet)
    }
}
