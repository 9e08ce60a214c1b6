//! One connection: reads frames, starts their requests, sends the answers in the order of the requests.
//!
//! Requests run one after another as in Kafka, save that a produce behind produces is proposed at once, so that many
//! share a write and a sync. At most `leat.connection.requests.max` requests of
//! `leat.connection.bytes.max` bytes wait; then the socket is not read.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use leat_protocol::ApiKey;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::budget::{Budget, Permit};
use super::frame::FrameReader;
use super::outbox::{Outbox, Reply};
use crate::handlers::{Context, Started, start};

/// A frame that is still on its way counts once this much of it has come, and never for more than `CHARGE_MAX`: else two that
/// are half read could wait for each other.
const CHARGED_FROM: usize = 64 << 10;
const CHARGE_MAX: usize = 1 << 20;

/// A client that stops in the middle of a request is cut off after this.
const STALL_MAX: Duration = Duration::from_secs(30);

/// A request under way. `None` is a request without an answer.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Option<Reply>, String>>>>;

struct Waiting {
    api: ApiKey,
    bytes: usize,
    begun: Instant,
    answering: Answering,
}

struct Connection {
    stream: TcpStream,
    context: Rc<Context>,
    budget: Arc<Budget>,
    requests_max: usize,
    reader: FrameReader,
    frames: VecDeque<BytesMut>,
    /// Memory for the frame that is read or started next.
    permit: Option<Permit>,
    /// Requests that wait for their answers.
    waiting: VecDeque<Waiting>,
    bytes_in_flight: usize,
    bytes_in_flight_max: usize,
    /// Every request that waits is a produce.
    only_produces: bool,
    outbox: Outbox,
    /// The client sends no more.
    ended: bool,
}

/// Serves a connection until it ends; the error is the one line that goes to the log.
pub(crate) async fn serve(stream: TcpStream, context: Rc<Context>, mut stop: tokio::sync::watch::Receiver<bool>) {
    let peer = context.peer;
    let (bytes_max, idle) = (context.frame_bytes_max(), context.idle_max());
    let bytes_in_flight_max = context.bytes_max();
    let (requests_max, budget) = (context.requests_max(), context.server.budget.clone());
    let mut connection = Connection {
        stream,
        context,
        budget,
        requests_max,
        reader: FrameReader::new(bytes_max),
        frames: VecDeque::new(),
        permit: None,
        waiting: VecDeque::new(),
        bytes_in_flight: 0,
        bytes_in_flight_max,
        only_produces: true,
        outbox: Outbox::default(),
        ended: false,
    };
    connection.context.server.metrics.connections.inc();
    let ended = tokio::select! {
        ended = connection.run(idle) => ended,
        _ = stop.wait_for(|stop| *stop) => {
            // What has been read is still answered; how long that may take is the stopper's to say.
            connection.ended = true;
            connection.run(idle).await
        }
    };
    connection.context.server.metrics.connections.dec();
    let client = connection.context.client();
    match ended {
        Ok(()) => tracing::debug!(%peer, %client, "connection closed"),
        Err(reason) => tracing::info!(%peer, %client, %reason, "connection closed"),
    }
}

impl Connection {
    async fn run(&mut self, idle: Duration) -> Result<(), String> {
        let mut patience = idle;
        let mut deadline = Instant::now() + patience;
        loop {
            self.start_frames()?;
            if self.ended && self.frames.is_empty() && self.waiting.is_empty() && self.outbox.is_empty() {
                return Ok(());
            }
            let wanted = self.wanted_permit();
            let reads = !self.ended && self.frames.is_empty() && wanted.is_none() && !self.is_full();
            let interest = match (reads, !self.outbox.is_empty()) {
                (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
                (true, false) => Some(Interest::READABLE),
                (false, true) => Some(Interest::WRITABLE),
                (false, false) => None,
            };
            // The clock is read once a turn.
            let mut now = None;
            tokio::select! {
                biased;
                answer = next(&mut self.waiting), if !self.waiting.is_empty() => {
                    if let Some(Waiting { api, bytes, begun, .. }) = self.waiting.pop_front() {
                        self.bytes_in_flight -= bytes;
                        let now = now.insert(Instant::now());
                        self.context.server.metrics.answered(api, now.duration_since(begun));
                    }
                    self.only_produces |= self.waiting.is_empty();
                    if let Some(reply) = answer? {
                        self.outbox.push(reply);
                    }
                    // Answers that are ready together leave together.
                    if self.waiting.is_empty() {
                        self.write()?;
                    }
                }
                ready = self.stream.ready(interest.unwrap_or(Interest::READABLE)), if interest.is_some() => {
                    let ready = ready.map_err(|error| error.to_string())?;
                    if ready.is_writable() && !self.outbox.is_empty() {
                        self.write()?;
                    }
                    if reads && (ready.is_readable() || ready.is_read_closed()) {
                        self.read()?;
                    }
                }
                permit = self.budget.acquire(wanted.unwrap_or(0)), if wanted.is_some() => self.permit = Some(permit),
                () = tokio::time::sleep_until(deadline), if self.waiting.is_empty() => {
                    return Err(format!("idle for {} ms (connections.max.idle.ms; in the middle of a request, {} ms)", patience.as_millis(), STALL_MAX.as_millis()));
                }
            }
            patience = if self.reader.pending().is_some() { idle.min(STALL_MAX) } else { idle };
            deadline = now.unwrap_or_else(Instant::now) + patience;
        }
    }

    fn write(&mut self) -> Result<(), String> {
        self.outbox.write(&self.stream).map_err(|error| error.to_string())
    }

    fn read(&mut self) -> Result<(), String> {
        let mut frames = Vec::new();
        self.ended = !self.reader.read(&self.stream, &mut frames).map_err(|error| error.to_string())?;
        self.frames.extend(frames);
        Ok(())
    }

    /// Whether the client has as much in work as it may. One request is always taken.
    fn is_full(&self) -> bool {
        self.waiting.len() >= self.requests_max || self.bytes_in_flight >= self.bytes_in_flight_max
    }

    /// Bytes to wait for before going on: for a frame that is whole, or for one that is large and really on its way. What a
    /// client only announces takes nothing from the others.
    fn wanted_permit(&self) -> Option<usize> {
        if self.permit.is_some() || self.is_full() {
            return None;
        }
        let size = match (self.frames.front(), self.reader.pending()) {
            (Some(frame), _) => frame.len(),
            (None, Some((size, come))) if come >= CHARGED_FROM => size,
            (None, _) => return None,
        };
        Some(size.min(CHARGE_MAX))
    }

    /// Starts what has arrived, as far as memory and the bound on requests in flight let it.
    fn start_frames(&mut self) -> Result<(), String> {
        let mut now = None;
        while !self.is_full() {
            let Some(frame) = self.frames.front() else { break };
            let Some(permit) = self.permit.take().or_else(|| self.budget.try_acquire(frame.len().min(CHARGE_MAX)))
            else {
                break;
            };
            let Some(frame) = self.frames.pop_front() else { break };
            let bytes = frame.len();
            let begun = *now.get_or_insert_with(Instant::now);
            let Started { api, answering } = start(&self.context, frame, permit, self.only_produces)?;
            self.only_produces &= api == ApiKey::Produce;
            self.bytes_in_flight += bytes;
            self.waiting.push_back(Waiting { api, bytes, begun, answering });
        }
        Ok(())
    }
}

/// The answer to the oldest request.
async fn next(waiting: &mut VecDeque<Waiting>) -> Result<Option<Reply>, String> {
    poll_fn(|context| match waiting.front_mut() {
        Some(oldest) => oldest.answering.as_mut().poll(context),
        None => std::task::Poll::Pending,
    })
    .await
}
