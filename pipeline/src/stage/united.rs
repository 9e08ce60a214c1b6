//! A merge's sessions: fragments of all source partitions, united where they lie within the gap.

use std::collections::BTreeMap;

use super::cell::Cell;
use super::panes::Key;
use crate::aggregate::Full;
use crate::codec::{Corrupt, Reader, put_bytes, put_int, put_len};
use crate::plan::Call;
use crate::window::Span;

#[derive(Debug)]
struct Session {
    first: i64,
    last: i64,
    cell: Cell,
    /// It was shown since it changed last.
    shown: bool,
}

/// Open sessions by key, in the order of time.
#[derive(Debug)]
pub(crate) struct United {
    gap: i64,
    grace: i64,
    open: BTreeMap<Key, Vec<Session>>,
    count: usize,
    /// Keys by a watermark at which one of their sessions may end or close. One that grew is looked at again later.
    timers: BTreeMap<i64, Vec<Key>>,
    ends: BTreeMap<i64, Vec<Key>>,
}

impl United {
    pub(crate) fn new(gap: i64, grace: i64) -> United {
        United { gap, grace, open: BTreeMap::new(), count: 0, timers: BTreeMap::new(), ends: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Adds a fragment. Gives the window of the session that it is in now, and those of the sessions that are no more.
    pub(crate) fn add(
        &mut self,
        calls: &[Call],
        key: &[u8],
        first: i64,
        last: i64,
        cell: Cell,
    ) -> Result<(Span, Vec<Span>), Full> {
        let gap = self.gap;
        let mut session = Session { first, last, cell, shown: false };
        let sessions = self.open.entry(key.into()).or_default();
        let near = |other: &Session| {
            other.first.saturating_sub(gap) <= session.last && session.first <= other.last.saturating_add(gap)
        };
        let from = sessions.iter().position(near);
        let mut replaced = Vec::new();
        if let Some(from) = from {
            let count = sessions[from..].iter().take_while(|other| near(other)).count();
            let mut taken = sessions.drain(from..from + count);
            // The earlier rows first, as they would have come in one partition.
            if let Some(mut base) = taken.next() {
                replaced.push(window(&base, gap));
                for other in taken.by_ref() {
                    replaced.push(window(&other, gap));
                    base.last = base.last.max(other.last);
                    base.cell.merge(calls, &other.cell)?;
                }
                base.cell.merge(calls, &session.cell)?;
                session =
                    Session { first: base.first.min(first), last: base.last.max(last), cell: base.cell, shown: false };
            }
        }
        let now = window(&session, gap);
        let ends_at = session.last.saturating_add(gap);
        let at = sessions.partition_point(|other| other.first < session.first);
        sessions.insert(at, session);
        self.count = self.count + 1 - replaced.len();
        // A session that only grew is found by the timer it has.
        if replaced.is_empty() {
            self.timers.entry(ends_at.saturating_add(self.grace)).or_default().push(key.into());
        }
        self.ends.entry(ends_at).or_default().push(key.into());
        replaced.retain(|before| *before != now);
        Ok((now, replaced))
    }

    pub(crate) fn cell(&self, key: &[u8], of: Span) -> Option<&Cell> {
        let sessions = self.open.get(key)?;
        sessions.iter().find(|session| window(session, self.gap) == of).map(|session| &session.cell)
    }

    /// A session was shown as it is now.
    pub(crate) fn set_shown(&mut self, key: &[u8], of: Span) {
        let sessions = self.open.get_mut(key).into_iter().flatten();
        sessions.filter(|session| window(session, self.gap) == of).for_each(|session| session.shown = true);
    }

    /// Sessions that have ended and were not shown since they changed.
    pub(crate) fn ended(&mut self, watermark: i64) -> Vec<(Span, Key)> {
        let mut ended = Vec::new();
        while let Some(due) = self.ends.first_entry().filter(|due| *due.key() <= watermark) {
            for key in due.remove() {
                for session in self.open.get_mut(&key).into_iter().flatten() {
                    let of = window(session, self.gap);
                    if of.end <= watermark && !std::mem::replace(&mut session.shown, true) {
                        ended.push((of, key.clone()));
                    }
                }
            }
        }
        ended
    }

    /// Takes out what is closed, in the order of ends and keys.
    pub(crate) fn take_closed(&mut self, watermark: i64) -> Vec<(Span, Key, Cell)> {
        let (gap, grace) = (self.gap, self.grace);
        let mut closed = Vec::new();
        while let Some(due) = self.timers.first_entry().filter(|due| *due.key() <= watermark) {
            for key in due.remove() {
                let Some(sessions) = self.open.get_mut(&key) else { continue };
                let closes_at = |session: &Session| session.last.saturating_add(gap).saturating_add(grace);
                let taken = sessions.extract_if(.., |session| closes_at(session) <= watermark);
                closed.extend(taken.map(|session| (window(&session, gap), key.clone(), session.cell)));
                match sessions.first().map(closes_at) {
                    Some(next) => self.timers.entry(next).or_default().push(key),
                    None => {
                        self.open.remove(&key);
                    }
                }
            }
        }
        self.ends = self.ends.split_off(&watermark.saturating_add(1));
        self.count -= closed.len();
        closed.sort_unstable_by(|a, b| (a.0.end, a.0.start, &a.1).cmp(&(b.0.end, b.0.start, &b.1)));
        closed
    }

    pub(crate) fn bytes(&self) -> usize {
        let sessions = self.open.iter().map(|(key, sessions)| {
            2 * key.len() + 96 + sessions.iter().map(|session| 32 + session.cell.bytes()).sum::<usize>()
        });
        sessions.sum()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.open.len());
        for (key, sessions) in &self.open {
            put_bytes(out, key);
            put_len(out, sessions.len());
            for session in sessions {
                put_int(out, session.first);
                put_int(out, session.last);
                out.push(u8::from(session.shown));
                session.cell.encode(out);
            }
        }
    }

    pub(crate) fn decode(&mut self, calls: &[Call], reader: &mut Reader<'_>) -> Result<(), Corrupt> {
        for _ in 0..reader.len()? {
            let key: Key = reader.bytes()?.into();
            let mut sessions = Vec::new();
            for _ in 0..reader.len()? {
                let (first, last, shown) = (reader.int()?, reader.int()?, reader.byte()? != 0);
                let ends_at = last.saturating_add(self.gap);
                self.timers.entry(ends_at.saturating_add(self.grace)).or_default().push(key.clone());
                if !shown {
                    self.ends.entry(ends_at).or_default().push(key.clone());
                }
                sessions.push(Session { first, last, cell: Cell::decode(calls, reader)?, shown });
            }
            self.count += sessions.len();
            self.open.insert(key, sessions);
        }
        Ok(())
    }
}

/// A session's window ends when its gap has passed.
fn window(session: &Session, gap: i64) -> Span {
    Span { start: session.first, end: session.last.saturating_add(gap) }
}
