//! Carries out what a coordinator's machine asks for: one task per partition, on the shard that owns the replica.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use leat_protocol::ErrorCode;
use leat_protocol::records::{self, BatchError, BatchHeader, Builder, Compression};
use leat_storage::LogReader;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, sleep_until};

use super::{Machine, Now, Write};
use crate::clock::now_ms;
use crate::disk::Pool;
use crate::partition::{Partition, State};
use crate::replica::{Acks, Answer};
use crate::shard::{Command, ShardHandle, Ticket};

/// Requests stepped before their writes are appended together.
const GATHER_MAX: usize = 256;

/// Records of many writes share a batch up to this size.
const BATCH_BYTES: usize = 256 << 10;

/// Bytes replayed at a time.
const REPLAY_BYTES: u32 = 1 << 20;

/// The largest batch, plain, that is replayed.
const REPLAY_BATCH_MAX: usize = 256 << 20;

/// How long to wait before a log that could not be read is tried again.
const RELOAD_AFTER: Duration = Duration::from_millis(500);

/// A coordinator of one partition.
pub(crate) struct Actor<M: Machine> {
    pub(crate) partition: Arc<Partition>,
    pub(crate) shard: ShardHandle,
    pub(crate) pool: Pool,
    pub(crate) inbox: mpsc::UnboundedReceiver<M::Request>,
    /// Makes an empty machine.
    pub(crate) make: Box<dyn Fn() -> M + Send>,
    /// Load at once, not at the first request.
    pub(crate) eager: bool,
}

/// A batch on its way into the log.
struct InFlight<W> {
    answer: oneshot::Receiver<Answer>,
    then: Vec<W>,
}

/// Why a machine serves no longer.
enum Ended {
    /// Nobody can send requests any more.
    Closed,
    /// A write did not come through: what the memory says may not be what the log says.
    Lost,
}

/// A machine on its way through the log.
struct Replaying<M> {
    machine: M,
    next_offset: i64,
}

impl<M: Machine> Actor<M> {
    /// Loads and serves until nobody can send requests any more.
    pub(crate) async fn run(mut self) {
        let begun = Instant::now();
        let mut first = None;
        if !self.eager {
            first = self.inbox.recv().await;
            if first.is_none() {
                return;
            }
        }
        loop {
            // Nothing is refused while the log is opened: a new one has nothing to load.
            self.shard.open(&self.partition).await;
            if self.waits_to_lead() && !self.led(first.take()).await {
                return;
            }
            let epoch = self.partition.leader_epoch();
            let machine = match self.load(begun).await {
                Ok(Some(machine)) => machine,
                Ok(None) => return,
                Err(reason) => {
                    tracing::error!(partition = %self.partition.folder(), %reason, "a coordinator could not be loaded");
                    let refused = self.refusing(sleep(RELOAD_AFTER), ErrorCode::NOT_COORDINATOR, first.take()).await;
                    if refused.is_none() || self.partition.is_gone() {
                        return;
                    }
                    continue;
                }
            };
            match self.serve(machine, epoch, begun, first.take()).await {
                Ended::Closed => return,
                Ended::Lost => tracing::warn!(partition = %self.partition.folder(), "a coordinator is loaded again"),
            }
        }
    }

    fn waits_to_lead(&self) -> bool {
        waits_to_lead(&self.partition)
    }

    /// Waits until this node leads and knows where the log ends; requests are for another node until then. False where nobody
    /// can send any more.
    async fn led(&mut self, first: Option<M::Request>) -> bool {
        let (wakeup, partition) = (Arc::new(Notify::new()), self.partition.clone());
        let _watch = partition.watch(&wakeup);
        let led = async {
            while waits_to_lead(&partition) {
                wakeup.notified().await;
            }
        };
        self.refusing(led, ErrorCode::NOT_COORDINATOR, first).await.is_some()
    }

    /// The machine as the log makes it; `None` where nobody asks for it any more.
    async fn load(&mut self, begun: Instant) -> Result<Option<M>, String> {
        if self.partition.state() != State::Open {
            let reason = self.partition.offline_reason().map_or_else(String::new, |reason| reason.to_string());
            return Err(format!("its partition is not open {reason}"));
        }
        let started = Instant::now();
        let until = self.partition.high_watermark();
        let mut replaying = Replaying { machine: (self.make)(), next_offset: self.partition.log_start() };
        let mut records = 0;
        while replaying.next_offset < until {
            let Some(reader) = self.partition.reader() else { break };
            let (reply, replayed) = oneshot::channel();
            let now = now_since(begun);
            self.pool.spawn(move || {
                // The actor may be gone.
                let _ = reply.send(replay(replaying, &reader, until, now));
            });
            let Some(replayed) = self.refusing(replayed, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, None).await else {
                return Ok(None);
            };
            let count;
            (replaying, count) = replayed.map_err(|_| "the broker stops")??;
            records += count;
        }
        let mut machine = replaying.machine;
        machine.begin(now_since(begun));
        if records > 0 {
            let took_ms = started.elapsed().as_millis();
            tracing::info!(partition = %self.partition.folder(), records, until, took_ms, "a coordinator is loaded");
        }
        Ok(Some(machine))
    }

    /// Refuses requests until `done`. `None` where nobody can send any more.
    async fn refusing<R>(
        &mut self,
        done: impl Future<Output = R>,
        code: ErrorCode,
        first: Option<M::Request>,
    ) -> Option<R> {
        tokio::pin!(done);
        if let Some(request) = first {
            M::refuse(request, code);
        }
        loop {
            tokio::select! {
                done = &mut done => return Some(done),
                request = self.inbox.recv() => M::refuse(request?, code),
            }
        }
    }

    /// Serves while this node leads in the epoch in which the log was read.
    async fn serve(&mut self, mut machine: M, epoch: i32, begun: Instant, first: Option<M::Request>) -> Ended {
        let mut gathered: Vec<M::Request> = first.into_iter().collect();
        let mut writes = Vec::new();
        let mut in_flight: VecDeque<InFlight<M::Written>> = VecDeque::new();
        let (changed, partition) = (Arc::new(Notify::new()), self.partition.clone());
        let _watch = partition.is_replicated().then(|| partition.watch(&changed));
        loop {
            if !partition.is_led_here() || partition.leader_epoch() != epoch {
                gathered.drain(..).for_each(|request| M::refuse(request, ErrorCode::NOT_COORDINATOR));
                return Ended::Lost;
            }
            for request in gathered.drain(..) {
                if self.partition.is_disk_full() && M::needs_room(&request) {
                    M::refuse(request, ErrorCode::COORDINATOR_NOT_AVAILABLE);
                } else {
                    machine.step(request, now_since(begun), &mut writes);
                }
            }
            if machine.wake_up_ms() <= now_since(begun).up_ms {
                machine.tick(now_since(begun), &mut writes);
            }
            self.append(&mut writes, &mut in_flight);
            let wake = begun + Duration::from_millis(machine.wake_up_ms().min(now_since(begun).up_ms + 60_000));
            tokio::select! {
                biased;
                answer = front(&mut in_flight), if !in_flight.is_empty() => {
                    let Ok(Answer::Appended { .. }) = answer else { return Ended::Lost };
                    for then in in_flight.pop_front().into_iter().flat_map(|batch| batch.then) {
                        machine.written(then, now_since(begun), &mut writes);
                    }
                }
                count = self.inbox.recv_many(&mut gathered, GATHER_MAX) => {
                    if count == 0 {
                        return Ended::Closed;
                    }
                }
                () = changed.notified() => {}
                () = sleep_until(wake.into()) => {}
            }
        }
    }

    /// Appends what the machine asks for. Writes share batches; a large one takes several, and is done with the last.
    fn append(&self, writes: &mut Vec<Write<M::Written>>, in_flight: &mut VecDeque<InFlight<M::Written>>) {
        if writes.is_empty() {
            return;
        }
        let mut builder = new_batch();
        let mut then = Vec::new();
        for write in writes.drain(..) {
            for (key, value) in write.records {
                let size = Builder::record_size(Some(&key), value.as_deref(), &[]);
                if !builder.is_empty() && builder.estimated_size() + size > BATCH_BYTES {
                    let full = std::mem::replace(&mut builder, new_batch());
                    in_flight.extend(self.propose(full, std::mem::take(&mut then)));
                }
                builder.push(now_ms(), Some(&key), value.as_deref(), &[]);
            }
            then.push(write.then);
        }
        if !builder.is_empty() || !then.is_empty() {
            in_flight.extend(self.propose(builder, then));
        }
    }

    fn propose(&self, builder: Builder, then: Vec<M::Written>) -> Option<InFlight<M::Written>> {
        let (ticket, answer) = Ticket::new();
        match sealed(builder) {
            Ok((batch, header)) => {
                let partition = self.partition.clone();
                self.shard.send(Command::Propose { partition, batch, header, acks: Acks::All, ticket });
            }
            // The ticket is dropped, so the coordinator is loaded again, as after any write that was lost.
            Err(error) => {
                tracing::error!(partition = %self.partition.folder(), %error, "a coordinator's batch can not be made");
            }
        }
        Some(InFlight { answer, then })
    }
}

fn waits_to_lead(partition: &Partition) -> bool {
    partition.state() == State::Open && !partition.is_settled()
}

fn new_batch() -> Builder {
    Builder::new(Compression::None, None)
}

fn sealed(builder: Builder) -> Result<(BytesMut, BatchHeader), BatchError> {
    let batch = builder.finish()?;
    let header = BatchHeader::parse(&batch)?;
    Ok((BytesMut::from(batch), header))
}

async fn front<W>(in_flight: &mut VecDeque<InFlight<W>>) -> Result<Answer, oneshot::error::RecvError> {
    match in_flight.front_mut() {
        Some(batch) => (&mut batch.answer).await,
        None => std::future::pending().await,
    }
}

fn now_since(begun: Instant) -> Now {
    Now { up_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), wall_ms: now_ms() }
}

/// Replays the next piece of the log; how many records it had.
fn replay<M: Machine>(
    mut replaying: Replaying<M>,
    reader: &LogReader,
    until: i64,
    now: Now,
) -> Result<(Replaying<M>, u64), String> {
    let slice = reader.read(replaying.next_offset, until, REPLAY_BYTES, true).map_err(|error| error.to_string())?;
    let mut count = 0;
    for range in slice.ranges {
        let mut bytes = range.read_to_bytes().map_err(|error| error.to_string())?;
        while !bytes.is_empty() {
            let size = BatchHeader::parse(&bytes).map_err(|error| error.to_string())?.size();
            if size > bytes.len() {
                return Err(format!("a batch of {size} bytes where {} are", bytes.len()));
            }
            let batch = bytes.split_to(size);
            count += replay_batch(&mut replaying.machine, &batch, now)?;
        }
    }
    if slice.next_offset <= replaying.next_offset {
        return Err(format!("nothing can be read at offset {}", replaying.next_offset));
    }
    replaying.next_offset = slice.next_offset;
    Ok((replaying, count))
}

fn replay_batch<M: Machine>(machine: &mut M, batch: &Bytes, now: Now) -> Result<u64, String> {
    records::check(batch).map_err(|error| error.to_string())?;
    let mut count = 0;
    for record in records::records(batch, REPLAY_BATCH_MAX).map_err(|error| error.to_string())? {
        let record = record.map_err(|error| error.to_string())?;
        count += 1;
        let Some(key) = &record.key else { continue };
        if let Err(reason) = machine.replay(key, record.value.as_ref(), now) {
            tracing::warn!(offset = record.offset, %reason, "a coordinator's record is left out");
        }
    }
    Ok(count)
}
