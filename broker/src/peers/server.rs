//! Answers other brokers: the node's thread, which listens, and keeps the control links.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::BytesMut;
use leat_protocol::Uuid;
use leat_storage::GroupId;
use prost::Message;
use raft::eraftpb;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;

use super::control::{self, PING_EVERY};
use super::frame::{BYTES_MAX, FrameReader, STRANGER_BYTES_MAX, invalid};
use super::handshake::{self, Known};
use super::observed::Observation;
use super::seeding::{self, Source};
use super::wire::{Body, Call, Frame, Lacking, Leaders, Purpose, Reply};
use super::{Answered, Called, Peers, convert};
use crate::disk::Pool;

/// How often, and how many times, a port is looked at whose process may be ending.
const CLOSING_LOOK_EVERY: Duration = Duration::from_millis(20);
const CLOSING_LOOKS: usize = 25;

/// Something to run on another thread.
pub(crate) type Run = Box<dyn FnOnce() + Send>;

type ReplySource = oneshot::Sender<Result<Source, String>>;

/// What the node's thread hands on.
pub(crate) struct Hands {
    /// A message for a replica of this node, and who sent it.
    pub(crate) raft: Box<dyn Fn(GroupId, i32, eraftpb::Message) + Send + Sync>,
    /// Another node leads the group and no longer has the entries before this one, which this node lacks.
    pub(crate) lacking: Box<dyn Fn(GroupId, i32, u64) + Send + Sync>,
    /// The log of a group that this node leads.
    pub(crate) source: Box<dyn Fn(GroupId, ReplySource) + Send + Sync>,
    /// Reads for seeds, at so many bytes a second.
    pub(crate) pool: Pool,
    pub(crate) seed_bytes_per_second: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Something is asked of this node.
    pub(crate) called: Box<dyn Fn(Called) + Send + Sync>,
    /// The data folder that a node is registered with; an error is why it is not heard.
    pub(crate) registered: Box<dyn Fn(i32) -> Result<Option<Uuid>, String> + Send + Sync>,
    /// Runs a connection's reading on the thread of a shard.
    pub(crate) on_shard: Box<dyn Fn(usize, Run) + Send + Sync>,
}

/// Starts the node's thread; it ends when `stop` turns true.
pub(crate) fn start(
    peers: Arc<Peers>,
    listener: std::net::TcpListener,
    hands: Hands,
    mut stop: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("leat-peers".into()).spawn(move || {
        LocalSet::new().block_on(&runtime, async move {
            let hands = Arc::new(hands);
            tokio::task::spawn_local(link_all(peers.clone()));
            tokio::task::spawn_local(expire(peers.clone()));
            tokio::select! {
                ended = accept(&peers, listener, hands) => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "no more brokers are heard");
                    }
                }
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    })
}

/// Keeps a control link to every node that is known.
async fn link_all(peers: Arc<Peers>) {
    let mut linked = HashSet::new();
    loop {
        for node in peers.others() {
            if linked.insert(node) {
                tokio::task::spawn_local(control::run(peers.clone(), node));
            }
        }
        peers.addresses_changed.notified().await;
    }
}

async fn expire(peers: Arc<Peers>) {
    loop {
        tokio::time::sleep(PING_EVERY).await;
        peers.expire();
    }
}

async fn accept(peers: &Arc<Peers>, listener: std::net::TcpListener, hands: Arc<Hands>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a broker's connection could not be accepted");
                tokio::time::sleep(PING_EVERY).await;
                continue;
            }
        };
        let (peers, hands) = (peers.clone(), hands.clone());
        tokio::task::spawn_local(async move {
            let visitor = match handshake::receive(stream, &peers.me, &hands.registered).await {
                Ok(visitor) => visitor,
                Err(error) => {
                    tracing::debug!(%error, "a broker's connection ended in its handshake");
                    return;
                }
            };
            if visitor.purpose != Purpose::Ask && peers.address(visitor.known.node_id).is_none() {
                // One that the metadata here does not know yet may be the one to learn it from.
                peers.set_address(visitor.known.node_id, &visitor.address);
            }
            match visitor.purpose {
                Purpose::Ask => {}
                Purpose::Control => controlled(&peers, visitor.known, &hands).await,
                Purpose::Replication => replicate(visitor.shard, visitor.known, hands),
                Purpose::Seed => seed(visitor.known, &hands).await,
            }
        });
    }
}

/// Reads a control link until it ends.
async fn controlled(peers: &Arc<Peers>, known: Known, hands: &Hands) {
    let Known { mut reader, mut writer, node_id, incarnation } = known;
    let (replies, mut to_send) = mpsc::unbounded_channel::<Reply>();
    let writing = tokio::task::spawn_local(async move {
        while let Some(reply) = to_send.recv().await {
            if control::send(&mut writer, Body::Reply(reply)).await.is_err() {
                return;
            }
        }
    });
    peers.heard(node_id, incarnation);
    while let Ok(Some(frame)) = reader.next(BYTES_MAX).await {
        let Ok(frame) = Frame::decode(frame.head) else { break };
        match frame.body {
            Some(Body::Ping(ping)) => {
                peers.heard(node_id, incarnation);
                if ping.stuck {
                    peers.set_stuck(node_id);
                }
            }
            Some(Body::Leaders(told)) => learn(peers, node_id, told),
            Some(Body::Watermarks(told)) => peers.watermarks.learn(&told),
            Some(Body::Call(call)) => called(hands, call, &replies),
            // Of other connections, or of a later release.
            Some(_) | None => {}
        }
    }
    writing.abort();
    if is_closed(peers, node_id).await {
        peers.ended(node_id, incarnation);
    }
}

/// Whether the port of a node whose link has ended is closed: a process that was killed closes all it has, but one after another.
async fn is_closed(peers: &Peers, node_id: i32) -> bool {
    let Some(address) = peers.address(node_id) else { return false };
    for _ in 0..CLOSING_LOOKS {
        let connected = tokio::net::TcpStream::connect(&address).await;
        if connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        tokio::time::sleep(CLOSING_LOOK_EVERY).await;
    }
    false
}

fn learn(peers: &Peers, leader: i32, told: Leaders) {
    for told in told.leaders {
        let group =
            GroupId { topic_id: Uuid::from_u64_pair(told.topic_high, told.topic_low), partition: told.partition };
        peers.observed.learn(group, Observation { leader, epoch: told.epoch, in_sync: told.in_sync });
    }
}

fn called(hands: &Hands, call: Call, replies: &mpsc::UnboundedSender<Reply>) {
    let Call { id, asked: Some(asked) } = call else { return };
    let (reply, done) = oneshot::channel();
    (hands.called)(Called { asked, reply });
    let replies = replies.clone();
    tokio::task::spawn_local(async move {
        let Ok(done) = done.await else { return };
        let reply = match done {
            Ok(Answered { index, body }) => Reply { id, index, body, ..Reply::default() },
            Err((code, reason)) => Reply { id, error_code: code.0.into(), reason, ..Reply::default() },
        };
        // The other side may be gone.
        let _ = replies.send(reply);
    });
}

/// Sends a log to a replica that asks for it.
async fn seed(known: Known, hands: &Hands) {
    let Known { mut reader, writer, node_id, .. } = known;
    let Ok(Frame { body: Some(Body::AskSeed(group)) }) = reader.message(STRANGER_BYTES_MAX).await else { return };
    let (reply, source) = oneshot::channel();
    (hands.source)(group.into(), reply);
    let source = source.await.unwrap_or_else(|_| Err("the broker stops".to_owned()));
    let sent = seeding::send(writer, source, &hands.pool, (hands.seed_bytes_per_second)()).await;
    match sent {
        Ok(()) => tracing::info!(node_id, partition = group.partition, "a replica was sent its log"),
        Err(error) => tracing::warn!(node_id, partition = group.partition, %error, "a replica was not sent its log"),
    }
}

/// Hands a replication connection to the shard that most of its messages are for.
fn replicate(shard: usize, known: Known, hands: Arc<Hands>) {
    let Known { reader, writer, node_id, .. } = known;
    let (half, begun) = reader.into_parts();
    let Some(stream) = half.reunite(writer).ok().and_then(|stream| stream.into_std().ok()) else { return };
    let on_shard = hands.clone();
    (on_shard.on_shard)(
        shard,
        Box::new(move || {
            tokio::task::spawn_local(async move {
                if let Err(error) = read_raft(stream, begun, node_id, &hands).await {
                    tracing::warn!(node_id, %error, "a broker's connection is closed");
                }
            });
        }),
    );
}

async fn read_raft(stream: std::net::TcpStream, begun: BytesMut, node_id: i32, hands: &Hands) -> io::Result<()> {
    let (half, _writer) = tokio::net::TcpStream::from_std(stream)?.into_split();
    let mut reader = FrameReader::begun(half, begun);
    while let Some(frame) = reader.next(BYTES_MAX).await? {
        let head = Frame::decode(frame.head).map_err(|error| invalid(error.to_string()))?;
        match head.body {
            Some(Body::Raft(head)) => {
                let (group, message) =
                    convert::from_wire(head, frame.payload).map_err(|what| invalid(what.to_owned()))?;
                (hands.raft)(group, node_id, message);
            }
            Some(Body::Lacking(Lacking { group: Some(group), first_index })) => {
                (hands.lacking)(group.into(), node_id, first_index);
            }
            _ => {}
        }
    }
    Ok(())
}
