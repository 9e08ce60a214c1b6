//! Which partition of `__consumer_offsets` a group belongs to, and the way to that partition's coordinator.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::ArcSwapOption;
use leat_protocol::Uuid;
use tokio::sync::mpsc;

use super::machine::Groups;
use super::request::Request;
use super::settings::Settings;
use crate::coordinator::Actor;
use crate::metadata::Topic;
use crate::partition::Partition;
use crate::server::Server;
use crate::shard::Command;

/// Kafka's name for it.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The coordinators of this node. Readers take no lock.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    mailboxes: ArcSwapOption<Mailboxes>,
    /// Memory that all groups take.
    budget: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Mailboxes {
    topic_id: Uuid,
    partitions: Vec<Option<Mailbox>>,
}

/// The way to the coordinator of a partition.
#[derive(Debug, Clone)]
struct Mailbox {
    partition: Arc<Partition>,
    sender: mpsc::UnboundedSender<Request>,
}

impl Directory {
    /// Begins a coordinator for each partition that is held here and has none yet.
    pub(crate) fn attach(&self, server: &Arc<Server>, topic_id: Uuid, partitions: &[Option<Arc<Partition>>]) {
        let before = self.mailboxes.load_full().filter(|before| before.topic_id == topic_id);
        let known = |at: usize| before.as_ref()?.partitions.get(at)?.clone();
        let mailbox = |(at, partition): (usize, &Option<Arc<Partition>>)| {
            let partition = partition.as_ref()?;
            // One that was elsewhere meanwhile is another one.
            let known = known(at).filter(|known| Arc::ptr_eq(&known.partition, partition));
            Some(known.unwrap_or_else(|| self.begin(server, partition.clone())))
        };
        let partitions = partitions.iter().enumerate().map(mailbox).collect();
        self.mailboxes.store(Some(Arc::new(Mailboxes { topic_id, partitions })));
    }

    fn begin(&self, server: &Arc<Server>, partition: Arc<Partition>) -> Mailbox {
        let (sender, inbox) = mpsc::unbounded_channel();
        let settings = Arc::new(Settings::of(&server.config()));
        let budget = self.budget.clone();
        let shard = server.shard(&partition).clone();
        let actor = Actor {
            eager: server.folder.join(partition.folder()).exists(),
            shard: shard.clone(),
            pool: server.pool.clone(),
            inbox,
            make: Box::new(move || Groups::new(settings.clone(), budget.clone())),
            partition: partition.clone(),
        };
        shard.send(Command::Run(Box::new(move || {
            tokio::task::spawn_local(actor.run());
        })));
        Mailbox { partition, sender }
    }

    /// Whether coordinators are of this topic's partitions.
    pub(crate) fn is_of(&self, topic_id: Uuid) -> bool {
        self.mailboxes.load().as_ref().is_some_and(|mailboxes| mailboxes.topic_id == topic_id)
    }

    /// A topic is gone: with it the offsets committed in it, or all groups.
    pub(crate) fn topic_deleted(&self, topic: &Topic) {
        if self.is_of(topic.id) {
            self.mailboxes.store(None);
        }
        self.send_all(|| Request::TopicDeleted { topic: topic.name.clone() });
    }

    /// Asks the coordinator of a group. Where that is not here, the request is dropped, and whoever waits is told by that.
    pub(crate) fn send(&self, group: &str, request: Request) {
        let mailboxes = self.mailboxes.load();
        let Some(mailboxes) = mailboxes.as_ref() else { return };
        let at = partition_of(group, mailboxes.partitions.len());
        if let Some(mailbox) = mailboxes.partitions.get(at).and_then(Option::as_ref) {
            // One that has ended drops it too.
            let _ = mailbox.sender.send(request);
        }
    }

    /// Asks every coordinator that is here.
    pub(crate) fn send_all(&self, make: impl Fn() -> Request) {
        for mailbox in self.mailboxes.load().iter().flat_map(|mailboxes| &mailboxes.partitions).flatten() {
            // One that has ended has no groups.
            let _ = mailbox.sender.send(make());
        }
    }
}

/// As Kafka: Java's hash of the string, without its sign.
pub(crate) fn partition_of(group: &str, partitions: usize) -> usize {
    let hash = group.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // The one number without a positive twin counts as 0.
    let hash = if hash == i32::MIN { 0 } else { hash.unsigned_abs() };
    hash as usize % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_where_kafka_puts_them() {
        // As Java's String.hashCode gives them; "golden" was seen on a running broker.
        let cases = [("golden", 43), ("", 0), ("a", 47), ("polygenelubricants", 0), ("grüße", 23), ("😀", 49)];
        for (group, partition) in cases {
            assert_eq!(partition_of(group, 50), partition, "{group}");
        }
    }
}
