//! Commits, one request at a time, so that none overtakes an older one. What gathers meanwhile goes together, the newest offset
//! of each partition.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::Group;
use crate::committed::{self, Identity, Results};
use crate::coordinator::Coordinator;
use crate::{CommittedOffset, Error, TopicPartition};

type Offsets = HashMap<TopicPartition, CommittedOffset>;

/// A commit on its way: a future of its outcome. It goes on if this is dropped.
#[derive(Debug)]
#[must_use = "its outcome is known only to who awaits it"]
pub struct Commit(oneshot::Receiver<Result<(), Error>>);

impl Future for Commit {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| outcome.unwrap_or(Err(Error::Closed)))
    }
}

#[derive(Debug, Default)]
pub(super) struct Committer {
    pending: Mutex<Pending>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    offsets: Offsets,
    waiting: Vec<Waiting>,
    closed: bool,
}

/// Who waits, and for which partitions.
#[derive(Debug)]
struct Waiting {
    partitions: Vec<TopicPartition>,
    outcome: oneshot::Sender<Result<(), Error>>,
}

impl Committer {
    pub(super) fn commit(&self, offsets: Offsets) -> Commit {
        let (outcome, receiver) = oneshot::channel();
        if offsets.is_empty() {
            _ = outcome.send(Ok(()));
            return Commit(receiver);
        }
        let mut pending = self.pending.lock();
        if !pending.closed {
            pending.waiting.push(Waiting { partitions: offsets.keys().cloned().collect(), outcome });
            pending.offsets.extend(offsets);
        }
        drop(pending);
        self.wake.notify_one();
        Commit(receiver)
    }

    /// Who waits hears that the consumer is closed.
    pub(super) fn close(&self) {
        let mut pending = self.pending.lock();
        *pending = Pending { closed: true, ..Pending::default() };
    }

    fn take(&self) -> Option<(Offsets, Vec<Waiting>)> {
        let mut pending = self.pending.lock();
        let offsets = std::mem::take(&mut pending.offsets);
        (!offsets.is_empty()).then(|| (offsets, std::mem::take(&mut pending.waiting)))
    }
}

/// Runs until it is dropped.
pub(super) async fn run(group: Arc<Group>) {
    loop {
        while let Some((offsets, waiting)) = group.committer.take() {
            let result = send(&group, &offsets).await;
            for Waiting { partitions, outcome } in waiting {
                _ = outcome.send(result_of(&partitions, &result));
            }
        }
        group.committer.wake.notified().await;
    }
}

async fn send(group: &Group, offsets: &Offsets) -> Result<Results<()>, Error> {
    let identity = group.identity()?;
    let config = group.coordinator.cluster().config();
    let (limit, timeout) = (config.default_api_timeout, config.request_timeout);
    let result = send_as(&group.coordinator, &identity, offsets, limit, timeout).await;
    let errors = result.as_ref().map(|results| results.values().find_map(|result| result.as_ref().err()));
    if let Ok(Some(error)) | Err(error) = errors {
        tracing::debug!(%error, group = %group.coordinator.group(), "a commit failed");
        group.commit_refused(&identity, error);
    }
    result
}

async fn send_as(
    coordinator: &Coordinator,
    identity: &Identity,
    offsets: &Offsets,
    limit: std::time::Duration,
    timeout: std::time::Duration,
) -> Result<Results<()>, Error> {
    let ask = |connection: Arc<crate::net::Connection>| async move {
        let results = committed::commit(&connection, timeout, coordinator.group(), identity, offsets).await?;
        committed::passing(&results)?;
        Ok(results)
    };
    coordinator.call("a commit", limit, ask).await
}

fn result_of(partitions: &[TopicPartition], result: &Result<Results<()>, Error>) -> Result<(), Error> {
    let results = result.as_ref().map_err(Clone::clone)?;
    partitions.iter().find_map(|partition| results.get(partition)?.as_ref().err()).map_or(Ok(()), |e| Err(e.clone()))
}
