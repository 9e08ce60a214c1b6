//! When each record is due.

use crate::Error;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A schedule of evenly spaced moments, kept by a thread of its own: tokio's timer rounds up to a millisecond, which is
/// more than the latencies to be measured.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    per_second: f64,
    /// One permit for each record that is due and was not waited for yet.
    due: Arc<Semaphore>,
}

impl Pace {
    /// Starts now.
    pub(crate) fn start(per_second: f64) -> Result<Self, Error> {
        if !(per_second > 0.0 && per_second.is_finite()) {
            return Err(Error::Usage(format!("a rate of {per_second} records per second can't be kept")));
        }
        let pace = Self { start: Instant::now(), per_second, due: Arc::new(Semaphore::new(0)) };
        let (start, due) = (pace.start, Arc::downgrade(&pace.due));
        let tick = move || {
            // Wake when asked, not up to 50 microseconds later. Where that is refused, figures are that much worse.
            let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
            let mut released = 0;
            // Ends with the schedule.
            while let Some(due) = due.upgrade() {
                // Several at once where a wake-up comes late or the rate is high.
                let elapsed = (start.elapsed().as_secs_f64() * per_second) as u64 + 1;
                due.add_permits(usize::try_from(elapsed.saturating_sub(released)).unwrap_or(0));
                released = released.max(elapsed);
                drop(due);
                let next = start + moment(released, per_second);
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        };
        thread::Builder::new().name("pace".into()).spawn(tick).map_err(Error::io("starting a thread"))?;
        Ok(pace)
    }

    /// Waits until record `index` is due and returns that moment, which lies in the past when we are late. Records are
    /// waited for in order.
    pub(crate) async fn wait(&self, index: u64) -> Instant {
        // The semaphore is never closed.
        if let Ok(permit) = self.due.acquire().await {
            permit.forget();
        }
        self.start + moment(index, self.per_second)
    }
}

fn moment(index: u64, per_second: f64) -> Duration {
    Duration::from_secs_f64(index as f64 / per_second)
}
