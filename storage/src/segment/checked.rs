//! Which bytes of a log are known to be what was written: those that this process wrote, and those whose checksums it has
//! looked at since. Everything else is looked at before it is served for the first time.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;

/// See the module.
#[derive(Debug)]
pub(crate) struct Checked {
    /// This process wrote everything from here on. Readers of it take no lock.
    ours_from: AtomicU32,
    /// What was checked below, ascending; ranges do not touch.
    ranges: Mutex<Vec<(u32, u32)>>,
    reported: AtomicBool,
}

impl Checked {
    /// Of a log found on disk.
    pub(crate) fn nothing() -> Self {
        Self { ours_from: AtomicU32::new(u32::MAX), ranges: Mutex::default(), reported: AtomicBool::new(false) }
    }

    /// Whoever writes the log writes from `position` on.
    pub(crate) fn written_from(&self, position: u32) {
        self.ours_from.store(position, Ordering::Release);
    }

    pub(crate) fn covers(&self, from: u32, to: u32) -> bool {
        let to = to.min(self.ours_from.load(Ordering::Acquire));
        if from >= to {
            return true;
        }
        let ranges = self.ranges.lock();
        let after = ranges.partition_point(|range| range.0 <= from);
        after.checked_sub(1).is_some_and(|n| to <= ranges[n].1)
    }

    pub(crate) fn add(&self, from: u32, to: u32) {
        let mut ranges = self.ranges.lock();
        let first = ranges.partition_point(|range| range.1 < from);
        let last = ranges.partition_point(|range| range.0 <= to);
        let met = &ranges[first..last];
        let joined = (met.first().map_or(from, |r| r.0.min(from)), met.last().map_or(to, |r| r.1.max(to)));
        ranges.splice(first..last, [joined]);
    }

    /// Whether damage is told for the first time.
    pub(crate) fn first_report(&self) -> bool {
        !self.reported.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn covers_what_was_added(added in prop::collection::vec((0u32..60, 1u32..10), 0..12), ours in prop::option::of(0u32..80)) {
            let checked = Checked::nothing();
            let mut known = [false; 80];
            for (from, len) in added {
                checked.add(from, from + len);
                known[from as usize..(from + len) as usize].fill(true);
            }
            if let Some(ours) = ours {
                checked.written_from(ours);
                known[ours as usize..].fill(true);
            }
            for from in 0..80 {
                for to in from + 1..80 {
                    let want = known[from..to].iter().all(|known| *known);
                    prop_assert_eq!(checked.covers(from as u32, to as u32), want, "{}..{}", from, to);
                }
            }
            let ranges = checked.ranges.lock();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
