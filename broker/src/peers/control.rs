//! The control link to one node: that this one lives, who leads what here, and calls with their answers.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use leat_storage::GroupId;
use prost::Message;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::frame::{BYTES_MAX, FrameReader, Outgoing};
use super::handshake::{self, Known};
use super::observed::Observation;
use super::wire::{Body, Call, Frame, Leader, Leaders, Ping, Purpose, Reply};
use super::{Asking, Peers};

/// Between two signs of life.
pub(super) const PING_EVERY: Duration = Duration::from_millis(200);

/// Between two attempts to reach a node.
const RECONNECT_MAX: Duration = Duration::from_millis(500);

/// Leaders told in one frame.
const LEADERS_MAX: usize = 5_000;

/// Calls without an answer; the node is given up beyond.
const CALLS_MAX: usize = 10_000;

/// Keeps the link to a node up until the task is ended.
pub(super) async fn run(peers: Arc<Peers>, node: i32) {
    let (sender, mut calls) = mpsc::unbounded_channel();
    peers.calls.lock().insert(node, sender);
    let mut wait = Duration::from_millis(10);
    loop {
        let Some(address) = peers.address(node) else { return };
        match handshake::connect(&address, &peers.me, Purpose::Control, 0).await {
            Ok((known, _)) if known.node_id == node => {
                wait = Duration::from_millis(10);
                if let Err(error) = serve(&peers, known, &mut calls).await {
                    tracing::debug!(node, %error, "a control link ended");
                }
            }
            Ok((known, _)) => {
                tracing::warn!(node, %address, found = known.node_id, "another node is at a node's address");
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::warn!(node, %address, %error, "refused by a broker");
            }
            Err(error) => tracing::debug!(node, %address, %error, "a broker can not be reached"),
        }
        // Whoever asks meanwhile is told at once.
        while calls.try_recv().is_ok() {}
        sleep(wait).await;
        wait = (wait * 2).min(RECONNECT_MAX);
    }
}

async fn serve(peers: &Peers, known: Known, calls: &mut mpsc::UnboundedReceiver<Asking>) -> io::Result<()> {
    let Known { reader, mut writer, .. } = known;
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut next_call) = (0, 0);
    let mut waiting: HashMap<u64, oneshot::Sender<Reply>> = HashMap::new();
    // Reads go on in a task of their own: a read that is dropped half way would lose what it has.
    let (replies, mut replied) = mpsc::unbounded_channel();
    let reading = tokio::task::spawn_local(read_replies(reader, replies));
    let _ends = EndOnDrop(reading);
    loop {
        let news = peers.observed.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        loop {
            let (leaders, upto) = peers.observed.since(told, LEADERS_MAX);
            told = upto;
            if leaders.is_empty() {
                break;
            }
            let leaders = leaders.iter().map(|(group, observation)| leader(*group, observation)).collect();
            send(&mut writer, Body::Leaders(Leaders { leaders })).await?;
        }
        tokio::select! {
            _ = pings.tick() => {
                send(&mut writer, Body::Ping(Ping { stuck: peers.is_stuck(peers.me.node_id) })).await?;
                if let Some(watermarks) = peers.watermarks.to_wire() {
                    send(&mut writer, Body::Watermarks(watermarks)).await?;
                }
            }
            () = &mut news => {}
            asking = calls.recv() => {
                let Some(Asking { asked, reply }) = asking else { return Ok(()) };
                if waiting.len() < CALLS_MAX {
                    next_call += 1;
                    waiting.insert(next_call, reply);
                    send(&mut writer, Body::Call(Call { id: next_call, asked: Some(asked) })).await?;
                }
            }
            reply = replied.recv() => {
                let Some(reply) = reply else { return Err(io::ErrorKind::UnexpectedEof.into()) };
                if let Some(waiting) = waiting.remove(&reply.id) {
                    // Whoever asked may be gone.
                    let _ = waiting.send(reply);
                }
            }
        }
    }
}

struct EndOnDrop(tokio::task::JoinHandle<()>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn read_replies(mut reader: FrameReader<OwnedReadHalf>, replies: mpsc::UnboundedSender<Reply>) {
    while let Ok(Some(frame)) = reader.next(BYTES_MAX).await {
        let Ok(frame) = Frame::decode(frame.head) else { return };
        if let Some(Body::Reply(reply)) = frame.body
            && replies.send(reply).is_err()
        {
            return;
        }
    }
}

pub(super) async fn send(writer: &mut (impl tokio::io::AsyncWrite + Unpin), body: Body) -> io::Result<()> {
    Outgoing::message(&Frame { body: Some(body) }).write(writer).await
}

fn leader(group: GroupId, observation: &Observation) -> Leader {
    let (topic_high, topic_low) = group.topic_id.as_u64_pair();
    Leader {
        topic_high,
        topic_low,
        partition: group.partition,
        epoch: observation.epoch,
        in_sync: observation.in_sync.clone(),
    }
}
