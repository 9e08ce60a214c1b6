//! From one stage to one partition: emissions in order, each with its number, until the partition has them.
//!
//! Records are numbered from 0 for as long as the pipeline lives, as an idempotent producer numbers its own; the partition takes
//! the next number and passes over lower ones. So whoever leads may send again what another one sent before.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use leat_pipeline::stage::Emission;
use leat_protocol::records::{BatchError, BatchHeader, Builder, Compression};
use leat_storage::GroupId;
use tokio::sync::Notify;

use super::delivery::{Delivered, deliver};
use crate::server::Server;

/// Records share a batch up to this size.
const BATCH_BYTES: usize = 512 << 10;

/// Between two attempts.
const RETRY: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_millis(500);

/// What waits to be taken by one partition.
#[derive(Debug)]
struct Queue {
    /// The number of the first record in the queue.
    first: u32,
    records: VecDeque<Emission>,
    bytes: usize,
    /// No more will come.
    ended: bool,
}

/// The way to one partition.
#[derive(Debug, Clone)]
pub(super) struct Lane(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: RefCell<Queue>,
    /// Something was added, or it ended.
    filled: Notify,
    /// Something was taken.
    drained: Notify,
}

impl Lane {
    /// A lane whose next record has this number.
    pub(super) fn new(next: u32) -> Lane {
        let queue = RefCell::new(Queue { first: next, records: VecDeque::new(), bytes: 0, ended: false });
        Lane(Rc::new(Shared { queue, filled: Notify::new(), drained: Notify::new() }))
    }

    pub(super) fn push(&self, emission: Emission) {
        let mut queue = self.0.queue.borrow_mut();
        queue.bytes += size(&emission);
        queue.records.push_back(emission);
        self.0.filled.notify_one();
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.0.queue.borrow().bytes
    }

    /// Whether everything was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.0.queue.borrow().records.is_empty()
    }

    /// The number that the next record will have.
    pub(super) fn next(&self) -> u32 {
        let queue = self.0.queue.borrow();
        add(queue.first, queue.records.len())
    }

    /// Waits until no more than `bytes` wait.
    pub(super) async fn drained_to(&self, bytes: usize) {
        while self.bytes() > bytes {
            self.0.drained.notified().await;
        }
    }

    pub(super) fn end(&self) {
        self.0.queue.borrow_mut().ended = true;
        self.0.filled.notify_one();
    }

    /// Sends until the lane has ended.
    pub(super) async fn run(self, server: std::sync::Arc<Server>, group: GroupId, producer_id: i64) {
        let mut wait = RETRY;
        loop {
            let (first, built) = {
                let queue = self.0.queue.borrow();
                if queue.ended {
                    return;
                }
                (queue.first, build(&queue, producer_id))
            };
            let (count, batch, header) = match built {
                Ok(Some(built)) => built,
                Ok(None) => {
                    self.0.filled.notified().await;
                    continue;
                }
                Err(error) => {
                    return tracing::error!(?group, %error, "emissions that make no batch: the pipeline stands still");
                }
            };
            let delivered = deliver(&server, group, batch, header).await;
            tracing::trace!(?group, producer_id, first, count, ?delivered, "emissions");
            match delivered {
                Delivered::Taken => {
                    wait = RETRY;
                    self.take(count);
                    continue;
                }
                // Another leader sent it, in other batches.
                Delivered::Upto(next) => {
                    let ahead = next.wrapping_sub(first) & NUMBER_MAX;
                    if ahead > 0 && ahead <= NUMBER_MAX / 2 {
                        wait = RETRY;
                        let waiting = self.0.queue.borrow().records.len();
                        self.take(waiting.min(ahead as usize));
                        continue;
                    }
                    tracing::debug!(?group, next, first, "an emission waits for those before it");
                }
                Delivered::Not(reason) => tracing::debug!(?group, %reason, "emissions are sent again"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    fn take(&self, count: usize) {
        let mut queue = self.0.queue.borrow_mut();
        let taken: usize = queue.records.drain(..count).map(|emission| size(&emission)).sum();
        queue.bytes -= taken;
        queue.first = add(queue.first, count);
        drop(queue);
        self.0.drained.notify_one();
    }
}

/// Numbers go on at 0 after this, as sequences do.
const NUMBER_MAX: u32 = i32::MAX as u32;

fn add(number: u32, count: usize) -> u32 {
    ((u64::from(number) + count as u64) & u64::from(NUMBER_MAX)) as u32
}

fn size(emission: &Emission) -> usize {
    emission.key.as_ref().map_or(0, Vec::len) + emission.value.as_ref().map_or(0, Vec::len) + 64
}

/// The next batch and how many records it holds; none where nothing waits.
fn build(queue: &Queue, producer_id: i64) -> Result<Option<(usize, BytesMut, BatchHeader)>, BatchError> {
    let mut builder = Builder::new(Compression::None, None);
    for emission in &queue.records {
        if !builder.is_empty() && builder.estimated_size() + size(emission) > BATCH_BYTES {
            break;
        }
        builder.push(emission.timestamp, emission.key.as_deref(), emission.value.as_deref(), &emission.headers);
    }
    let count = builder.len();
    if count == 0 {
        return Ok(None);
    }
    builder.set_producer(producer_id, 0, queue.first.cast_signed());
    let batch = builder.finish()?;
    let header = BatchHeader::parse(&batch)?;
    Ok(Some((count, BytesMut::from(batch), header)))
}
