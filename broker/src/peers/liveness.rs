//! Which nodes live: those that were heard of lately. Time is passed in.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Who is silent for this long counts as down. Three pings and more can be late before.
const SILENCE_MAX: Duration = Duration::from_millis(1500);

#[derive(Debug, Clone, Copy)]
struct Heard {
    incarnation: u64,
    at: Instant,
}

/// What was heard of others.
#[derive(Debug, Default)]
pub(super) struct Liveness(HashMap<i32, Heard>);

impl Liveness {
    /// True where it was not there, or an earlier process was: what that one led, it leads no more.
    pub(super) fn heard(&mut self, node: i32, incarnation: u64, now: Instant) -> bool {
        let before = self.0.insert(node, Heard { incarnation, at: now });
        before.is_none_or(|before| before.incarnation != incarnation)
    }

    /// It has ended, as a refused connection shows. False where a later process of it was heard of.
    pub(super) fn ended(&mut self, node: i32, incarnation: u64) -> bool {
        let is_it = self.0.get(&node).is_some_and(|heard| heard.incarnation == incarnation);
        if is_it {
            self.0.remove(&node);
        }
        is_it
    }

    /// Forgets who is silent for too long. True where somebody was.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let before = self.0.len();
        self.0.retain(|_, heard| now.saturating_duration_since(heard.at) < SILENCE_MAX);
        self.0.len() < before
    }

    /// Nodes and the incarnation of each.
    pub(super) fn alive(&self) -> BTreeMap<i32, u64> {
        self.0.iter().map(|(&node, heard)| (node, heard.incarnation)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_ends_are_noticed() {
        let (mut liveness, start) = (Liveness::default(), Instant::now());
        let after = |ms: u64| start + Duration::from_millis(ms);
        assert!(liveness.heard(1, 10, after(0)));
        assert!(!liveness.heard(1, 10, after(200)));
        assert!(liveness.heard(1, 11, after(300)));
        assert_eq!(liveness.alive(), BTreeMap::from([(1, 11)]));
        assert!(!liveness.ended(1, 10), "an older process");
        assert!(!liveness.expire(after(1700)));
        assert!(liveness.expire(after(1800)));
        assert!(liveness.alive().is_empty());
        liveness.heard(2, 1, after(1900));
        assert!(liveness.ended(2, 1));
        assert!(liveness.alive().is_empty());
    }
}
