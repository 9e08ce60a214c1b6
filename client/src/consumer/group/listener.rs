//! How a program hears that its partitions change.

use futures_util::future::BoxFuture;

use crate::{Consumer, TopicPartition};

/// Hears of changes in what a consumer of a group reads. Its methods run while the program polls, so it is done with all
/// records that it was given, and poll returns no others before they end. They may seek and commit; they must not
/// poll, subscribe or close.
pub trait RebalanceListener: Send + Sync + 'static {
    /// These partitions are read from now on, beside those that are there already. A [`seek`](Consumer::seek) here
    /// comes before the first record.
    fn assigned(&self, consumer: &Consumer, partitions: &[TopicPartition]) -> impl Future<Output = ()> + Send {
        let _ = (consumer, partitions);
        async {}
    }

    /// These partitions are about to be given up: the last moment to commit what was done with them. With
    /// `enable.auto.commit` their positions are committed already.
    fn revoked(&self, consumer: &Consumer, partitions: &[TopicPartition]) -> impl Future<Output = ()> + Send {
        let _ = (consumer, partitions);
        async {}
    }

    /// These partitions are gone, since the group gave up on this member, and may be read by another one. It is too late
    /// to commit.
    fn lost(&self, consumer: &Consumer, partitions: &[TopicPartition]) -> impl Future<Output = ()> + Send {
        self.revoked(consumer, partitions)
    }
}

/// The same, its type erased.
pub(super) trait Listener: Send + Sync {
    fn assigned<'a>(&'a self, consumer: &'a Consumer, partitions: &'a [TopicPartition]) -> BoxFuture<'a, ()>;
    fn revoked<'a>(&'a self, consumer: &'a Consumer, partitions: &'a [TopicPartition]) -> BoxFuture<'a, ()>;
    fn lost<'a>(&'a self, consumer: &'a Consumer, partitions: &'a [TopicPartition]) -> BoxFuture<'a, ()>;
}

impl<L: RebalanceListener> Listener for L {
    fn assigned<'a>(&'a self, consumer: &'a Consumer, partitions: &'a [TopicPartition]) -> BoxFuture<'a, ()> {
        Box::pin(RebalanceListener::assigned(self, consumer, partitions))
    }

    fn revoked<'a>(&'a self, consumer: &'a Consumer, partitions: &'a [TopicPartition]) -> BoxFuture<'a, ()> {
        Box::pin(RebalanceListener::revoked(self, consumer, partitions))
    }

    fn lost<'a>(&'a self, consumer: &'a Consumer, partitions: &'a [TopicPartition]) -> BoxFuture<'a, ()> {
        Box::pin(RebalanceListener::lost(self, consumer, partitions))
    }
}
