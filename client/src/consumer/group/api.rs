//! What a program does with its group.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use leat_protocol::Str;
use tokio::time::Instant;

use super::listener::Listener;
use super::topics::{self, Wanted};
use super::{Commit, Group, RebalanceListener};
use crate::committed;
use crate::consumer::Inner;
use crate::net::Connection;
use crate::{CommittedOffset, Consumer, ConsumerRecord, Error, TopicPartition};

impl Consumer {
    /// Joins the group of `group.id` and reads the part of these topics that it gives this member. It replaces an earlier
    /// subscription and its listener. Partitions come with the polls that follow, and start where the group has committed, else where
    /// `auto.offset.reset` says.
    ///
    /// # Errors
    /// There is no `group.id`, or partitions were assigned by hand.
    pub async fn subscribe<T: AsRef<str>>(&self, topics: &[T]) -> Result<(), Error> {
        self.want(Wanted::Topics(names(topics)), None)
    }

    /// The same, with somebody who hears of each change.
    ///
    /// # Errors
    /// As [`subscribe`](Consumer::subscribe).
    pub async fn subscribe_with<T: AsRef<str>>(
        &self,
        topics: &[T],
        listener: impl RebalanceListener,
    ) -> Result<(), Error> {
        self.want(Wanted::Topics(names(topics)), Some(Arc::new(listener)))
    }

    /// Subscribes to all topics whose whole name matches a regular expression, also to those that appear later, at the
    /// latest after `metadata.max.age.ms`.
    ///
    /// # Errors
    /// As [`subscribe`](Consumer::subscribe), or the expression is not right.
    pub async fn subscribe_pattern(&self, pattern: &str) -> Result<(), Error> {
        self.want(Wanted::Pattern(topics::pattern(pattern)?), None)
    }

    /// The same, with somebody who hears of each change.
    ///
    /// # Errors
    /// As [`subscribe_pattern`](Consumer::subscribe_pattern).
    pub async fn subscribe_pattern_with(&self, pattern: &str, listener: impl RebalanceListener) -> Result<(), Error> {
        self.want(Wanted::Pattern(topics::pattern(pattern)?), Some(Arc::new(listener)))
    }

    /// Gives its partitions up and leaves the group. With `enable.auto.commit` positions are committed first. Without a
    /// subscription all partitions that were assigned by hand are given up.
    ///
    /// # Errors
    /// The consumer is closed.
    pub async fn unsubscribe(&self) -> Result<(), Error> {
        self.inner.check_open()?;
        match &self.inner.group {
            Some(group) if group.is_subscribed() => group.leave().await,
            _ => self.inner.take_over(&[]),
        }
        Ok(())
    }

    fn want(&self, wanted: Wanted, listener: Option<Arc<dyn Listener>>) -> Result<(), Error> {
        self.inner.check_open()?;
        let group = self.group()?;
        if !group.is_subscribed() && !self.assignment().is_empty() {
            let reason = "partitions were assigned by hand; unsubscribe from them before subscribing to topics";
            return Err(Error::Invalid(reason.to_owned()));
        }
        if let Wanted::Topics(topics) = &wanted {
            self.inner.cluster.track(topics);
        }
        self.inner.state.lock().clear_group_error();
        group.shared.lock().listener = listener;
        group.want(wanted);
        Ok(())
    }

    /// Commits where the program is in each of its partitions: all records that poll has returned are done with. Retries
    /// what may pass.
    ///
    /// # Errors
    /// There is no `group.id`; the group has moved on without this member (REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION,
    /// UNKNOWN_MEMBER_ID): poll again, and expect records again; or it was not done within `default.api.timeout.ms`.
    pub async fn commit(&self) -> Result<(), Error> {
        self.commit_async()?.await
    }

    /// The same without waiting: the commit is under way when this returns. Commits never overtake each other.
    ///
    /// # Errors
    /// There is no `group.id`, or the consumer is closed. The future has the others.
    pub fn commit_async(&self) -> Result<Commit, Error> {
        self.inner.check_open()?;
        let positions = self.inner.state.lock().positions();
        Ok(self.group()?.committer.commit(positions))
    }

    /// Commits the offsets given: those of the next records to read.
    ///
    /// # Errors
    /// As [`commit`](Consumer::commit).
    pub async fn commit_offsets(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, CommittedOffset)>,
    ) -> Result<(), Error> {
        self.inner.check_open()?;
        self.group()?.committer.commit(offsets.into_iter().collect()).await
    }

    /// Commits that these records, and all before them in their partitions, are done with.
    ///
    /// # Errors
    /// As [`commit`](Consumer::commit).
    pub async fn commit_records<'a>(&self, records: impl IntoIterator<Item = &'a ConsumerRecord>) -> Result<(), Error> {
        let mut offsets: HashMap<TopicPartition, CommittedOffset> = HashMap::new();
        for record in records {
            let partition = TopicPartition { topic: record.topic.clone(), partition: record.partition };
            let leader_epoch = (record.leader_epoch >= 0).then_some(record.leader_epoch);
            let after = CommittedOffset { offset: record.offset + 1, leader_epoch, metadata: Str::new() };
            let known = offsets.entry(partition).or_insert_with(|| after.clone());
            if known.offset < after.offset {
                *known = after;
            }
        }
        self.commit_offsets(offsets).await
    }

    /// What the group has committed for these partitions; partitions without a commit are left out.
    ///
    /// # Errors
    /// There is no `group.id`, or its coordinator could not be asked within `default.api.timeout.ms`.
    pub async fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, CommittedOffset>, Error> {
        let coordinator = &self.group()?.coordinator;
        let common = &self.inner.config.common;
        let stable = self.inner.config.isolation_level == crate::IsolationLevel::ReadCommitted;
        let ask = |connection: Arc<Connection>| async move {
            let (timeout, group) = (common.request_timeout, coordinator.group());
            let results = committed::fetch(&connection, timeout, group, Some(partitions), stable).await?;
            committed::passing(&results)?;
            Ok(results)
        };
        let results = coordinator.call("the offsets", common.default_api_timeout, ask).await?;
        let found = results.into_iter().filter_map(|(partition, result)| match result {
            Ok(offset) => Some(Ok((partition, offset?))),
            Err(error) => Some(Err(error)),
        });
        found.collect()
    }

    fn group(&self) -> Result<&Arc<Group>, Error> {
        self.inner.group.as_ref().ok_or_else(|| Error::Invalid("this needs a group.id".to_owned()))
    }
}

fn names<T: AsRef<str>>(topics: &[T]) -> BTreeSet<Str> {
    topics.iter().map(|topic| Str::from(topic.as_ref())).collect()
}

impl Group {
    fn want(&self, wanted: Wanted) {
        self.gate.enter(Instant::now());
        let mut shared = self.shared.lock();
        shared.wanted = wanted;
        shared.wanted_count += 1;
        drop(shared);
        self.news.notify_one();
    }

    /// The last commit, and leaving.
    pub(in crate::consumer) async fn close(&self, inner: &Inner) {
        if self.is_subscribed() {
            self.leave().await;
        } else if inner.config.enable_auto_commit {
            let positions = inner.state.lock().positions();
            if let Err(error) = self.committer.commit(positions).await {
                tracing::warn!(%error, "positions could not be committed before the consumer was closed");
            }
        }
    }

    /// Leaves the group, and waits until that is done.
    async fn leave(&self) {
        let _waiting = self.gate.program_waits();
        let mut left = self.left.subscribe();
        self.want(Wanted::Nothing);
        let count = self.shared.lock().wanted_count;
        _ = left.wait_for(|left| *left >= count).await;
        self.shared.lock().listener = None;
    }
}
