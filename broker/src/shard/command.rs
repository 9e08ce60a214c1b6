//! What a shard is told, and how.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use leat_protocol::records::BatchHeader;
use leat_protocol::records::entry::EntryKind;
use leat_storage::{GroupId, Staged, Swap};
use raft::eraftpb::Message;
use tokio::sync::{mpsc, oneshot};

use super::lag::Lag;
use super::open::Opened;
use crate::disk::{Done, Slot};
use crate::net::Permit;
use crate::partition::{Partition, State};
use crate::peers::Alive;
use crate::replica::{Acks, Answer, ReadRequest, Replica, trim_payload};

/// Who waits for a proposal. Holds the request's share of memory until it is answered.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    pub(crate) reply: Option<oneshot::Sender<Answer>>,
    pub(crate) held: Option<Arc<Permit>>,
}

impl Ticket {
    pub(crate) fn new() -> (Ticket, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        (Ticket { reply: Some(reply), held: None }, answer)
    }

    pub(super) fn answer(self, answer: Answer) {
        if let Some(reply) = self.reply {
            // The client may be gone.
            let _ = reply.send(answer);
        }
    }
}

/// Something that looks at a replica on its own thread.
pub(crate) type Look = Box<dyn FnOnce(&Replica<Ticket>) + Send>;

pub(crate) enum Command {
    Propose {
        partition: Arc<Partition>,
        batch: BytesMut,
        header: BatchHeader,
        acks: Acks,
        ticket: Ticket,
    },
    /// An entry without records; answered once it is committed and applied.
    Control {
        partition: Arc<Partition>,
        kind: EntryKind,
        payload: Bytes,
        ticket: Ticket,
    },
    /// Answered once the partition is open; the sender is dropped where it can't be.
    Open {
        partition: Arc<Partition>,
        reply: oneshot::Sender<()>,
    },
    /// How far followers of what is led here are behind.
    Lags {
        reply: oneshot::Sender<Vec<Lag>>,
    },
    Inspect {
        partition: Arc<Partition>,
        look: Look,
    },
    /// Saves a checkpoint; answered once it is on stable storage.
    Checkpoint {
        partition: Arc<Partition>,
        saved: oneshot::Sender<()>,
    },
    /// Takes a segment that compaction has made; answered once it is in its place.
    Swap {
        partition: Arc<Partition>,
        swap: Box<Swap>,
        /// Of the log that was compacted.
        generation: u64,
        done: oneshot::Sender<()>,
    },
    /// The topic's configuration changed.
    Configure {
        partition: Arc<Partition>,
    },
    /// Other replicas should hold it, or do.
    Placed {
        partition: Arc<Partition>,
    },
    Delete {
        partition: Arc<Partition>,
    },
    /// A message from another replica of the group.
    Peer {
        partition: Arc<Partition>,
        message: Box<Message>,
    },
    /// Entries that raft wanted to send; `None` where they can't be had.
    Read {
        slot: Slot,
        group: GroupId,
        request: ReadRequest,
        frames: Option<Vec<Bytes>>,
    },
    /// The leader, on this node, no longer has the entries before `first_index`, which are missing here.
    Lacking {
        partition: Arc<Partition>,
        leader: i32,
        first_index: u64,
    },
    /// A log that is to take the place of this one, or why it could not be had.
    Staged {
        slot: Slot,
        group: GroupId,
        staged: Result<Box<Staged>, String>,
    },
    /// Which nodes live.
    Nodes(Arc<Alive>),
    /// The preferred leader should lead, if it follows closely.
    Prefer {
        partition: Arc<Partition>,
    },
    /// Other nodes should lead everything that is led here.
    Evacuate,
    Opened {
        slot: Slot,
        result: Box<Result<Opened, String>>,
    },
    Disk(Done),
    /// Something to begin on this thread.
    Run(Box<dyn FnOnce() + Send>),
    Stop {
        reply: oneshot::Sender<()>,
    },
}

/// The way to a shard, from any thread. What clients send is bounded by the bytes they may have in flight.
#[derive(Debug, Clone)]
pub(crate) struct ShardHandle(mpsc::UnboundedSender<Command>);

impl ShardHandle {
    pub(super) fn new(sender: mpsc::UnboundedSender<Command>) -> ShardHandle {
        ShardHandle(sender)
    }

    /// After the shard has stopped the command is dropped, and with it whoever waits is told.
    pub(crate) fn send(&self, command: Command) {
        let _ = self.0.send(command);
    }

    /// Begins to open a partition that is not; the receiver ends when it is, or can't be.
    pub(crate) fn begin_open(&self, partition: &Arc<Partition>) -> Option<oneshot::Receiver<()>> {
        (partition.state() == State::Closed).then(|| {
            let (reply, opened) = oneshot::channel();
            self.send(Command::Open { partition: partition.clone(), reply });
            opened
        })
    }

    /// Waits until the partition is open, or can't be.
    pub(crate) async fn open(&self, partition: &Arc<Partition>) {
        if let Some(opened) = self.begin_open(partition) {
            let _ = opened.await;
        }
    }

    /// Moves the log start on.
    pub(crate) async fn trim(&self, partition: &Arc<Partition>, offset: i64) -> Answer {
        self.control(partition, EntryKind::Trim, trim_payload(offset)).await
    }

    /// Has an entry without records committed.
    pub(crate) async fn control(&self, partition: &Arc<Partition>, kind: EntryKind, payload: Bytes) -> Answer {
        let (ticket, answer) = Ticket::new();
        self.send(Command::Control { partition: partition.clone(), kind, payload, ticket });
        answer.await.unwrap_or(Answer::NotLeader)
    }

    /// Saves a checkpoint. False where that can't be done.
    pub(crate) async fn save_checkpoint(&self, partition: &Arc<Partition>) -> bool {
        let (saved, waiting) = oneshot::channel();
        self.send(Command::Checkpoint { partition: partition.clone(), saved });
        waiting.await.is_ok()
    }

    /// Swaps in what compaction has made. False where that can't be done; the next start does it then.
    pub(crate) async fn swap_in(&self, partition: &Arc<Partition>, swap: Box<Swap>, generation: u64) -> bool {
        let (done, waiting) = oneshot::channel();
        self.send(Command::Swap { partition: partition.clone(), swap, generation, done });
        waiting.await.is_ok()
    }

    /// What `look` sees on the replica; `None` where the partition is not open here.
    pub(crate) async fn inspect<R: Send + 'static>(
        &self,
        partition: &Arc<Partition>,
        look: impl FnOnce(&Replica<Ticket>) -> R + Send + 'static,
    ) -> Option<R> {
        let (reply, seen) = oneshot::channel();
        let look = Box::new(move |replica: &Replica<Ticket>| {
            let _ = reply.send(look(replica));
        });
        self.send(Command::Inspect { partition: partition.clone(), look });
        seen.await.ok()
    }

    /// How far followers of what the shard leads are behind; nothing once it has stopped.
    pub(crate) async fn lags(&self) -> Vec<Lag> {
        let (reply, lags) = oneshot::channel();
        self.send(Command::Lags { reply });
        lags.await.unwrap_or_default()
    }

    /// Syncs, checkpoints and closes everything.
    pub(crate) async fn stop(&self) {
        let (reply, stopped) = oneshot::channel();
        self.send(Command::Stop { reply });
        let _ = stopped.await;
    }
}
