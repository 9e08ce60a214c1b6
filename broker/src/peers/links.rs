//! A shard's connections for replication: one to each node, made when there is something to send.
//!
//! What can't be sent soon is dropped: raft sends again, from where the other side then is.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leat_storage::GroupId;
use raft::eraftpb::{Message, MessageType};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Peers;
use super::convert;
use super::frame::Outgoing;
use super::handshake;
use super::wire::{Body, Frame, Lacking, Purpose};

/// Bytes that wait for one node; what comes beyond is dropped.
const WAITING_MAX: usize = 64 << 20;

/// Written together.
const GATHER_MAX: usize = 256;

const RECONNECT_MAX: Duration = Duration::from_millis(500);

/// The links of one shard.
pub(crate) struct Links {
    peers: Arc<Peers>,
    shard: usize,
    links: HashMap<i32, Link>,
}

struct Link {
    data: mpsc::UnboundedSender<Queued>,
    /// Small, and looked at first.
    urgent: mpsc::UnboundedSender<Queued>,
    waiting: Arc<AtomicUsize>,
}

struct Queued {
    head: Frame,
    message: Message,
    bytes: usize,
}

impl Links {
    pub(crate) fn new(peers: Arc<Peers>, shard: usize) -> Links {
        Links { peers, shard, links: HashMap::new() }
    }

    /// Sends to the node that holds the replica.
    pub(crate) fn send(&mut self, node: i32, group: GroupId, message: Message) {
        let link = self.links.entry(node).or_insert_with(|| Link::start(self.peers.clone(), node, self.shard));
        let bytes = 64 + message.entries.iter().map(|entry| entry.data.len() + 16).sum::<usize>();
        if link.waiting.fetch_add(bytes, Ordering::Relaxed) > WAITING_MAX {
            link.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        let urgent = message.get_msg_type() != MessageType::MsgAppend;
        let queue = if urgent { &link.urgent } else { &link.data };
        let head = convert::to_wire(group, &message);
        // The link's task lives as long as this shard.
        let _ = queue.send(Queued { head, message, bytes });
    }

    /// Tells a node that its replica has to be seeded.
    pub(crate) fn tell_lacking(&mut self, node: i32, group: GroupId, first_index: u64) {
        let head = Frame { body: Some(Body::Lacking(Lacking { group: Some(group.into()), first_index })) };
        let link = self.links.entry(node).or_insert_with(|| Link::start(self.peers.clone(), node, self.shard));
        // As above.
        let _ = link.urgent.send(Queued { head, message: Message::default(), bytes: 0 });
    }
}

impl Link {
    fn start(peers: Arc<Peers>, node: i32, shard: usize) -> Link {
        let (data, data_queue) = mpsc::unbounded_channel();
        let (urgent, urgent_queue) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let queues = Queues { data: data_queue, urgent: urgent_queue, waiting: waiting.clone() };
        tokio::task::spawn_local(run(peers, node, shard, queues));
        Link { data, urgent, waiting }
    }
}

struct Queues {
    data: mpsc::UnboundedReceiver<Queued>,
    urgent: mpsc::UnboundedReceiver<Queued>,
    waiting: Arc<AtomicUsize>,
}

impl Queues {
    /// What has gathered, urgent messages first; empty once the shard has ended.
    async fn gather(&mut self, gathered: &mut Vec<Queued>) {
        let mut first = Vec::new();
        let count = tokio::select! {
            biased;
            count = self.urgent.recv_many(&mut first, GATHER_MAX) => count,
            count = self.data.recv_many(gathered, GATHER_MAX) => count,
        };
        if count > 0 {
            while let Ok(queued) = self.urgent.try_recv() {
                first.push(queued);
            }
            gathered.splice(0..0, first);
        }
        let bytes: usize = gathered.iter().map(|queued| queued.bytes).sum();
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn drop_all(&mut self) {
        for queue in [&mut self.data, &mut self.urgent] {
            while let Ok(queued) = queue.try_recv() {
                self.waiting.fetch_sub(queued.bytes, Ordering::Relaxed);
            }
        }
    }
}

async fn run(peers: Arc<Peers>, node: i32, shard: usize, mut queues: Queues) {
    let mut wait = Duration::from_millis(10);
    loop {
        let Some(address) = peers.address(node) else {
            queues.drop_all();
            sleep(RECONNECT_MAX).await;
            continue;
        };
        if let Ok((mut known, _)) = handshake::connect(&address, &peers.me, Purpose::Replication, shard).await
            && known.node_id == node
        {
            wait = Duration::from_millis(10);
            match write_all(&mut known.writer, &mut queues).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(node, %error, "a replication link ended"),
            }
        }
        queues.drop_all();
        sleep(wait).await;
        wait = (wait * 2).min(RECONNECT_MAX);
    }
}

/// Writes what comes until the shard ends.
async fn write_all(writer: &mut tokio::net::tcp::OwnedWriteHalf, queues: &mut Queues) -> io::Result<()> {
    let mut gathered = Vec::new();
    loop {
        queues.gather(&mut gathered).await;
        if gathered.is_empty() {
            return Ok(());
        }
        let mut outgoing = Outgoing::default();
        for queued in gathered.drain(..) {
            outgoing.push(&queued.head, queued.message.entries.iter().map(|entry| &entry.data));
        }
        outgoing.write(writer).await?;
    }
}
