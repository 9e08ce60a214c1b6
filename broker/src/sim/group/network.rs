//! Messages under way: any may be next, lost or delivered twice. Nodes can be cut off from the others.

use std::collections::BTreeSet;

use raft::eraftpb::Message;

use super::super::random::Random;

/// More than this many are under way only for a moment; the oldest are lost then.
const UNDER_WAY_MAX: usize = 500;

#[derive(Debug, Default)]
pub(super) struct Network {
    under_way: Vec<Message>,
    cut_off: BTreeSet<u64>,
    pub(super) lossless: bool,
}

impl Network {
    pub(super) fn send(&mut self, message: Message) {
        if self.under_way.len() >= UNDER_WAY_MAX {
            self.under_way.remove(0);
        }
        self.under_way.push(message);
    }

    pub(super) fn cut_off(&mut self, node: u64) {
        self.cut_off.insert(node);
    }

    pub(super) fn is_cut_off(&self, node: u64) -> bool {
        self.cut_off.contains(&node)
    }

    pub(super) fn heal(&mut self) {
        self.cut_off.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// What arrives next, if it does.
    pub(super) fn arrive(&mut self, random: &mut Random) -> Option<Message> {
        if self.under_way.is_empty() {
            return None;
        }
        // Mostly in order, as a connection is; sometimes overtaken.
        let at = if random.per_mille(800) { 0 } else { random.below(self.under_way.len()) };
        let message = match !self.lossless && random.per_mille(30) {
            true => self.under_way[at].clone(),
            false => self.under_way.remove(at),
        };
        let lost = !self.lossless && random.per_mille(40);
        let cut_off = self.cut_off.contains(&message.from) || self.cut_off.contains(&message.to);
        (!lost && !cut_off).then_some(message)
    }
}
