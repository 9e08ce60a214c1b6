//! A source partition's sessions: their extents, and what was added to them since it was last sent on.
//!
//! An extent is kept until its session closes, also when everything in it was sent: it decides whether a row is late.

use std::collections::BTreeMap;

use super::cell::{Cell, Row};
use super::panes::{Assigned, ByKey, Key};
use super::partial::Partial;
use crate::aggregate::Full;
use crate::codec::{Corrupt, Reader, put_bytes, put_int, put_len};
use crate::plan::Call;
use crate::window::{Span, floor};

#[derive(Debug)]
struct Session {
    first: i64,
    last: i64,
    unsent: Option<Unsent>,
}

#[derive(Debug)]
struct Unsent {
    first: i64,
    last: i64,
    cell: Cell,
}

/// Open sessions by key, in the order of time.
#[derive(Debug)]
pub(crate) struct Sessions {
    gap: i64,
    grace: i64,
    open: ByKey<Vec<Session>>,
    /// Keys by a time at which one of their sessions may close. A session that grew is looked at again later.
    timers: BTreeMap<i64, Vec<Key>>,
    unsent: usize,
}

impl Sessions {
    pub(crate) fn new(gap: i64, grace: i64) -> Sessions {
        Sessions { gap, grace, open: ByKey::default(), timers: BTreeMap::new(), unsent: 0 }
    }

    fn closes_at(&self, last: i64) -> i64 {
        last.saturating_add(self.gap).saturating_add(self.grace)
    }

    pub(crate) fn add(&mut self, calls: &[Call], key: &[u8], row: &Row<'_>, watermark: i64) -> Result<Assigned, Full> {
        let (time, gap, grace) = (row.time, self.gap, self.grace);
        let closes_at = self.closes_at(time);
        let near =
            |session: &Session| session.first.saturating_sub(gap) <= time && time <= session.last.saturating_add(gap);
        let is_closed = |session: &Session| session.last.saturating_add(gap).saturating_add(grace) <= watermark;
        let joins = |session: &Session| near(session) && !is_closed(session);
        let sessions = self.open.get_mut(key);
        let place = sessions.as_ref().and_then(|sessions| sessions.iter().position(joins));
        let (Some(sessions), Some(place)) = (sessions, place) else {
            if closes_at <= watermark {
                let late = vec![Span { start: time, end: time.saturating_add(gap) }];
                return Ok(Assigned { late, ..Assigned::default() });
            }
            // The merge would make one of two fragments that come together.
            if self
                .open
                .get(key)
                .is_some_and(|sessions| sessions.iter().any(|session| near(session) && is_closed(session)))
            {
                return Ok(Assigned { send_first: true, ..Assigned::default() });
            }
            let mut cell = Cell::new(calls);
            cell.add(calls, row)?;
            let unsent = Some(Unsent { first: time, last: time, cell });
            let sessions = self.open.entry(key.into()).or_default();
            let at = sessions.partition_point(|session| session.first < time);
            sessions.insert(at, Session { first: time, last: time, unsent });
            self.unsent += 1;
            self.timers.entry(closes_at).or_default().push(key.into());
            return Ok(Assigned { windows: 1, ..Assigned::default() });
        };
        // A row between two sessions makes one of them.
        if sessions.get(place + 1).is_some_and(joins) {
            let next = sessions.remove(place + 1);
            let session = &mut sessions[place];
            session.last = session.last.max(next.last);
            match (&mut session.unsent, next.unsent) {
                (Some(own), Some(next)) => {
                    own.last = own.last.max(next.last);
                    own.cell.merge(calls, &next.cell)?;
                    self.unsent -= 1;
                }
                (own @ None, next) => *own = next,
                (Some(_), None) => {}
            }
        }
        let session = &mut sessions[place];
        (session.first, session.last) = (session.first.min(time), session.last.max(time));
        let unsent = session.unsent.get_or_insert_with(|| {
            self.unsent += 1;
            Unsent { first: time, last: time, cell: Cell::new(calls) }
        });
        (unsent.first, unsent.last) = (unsent.first.min(time), unsent.last.max(time));
        unsent.cell.add(calls, row)?;
        Ok(Assigned { windows: 1, ..Assigned::default() })
    }

    /// Takes out everything that was not sent, and forgets the sessions that are closed.
    pub(crate) fn take_all(&mut self, watermark: i64, out: &mut Vec<(Key, Partial)>) {
        if self.unsent > 0 {
            let mut taken = Vec::with_capacity(self.unsent);
            for (key, sessions) in &mut self.open {
                let unsent = sessions.iter_mut().filter_map(|session| session.unsent.take());
                taken.extend(unsent.map(|Unsent { first, last, cell }| (key.clone(), first, last, cell)));
            }
            taken.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
            let partial = |(key, first, last, cell)| (key, Partial::Session { first, last, cell });
            out.extend(taken.into_iter().map(partial));
            self.unsent = 0;
        }
        self.close(watermark);
    }

    fn close(&mut self, watermark: i64) {
        while let Some(due) = self.timers.first_entry().filter(|due| *due.key() <= watermark) {
            for key in due.remove() {
                let Some(sessions) = self.open.get_mut(&key) else { continue };
                let (gap, grace) = (self.gap, self.grace);
                let closes_at = |session: &Session| session.last.saturating_add(gap).saturating_add(grace);
                sessions.retain(|session| closes_at(session) > watermark);
                // Each session has a timer of its own; one that grew gets another.
                match sessions.first().map(closes_at) {
                    Some(next) => self.timers.entry(next).or_default().push(key),
                    None => {
                        self.open.remove(&key);
                    }
                }
            }
        }
    }

    /// The watermark at which the next session may close, if anything waits for it here.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.timers.keys().next().copied()
    }

    /// Progress is told at these steps.
    pub(crate) fn edge(&self, watermark: i64) -> i64 {
        floor(watermark, (self.gap / 4).max(1), 0)
    }

    pub(crate) fn bytes(&self) -> usize {
        let sessions = self.open.iter().map(|(key, sessions)| {
            let unsent = sessions.iter().filter_map(|session| session.unsent.as_ref());
            2 * key.len() + 96 + sessions.len() * size_of::<Session>() + unsent.map(|u| u.cell.bytes()).sum::<usize>()
        });
        sessions.sum()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.open.len());
        let mut sorted: Vec<_> = self.open.iter().collect();
        sorted.sort_unstable_by(|a, b| a.0.cmp(b.0));
        for (key, sessions) in sorted {
            put_bytes(out, key);
            put_len(out, sessions.len());
            for session in sessions {
                put_int(out, session.first);
                put_int(out, session.last);
                out.push(u8::from(session.unsent.is_some()));
                if let Some(unsent) = &session.unsent {
                    put_int(out, unsent.first);
                    put_int(out, unsent.last);
                    unsent.cell.encode(out);
                }
            }
        }
    }

    pub(crate) fn decode(&mut self, calls: &[Call], reader: &mut Reader<'_>) -> Result<(), Corrupt> {
        for _ in 0..reader.len()? {
            let key: Key = reader.bytes()?.into();
            let mut sessions = Vec::new();
            for _ in 0..reader.len()? {
                let (first, last) = (reader.int()?, reader.int()?);
                let unsent = match reader.byte()? {
                    0 => None,
                    _ => Some(Unsent { first: reader.int()?, last: reader.int()?, cell: Cell::decode(calls, reader)? }),
                };
                self.unsent += usize::from(unsent.is_some());
                let closes_at = self.closes_at(last);
                self.timers.entry(closes_at).or_default().push(key.clone());
                sessions.push(Session { first, last, unsent });
            }
            self.open.insert(key, sessions);
        }
        Ok(())
    }
}
