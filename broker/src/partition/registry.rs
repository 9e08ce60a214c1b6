//! Every partition that this node holds, by topic id. Readers see one consistent map without a lock.

use std::sync::Arc;

use arc_swap::ArcSwap;
use leat_protocol::Uuid;

use super::Partition;

/// Partitions of a topic by index; one that has no replica here is `None`.
pub(crate) type Topic = Arc<[Option<Arc<Partition>>]>;

/// The partitions of this node.
#[derive(Debug, Default)]
pub(crate) struct Registry(ArcSwap<imbl::HashMap<Uuid, Topic>>);

impl Registry {
    pub(crate) fn get(&self, topic_id: Uuid, partition: i32) -> Option<Arc<Partition>> {
        let topics = self.0.load();
        topics.get(&topic_id)?.get(usize::try_from(partition).ok()?)?.clone()
    }

    pub(crate) fn topic(&self, topic_id: Uuid) -> Option<Topic> {
        self.0.load().get(&topic_id).cloned()
    }

    pub(crate) fn topics(&self) -> Vec<(Uuid, Topic)> {
        self.0.load().iter().map(|(topic_id, topic)| (*topic_id, topic.clone())).collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        self.0.load().values().flat_map(|topic| topic.iter().flatten().cloned()).collect()
    }

    /// Puts a topic in, or its longer list of partitions. Only the thread that applies the metadata calls this.
    pub(crate) fn insert(&self, topic_id: Uuid, partitions: Topic) {
        let mut topics = imbl::HashMap::clone(&self.0.load());
        topics.insert(topic_id, partitions);
        self.0.store(Arc::new(topics));
    }

    /// Takes a topic out and returns its partitions.
    pub(crate) fn remove(&self, topic_id: Uuid) -> Option<Topic> {
        let mut topics = imbl::HashMap::clone(&self.0.load());
        let removed = topics.remove(&topic_id);
        self.0.store(Arc::new(topics));
        removed
    }
}
