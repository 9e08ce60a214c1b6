//! Compaction: one thread that cleans, of the partitions that are due, the dirtiest first, a little at a time.
//!
//! Everything that reads or writes much happens here, never on a shard or a write thread; those only save the checkpoint
//! that a pass needs, and take what it has made.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use leat_storage::compact::{self, Limit, Order, Outcome, Step};
use leat_storage::{Checkpoint, Compaction, Env, Error, GroupId};
use tokio::sync::watch;
use uuid::Uuid;

use crate::clock::now_ms;
use crate::config::{Config, TopicConfig};
use crate::partition::{Partition, State};
use crate::producers::ProducerState;
use crate::server::Server;
use crate::shard::log_config;

/// Behind everything else that wants a processor.
const PRIORITY: i32 = 10;

/// Starts the thread; it ends when `stop` turns true.
pub(crate) fn start(server: Arc<Server>, stop: watch::Receiver<bool>) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    thread::Builder::new().name("leat-cleaner".into()).spawn(move || {
        // Of this thread alone, as Linux has it.
        if let Err(error) = rustix::process::setpriority_process(None, PRIORITY) {
            tracing::debug!(%error, "compaction runs with the usual priority");
        }
        runtime.block_on(Cleaner { server, stop, damaged: HashSet::new() }.run());
    })
}

struct Cleaner {
    server: Arc<Server>,
    stop: watch::Receiver<bool>,
    /// Left alone until the next start.
    damaged: HashSet<GroupId>,
}

/// Why a pass has ended before its end.
enum End {
    /// The broker stops, or the partition is gone or offline.
    Stopped,
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        End::Failed(error)
    }
}

impl Cleaner {
    async fn run(mut self) {
        loop {
            let config = self.server.config();
            let dirtiest = self.dirtiest(&config).await;
            let cleaned = match &dirtiest {
                Some(partition) => self.clean(partition, &config).await,
                None => false,
            };
            let wait = if cleaned { Duration::ZERO } else { Duration::from_millis(config.log_cleaner_backoff_ms) };
            if self.stops_within(wait).await {
                return;
            }
        }
    }

    async fn stops_within(&mut self, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.stop.wait_for(|stop| *stop)).await.is_ok() || *self.stop.borrow()
    }

    /// Of the partitions that are due, the one that would gain most.
    async fn dirtiest(&mut self, config: &Config) -> Option<Arc<Partition>> {
        let mut dirtiest: Option<(f64, Arc<Partition>)> = None;
        let image = self.server.image();
        for partition in self.server.partitions.all() {
            let topic = partition.config();
            if !topic.cleanup_policy.compact || self.damaged.contains(&partition.group) {
                continue;
            }
            // A pipeline reads entries, its own state among them, which compaction would take: on any replica.
            if image.reader_of(partition.group.topic_id).is_some() {
                continue;
            }
            // One that was never written to has no folder and nothing to clean.
            if partition.state() == State::Closed && self.server.folder.join(partition.folder()).exists() {
                self.server.shard(&partition).open(&partition).await;
            }
            let Some(reader) = partition.reader().filter(|_| partition.state() == State::Open) else { continue };
            let limit = Limit { applied: u64::MAX, stable_offset: partition.high_watermark() };
            let settings = settings(&topic, config);
            match reader.dirt(&settings, limit, now_ms()) {
                Ok(dirt) if !dirt.is_due(&settings) => {}
                Ok(dirt) if dirtiest.as_ref().is_some_and(|(most, _)| *most >= dirt.ratio) => {}
                Ok(dirt) => dirtiest = Some((dirt.ratio, partition)),
                Err(error) => tracing::warn!(partition = %partition.folder(), %error, "not looked at for compaction"),
            }
        }
        dirtiest.map(|(_, partition)| partition)
    }

    /// Cleans a partition once; false where there is a reason to wait.
    async fn clean(&mut self, partition: &Arc<Partition>, config: &Config) -> bool {
        let begun = Instant::now();
        match self.pass(partition, config).await {
            Ok(Some(done)) => {
                let metrics = &self.server.metrics;
                metrics.compactions.inc();
                metrics.compaction_bytes_in.inc_by(done.bytes_before);
                metrics.compaction_bytes_out.inc_by(done.bytes_after);
                tracing::info!(
                    partition = %partition.folder(), clean_end = done.clean_end, partial = done.partial,
                    before = done.bytes_before, after = done.bytes_after, segments_before = done.segments_before,
                    segments_after = done.segments_after, took_ms = begun.elapsed().as_millis(), "compacted"
                );
                true
            }
            Ok(None) | Err(End::Stopped) => false,
            Err(End::Failed(error)) => {
                self.server.metrics.compactions_failed.inc();
                if matches!(error, Error::Corrupt { .. }) {
                    self.damaged.insert(partition.group);
                }
                tracing::warn!(partition = %partition.folder(), %error, "not compacted");
                false
            }
        }
    }

    async fn pass(&mut self, partition: &Arc<Partition>, config: &Config) -> Result<Option<Outcome>, End> {
        let (shard, generation) = (self.server.shard(partition), partition.generation());
        if !shard.save_checkpoint(partition).await {
            return Err(End::Stopped);
        }
        let folder = self.server.folder.join(partition.folder());
        let Some(saved) = Checkpoint::load(&Env::default(), &folder)? else { return Ok(None) };
        let Some(reader) = partition.reader() else { return Ok(None) };
        let topic = partition.config();
        let order = Order {
            limit: Limit { applied: saved.applied, stable_offset: partition.high_watermark() },
            now_ms: now_ms(),
            // A state that is not of producers has none.
            producers: ProducerState::decode(&saved.producers).map_or_else(|_| HashMap::new(), |p| p.last_offsets()),
            secret: Uuid::new_v4().into_bytes(),
        };
        let log = log_config(&topic, partition.index());
        let Some(mut pass) = Compaction::begin(&reader, log, &settings(&topic, config), order)? else {
            return Ok(None);
        };
        let mut throttle = Throttle::new(Instant::now());
        loop {
            match pass.step()? {
                Step::More { bytes } => {
                    throttle.moved(bytes);
                    // A thread that has just been woken waits for the rest of this one's time slice otherwise, which is longer
                    // than a produce takes.
                    thread::yield_now();
                    loop {
                        let wait =
                            throttle.wait(Instant::now(), self.server.config().log_cleaner_io_max_bytes_per_second);
                        if self.stops_within(wait).await || partition.state() != State::Open {
                            return Err(End::Stopped);
                        }
                        if wait.is_zero() {
                            break;
                        }
                    }
                }
                Step::Swap(swap) => {
                    if !self.server.shard(partition).swap_in(partition, swap, generation).await {
                        return Err(End::Stopped);
                    }
                }
                Step::Done(outcome) => return Ok(Some(outcome)),
            }
        }
    }
}

fn settings(topic: &TopicConfig, config: &Config) -> compact::Config {
    compact::Config {
        min_lag_ms: topic.min_compaction_lag_ms,
        max_lag_ms: topic.max_compaction_lag_ms,
        min_dirty_ratio: topic.min_cleanable_dirty_ratio,
        delete_retention_ms: topic.delete_retention_ms,
        keys_bytes_max: config.log_cleaner_dedupe_buffer_size,
        keys_load_factor: config.log_cleaner_io_buffer_load_factor,
    }
}

/// Keeps a pass to so many bytes a second on average, also where the rate is changed in its middle.
struct Throttle {
    /// Bytes that were moved and that the rate has not yet made up for.
    owed: f64,
    at: Instant,
}

impl Throttle {
    /// What was not used so far back is lost, so that a pause is not followed by a burst.
    const SPARED: Duration = Duration::from_millis(100);
    /// After so long the rate is looked at again.
    const WAIT_MAX: Duration = Duration::from_millis(300);

    fn new(now: Instant) -> Self {
        Self { owed: 0.0, at: now }
    }

    fn moved(&mut self, bytes: u64) {
        self.owed += bytes as f64;
    }

    /// How long to wait before more is moved; zero where more may be moved now.
    fn wait(&mut self, now: Instant, bytes_per_second: f64) -> Duration {
        let since = now.duration_since(self.at).as_secs_f64();
        self.at = now;
        self.owed = (self.owed - since * bytes_per_second).max(-Self::SPARED.as_secs_f64() * bytes_per_second);
        let due = Duration::try_from_secs_f64((self.owed / bytes_per_second).max(0.0)).unwrap_or(Duration::MAX);
        due.min(Self::WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_throttle_keeps_to_its_rate_on_average() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut throttle = Throttle::new(start);
        throttle.moved(250);
        assert_eq!(throttle.wait(start + ms(100), 1000.0), ms(150));
        // It slept longer than it was told: the next wait is as much shorter.
        assert_eq!(throttle.wait(start + ms(280), 1000.0), ms(0));
        throttle.moved(100);
        assert_eq!(throttle.wait(start + ms(280), 1000.0), ms(70));
        // A second without work allows no more than a tenth of a second's bytes at once.
        assert_eq!(throttle.wait(start + ms(1280), 1000.0), ms(0));
        throttle.moved(200);
        assert_eq!(throttle.wait(start + ms(1280), 1000.0), ms(100));
    }

    #[test]
    fn a_changed_rate_holds_at_once() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut throttle = Throttle::new(start);
        throttle.moved(1_000_000);
        assert_eq!(throttle.wait(start, 1.0), ms(300), "looks again");
        assert_eq!(throttle.wait(start + ms(300), 10_000_000.0), ms(0), "made up for at the new rate meanwhile");
        throttle.moved(u64::MAX);
        assert_eq!(throttle.wait(start + ms(300), f64::MIN_POSITIVE), ms(300));
        assert_eq!(throttle.wait(start + ms(301), f64::MAX), ms(0));
    }
}
