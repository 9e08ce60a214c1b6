//! The offsets of one group: what is committed, and what is on its way into the log.
//!
//! Reads see what is committed. What is on its way counts where offsets are deleted or expire, so that a tombstone
//! follows every record.

use std::collections::BTreeMap;

use leat_protocol::Str;

use super::records::OffsetValue;

/// What the bookkeeping of an offset takes beside its text.
const OVERHEAD_BYTES: usize = 128;

/// Offsets by topic and partition.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    topics: BTreeMap<Str, BTreeMap<i32, Slot>>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Slot {
    committed: Option<OffsetValue>,
    /// Changes on their way.
    pending: u32,
}

impl Offsets {
    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&OffsetValue> {
        self.topics.get(topic)?.get(&partition)?.committed.as_ref()
    }

    /// Whether there is an offset, or one is on its way.
    pub(crate) fn knows(&self, topic: &str, partition: i32) -> bool {
        self.topics.get(topic).is_some_and(|partitions| partitions.contains_key(&partition))
    }

    /// What is committed.
    pub(crate) fn committed(&self) -> impl Iterator<Item = (&Str, i32, &OffsetValue)> {
        self.slots().filter_map(|(topic, partition, slot)| Some((topic, partition, slot.committed.as_ref()?)))
    }

    /// What is committed and has no change on its way.
    pub(crate) fn settled(&self) -> impl Iterator<Item = (&Str, i32, &OffsetValue)> {
        let settled = self.slots().filter(|(.., slot)| slot.pending == 0);
        settled.filter_map(|(topic, partition, slot)| Some((topic, partition, slot.committed.as_ref()?)))
    }

    /// Everything that a record of the log is about, or soon will be.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&Str, i32)> {
        self.slots().map(|(topic, partition, _)| (topic, partition))
    }

    /// The same of one topic.
    pub(crate) fn keys_of(&self, topic: &str) -> impl Iterator<Item = i32> {
        self.topics.get(topic).into_iter().flat_map(|partitions| partitions.keys().copied())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Memory that they take, near enough.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A change is on its way into the log.
    pub(crate) fn begin(&mut self, topic: &Str, partition: i32) {
        self.slot(topic, partition).pending += 1;
    }

    /// It is committed.
    pub(crate) fn end(&mut self, topic: &Str, partition: i32, value: Option<OffsetValue>) {
        let slot = self.slot(topic, partition);
        slot.pending = slot.pending.saturating_sub(1);
        self.set(topic, partition, value);
    }

    /// Makes it what the log says.
    pub(crate) fn set(&mut self, topic: &Str, partition: i32, value: Option<OffsetValue>) {
        let slot = self.slot(topic, partition);
        let after = value.as_ref().map_or(0, |value| value.metadata.len());
        let before = std::mem::replace(&mut slot.committed, value).map_or(0, |value| value.metadata.len());
        let gone = slot.committed.is_none() && slot.pending == 0;
        self.bytes = self.bytes + after - before;
        if gone && let Some(partitions) = self.topics.get_mut(topic) {
            partitions.remove(&partition);
            self.bytes -= OVERHEAD_BYTES;
            if partitions.is_empty() {
                self.topics.remove(topic);
                self.bytes -= topic.len() + OVERHEAD_BYTES;
            }
        }
    }

    fn slot(&mut self, topic: &Str, partition: i32) -> &mut Slot {
        if !self.topics.contains_key(topic) {
            self.bytes += topic.len() + OVERHEAD_BYTES;
        }
        let bytes = &mut self.bytes;
        self.topics.entry(topic.clone()).or_default().entry(partition).or_insert_with(|| {
            *bytes += OVERHEAD_BYTES;
            Slot::default()
        })
    }

    fn slots(&self) -> impl Iterator<Item = (&Str, i32, &Slot)> {
        self.topics
            .iter()
            .flat_map(|(topic, partitions)| partitions.iter().map(move |(index, slot)| (topic, *index, slot)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(offset: i64) -> OffsetValue {
        let topic_id = leat_protocol::Uuid::nil();
        OffsetValue { offset, leader_epoch: -1, metadata: "about".into(), commit_ms: 0, expire_ms: -1, topic_id }
    }

    #[test]
    fn reads_see_what_is_committed_and_deletion_what_is_on_its_way() {
        let mut offsets = Offsets::default();
        let topic = Str::from_static("t");
        offsets.begin(&topic, 0);
        assert_eq!(offsets.get("t", 0), None);
        assert!(offsets.knows("t", 0) && offsets.settled().next().is_none());
        assert_eq!(offsets.keys().count(), 1);
        offsets.begin(&topic, 0);
        offsets.end(&topic, 0, Some(value(1)));
        assert_eq!(offsets.get("t", 0).map(|value| value.offset), Some(1));
        assert_eq!(offsets.settled().count(), 0);
        offsets.end(&topic, 0, Some(value(2)));
        assert_eq!(offsets.settled().map(|(_, _, value)| value.offset).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn nothing_is_left_of_what_is_deleted() {
        let mut offsets = Offsets::default();
        for (topic, partition) in [("a", 0), ("a", 1), ("b", 0)] {
            offsets.set(&topic.into(), partition, Some(value(7)));
        }
        assert!(offsets.bytes() > 3 * OVERHEAD_BYTES);
        offsets.begin(&"a".into(), 0);
        offsets.end(&"a".into(), 0, None);
        assert_eq!(offsets.keys_of("a").collect::<Vec<_>>(), [1]);
        offsets.set(&"a".into(), 1, None);
        offsets.set(&"b".into(), 0, None);
        offsets.set(&"b".into(), 0, None);
        assert!(offsets.is_empty());
        assert_eq!(offsets.bytes(), 0);
    }
}
