//! What is known of the cluster, and a connection to each of its brokers.
//!
//! Connections are made when first needed, shared by all callers, and made again after a failure no sooner than the
//! backoff allows. Metadata is asked for by one task, however many callers need it at once.

mod metadata;
mod peer;
mod refresh;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leat_protocol::Str;
use parking_lot::{Mutex, RwLock};
use rand::seq::SliceRandom as _;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub(crate) use metadata::{Metadata, Topic};
use peer::Peer;
pub(crate) use refresh::ask_topics;

use crate::config::CommonConfig;
use crate::net::{Backoff, Connection};
use crate::{Error, TopicPartition};

/// A broker answers one connection's requests one after another, so a fetch that waits there would hold up
/// everything behind it. Fetches have a connection of their own, and so have a group's joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Calls,
    Fetches,
    Joins,
}

/// One client's view of the cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    config: CommonConfig,
    /// Whether asking for an unknown topic may create it.
    create_topics: bool,
    metadata: RwLock<Arc<Metadata>>,
    /// Topics whose metadata is kept fresh.
    topics: Mutex<BTreeSet<Str>>,
    /// Peers by address; a broker that moves is another peer.
    peers: Mutex<HashMap<(String, Lane), Arc<Peer>>>,
    /// Counts metadata answers, good or bad; carries the last error.
    answers: watch::Sender<Answer>,
    wanted: Notify,
    /// The last answer was an error, not all that there is to know, or wrong.
    in_doubt: AtomicBool,
    closed: watch::Sender<bool>,
}

/// The newest outcome of asking for metadata.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) count: u64,
    pub(crate) error: Option<Error>,
}

impl Cluster {
    /// Asks one bootstrap broker for the cluster's members; fails when none answers within
    /// `default.api.timeout.ms` or with an error that waiting can't help.
    pub(crate) async fn connect(config: CommonConfig, create_topics: bool) -> Result<Arc<Self>, Error> {
        let cluster = Arc::new(Self {
            config,
            create_topics,
            metadata: RwLock::default(),
            topics: Mutex::default(),
            peers: Mutex::default(),
            answers: watch::Sender::default(),
            wanted: Notify::new(),
            in_doubt: AtomicBool::new(false),
            closed: watch::Sender::default(),
        });
        let mut answers = cluster.answers.subscribe();
        tokio::spawn(refresh::run(Arc::downgrade(&cluster), cluster.closed.subscribe()));
        let limit = cluster.config.default_api_timeout;
        let deadline = Instant::now() + limit;
        loop {
            let changed = tokio::time::timeout_at(deadline, answers.changed()).await;
            let last = answers.borrow_and_update().clone();
            match (changed, last.error) {
                (Ok(Ok(())), None) => return Ok(cluster),
                (Ok(Ok(())), Some(error)) if error.is_retryable() => {}
                (Err(_), error) => {
                    cluster.close();
                    return Err(error.unwrap_or_else(|| Error::timeout("connecting to the cluster", limit, None)));
                }
                (_, error) => {
                    cluster.close();
                    return Err(error.unwrap_or(Error::Closed));
                }
            }
        }
    }

    pub(crate) fn config(&self) -> &CommonConfig {
        &self.config
    }

    /// Whether asking for an unknown topic may create it.
    pub(crate) fn creates_topics(&self) -> bool {
        self.create_topics
    }

    pub(crate) fn retry_backoff(&self) -> Backoff {
        Backoff::new(self.config.retry_backoff, self.config.retry_backoff_max)
    }

    /// What is known now; never waits.
    pub(crate) fn metadata(&self) -> Arc<Metadata> {
        self.metadata.read().clone()
    }

    /// Wakes whenever metadata was asked for.
    pub(crate) fn answers(&self) -> watch::Receiver<Answer> {
        self.answers.subscribe()
    }

    /// Has metadata asked for soon: something showed that it is stale.
    pub(crate) fn request_refresh(&self) {
        self.wanted.notify_one();
    }

    /// Keeps these topics' metadata fresh from now on.
    pub(crate) fn track<'a>(&self, names: impl IntoIterator<Item = &'a Str>) {
        let mut topics = self.topics.lock();
        let before = topics.len();
        topics.extend(names.into_iter().cloned());
        if topics.len() > before {
            drop(topics);
            self.request_refresh();
        }
    }

    /// Replaces the set of topics kept fresh.
    pub(crate) fn track_only(&self, names: BTreeSet<Str>) {
        let mut topics = self.topics.lock();
        let news = !names.is_subset(&topics);
        *topics = names;
        drop(topics);
        if news {
            self.request_refresh();
        }
    }

    /// A topic's metadata, asked for and waited for if it is not known yet.
    pub(crate) async fn topic(&self, name: &Str, wait: Duration) -> Result<Arc<Topic>, Error> {
        let mut answers = self.answers.subscribe();
        self.track([name]);
        let deadline = Instant::now() + wait;
        let mut last = None;
        loop {
            match self.metadata().topic(name) {
                Some(Ok(topic)) => return Ok(topic.clone()),
                Some(Err(error)) if !error.is_retryable() => return Err(error.clone()),
                Some(Err(error)) => {
                    last = Some(error.clone());
                    self.request_refresh();
                }
                None => self.request_refresh(),
            }
            match tokio::time::timeout_at(deadline, answers.changed()).await {
                Ok(Ok(())) => last = answers.borrow_and_update().error.clone().or(last),
                Ok(Err(_)) => return Err(Error::Closed),
                Err(_) if *self.closed.borrow() => return Err(Error::Closed),
                Err(_) => return Err(Error::timeout(format!("metadata of topic {name}"), wait, last)),
            }
        }
    }

    /// The partition's leader and its epoch, from what is known now.
    pub(crate) fn leader(&self, partition: &TopicPartition) -> Option<(i32, i32)> {
        let metadata = self.metadata();
        let topic = metadata.topic(&partition.topic)?.as_ref().ok()?;
        let found = topic.partitions.get(usize::try_from(partition.partition).ok()?)?;
        (found.leader >= 0).then_some((found.leader, found.leader_epoch))
    }

    /// A connection to a broker by id, made if there is none.
    pub(crate) async fn connection(&self, node: i32, lane: Lane) -> Result<Arc<Connection>, Error> {
        let Some(address) = self.metadata().address(node) else {
            self.request_refresh();
            return Err(Error::Connection {
                address: format!("node {node}"),
                reason: "not a member of the cluster now".to_owned(),
            });
        };
        let connected = self.peer(address, lane).connect(&self.config).await;
        if connected.is_err() {
            self.request_refresh();
        }
        connected
    }

    /// A live connection to a broker by id, if there is one now.
    pub(crate) fn connected(&self, node: i32, lane: Lane) -> Option<Arc<Connection>> {
        let address = self.metadata().address(node)?;
        self.peers.lock().get(&(address, lane))?.connected()
    }

    /// A connection to any broker: one that is there, else a known broker, else a bootstrap one. Where the last answer about the
    /// cluster was not all that there is to know, any of them: who gave it may be cut off from the others.
    pub(crate) async fn any_connection(&self) -> Result<Arc<Connection>, Error> {
        if *self.closed.borrow() {
            return Err(Error::Closed);
        }
        let metadata = self.metadata();
        let mut addresses = metadata.addresses();
        if self.in_doubt.load(Ordering::Relaxed) {
            addresses.extend(self.config.bootstrap_servers.iter().cloned());
            addresses.shuffle(&mut rand::rng());
        } else if let Some(live) = self.any_live() {
            return Ok(live);
        } else {
            addresses.shuffle(&mut rand::rng());
            addresses.extend(self.config.bootstrap_servers.iter().cloned());
        }
        let mut last = Error::Closed;
        for address in addresses {
            match self.peer(address, Lane::Calls).connect(&self.config).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn any_live(&self) -> Option<Arc<Connection>> {
        self.peers.lock().iter().find_map(|((_, lane), peer)| match lane {
            Lane::Calls => peer.connected(),
            Lane::Fetches | Lane::Joins => None,
        })
    }

    fn peer(&self, address: String, lane: Lane) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        peers.entry((address, lane)).or_insert_with_key(|(address, _)| Arc::new(Peer::new(address.clone()))).clone()
    }

    /// Ends all connections and background work; what waits gets an error.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
        // Closing runs the callbacks of what waits for answers, so no lock may be held.
        let peers = std::mem::take(&mut *self.peers.lock());
        for peer in peers.values() {
            peer.close();
        }
    }
}

/// Waits for `true`. Holds nothing afterwards: the guard that `wait_for` returns would lock out whoever closes.
pub(crate) async fn until_closed(mut closed: watch::Receiver<bool>) {
    _ = closed.wait_for(|closed| *closed).await;
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.close();
    }
}
