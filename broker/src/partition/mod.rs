//! What every thread may know of a partition: where its log stands, and how to read it.
//!
//! The shard that owns the replica is the only one that changes it; readers take no lock that an append holds.

mod registry;
mod waiters;

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use leat_protocol::Str;
use leat_storage::{GroupId, LogReader};

pub(crate) use self::registry::Registry;
pub(crate) use self::waiters::{Registration, Wakeup};

use self::waiters::Waiters;
use crate::config::TopicConfig;
use crate::metrics::Traffic;

/// How far a partition is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Known from the metadata; its log has not been looked at.
    Closed,
    Open,
    /// Its log can not be used; see [`Partition::offline_reason`].
    Offline,
    /// Its topic is gone.
    Deleted,
}

/// One partition of a topic, as seen from any thread.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) group: GroupId,
    pub(crate) topic: Str,
    /// Given by the metadata once per placement, at least 1.
    pub(crate) replica_id: u64,
    /// The shard that owns the replica.
    pub(crate) shard: usize,
    config: ArcSwap<TopicConfig>,
    state: AtomicU8,
    high_watermark: AtomicI64,
    log_start: AtomicI64,
    leader_epoch: AtomicI32,
    disk_full: AtomicBool,
    reader: OnceLock<LogReader>,
    offline: ArcSwapOption<String>,
    pub(crate) traffic: Traffic,
    waiters: Waiters,
}

impl Partition {
    pub(crate) fn new(
        group: GroupId,
        topic: Str,
        replica_id: u64,
        shard: usize,
        leader_epoch: i32,
        config: Arc<TopicConfig>,
    ) -> Partition {
        Partition {
            group,
            topic,
            replica_id,
            shard,
            config: ArcSwap::new(config),
            state: AtomicU8::new(State::Closed as u8),
            high_watermark: AtomicI64::new(0),
            log_start: AtomicI64::new(0),
            leader_epoch: AtomicI32::new(leader_epoch),
            disk_full: AtomicBool::new(false),
            reader: OnceLock::new(),
            offline: ArcSwapOption::empty(),
            traffic: Traffic::default(),
            waiters: Waiters::default(),
        }
    }

    pub(crate) fn index(&self) -> i32 {
        self.group.partition
    }

    /// Name of its folder, as in Kafka.
    pub(crate) fn folder(&self) -> String {
        format!("{}-{}", self.topic, self.group.partition)
    }

    pub(crate) fn config(&self) -> Arc<TopicConfig> {
        self.config.load_full()
    }

    pub(crate) fn set_config(&self, config: Arc<TopicConfig>) {
        self.config.store(config);
    }

    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Closed,
            1 => State::Open,
            2 => State::Offline,
            _ => State::Deleted,
        }
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
        self.waiters.wake();
    }

    pub(crate) fn set_offline(&self, reason: &str) {
        self.offline.store(Some(Arc::new(reason.to_owned())));
        self.set_state(State::Offline);
    }

    pub(crate) fn offline_reason(&self) -> Option<Arc<String>> {
        self.offline.load_full()
    }

    /// The offset after the last record that may be read.
    pub(crate) fn high_watermark(&self) -> i64 {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// Moves the high watermark on and wakes who waits for it.
    pub(crate) fn advance_high_watermark(&self, offset: i64) {
        if self.high_watermark.fetch_max(offset, Ordering::AcqRel) < offset {
            self.waiters.wake();
        }
    }

    pub(crate) fn log_start(&self) -> i64 {
        self.log_start.load(Ordering::Acquire)
    }

    pub(crate) fn set_log_start(&self, offset: i64) {
        self.log_start.store(offset, Ordering::Release);
    }

    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch.load(Ordering::Acquire)
    }

    pub(crate) fn set_leader_epoch(&self, epoch: i32) {
        self.leader_epoch.store(epoch, Ordering::Release);
    }

    /// Whether the disk had no room for the last write. Reads go on.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Acquire)
    }

    pub(crate) fn set_disk_full(&self, full: bool) {
        self.disk_full.store(full, Ordering::Release);
    }

    /// The log; `None` while nothing has ever been written.
    pub(crate) fn reader(&self) -> Option<&LogReader> {
        self.reader.get()
    }

    pub(crate) fn set_reader(&self, reader: LogReader) {
        // A partition's log is made or opened once.
        let _ = self.reader.set(reader);
    }

    /// Wakes `wakeup` at the next change, until the registration is dropped.
    pub(crate) fn watch(self: &Arc<Self>, wakeup: &Wakeup) -> Registration {
        self.waiters.register(self, wakeup)
    }
}
