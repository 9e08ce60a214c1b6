//! A coordinator: memory that is a function of one partition's log, kept by that partition's leader.
//!
//! ```text
//!   log --replay--> machine --begin--> serves: request -> writes -> log -> written -> answers
//!    ^                                                     |
//!    +------ loaded again, with all its memory dropped, where a write is lost with the leadership
//! ```
//!
//! Groups are the first kind; transactions will be the next. A machine does no I/O and waits for nothing: [`Actor`] carries
//! its writes to the log and its time to it.

mod actor;

use bytes::Bytes;
use leat_protocol::ErrorCode;

pub(crate) use self::actor::Actor;

/// Time as a coordinator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Milliseconds since some start; never goes back. Deadlines are in it.
    pub(crate) up_ms: u64,
    /// Milliseconds since 1970, for what goes into the log.
    pub(crate) wall_ms: i64,
}

/// Records to append, and what is to follow once they are committed.
#[derive(Debug)]
pub(crate) struct Write<W> {
    /// Keys and values; no value is a tombstone.
    pub(crate) records: Vec<(Bytes, Option<Bytes>)>,
    pub(crate) then: W,
}

/// What kind of coordinator it is. Made empty, it is filled by replaying the log, and dropped when the log is another's to lead.
pub(crate) trait Machine: Send + 'static {
    type Request: Send;
    type Written: Send;

    /// Takes up a record of the log. The error is told in the log; the record is left out.
    fn replay(&mut self, key: &Bytes, value: Option<&Bytes>, now: Now) -> Result<(), String>;

    /// The log has been replayed: deadlines begin to count.
    fn begin(&mut self, now: Now);

    /// Takes a request. It is answered by the machine, now or later.
    fn step(&mut self, request: Self::Request, now: Now, writes: &mut Vec<Write<Self::Written>>);

    /// Writes are committed in the order in which they were asked for.
    fn written(&mut self, then: Self::Written, now: Now, writes: &mut Vec<Write<Self::Written>>);

    /// Does what is due.
    fn tick(&mut self, now: Now, writes: &mut Vec<Write<Self::Written>>);

    /// When to tick, at the latest.
    fn wake_up_ms(&self) -> u64;

    /// Whether the request is refused at once while the disk is full.
    fn needs_room(request: &Self::Request) -> bool;

    /// Answers a request that can't be served here, or not yet.
    fn refuse(request: Self::Request, code: ErrorCode);
}
