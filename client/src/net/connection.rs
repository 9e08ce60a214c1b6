//! A live connection: requests leave at once from the task that makes them, answers come back in order.
//!
//! The caller's task writes to the socket itself when nothing is queued; a writer task takes over only when the socket
//! is full. A reader task matches answers with what waits for them and runs their callbacks, which must not block.
//! How many requests may be in flight is the callers' bound, not this module's.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use leat_protocol::Str;
use leat_protocol::header::{self, RequestHeader, ResponseHeader};
use leat_protocol::messages::{Message, Request};
use leat_protocol::wire::{Part, Reader};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::Versions;
use super::frames::Frames;
use crate::Error;

/// What runs when a request's answer is there or can't come any more.
type Answer = Box<dyn FnOnce(Result<Bytes, Error>) + Send>;

/// Parts handed to one `writev`.
const WRITE_PARTS_MAX: usize = 64;

struct Pending {
    correlation_id: i32,
    deadline: Instant,
    answer: Answer,
}

#[derive(Default)]
struct Outgoing {
    queue: VecDeque<Bytes>,
    next_correlation_id: i32,
}

/// A connection that has negotiated its versions.
pub(crate) struct Connection {
    id: u64,
    address: Arc<str>,
    versions: Versions,
    client_id: Option<Str>,
    idle_max: Duration,
    socket: OwnedWriteHalf,
    outgoing: Mutex<Outgoing>,
    /// Locked inside `outgoing`, never around it.
    pending: Mutex<VecDeque<Pending>>,
    full: Notify,
    closing: Notify,
    closed: AtomicBool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Connection {
    /// Takes over a stream on which nothing is in flight, and starts its two tasks.
    pub(super) fn start(
        stream: TcpStream,
        frames: Frames,
        address: Arc<str>,
        versions: Versions,
        client_id: Option<Str>,
        idle_max: Duration,
    ) -> Arc<Self> {
        let (reading, socket) = stream.into_split();
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let connection = Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            address,
            versions,
            client_id,
            idle_max,
            socket,
            outgoing: Mutex::default(),
            pending: Mutex::default(),
            full: Notify::new(),
            closing: Notify::new(),
            closed: AtomicBool::new(false),
        });
        tokio::spawn(connection.clone().read(reading, frames));
        tokio::spawn(connection.clone().write());
        connection
    }

    /// Tells this connection from all others of this process.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The version of `R` to speak here: the newest that both sides know, at most `newest`.
    pub(crate) fn version<R: Request>(&self, newest: Option<i16>) -> Result<i16, Error> {
        self.versions
            .pick(R::KEY, newest)
            .map_err(|reason| Error::Unsupported(format!("broker {}: {reason}", self.address)))
    }

    /// Sends a request in the newest common version and waits for its answer.
    pub(crate) async fn call<R: Request>(&self, request: &R, timeout: Duration) -> Result<R::Response, Error> {
        let version = self.version::<R>(None)?;
        self.call_version(request, version, timeout).await
    }

    /// Sends a request in a version picked before.
    pub(crate) async fn call_version<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<R::Response, Error> {
        let (answer, answered) = oneshot::channel();
        self.send(request, version, timeout, Some(Box::new(|frame| _ = answer.send(frame))));
        let frame = answered.await.unwrap_or_else(|_| Err(self.gone("closed")))?;
        self.decode::<R>(frame, version)
    }

    /// A frame as the response to `R`.
    pub(crate) fn decode<R: Request>(&self, frame: Bytes, version: i16) -> Result<R::Response, Error> {
        let wrong =
            |error| Error::corrupt(format!("{} v{version} answer of broker {}", R::KEY.name(), self.address), error);
        let mut reader = Reader::new(frame);
        ResponseHeader::decode(&mut reader, R::KEY, version).map_err(wrong)?;
        R::Response::decode(&mut reader, version).map_err(wrong)
    }

    /// Sends a request; `answer` runs exactly once, possibly before this returns. Without one no answer is expected.
    pub(crate) fn send<R: Request>(&self, request: &R, version: i16, timeout: Duration, answer: Option<Answer>) {
        let mut outgoing = self.outgoing.lock();
        let correlation_id = outgoing.next_correlation_id;
        let header = RequestHeader {
            api_key: R::KEY as i16,
            api_version: version,
            correlation_id,
            client_id: self.client_id.clone(),
        };
        let parts = match header::encode_request(&header, request) {
            Ok(parts) => parts,
            Err(error) => {
                drop(outgoing);
                if let Some(answer) = answer {
                    answer(Err(Error::Unsupported(format!("{} v{version}: {error}", R::KEY.name()))));
                }
                return;
            }
        };
        if self.is_closed() {
            drop(outgoing);
            if let Some(answer) = answer {
                answer(Err(self.gone("closed")));
            }
            return;
        }
        outgoing.next_correlation_id = correlation_id.wrapping_add(1);
        if let Some(answer) = answer {
            let deadline = Instant::now() + timeout;
            self.pending.lock().push_back(Pending { correlation_id, deadline, answer });
        }
        let was_empty = outgoing.queue.is_empty();
        outgoing.queue.extend(parts.into_iter().filter_map(|part| match part {
            Part::Bytes(bytes) if !bytes.is_empty() => Some(bytes),
            _ => None,
        }));
        let wrote = if was_empty { self.flush(&mut outgoing) } else { Ok(()) };
        let rest = !outgoing.queue.is_empty();
        drop(outgoing);
        match wrote {
            Ok(()) if was_empty && rest => self.full.notify_one(),
            Ok(()) => {}
            Err(error) => self.fail(&self.gone(&error.to_string())),
        }
    }

    /// Writes what the socket takes now.
    fn flush(&self, outgoing: &mut Outgoing) -> io::Result<()> {
        while !outgoing.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); WRITE_PARTS_MAX];
            let mut count = 0;
            for (slice, part) in slices.iter_mut().zip(&outgoing.queue) {
                *slice = IoSlice::new(part);
                count += 1;
            }
            let mut written = match self.socket.try_write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            while written > 0
                && let Some(front) = outgoing.queue.front_mut()
            {
                let step = written.min(front.len());
                front.advance(step);
                written -= step;
                if front.is_empty() {
                    outgoing.queue.pop_front();
                }
            }
        }
        Ok(())
    }

    /// The writer task: waits until a full socket drains.
    async fn write(self: Arc<Self>) {
        while !self.is_closed() {
            self.full.notified().await;
            loop {
                if self.is_closed() || self.socket.writable().await.is_err() {
                    break;
                }
                let mut outgoing = self.outgoing.lock();
                let wrote = self.flush(&mut outgoing);
                let done = outgoing.queue.is_empty();
                drop(outgoing);
                if let Err(error) = wrote {
                    self.fail(&self.gone(&error.to_string()));
                }
                if done {
                    break;
                }
            }
        }
    }

    /// The reader task: ends with the connection.
    async fn read(self: Arc<Self>, mut socket: OwnedReadHalf, mut frames: Frames) {
        let mut used = Instant::now();
        let check = tokio::time::sleep_until(used + self.idle_max);
        tokio::pin!(check);
        let error = loop {
            if self.is_closed() {
                break self.gone("closed");
            }
            // The timer follows the oldest request; one made while none waited is seen when the timer fires next.
            tokio::select! {
                biased;
                frame = frames.next(&mut socket, &self.address) => match frame {
                    Ok(Some(frame)) => {
                        used = Instant::now();
                        if let Err(error) = self.answer(frame) {
                            break error;
                        }
                    }
                    Ok(None) => break self.gone("closed the connection"),
                    Err(error) => break error,
                },
                () = self.closing.notified() => break self.gone("closed"),
                () = check.as_mut() => match self.overdue(used) {
                    Ok(next) => check.as_mut().reset(next),
                    Err(error) => break error,
                },
            }
        };
        self.fail(&error);
    }

    /// When to look again, or why the connection has to end.
    fn overdue(&self, used: Instant) -> Result<Instant, Error> {
        let now = Instant::now();
        match self.pending.lock().front() {
            Some(oldest) if oldest.deadline <= now => Err(self.gone("did not answer within request.timeout.ms")),
            Some(oldest) => Ok(oldest.deadline.min(now + CHECK_EVERY)),
            None if now >= used + self.idle_max => Err(self.gone("idle for connections.max.idle.ms")),
            None => Ok((used + self.idle_max).min(now + CHECK_EVERY)),
        }
    }

    fn answer(&self, frame: Bytes) -> Result<(), Error> {
        let Some(id) = frame.first_chunk::<4>().map(|id| i32::from_be_bytes(*id)) else {
            return Err(Error::corrupt(format!("answer of broker {}", self.address), "shorter than its header"));
        };
        let pending = self.pending.lock().pop_front();
        match pending {
            Some(pending) if pending.correlation_id == id => {
                (pending.answer)(Ok(frame));
                Ok(())
            }
            Some(pending) => {
                let reason = format!("answered request {id} when {} was next", pending.correlation_id);
                let error = Error::corrupt(format!("answer of broker {}", self.address), reason);
                (pending.answer)(Err(error.clone()));
                Err(error)
            }
            None => Err(Error::corrupt(format!("answer of broker {}", self.address), "nothing was asked")),
        }
    }

    /// Ends the connection; whatever waits for an answer gets an error.
    pub(crate) fn close(&self) {
        self.fail(&self.gone("closed by this client"));
    }

    fn fail(&self, error: &Error) {
        let outgoing = self.outgoing.lock();
        let first = !self.closed.swap(true, Ordering::AcqRel);
        let pending = std::mem::take(&mut *self.pending.lock());
        drop(outgoing);
        if first {
            tracing::debug!(%error, "connection ends");
        }
        self.full.notify_one();
        self.closing.notify_one();
        for waiting in pending {
            (waiting.answer)(Err(error.clone()));
        }
    }

    fn gone(&self, reason: &str) -> Error {
        Error::Connection { address: self.address.to_string(), reason: reason.to_owned() }
    }
}

/// How often the reader looks for requests that have waited too long, at least.
const CHECK_EVERY: Duration = Duration::from_secs(1);
