//! Which nodes live: those that were heard of lately; and when each was. Time is passed in.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Who is silent for this long counts as down. Three pings and more can be late before.
const SILENCE_MAX: Duration = Duration::from_millis(1500);

#[derive(Debug, Clone, Copy)]
struct Heard {
    incarnation: u64,
    at: Instant,
    lives: bool,
}

/// What was heard of others.
#[derive(Debug, Default)]
pub(super) struct Liveness(HashMap<i32, Heard>);

impl Liveness {
    /// True where it was not there, or an earlier process was: what that one led, it leads no more.
    pub(super) fn heard(&mut self, node: i32, incarnation: u64, now: Instant) -> bool {
        let before = self.0.insert(node, Heard { incarnation, at: now, lives: true });
        before.is_none_or(|before| !before.lives || before.incarnation != incarnation)
    }

    /// It has ended, as a refused connection shows. False where a later process of it was heard of.
    pub(super) fn ended(&mut self, node: i32, incarnation: u64) -> bool {
        let heard = self.0.get_mut(&node).filter(|heard| heard.incarnation == incarnation);
        heard.is_some_and(|heard| std::mem::replace(&mut heard.lives, false))
    }

    /// Gives up who is silent for too long. True where somebody was.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let silent = |heard: &&mut Heard| heard.lives && now.saturating_duration_since(heard.at) >= SILENCE_MAX;
        self.0.values_mut().filter(silent).map(|heard| heard.lives = false).count() > 0
    }

    /// When a node was heard of last, whether it lives or not.
    pub(super) fn heard_at(&self, node: i32) -> Option<Instant> {
        self.0.get(&node).map(|heard| heard.at)
    }

    /// Nodes and the incarnation of each.
    pub(super) fn alive(&self) -> BTreeMap<i32, u64> {
        self.0.iter().filter(|(_, heard)| heard.lives).map(|(&node, heard)| (node, heard.incarnation)).collect()
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
        assert!(!liveness.expire(after(1900)), "it was given up already");
        assert_eq!((liveness.heard_at(1), liveness.heard_at(2)), (Some(after(300)), None));
        liveness.heard(2, 1, after(1900));
        assert!(liveness.ended(2, 1));
        assert!(liveness.alive().is_empty());
        assert!(liveness.heard(2, 1, after(2000)), "it is back");
    }
}
