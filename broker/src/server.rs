//! What every part of a running broker shares.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use leat_storage::GroupId;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::cluster::Outcomes;
use crate::config::{Config, Overrides};
use crate::disk::{Ballots, Pool};
use crate::groups;
use crate::handlers::admin::init_producer_id::ProducerIds;
use crate::metadata::Image;
use crate::metrics::Metrics;
use crate::net::Budget;
use crate::partition::{Partition, Registry};
use crate::shard::{Deleting, ShardHandle};

/// One broker's shared state. Readers take published values; only the metadata's state machine changes them.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) node_id: i32,
    pub(crate) cluster_id: String,
    /// The data folder.
    pub(crate) folder: PathBuf,
    /// What clients are told to connect to.
    pub(crate) advertised: OnceLock<(String, u16)>,
    /// What was configured at start, under what is altered while running.
    started_with: Config,
    config: ArcSwap<Config>,
    image: ArcSwap<Image>,
    /// The newest applied metadata entry and what came of its records.
    applied: Mutex<(u64, Outcomes)>,
    pub(crate) planning: tokio::sync::Mutex<()>,
    pub(crate) producer_ids: tokio::sync::Mutex<ProducerIds>,
    pub(crate) metadata: Arc<Partition>,
    pub(crate) partitions: Registry,
    pub(crate) groups: groups::Directory,
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
    pub(crate) folder: PathBuf,
    pub(crate) metadata: Arc<Partition>,
    pub(crate) ballots: Ballots,
    pub(crate) pool: Pool,
    pub(crate) shard_count: usize,
    pub(crate) request_bytes_max: usize,
}

impl Server {
    pub(crate) fn new(parts: Parts) -> Arc<Server> {
        let Parts { config, cluster_id, folder, metadata, ballots, pool, shard_count, request_bytes_max } = parts;
        Arc::new(Server {
            node_id: config.node_id,
            cluster_id,
            folder,
            advertised: OnceLock::new(),
            started_with: config.clone(),
            config: ArcSwap::from_pointee(config),
            image: ArcSwap::from_pointee(Image::default()),
            applied: Mutex::new((0, Vec::new())),
            planning: tokio::sync::Mutex::new(()),
            producer_ids: tokio::sync::Mutex::default(),
            metadata,
            partitions: Registry::default(),
            groups: groups::Directory::default(),
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
        self.image.store(Arc::new(image));
        *self.applied.lock() = (index, outcomes);
    }

    /// What came of the records of a metadata entry. Changes are planned one at a time, so it is the newest.
    pub(crate) fn outcomes(&self, index: u64) -> Option<Outcomes> {
        let mut applied = self.applied.lock();
        (applied.0 == index).then(|| std::mem::take(&mut applied.1))
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
