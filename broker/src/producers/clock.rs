//! The log's own time, by which quiet producers are forgotten.

/// Furthest that one batch moves the time, in milliseconds.
const STEP_MS_MAX: i64 = 60_000;

/// Time as the committed batches of idempotent producers tell it, in milliseconds since the first of them.
///
/// Record timestamps are the producers' own: one may backfill 2013 while another writes today's, and taking them
/// at their word would forget, between two batches of a producer, what its repeats are compared with. So a batch that
/// raises the largest timestamp moves the time by that much, but by a minute at most. On a partition that is in use this
/// is real time; a jump, or a partition that is hardly used, makes it run late, and a producer is only ever forgotten
/// later than asked: never before others committed a batch for each minute of `producer.id.expiration.ms`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Clock {
    now_ms: i64,
    /// Largest timestamp so far; none before the first.
    newest: Option<i64>,
    /// Not above the `seen` of any producer, so that [`Clock::horizon`] can tell that there is nothing to do.
    oldest_ms: i64,
}

impl Clock {
    /// As saved. `newest` of a log whose batches have no timestamps is negative.
    pub(super) fn restore(now_ms: i64, newest: i64) -> Self {
        Self { now_ms, newest: (newest >= 0).then_some(newest), oldest_ms: 0 }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub(super) fn newest(&self) -> i64 {
        self.newest.unwrap_or(-1)
    }

    /// A batch with this largest timestamp is committed; a negative one says nothing.
    pub(super) fn observe(&mut self, timestamp: i64) {
        if timestamp < 0 {
            return;
        }
        if let Some(newest) = self.newest {
            self.now_ms = self.now_ms.saturating_add(timestamp.saturating_sub(newest).clamp(0, STEP_MS_MAX));
        }
        self.newest = self.newest.max(Some(timestamp));
    }

    /// Producers seen before this have expired; none when no producer can have.
    pub(super) fn horizon(&self, expiration_ms: u64) -> Option<i64> {
        let horizon = self.now_ms.saturating_sub_unsigned(expiration_ms);
        (self.oldest_ms < horizon).then_some(horizon)
    }

    pub(super) fn set_oldest(&mut self, oldest: Option<i64>) {
        self.oldest_ms = oldest.unwrap_or(self.now_ms);
    }
}
