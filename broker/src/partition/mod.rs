//! What every thread may know of a partition: where its log stands, and how to read it.
//!
//! The shard that owns the replica is the only one that changes it; readers take no lock that an append holds.

mod registry;
mod waiters;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use leat_protocol::Str;
use leat_storage::{GroupId, LogReader};
use parking_lot::Mutex;
use tokio::sync::Notify;

pub(crate) use self::registry::{Registry, Topic};
pub(crate) use self::waiters::{Registration, Wakeup};

use self::waiters::Waiters;
use crate::config::TopicConfig;
use crate::metadata;
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
    /// Other nodes hold it now.
    Moved,
}

/// Replicas that are remembered without being placed.
const STRANGERS_MAX: usize = 16;

/// Stands for no leader, as in Kafka.
pub(crate) const NOBODY: i32 = -1;

/// What a partition of this node is from the beginning.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) group: GroupId,
    pub(crate) topic: Str,
    pub(crate) node_id: i32,
    pub(crate) replica_id: u64,
    pub(crate) placement: metadata::Partition,
    pub(crate) shard: usize,
    pub(crate) leader_epoch: i32,
}

/// One partition of a topic, as seen from any thread.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) group: GroupId,
    pub(crate) topic: Str,
    /// Given by the metadata once per placement, at least 1.
    pub(crate) replica_id: u64,
    /// This node.
    node_id: i32,
    /// Who holds it, as the metadata says.
    placement: ArcSwap<metadata::Partition>,
    /// Whether other replicas should hold it than do.
    changing: AtomicBool,
    /// Replicas that were heard of and that the placement does not know: a new node hears of the metadata's leader before
    /// it has learned from it who that is.
    strangers: Mutex<BTreeMap<u64, i32>>,
    /// The shard that owns the replica.
    pub(crate) shard: usize,
    config: ArcSwap<TopicConfig>,
    state: AtomicU8,
    high_watermark: AtomicI64,
    log_start: AtomicI64,
    /// The last entry that is committed and applied here.
    applied: AtomicU64,
    applied_changed: Notify,
    /// Retention leaves what is from here on: a pipeline still needs it.
    held_from: AtomicI64,
    /// Whoever leads, and its epoch, in one word so that they are read together.
    leadership: AtomicU64,
    settled: AtomicBool,
    disk_full: AtomicBool,
    reader: ArcSwapOption<LogReader>,
    /// Grows when another log takes the place of this one.
    generation: AtomicU64,
    offline: ArcSwapOption<String>,
    pub(crate) traffic: Traffic,
    waiters: Waiters,
}

impl Partition {
    pub(crate) fn new(place: Place, config: Arc<TopicConfig>) -> Partition {
        let Place { group, topic, node_id, replica_id, placement, shard, leader_epoch } = place;
        let mut members = placement.members();
        let leader = members.next().filter(|_| members.next().is_none()).map_or(NOBODY, |only| only.node_id);
        drop(members);
        Partition {
            group,
            topic,
            replica_id,
            node_id,
            changing: AtomicBool::new(placement.change.is_some()),
            placement: ArcSwap::from_pointee(placement),
            strangers: Mutex::default(),
            shard,
            config: ArcSwap::new(config),
            state: AtomicU8::new(State::Closed as u8),
            high_watermark: AtomicI64::new(0),
            log_start: AtomicI64::new(0),
            applied: AtomicU64::new(0),
            applied_changed: Notify::new(),
            held_from: AtomicI64::new(i64::MAX),
            leadership: AtomicU64::new(pack(leader, leader_epoch)),
            settled: AtomicBool::new(leader == node_id),
            disk_full: AtomicBool::new(false),
            reader: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
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
            3 => State::Deleted,
            _ => State::Moved,
        }
    }

    /// Whether this node holds it no more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.state(), State::Deleted | State::Moved)
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

    /// The last entry that is committed and applied here.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    pub(crate) fn advance_applied(&self, index: u64) {
        if self.applied.fetch_max(index, Ordering::AcqRel) < index {
            self.applied_changed.notify_waiters();
        }
    }

    /// Waits until an entry after `index` is applied.
    pub(crate) async fn applied_beyond(&self, index: u64) {
        loop {
            let changed = self.applied_changed.notified();
            if self.applied() > index {
                return;
            }
            changed.await;
        }
    }

    /// The first offset that retention has to leave.
    pub(crate) fn held_from(&self) -> i64 {
        self.held_from.load(Ordering::Acquire)
    }

    pub(crate) fn hold_from(&self, offset: i64) {
        self.held_from.store(offset, Ordering::Release);
    }

    pub(crate) fn log_start(&self) -> i64 {
        self.log_start.load(Ordering::Acquire)
    }

    pub(crate) fn set_log_start(&self, offset: i64) {
        self.log_start.store(offset, Ordering::Release);
    }

    /// Who holds it and who should.
    pub(crate) fn placement(&self) -> Arc<metadata::Partition> {
        self.placement.load_full()
    }

    pub(crate) fn set_placement(&self, placement: metadata::Partition) {
        let changing = placement.change.is_some();
        self.placement.store(Arc::new(placement));
        self.changing.store(changing, Ordering::Release);
    }

    /// Whether other replicas should hold it than do.
    pub(crate) fn is_changing(&self) -> bool {
        self.changing.load(Ordering::Acquire)
    }

    /// The node that holds a replica of it.
    pub(crate) fn node_of(&self, replica_id: u64) -> Option<i32> {
        let placed = self.placement.load().members().find(|replica| replica.id == replica_id);
        placed.map(|replica| replica.node_id).or_else(|| self.strangers.lock().get(&replica_id).copied())
    }

    /// A replica was heard of from a node.
    pub(crate) fn heard(&self, replica_id: u64, node_id: i32) {
        let is_placed = self.placement.load().members().any(|replica| replica.id == replica_id);
        let mut strangers = if is_placed { return } else { self.strangers.lock() };
        if strangers.len() < STRANGERS_MAX {
            strangers.insert(replica_id, node_id);
        }
    }

    /// Whether it has replicas on other nodes.
    pub(crate) fn is_replicated(&self) -> bool {
        self.placement.load().members().nth(1).is_some()
    }

    /// The node that leads and its epoch, as this node knows it; [`NOBODY`] while nobody does.
    pub(crate) fn leader(&self) -> (i32, i32) {
        unpack(self.leadership.load(Ordering::Acquire))
    }

    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader().1
    }

    /// Whether this node leads it.
    pub(crate) fn is_led_here(&self) -> bool {
        self.leader().0 == self.node_id
    }

    /// Whether this node leads it and knows where its committed log ends.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire) && self.is_led_here()
    }

    /// Who waits for the partition is woken by another leader too. True where something is different now.
    pub(crate) fn set_leader(&self, node: i32, epoch: i32, settled: bool) -> bool {
        let before = self.leadership.swap(pack(node, epoch), Ordering::AcqRel);
        let changed = before != pack(node, epoch);
        let changed = self.settled.swap(settled, Ordering::AcqRel) != settled || changed;
        if changed {
            self.waiters.wake();
        }
        changed
    }

    /// Whether the disk had no room for the last write. Reads go on.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Acquire)
    }

    /// True where it was otherwise.
    pub(crate) fn set_disk_full(&self, full: bool) -> bool {
        self.disk_full.swap(full, Ordering::AcqRel) != full
    }

    /// The log; `None` while nothing has ever been written.
    pub(crate) fn reader(&self) -> Option<Arc<LogReader>> {
        self.reader.load_full()
    }

    pub(crate) fn set_reader(&self, reader: LogReader) {
        self.reader.store(Some(Arc::new(reader)));
    }

    /// Which of its logs, one after the other, this is.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Another log is about to take the place of this one.
    pub(crate) fn begin_anew(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.set_state(State::Closed);
    }

    /// Wakes `wakeup` at the next change, until the registration is dropped.
    pub(crate) fn watch(self: &Arc<Self>, wakeup: &Wakeup) -> Registration {
        self.waiters.register(self, wakeup)
    }
}

fn pack(node: i32, epoch: i32) -> u64 {
    u64::from(node.cast_unsigned()) << 32 | u64::from(epoch.cast_unsigned())
}

fn unpack(packed: u64) -> (i32, i32) {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0).cast_signed();
    (half(packed >> 32), half(packed))
}
