//! What every part of a running broker shares.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use leat_protocol::Uuid;
use leat_storage::GroupId;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::cluster::{METADATA_GROUP, Outcomes};
use crate::config::{Config, Overrides};
use crate::disk::{Ballots, Pool};
use crate::groups;
use crate::handlers::admin::init_producer_id::ProducerIds;
use crate::metadata::Image;
use crate::metrics::Metrics;
use crate::net::Budget;
use crate::partition::{NOBODY, Partition, Registry};
use crate::peers::{Observation, Peers};
use crate::pipelines;
use crate::shard::{Deleting, ShardHandle};

/// Metadata entries whose outcomes are kept for whoever asked for them.
const OUTCOMES_MAX: usize = 1024;

/// One broker's shared state. Readers take published values; only the metadata's state machine changes them.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) node_id: i32,
    pub(crate) cluster_id: String,
    pub(crate) peers: Arc<Peers>,
    /// The data folder, and its id.
    pub(crate) folder: PathBuf,
    pub(crate) folder_id: Uuid,
    /// What clients are told to connect to.
    pub(crate) advertised: OnceLock<(String, u16)>,
    /// What was configured at start, under what is altered while running.
    started_with: Config,
    config: ArcSwap<Config>,
    image: ArcSwap<Image>,
    /// The newest applied metadata entry, and what came of the records of the last ones.
    applied: watch::Sender<u64>,
    outcomes: Mutex<BTreeMap<u64, Outcomes>>,
    /// Whether the image is what the cluster had decided when this node came: before, folders may be of topics that it does not
    /// know yet.
    caught_up: AtomicBool,
    pub(crate) planning: tokio::sync::Mutex<()>,
    pub(crate) producer_ids: tokio::sync::Mutex<ProducerIds>,
    pub(crate) metadata: Arc<Partition>,
    pub(crate) partitions: Registry,
    pub(crate) groups: groups::Directory,
    pub(crate) pipelines: pipelines::Host,
    pub(crate) deleting: Arc<Deleting>,
    pub(crate) ballots: Ballots,
    pub(crate) budget: Arc<Budget>,
    pub(crate) pool: Pool,
    pub(crate) shard_count: usize,
    pub(crate) metrics: Arc<Metrics>,
    shards: OnceLock<Vec<ShardHandle>>,
    /// Set once clients are served.
    serves: AtomicBool,
    /// True once the broker is to stop: no more requests, and nothing waits any longer.
    pub(crate) stopping: watch::Sender<bool>,
    /// Set when the broker can't go on.
    pub(crate) failed: watch::Sender<Option<String>>,
}

/// What a server is made of.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) cluster_id: String,
    pub(crate) peers: Arc<Peers>,
    pub(crate) folder: PathBuf,
    pub(crate) folder_id: Uuid,
    pub(crate) metadata: Arc<Partition>,
    pub(crate) ballots: Ballots,
    pub(crate) pool: Pool,
    pub(crate) shard_count: usize,
    pub(crate) request_bytes_max: usize,
}

impl Server {
    pub(crate) fn new(parts: Parts) -> Arc<Server> {
        let Parts { config, cluster_id, peers, folder, folder_id, .. } = parts;
        let Parts { metadata, ballots, pool, shard_count, request_bytes_max, .. } = parts;
        Arc::new(Server {
            node_id: config.node_id,
            cluster_id,
            peers,
            folder,
            folder_id,
            advertised: OnceLock::new(),
            started_with: config.clone(),
            config: ArcSwap::from_pointee(config),
            image: ArcSwap::from_pointee(Image::default()),
            applied: watch::Sender::new(0),
            outcomes: Mutex::default(),
            caught_up: AtomicBool::new(false),
            planning: tokio::sync::Mutex::new(()),
            producer_ids: tokio::sync::Mutex::default(),
            metadata,
            partitions: Registry::default(),
            groups: groups::Directory::default(),
            pipelines: pipelines::Host::default(),
            deleting: Arc::default(),
            ballots,
            budget: Budget::new(request_bytes_max),
            pool,
            shard_count,
            metrics: Arc::default(),
            shards: OnceLock::new(),
            serves: AtomicBool::new(false),
            stopping: watch::Sender::new(false),
            failed: watch::Sender::new(None),
        })
    }

    /// The configuration that counts now.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The newest applied image.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    pub(crate) fn publish(&self, image: Image, index: u64, outcomes: Outcomes) {
        for broker in image.brokers() {
            self.peers.set_address(broker.node_id, &broker.peer);
        }
        image.gone().for_each(|node_id| self.peers.forget(node_id));
        self.image.store(Arc::new(image));
        let mut kept = self.outcomes.lock();
        kept.insert(index, outcomes);
        while kept.len() > OUTCOMES_MAX {
            kept.pop_first();
        }
        drop(kept);
        self.set_applied(index);
    }

    /// Tells who waits how far the metadata is applied.
    pub(crate) fn set_applied(&self, index: u64) {
        self.applied.send_if_modified(|applied| index > std::mem::replace(applied, index.max(*applied)));
    }

    /// Changes with every metadata entry that is applied.
    pub(crate) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// What came of the records of a metadata entry, once it is applied here.
    pub(crate) async fn outcomes(&self, index: u64) -> Option<Outcomes> {
        self.applied_upto(index).await;
        self.outcomes.lock().remove(&index)
    }

    /// Waits until a metadata entry is applied here, or the broker stops.
    pub(crate) async fn applied_upto(&self, index: u64) {
        let (mut applied, mut stopping) = (self.applied.subscribe(), self.stopping.subscribe());
        tokio::select! {
            // The sender is this server's.
            _ = applied.wait_for(|applied| *applied >= index) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }

    pub(crate) fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    pub(crate) fn set_caught_up(&self) {
        self.caught_up.store(true, Ordering::Release);
    }

    /// The partition of a group, where this node holds a replica and may open it.
    pub(crate) fn partition_of(&self, group: GroupId) -> Option<Arc<Partition>> {
        if group == METADATA_GROUP {
            return Some(self.metadata.clone());
        }
        self.is_caught_up().then(|| self.partitions.get(group.topic_id, group.partition)).flatten()
    }

    /// Who leads a partition and its epoch, as far as this node knows.
    pub(crate) fn leader_of(&self, group: GroupId) -> Option<Observation> {
        let own = self.partitions.get(group.topic_id, group.partition);
        // What was told by this node itself holds only while it leads: one that is cut off hears of no successor.
        let led_no_more = own.as_ref().is_some_and(|partition| !partition.is_led_here());
        let told = self.peers.observed.get(group).filter(|told| told.leader != self.node_id || !led_no_more);
        let own = own.and_then(|partition| {
            let (leader, epoch) = partition.leader();
            let newer = leader != NOBODY && told.as_ref().is_none_or(|told| told.epoch < epoch);
            newer.then(|| Observation { leader, epoch, in_sync: vec![leader] })
        });
        own.or(told)
    }

    pub(crate) fn set_dynamic_config(&self, image: &Image) {
        let none = Overrides::new();
        let own = image.broker_configs(self.node_id).unwrap_or(&none);
        let pairs = |overrides: &Overrides| {
            overrides.iter().map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()
        };
        let (cluster, own) = (pairs(image.cluster_configs()), pairs(own));
        let config = self.started_with.with_dynamic(
            cluster.iter().map(|(key, value)| (key.as_str(), value.as_str())),
            own.iter().map(|(key, value)| (key.as_str(), value.as_str())),
        );
        self.config.store(Arc::new(config));
    }

    pub(crate) fn set_shards(&self, shards: Vec<ShardHandle>) {
        // Set once, before anything is served.
        let _ = self.shards.set(shards);
    }

    /// Whether the metadata is loaded and clients are served.
    pub(crate) fn serves(&self) -> bool {
        self.serves.load(Ordering::Acquire)
    }

    pub(crate) fn set_serves(&self) {
        self.serves.store(true, Ordering::Release);
    }

    pub(crate) fn shards(&self) -> &[ShardHandle] {
        self.shards.get().map_or(&[], Vec::as_slice)
    }

    /// The shard that owns a partition.
    pub(crate) fn shard(&self, partition: &Partition) -> &ShardHandle {
        &self.shards()[partition.shard]
    }

    /// Opens partitions side by side, and waits for all of them.
    pub(crate) async fn open_all(&self, partitions: impl IntoIterator<Item = Arc<Partition>>) {
        let opening = partitions.into_iter().filter_map(|partition| self.shard(&partition).begin_open(&partition));
        for opened in opening.collect::<Vec<_>>() {
            // It ends without a word where the partition can't be opened, which its state then says.
            let _ = opened.await;
        }
    }

    /// Partitions of a topic take turns, beginning at a place that its id gives.
    pub(crate) fn shard_of(&self, group: GroupId) -> usize {
        let start = group.topic_id.as_bytes()[15] as usize;
        (start + group.partition.unsigned_abs() as usize) % self.shard_count
    }

    /// The epoch that a partition's next leader will have, as far as is known without opening its log.
    pub(crate) fn next_epoch(&self, group: GroupId) -> i32 {
        let term = self.ballots.lock().get(group).map_or(0, |ballot| ballot.term);
        i32::try_from(term + 1).unwrap_or(i32::MAX)
    }

    /// Ends the broker with a reason: going on would be wrong.
    pub(crate) fn fail(&self, reason: &str) {
        tracing::error!(%reason, "the broker can not go on");
        self.failed.send_replace(Some(reason.to_owned()));
    }
}
