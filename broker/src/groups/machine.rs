//! The groups of one partition of `__consumer_offsets`, as a coordinator's machine. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use leat_protocol::{ErrorCode, Str};

use super::group::{Effects, Event, Group, Joined, Reply, Save, Synced};
use super::offsets::Offsets;
use super::records::{Change, OffsetValue};
use super::request::{Answer, Request};
use super::settings::Settings;
use crate::coordinator::{Machine, Now, Write};

/// What the bookkeeping of a group takes beside its members and offsets.
const OVERHEAD_BYTES: usize = 512;

/// See the module.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(super) settings: Arc<Settings>,
    pub(super) groups: BTreeMap<Str, Entry>,
    /// When groups want to be woken.
    wakes: BTreeSet<(u64, Str)>,
    /// When to look for offsets that have expired.
    check_up_ms: u64,
    /// Numbers groups as they are made.
    made: u64,
    budget: Arc<AtomicUsize>,
}

/// A group with its offsets.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) group: Group<Answer<Reply>>,
    pub(super) offsets: Offsets,
    /// Tells it from one of the same name that was deleted while something of it was on its way into the log.
    pub(super) number: u64,
    /// The log has a record of the group itself, or soon will.
    pub(super) recorded: bool,
    wake_up_ms: u64,
    /// What is charged to the budget for it.
    charged: usize,
}

/// What follows a write.
#[derive(Debug)]
pub(crate) enum Written {
    Saved {
        group: Str,
        number: u64,
        save: Save,
    },
    /// Offsets, or none where they are deleted.
    Offsets {
        group: Str,
        number: u64,
        changes: Vec<(Str, i32, Option<OffsetValue>)>,
        told: Told,
    },
    /// A group that is no more in memory.
    Deleted(Option<Answer<ErrorCode>>),
}

/// Who hears of offsets that are written.
#[derive(Debug)]
pub(crate) enum Told {
    Nobody,
    Committer(Answer<Result<(), ErrorCode>>),
    Deleter(Answer<Result<Vec<ErrorCode>, ErrorCode>>, Vec<ErrorCode>),
}

pub(super) type Writes = Vec<Write<Written>>;

impl Groups {
    pub(crate) fn new(settings: Arc<Settings>, budget: Arc<AtomicUsize>) -> Groups {
        Groups { settings, groups: BTreeMap::new(), wakes: BTreeSet::new(), check_up_ms: u64::MAX, made: 0, budget }
    }

    /// The group of this name, made where there is none.
    pub(super) fn entry(&mut self, name: &Str, now: Now) -> &mut Entry {
        let made = &mut self.made;
        self.groups.entry(name.clone()).or_insert_with(|| {
            *made += 1;
            Entry {
                group: Group::new(now),
                offsets: Offsets::default(),
                number: *made,
                recorded: false,
                wake_up_ms: u64::MAX,
                charged: 0,
            }
        })
    }

    /// A group, unless it has been deleted since it had this number.
    fn numbered(&mut self, name: &str, number: u64) -> Option<&mut Entry> {
        self.groups.get_mut(name).filter(|entry| entry.number == number)
    }

    /// Has something happen to a group, and carries out what follows.
    fn happen(&mut self, name: &Str, event: Event<Answer<Reply>>, now: Now, writes: &mut Writes) {
        let settings = self.settings.clone();
        let Some(entry) = self.groups.get_mut(name) else { return };
        let mut effects = Effects::default();
        entry.group.step(event, now, &settings, &mut effects);
        for save in effects.saves {
            entry.recorded = true;
            let value = entry.group.value(&save);
            let change = Change::Group { group: name.clone(), value: Some(value) };
            let then = Written::Saved { group: name.clone(), number: entry.number, save };
            push(writes, [change], then);
        }
        for (answer, reply) in effects.answers {
            // The client may be gone.
            let _ = answer.send(reply);
        }
        self.settle(name);
    }

    /// Brings timers and budget up to date with a group that something happened to. One that holds nothing is forgotten.
    pub(super) fn settle(&mut self, name: &Str) {
        let Some(entry) = self.groups.get_mut(name) else { return };
        let wake = entry.group.wake_up_ms();
        if wake != entry.wake_up_ms {
            self.wakes.remove(&(entry.wake_up_ms, name.clone()));
            if wake != u64::MAX {
                self.wakes.insert((wake, name.clone()));
            }
            entry.wake_up_ms = wake;
        }
        if !entry.recorded && entry.group.is_unused() && entry.offsets.is_empty() {
            self.forget(name);
            return;
        }
        let bytes = OVERHEAD_BYTES + 2 * name.len() + entry.group.bytes() + entry.offsets.bytes();
        let before = std::mem::replace(&mut entry.charged, bytes);
        match bytes >= before {
            true => self.budget.fetch_add(bytes - before, Ordering::Relaxed),
            false => self.budget.fetch_sub(before - bytes, Ordering::Relaxed),
        };
    }

    pub(super) fn forget(&mut self, name: &Str) -> Option<Entry> {
        let entry = self.groups.remove(name)?;
        self.wakes.remove(&(entry.wake_up_ms, name.clone()));
        self.budget.fetch_sub(entry.charged, Ordering::Relaxed);
        Some(entry)
    }

    /// Whether groups may take more memory.
    pub(super) fn has_room(&self) -> bool {
        self.budget.load(Ordering::Relaxed) < self.settings.bytes_max
    }

    fn member(&mut self, name: Str, event: Event<Answer<Reply>>, now: Now, writes: &mut Writes) {
        if let Event::Join { join, .. } = &event {
            let refused = match () {
                () if !self.has_room() => Some(ErrorCode::GROUP_MAX_SIZE_REACHED),
                // A member of a group that is gone has to begin anew.
                () if !self.groups.contains_key(&name) && !join.member.is_empty() => Some(ErrorCode::UNKNOWN_MEMBER_ID),
                () => None,
            };
            match refused {
                Some(code) => return refuse_event(event, code),
                None => drop(self.entry(&name, now)),
            }
        } else if !self.groups.contains_key(&name) {
            return refuse_event(event, ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.happen(&name, event, now, writes);
    }

    fn restore(&mut self, change: Change, now: Now) {
        let name = match change {
            Change::Offset { group, topic, partition, value } => {
                if value.is_some() || self.groups.contains_key(&group) {
                    self.entry(&group, now).offsets.set(&topic, partition, value);
                }
                group
            }
            Change::Group { group, value: Some(value) } => {
                let entry = self.entry(&group, now);
                entry.group = Group::restore(value, now);
                entry.recorded = true;
                group
            }
            Change::Group { group, value: None } => {
                if let Some(entry) = self.groups.get_mut(&group) {
                    entry.group = Group::new(now);
                    entry.recorded = false;
                }
                group
            }
        };
        self.settle(&name);
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let charged: usize = self.groups.values().map(|entry| entry.charged).sum();
        self.budget.fetch_sub(charged, Ordering::Relaxed);
    }
}

impl Machine for Groups {
    type Request = Request;
    type Written = Written;

    fn replay(&mut self, key: &Bytes, value: Option<&Bytes>, now: Now) -> Result<(), String> {
        let change = Change::decode(key, value).map_err(|error| error.to_string())?;
        if let Some(change) = change {
            self.restore(change, now);
        }
        Ok(())
    }

    fn begin(&mut self, now: Now) {
        for name in self.groups.keys().cloned().collect::<Vec<_>>() {
            if let Some(entry) = self.groups.get_mut(&name) {
                entry.group.begin(now);
            }
            self.settle(&name);
        }
        self.check_up_ms = now.up_ms.saturating_add(self.settings.retention_check_ms);
    }

    fn step(&mut self, request: Request, now: Now, writes: &mut Writes) {
        match request {
            Request::Member { group, event } => self.member(group, event, now, writes),
            Request::Commit { commit, reply } => self.commit(commit, reply, now, writes),
            Request::Look(look) => look(Ok(self)),
            Request::Delete { group, reply } => self.delete(&group, reply, writes),
            Request::DeleteOffsets { group, offsets, reply } => self.delete_offsets(&group, offsets, reply, writes),
            Request::TopicDeleted { topic } => self.topic_deleted(&topic, writes),
        }
    }

    fn written(&mut self, then: Written, now: Now, writes: &mut Writes) {
        match then {
            Written::Saved { group, number, save } => {
                if self.numbered(&group, number).is_some() {
                    self.happen(&group, Event::Saved(save), now, writes);
                }
            }
            Written::Offsets { group, number, changes, told } => {
                if let Some(entry) = self.numbered(&group, number) {
                    for (topic, partition, value) in changes {
                        entry.offsets.end(&topic, partition, value);
                    }
                    self.settle(&group);
                }
                told.tell();
            }
            Written::Deleted(reply) => {
                if let Some(reply) = reply {
                    // The client may be gone.
                    let _ = reply.send(ErrorCode::NONE);
                }
            }
        }
    }

    fn tick(&mut self, now: Now, writes: &mut Writes) {
        while let Some((wake, name)) = self.wakes.first().cloned()
            && wake <= now.up_ms
        {
            self.happen(&name, Event::Tick, now, writes);
        }
        if self.check_up_ms <= now.up_ms {
            self.check_up_ms = now.up_ms.saturating_add(self.settings.retention_check_ms);
            self.expire(now, writes);
        }
    }

    fn wake_up_ms(&self) -> u64 {
        self.wakes.first().map_or(u64::MAX, |(wake, _)| *wake).min(self.check_up_ms)
    }

    fn needs_room(request: &Request) -> bool {
        matches!(request, Request::Commit { .. } | Request::Delete { .. } | Request::DeleteOffsets { .. })
    }

    fn refuse(request: Request, code: ErrorCode) {
        // Whoever asked may be gone.
        match request {
            Request::Member { event, .. } => refuse_event(event, code),
            Request::Commit { reply, .. } => drop(reply.send(Err(code))),
            Request::Look(look) => look(Err(code)),
            Request::Delete { reply, .. } => drop(reply.send(code)),
            Request::DeleteOffsets { reply, .. } => drop(reply.send(Err(code))),
            Request::TopicDeleted { .. } => {}
        }
    }
}

impl Told {
    fn tell(self) {
        // The client may be gone.
        match self {
            Told::Nobody => {}
            Told::Committer(reply) => drop(reply.send(Ok(()))),
            Told::Deleter(reply, codes) => drop(reply.send(Ok(codes))),
        }
    }
}

/// Asks for records to be written. A text too long for its record has been refused before.
pub(super) fn push(writes: &mut Writes, changes: impl IntoIterator<Item = Change>, then: Written) {
    let records = changes.into_iter().filter_map(|change| match change.encode() {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::error!(%error, ?change, "a record can not be written");
            None
        }
    });
    writes.push(Write { records: records.collect(), then });
}

fn refuse_event(event: Event<Answer<Reply>>, code: ErrorCode) {
    let (answer, reply) = match event {
        Event::Join { join, token } => (token, Reply::Join(Box::new(Joined::refused(join.member, code)))),
        Event::Sync { token, .. } => (token, Reply::Sync(Synced::refused(code))),
        // Its member is in the log, or will soon be told otherwise.
        Event::Heartbeat { token, .. } if code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => {
            (token, Reply::Heartbeat(ErrorCode::NONE))
        }
        Event::Heartbeat { token, .. } => (token, Reply::Heartbeat(code)),
        // The group is not there, so none of its members is.
        Event::Leave { members, token } if code == ErrorCode::UNKNOWN_MEMBER_ID => {
            (token, Reply::Leave(Ok(vec![code; members.len()])))
        }
        Event::Leave { token, .. } => (token, Reply::Leave(Err(code))),
        Event::Saved(_) | Event::Tick => return,
    };
    // The client may be gone.
    let _ = answer.send(reply);
}
