//! Event time of one partition: a watermark that moves only by what its log holds.
//!
//! With M the largest event time, D the allowed disorder and Q the sum of ticks since the last data:
//! `watermark = max(previous, M - D + max(0, Q - idle))`, and an `advance` moves it on at once.

use crate::codec::{Corrupt, Reader, put_int};

/// Before all time: nothing is known yet.
pub const NEVER: i64 = i64::MIN;

/// How a source's time behaves; from the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) disorder_ms: i64,
    pub(crate) idle_ms: Option<i64>,
    pub(crate) future_ms: Option<i64>,
}

/// The event time of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// The largest event time, or [`NEVER`].
    latest: i64,
    /// Ticks since the last data, in milliseconds.
    quiet_ms: i64,
    watermark: i64,
    /// The newest wall clock that was committed.
    wall_ms: i64,
}

impl Clock {
    pub(crate) fn new(wall_ms: i64) -> Clock {
        Clock { latest: NEVER, quiet_ms: 0, watermark: NEVER, wall_ms }
    }

    pub(crate) fn watermark(&self) -> i64 {
        self.watermark
    }

    /// The largest event time, or [`NEVER`].
    pub(crate) fn latest(&self) -> i64 {
        self.latest
    }

    pub(crate) fn wall_ms(&self) -> i64 {
        self.wall_ms
    }

    /// Whether a row is too far ahead to be believed.
    pub(crate) fn is_future(&self, time: i64, rules: &Rules) -> bool {
        rules.future_ms.is_some_and(|future| time > self.wall_ms.saturating_add(future))
    }

    /// A row's time counts.
    #[inline]
    pub(crate) fn observe(&mut self, time: i64, rules: &Rules) {
        self.quiet_ms = 0;
        if time > self.latest {
            self.latest = time;
            self.watermark = self.watermark.max(time.saturating_sub(rules.disorder_ms));
        }
    }

    /// Time passed without data; `wall_ms` is the clock of the leader that says so, which may have been set back.
    pub(crate) fn tick(&mut self, elapsed_ms: i64, wall_ms: i64, rules: &Rules) {
        self.wall_ms = self.wall_ms.max(wall_ms);
        self.quiet_ms = self.quiet_ms.saturating_add(elapsed_ms.max(0));
        if let Some(idle) = rules.idle_ms
            && self.latest != NEVER
        {
            let since = (self.quiet_ms - idle).max(0);
            self.watermark = self.watermark.max(self.latest.saturating_sub(rules.disorder_ms).saturating_add(since));
        }
    }

    /// Moves the watermark on, never back.
    pub(crate) fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
    }

    /// How much longer nothing has to come until ticks bring the watermark to `time`; `None` where they never do.
    pub(crate) fn quiet_until(&self, time: i64, rules: &Rules) -> Option<i64> {
        let idle = rules.idle_ms.filter(|_| self.latest != NEVER)?;
        let start = self.latest.saturating_sub(rules.disorder_ms);
        Some(time.saturating_sub(start).saturating_add(idle).saturating_sub(self.quiet_ms).max(1))
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        [self.latest, self.quiet_ms, self.watermark, self.wall_ms].iter().for_each(|&value| put_int(out, value));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Clock, Corrupt> {
        Ok(Clock { latest: reader.int()?, quiet_ms: reader.int()?, watermark: reader.int()?, wall_ms: reader.int()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { disorder_ms: 5, idle_ms: Some(30), future_ms: Some(100) };

    #[test]
    fn data_moves_it_and_older_data_does_not() {
        let mut clock = Clock::new(0);
        assert_eq!(clock.watermark(), NEVER);
        for (time, watermark) in [(10, 5), (7, 5), (20, 15)] {
            clock.observe(time, &RULES);
            assert_eq!(clock.watermark(), watermark);
        }
    }

    #[test]
    fn ticks_move_it_after_the_idle_time_and_data_ends_the_quiet() {
        let mut clock = Clock::new(0);
        clock.observe(100, &RULES);
        assert_eq!(clock.quiet_until(110, &RULES), Some(45));
        clock.tick(30, 0, &RULES);
        assert_eq!(clock.watermark(), 95);
        clock.tick(15, 0, &RULES);
        assert_eq!(clock.watermark(), 110);
        clock.observe(90, &RULES);
        clock.tick(30, 0, &RULES);
        assert_eq!(clock.watermark(), 110, "never back");
    }

    #[test]
    fn without_a_row_only_an_advance_moves_it() {
        let mut clock = Clock::new(0);
        clock.tick(1_000_000, 0, &RULES);
        assert_eq!(clock.watermark(), NEVER);
        assert_eq!(clock.quiet_until(0, &RULES), None);
        clock.advance(50);
        clock.advance(40);
        assert_eq!(clock.watermark(), 50);
    }

    #[test]
    fn never_idle_never_moves_by_ticks() {
        let rules = Rules { idle_ms: None, ..RULES };
        let mut clock = Clock::new(0);
        clock.observe(100, &rules);
        clock.tick(600_000, 0, &rules);
        assert_eq!((clock.watermark(), clock.quiet_until(200, &rules)), (95, None));
    }

    #[test]
    fn the_future_is_measured_from_the_newest_committed_wall_clock() {
        let mut clock = Clock::new(1_000);
        assert!(clock.is_future(1_101, &RULES) && !clock.is_future(1_100, &RULES));
        clock.tick(1, 2_000, &RULES);
        clock.tick(1, 1_500, &RULES);
        assert!(!clock.is_future(2_100, &RULES), "a clock that is set back takes nothing away");
    }
}
