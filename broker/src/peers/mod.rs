//! The other brokers of the cluster: one control connection to each, and one per shard for replication.
//!
//! ```text
//!   node thread   control link -> Ping, Leaders, Call ->  the other's node thread
//!                              <- Reply               <-
//!   shard n       link         -> Raft, Lacking       ->  the other's shard n, which hands on what another shard owns
//!   a replica that entries can't serve   -> AskSeed   ->  the other's node thread
//!                                        <- a log     <-
//! ```
//!
//! Connections carry one way what their maker sends; the other side's messages come by the other side's connections. Nothing
//! here is reliable: raft sends again, and a call that is lost is an error of whoever asked.

mod bootstrap;
mod control;
mod convert;
mod frame;
mod handshake;
mod links;
mod liveness;
mod observed;
mod seeding;
mod server;
mod watermarks;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use leat_protocol::ErrorCode;
use leat_storage::GroupId;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};

pub(crate) use self::bootstrap::{Membership, Seeking, find};
pub(crate) use self::handshake::Me;
pub(crate) use self::links::Links;
pub(crate) use self::observed::{Observation, Observed};
pub(crate) use self::seeding::{Source, Wanted, fetch};
pub(crate) use self::server::{Hands, start};
pub(crate) use self::watermarks::{Mark, Watermarks};
pub(crate) use self::wire::{AdvanceTo, Asked, Decided, DescribeQuorum, Emit, Founder, Join};

use self::liveness::Liveness;
use self::wire::Reply;
use crate::pipelines::{Advance, Delivered};

/// Nodes that live, and the process of each: another one leads nothing of what the one before led.
pub(crate) type Alive = BTreeMap<i32, u64>;

/// What every part of the broker may know of the others.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) me: Me,
    /// Where each node can be reached by brokers.
    addresses: Mutex<BTreeMap<i32, String>>,
    addresses_changed: Notify,
    liveness: Mutex<Liveness>,
    /// Nodes and the incarnation of each, this node among them.
    alive: ArcSwap<Alive>,
    alive_changed: Notify,
    /// When a node's disk was last known to take no writes.
    stuck: Mutex<BTreeMap<i32, Instant>>,
    pub(crate) observed: Observed,
    pub(crate) watermarks: Watermarks,
    calls: Mutex<HashMap<i32, mpsc::UnboundedSender<Asking>>>,
}

/// The longest that an answer of another node is waited for.
const CALL_MAX: Duration = Duration::from_secs(3);

/// A disk that took no writes is believed to be so for this long after it was last said. It is tried again more often.
const STUCK_FOR: Duration = Duration::from_secs(2);

/// A call on its way to another node.
#[derive(Debug)]
struct Asking {
    asked: Asked,
    reply: oneshot::Sender<Reply>,
}

impl Peers {
    pub(crate) fn new(me: Me) -> Arc<Peers> {
        // One that founded its cluster alone had none; it says where it is when it comes.
        let known = me.founders.iter().filter(|founder| !founder.address.is_empty());
        let addresses = known.map(|founder| (founder.node_id, founder.address.clone())).collect();
        let alive = ArcSwap::from_pointee(Alive::from([(me.node_id, me.incarnation)]));
        Arc::new(Peers {
            me,
            addresses: Mutex::new(addresses),
            addresses_changed: Notify::new(),
            liveness: Mutex::default(),
            alive,
            alive_changed: Notify::new(),
            stuck: Mutex::default(),
            observed: Observed::default(),
            watermarks: Watermarks::default(),
            calls: Mutex::default(),
        })
    }

    /// Where a node is, as the metadata says.
    pub(crate) fn set_address(&self, node: i32, address: &str) {
        if address.is_empty() || node == self.me.node_id {
            return;
        }
        let before = self.addresses.lock().insert(node, address.to_owned());
        if before.as_deref() != Some(address) {
            self.addresses_changed.notify_one();
        }
    }

    /// A node is taken out of the cluster: nobody asks for it any more.
    pub(crate) fn forget(&self, node: i32) {
        if self.addresses.lock().remove(&node).is_some() {
            self.addresses_changed.notify_one();
        }
    }

    /// Whether this broker has, or may get, others beside it.
    pub(crate) fn is_clustered(&self) -> bool {
        self.me.clustered
    }

    fn address(&self, node: i32) -> Option<String> {
        self.addresses.lock().get(&node).filter(|address| !address.is_empty()).cloned()
    }

    fn others(&self) -> Vec<i32> {
        self.addresses.lock().keys().copied().filter(|&node| node != self.me.node_id).collect()
    }

    pub(crate) fn alive(&self) -> Arc<Alive> {
        self.alive.load_full()
    }

    /// Resolves at the next change of [`Peers::alive`].
    pub(crate) async fn alive_changed(&self) {
        self.alive_changed.notified().await;
    }

    /// For how long nothing was heard of a node; `None` where nothing ever was.
    pub(crate) fn silence(&self, node: i32) -> Option<Duration> {
        self.liveness.lock().heard_at(node).map(|at| at.elapsed())
    }

    /// Whether a node's disk takes no writes: it is full, or hangs. Such a node should lead nothing.
    pub(crate) fn is_stuck(&self, node: i32) -> bool {
        self.stuck.lock().get(&node).is_some_and(|at| at.elapsed() < STUCK_FOR)
    }

    /// A node's disk takes no writes just now.
    pub(crate) fn set_stuck(&self, node: i32) {
        self.stuck.lock().insert(node, Instant::now());
    }

    fn heard(&self, node: i32, incarnation: u64) {
        if self.liveness.lock().heard(node, incarnation, Instant::now()) {
            self.publish_alive();
        }
    }

    fn ended(&self, node: i32, incarnation: u64) {
        if self.liveness.lock().ended(node, incarnation) {
            self.publish_alive();
        }
    }

    fn expire(&self) {
        if self.liveness.lock().expire(Instant::now()) {
            self.publish_alive();
        }
    }

    fn publish_alive(&self) {
        let mut alive = self.liveness.lock().alive();
        alive.insert(self.me.node_id, self.me.incarnation);
        tracing::info!(nodes = ?alive.keys().collect::<Vec<_>>(), "brokers that live");
        self.alive.store(Arc::new(alive));
        self.alive_changed.notify_one();
    }

    /// Gives a pipeline's emissions to the node that leads their partition.
    pub(crate) async fn emit(&self, node: i32, group: GroupId, batch: Bytes) -> Delivered {
        match self.call(node, Asked::Emit(Emit { group: Some(group.into()), batch })).await {
            Ok(0) => Delivered::Taken,
            Ok(next) => Delivered::Upto(u32::try_from(next - 1).unwrap_or(0)),
            Err((_, reason)) => Delivered::Not(reason),
        }
    }

    /// Has the node that leads a partition move the watermarks of its pipelines on.
    pub(crate) async fn advance(&self, node: i32, group: GroupId, advance: Advance) -> Result<(), String> {
        let Advance { pipeline, watermark } = advance;
        let asked = Asked::Advance(AdvanceTo { group: Some(group.into()), watermark, pipeline });
        self.call(node, asked).await.map(drop).map_err(|(_, reason)| reason)
    }

    /// Asks another node to do something. An error is the protocol's code and a reason.
    pub(crate) async fn call(&self, node: i32, asked: Asked) -> Result<u64, (ErrorCode, String)> {
        self.ask(node, asked).await.map(|answered| answered.index)
    }

    /// The same where there is more to answer than an index.
    pub(crate) async fn ask(&self, node: i32, asked: Asked) -> Result<Answered, (ErrorCode, String)> {
        let lost = || (ErrorCode::NOT_CONTROLLER, format!("node {node} can not be reached; try again"));
        let (reply, replied) = oneshot::channel();
        let sent = match self.calls.lock().get(&node) {
            Some(calls) => calls.send(Asking { asked, reply }).is_ok(),
            None => false,
        };
        if !sent {
            return Err(lost());
        }
        // One that hangs keeps its connection open.
        let replied = tokio::time::timeout(CALL_MAX, replied).await;
        let reply = replied.map_err(|_| lost())?.map_err(|_| lost())?;
        match ErrorCode(i16::try_from(reply.error_code).unwrap_or(-1)) {
            ErrorCode::NONE => Ok(Answered { index: reply.index, body: reply.body }),
            code => Err((code, reply.reason)),
        }
    }
}

/// Something that another node asks of this one.
pub(crate) struct Called {
    pub(crate) asked: Asked,
    pub(crate) reply: oneshot::Sender<Result<Answered, (ErrorCode, String)>>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// The entry to wait for, mostly.
    pub(crate) index: u64,
    /// What was asked for, encoded.
    pub(crate) body: Bytes,
}

impl From<u64> for Answered {
    fn from(index: u64) -> Answered {
        Answered { index, body: Bytes::new() }
    }
}

/// A batch of metadata records as a call.
pub(crate) fn decide(records: Vec<u8>) -> Asked {
    Asked::Decide(Bytes::from(records))
}
