//! Offsets come, go and expire.

use leat_protocol::{ErrorCode, Str};

use super::group::State;
use super::machine::{Entry, Groups, Told, Writes, Written, push};
use super::records::{Change, OffsetValue};
use super::request::{Answer, Commit};
use super::settings::Settings;
use crate::coordinator::Now;

impl Groups {
    pub(super) fn commit(
        &mut self,
        commit: Commit,
        reply: Answer<Result<(), ErrorCode>>,
        now: Now,
        writes: &mut Writes,
    ) {
        if let Err(code) = self.check_commit(&commit, now) {
            let _ = reply.send(Err(code));
            return;
        }
        let Commit { group: name, retention_ms, offsets, .. } = commit;
        if offsets.is_empty() {
            let _ = reply.send(Ok(()));
            return;
        }
        let entry = self.entry(&name, now);
        let expire_ms = retention_ms.map_or(-1, |retention_ms| now.wall_ms.saturating_add(retention_ms));
        let changes = offsets.into_iter().map(|offset| {
            let value = OffsetValue {
                offset: offset.offset,
                leader_epoch: offset.leader_epoch,
                metadata: offset.metadata,
                commit_ms: now.wall_ms,
                expire_ms,
                topic_id: offset.topic_id,
            };
            (offset.topic, offset.partition, Some(value))
        });
        entry.change(&name, changes.collect(), Told::Committer(reply), writes);
        self.settle(&name);
    }

    fn check_commit(&mut self, commit: &Commit, now: Now) -> Result<(), ErrorCode> {
        let has_room = self.has_room();
        let Some(entry) = self.groups.get_mut(&commit.group) else {
            return match commit.caller.generation {
                // A consumer that assigns itself, or an administrator: the group is made for its offsets.
                ..0 if has_room => Ok(()),
                ..0 => Err(ErrorCode::INVALID_COMMIT_OFFSET_SIZE),
                _ if commit.knows_no_group => Err(ErrorCode::GROUP_ID_NOT_FOUND),
                _ => Err(ErrorCode::ILLEGAL_GENERATION),
            };
        };
        entry.group.check_commit(&commit.caller, now)?;
        let grows = || commit.offsets.iter().any(|offset| !entry.offsets.knows(&offset.topic, offset.partition));
        if !has_room && grows() { Err(ErrorCode::INVALID_COMMIT_OFFSET_SIZE) } else { Ok(()) }
    }

    pub(super) fn delete_offsets(
        &mut self,
        name: &Str,
        offsets: Vec<(Str, i32)>,
        reply: Answer<Result<Vec<ErrorCode>, ErrorCode>>,
        writes: &mut Writes,
    ) {
        let entry = self.groups.get_mut(name).ok_or(ErrorCode::GROUP_ID_NOT_FOUND);
        let entry = entry.and_then(|entry| match entry.group.state() {
            State::Empty => Ok(entry),
            _ if entry.group.uses_consumer_protocol() => Ok(entry),
            _ => Err(ErrorCode::NON_EMPTY_GROUP),
        });
        let entry = match entry {
            Ok(entry) => entry,
            Err(code) => return drop(reply.send(Err(code))),
        };
        let code = |topic: &Str| match entry.group.is_subscribed(topic) {
            true => ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC,
            false => ErrorCode::NONE,
        };
        let codes: Vec<ErrorCode> = offsets.iter().map(|(topic, _)| code(topic)).collect();
        let allowed = offsets.into_iter().zip(&codes).filter(|(_, code)| !code.is_err()).map(|(key, _)| key);
        let known = allowed.filter(|(topic, partition)| entry.offsets.knows(topic, *partition));
        let changes: Vec<_> = known.map(|(topic, partition)| (topic, partition, None)).collect();
        if changes.is_empty() {
            return drop(reply.send(Ok(codes)));
        }
        entry.change(name, changes, Told::Deleter(reply, codes), writes);
        self.settle(name);
    }

    /// Deletes the offsets of a topic that is gone: one made anew under its name begins anew.
    pub(super) fn topic_deleted(&mut self, topic: &Str, writes: &mut Writes) {
        for (name, entry) in &mut self.groups {
            let changes: Vec<_> = entry.offsets.keys_of(topic).map(|index| (topic.clone(), index, None)).collect();
            if !changes.is_empty() {
                entry.change(name, changes, Told::Nobody, writes);
            }
        }
    }

    /// Deletes offsets that nobody has needed for the retention time, and groups that hold nothing any more.
    pub(super) fn expire(&mut self, now: Now, writes: &mut Writes) {
        let settings = self.settings.clone();
        for name in self.groups.keys().cloned().collect::<Vec<_>>() {
            let Some(entry) = self.groups.get_mut(&name) else { continue };
            let expired = entry.expired(now, &settings);
            if entry.group.is_unused() && expired.len() == entry.offsets.keys().count() {
                tracing::info!(group = %name, offsets = expired.len(), "a group has expired");
                self.delete_records(&name, None, writes);
                continue;
            }
            if !expired.is_empty() {
                tracing::info!(group = %name, offsets = expired.len(), "offsets have expired");
                let changes = expired.into_iter().map(|(topic, partition)| (topic, partition, None)).collect();
                entry.change(&name, changes, Told::Nobody, writes);
            }
            self.settle(&name);
        }
    }
}

impl Entry {
    /// Takes changes of offsets to the log.
    fn change(&mut self, name: &Str, changes: Vec<(Str, i32, Option<OffsetValue>)>, told: Told, writes: &mut Writes) {
        let records = changes.iter().map(|(topic, partition, value)| Change::Offset {
            group: name.clone(),
            topic: topic.clone(),
            partition: *partition,
            value: value.clone(),
        });
        let records: Vec<Change> = records.collect();
        changes.iter().for_each(|(topic, partition, _)| self.offsets.begin(topic, *partition));
        let then = Written::Offsets { group: name.clone(), number: self.number, changes, told };
        push(writes, records, then);
    }

    /// Offsets whose time is over. It is counted from the moment that the group was empty; where nobody ever was a member,
    /// or a stable group has turned away from the topic, from the commit.
    fn expired(&self, now: Now, settings: &Settings) -> Vec<(Str, i32)> {
        let from_empty = match (self.group.protocol_type(), self.group.state()) {
            (None, _) => None,
            (Some(_), State::Empty) => self.group.state_wall_ms(),
            (Some(_), State::Stable) if self.group.uses_consumer_protocol() => None,
            (Some(_), _) => return Vec::new(),
        };
        let is_expired = |value: &OffsetValue| match value.expire_ms {
            0.. => now.wall_ms >= value.expire_ms,
            _ => now.wall_ms.saturating_sub(from_empty.unwrap_or(value.commit_ms)) >= settings.retention_ms,
        };
        let unread = self.offsets.settled().filter(|(topic, ..)| !self.group.is_subscribed(topic));
        unread.filter(|(.., value)| is_expired(value)).map(|(topic, index, _)| (topic.clone(), index)).collect()
    }
}
