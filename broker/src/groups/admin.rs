//! Groups as an administrator sees them, and their deletion.

use leat_protocol::{ErrorCode, Str};

use super::Reply;
use super::group::Group;
use super::machine::{Groups, Writes, Written, push};
use super::offsets::Offsets;
use super::records::Change;
use super::request::Answer;

impl Groups {
    /// A group, as far as its requests have come.
    pub(crate) fn group(&self, name: &str) -> Option<&Group<Answer<Reply>>> {
        self.groups.get(name).map(|entry| &entry.group)
    }

    /// What a group has committed.
    pub(crate) fn offsets(&self, name: &str) -> Option<&Offsets> {
        self.groups.get(name).map(|entry| &entry.offsets)
    }

    /// Every group, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Str, &Group<Answer<Reply>>)> {
        self.groups.iter().map(|(name, entry)| (name, &entry.group))
    }

    pub(super) fn delete(&mut self, name: &Str, reply: Answer<ErrorCode>, writes: &mut Writes) {
        let refused = match self.groups.get(name) {
            None => Some(ErrorCode::GROUP_ID_NOT_FOUND),
            Some(entry) if entry.group.state() != super::State::Empty => Some(ErrorCode::NON_EMPTY_GROUP),
            Some(_) => None,
        };
        match refused {
            Some(code) => drop(reply.send(code)),
            None => self.delete_records(name, Some(reply), writes),
        }
    }

    /// Forgets a group. Whatever of it is on its way into the log is followed there by its end.
    pub(super) fn delete_records(&mut self, name: &Str, reply: Option<Answer<ErrorCode>>, writes: &mut Writes) {
        let Some(entry) = self.forget(name) else { return };
        let offsets = entry.offsets.keys().map(|(topic, partition)| Change::Offset {
            group: name.clone(),
            topic: topic.clone(),
            partition,
            value: None,
        });
        // A group that only has offsets has no record of its own; one more end does no harm.
        let changes = offsets.chain([Change::Group { group: name.clone(), value: None }]);
        push(writes, changes, Written::Deleted(reply));
    }
}
