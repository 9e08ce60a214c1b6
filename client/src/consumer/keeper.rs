//! The task that keeps positions right: finds starts, checks positions when leaders change (KIP-320), starts fetchers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use leat_protocol::ErrorCode;
use leat_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic};
use tokio::time::Instant;

use super::fetcher::Fetcher;
use super::group::Group;
use super::starts::{reset_start, resolve};
use super::{Inner, Start};
use crate::cluster::{Lane, until_closed};
use crate::committed;
use crate::{CommittedOffset, Error, IsolationLevel, OffsetReset, TopicPartition};

/// Runs until the consumer is closed.
pub(super) async fn run(inner: Arc<Inner>) {
    let closed = inner.closed.subscribe();
    tokio::select! {
        () = keep(&inner) => {}
        () = until_closed(closed) => {}
    }
}

async fn keep(inner: &Arc<Inner>) {
    let mut changed = inner.changed.subscribe();
    let mut answers = inner.cluster.answers();
    let mut failures = 0;
    loop {
        changed.borrow_and_update();
        answers.borrow_and_update();
        let known = find_committed(inner).await;
        let settled = known & start_fetchers(inner) & find_starts(inner).await & check_epochs(inner).await;
        failures = if settled { 0 } else { failures + 1 };
        let again = async {
            match failures {
                0 => std::future::pending().await,
                _ => tokio::time::sleep(inner.cluster.retry_backoff().after(failures)).await,
            }
            inner.cluster.request_refresh();
        };
        tokio::select! {
            _ = changed.changed() => {}
            _ = answers.changed() => {}
            () = again => {}
        }
    }
}

/// Partitions that start where the group has committed. `false`: that is not known of all yet.
async fn find_committed(inner: &Arc<Inner>) -> bool {
    let Some(group) = &inner.group else { return true };
    let wanting = inner.state.lock().wanting_committed();
    if wanting.is_empty() {
        return true;
    }
    let partitions: Vec<_> = wanting.iter().map(|(partition, _)| partition.clone()).collect();
    let results = fetch_committed(inner, group, &partitions).await;
    let (mut all, mut news) = (true, false);
    let mut state = inner.state.lock();
    for (partition, generation) in wanting {
        let result = match &results {
            Ok(results) => results.get(&partition).cloned().unwrap_or(Ok(None)),
            Err(error) => Err(error.clone()),
        };
        match result {
            Ok(found) => {
                let found = found.map(|committed| (committed.offset, committed.leader_epoch));
                let start = reset_start(inner.config.auto_offset_reset);
                state.found_committed(&partition, generation, found, start);
                news = true;
            }
            Err(error) if error.is_retryable() => all = false,
            Err(error) => {
                state.stick(&partition, generation, error);
                inner.arrived.notify_one();
            }
        }
    }
    drop(state);
    if news {
        inner.change();
        // A partition without a start is an error to poll.
        inner.arrived.notify_one();
    }
    all
}

async fn fetch_committed(
    inner: &Inner,
    group: &Group,
    partitions: &[TopicPartition],
) -> Result<committed::Results<Option<CommittedOffset>>, Error> {
    let coordinator = &group.coordinator;
    let stable = inner.config.isolation_level == IsolationLevel::ReadCommitted;
    let timeout = inner.config.common.request_timeout;
    let connection = coordinator.connection(Lane::Calls).await?;
    let results = committed::fetch(&connection, timeout, coordinator.group(), Some(partitions), stable).await;
    coordinator.learn(results.as_ref().err());
    results
}

/// A partition whose start is to be found, and the generation it belongs to.
type Pending = (TopicPartition, u64, Start);

/// Turns the starts of partitions into offsets, each leader's by themselves so that one that is slow holds up no other.
/// `false`: some could not be found yet.
async fn find_starts(inner: &Arc<Inner>) -> bool {
    let mut by_leader: HashMap<i32, Vec<Pending>> = HashMap::new();
    let mut settled = true;
    for (partition, part) in &inner.state.lock().parts {
        let Some(start) = part.start else { continue };
        match inner.cluster.leader(partition) {
            Some((leader, _)) => by_leader.entry(leader).or_default().push((partition.clone(), part.generation, start)),
            None => settled = false,
        }
    }
    let groups = by_leader.values().map(|pending| find_starts_at(inner, pending));
    join_all(groups).await.into_iter().all(|found| found) && settled
}

async fn find_starts_at(inner: &Inner, pending: &[Pending]) -> bool {
    let starts: Vec<_> = pending.iter().map(|(partition, _, start)| (partition.clone(), *start)).collect();
    // No retries here: the keeper comes back, and by then the leader may be another.
    let result = resolve(inner, &starts, Duration::ZERO).await;
    let mut state = inner.state.lock();
    match result {
        Ok(resolved) => {
            for ((partition, generation, _), (_, offset)) in pending.iter().zip(resolved) {
                state.resolved(partition, *generation, offset);
            }
        }
        Err(error) if error.is_retryable() => {
            tracing::debug!(%error, "starts not found yet");
            return false;
        }
        Err(error) => {
            for (partition, generation, _) in pending {
                state.stick(partition, *generation, error.clone());
            }
            inner.arrived.notify_one();
        }
    }
    drop(state);
    inner.change();
    true
}

/// Every broker that leads an assigned partition gets a fetcher. `false`: some partition has no leader now.
fn start_fetchers(inner: &Arc<Inner>) -> bool {
    let now = Instant::now();
    let mut state = inner.state.lock();
    let mut nodes = BTreeSet::new();
    let mut all = true;
    for (partition, part) in &state.parts {
        match inner.cluster.leader(partition) {
            Some((leader, _)) => _ = nodes.insert(part.node(leader, now)),
            None => all = false,
        }
    }
    for node in nodes {
        if state.fetchers.insert(node) {
            tokio::spawn(Fetcher::new(inner.clone(), node).run());
        }
    }
    all
}

/// Positions whose leader changed since they were read are compared with the new leader's log.
async fn check_epochs(inner: &Arc<Inner>) -> bool {
    let mut by_leader: HashMap<i32, Vec<Check>> = HashMap::new();
    {
        let mut state = inner.state.lock();
        for (partition, part) in &mut state.parts {
            let Some((leader, leader_epoch)) = inner.cluster.leader(partition) else { continue };
            if part.is_checked(leader_epoch) {
                part.checked_epoch = part.checked_epoch.max(leader_epoch);
                continue;
            }
            by_leader.entry(leader).or_default().push(Check {
                partition: partition.clone(),
                generation: part.generation,
                leader_epoch,
                epoch: part.fetch_epoch,
                offset: part.fetch_from,
            });
        }
    }
    let checks = by_leader.iter().map(async |(leader, checks)| {
        let result = check_with(inner, *leader, checks).await;
        if let Err(error) = &result {
            tracing::debug!(%error, leader, "positions not checked yet");
        }
        result.is_ok()
    });
    join_all(checks).await.into_iter().all(|checked| checked)
}

struct Check {
    partition: TopicPartition,
    generation: u64,
    leader_epoch: i32,
    /// The epoch of the batch before the position.
    epoch: i32,
    offset: i64,
}

async fn check_with(inner: &Arc<Inner>, leader: i32, checks: &[Check]) -> Result<(), Error> {
    let connection = inner.cluster.connection(leader, Lane::Calls).await?;
    let topic = |check: &Check| OffsetForLeaderTopic {
        topic: check.partition.topic.clone(),
        partitions: vec![OffsetForLeaderPartition {
            partition: check.partition.partition,
            current_leader_epoch: check.leader_epoch,
            leader_epoch: check.epoch,
        }],
    };
    let mut topics: Vec<OffsetForLeaderTopic> = Vec::new();
    for check in checks {
        let row = topic(check);
        match topics.iter_mut().find(|topic| topic.topic == row.topic) {
            Some(topic) => topic.partitions.extend(row.partitions),
            None => topics.push(row),
        }
    }
    let request = OffsetForLeaderEpochRequest { replica_id: -1, topics };
    let response = match connection.call(&request, inner.config.common.request_timeout).await {
        Ok(response) => response,
        // A broker too old to be asked can't tell; Java reads on as well.
        Err(Error::Unsupported(_)) => {
            for check in checks {
                set_checked(inner, check);
            }
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let mut result = Ok(());
    for check in checks {
        let answers = response.topics.iter().filter(|topic| topic.topic == check.partition.topic);
        let answer =
            answers.flat_map(|topic| &topic.partitions).find(|answer| answer.partition == check.partition.partition);
        match answer {
            Some(answer) if answer.error_code == ErrorCode::NONE => {
                verdict(inner, check, answer.leader_epoch, answer.end_offset)
            }
            Some(answer) => {
                result = Err(Error::broker(
                    answer.error_code,
                    None,
                    format!("OffsetForLeaderEpoch for {}", check.partition),
                ));
            }
            None => result = Err(Error::corrupt("OffsetForLeaderEpoch", "a partition is missing")),
        }
    }
    inner.change();
    result
}

fn set_checked(inner: &Inner, check: &Check) {
    let mut state = inner.state.lock();
    if let Some(part) = state.parts.get_mut(&check.partition).filter(|part| part.generation == check.generation) {
        part.checked_epoch = part.checked_epoch.max(check.leader_epoch);
    }
}

/// The new leader's log ends that epoch at `end`: a position beyond it is on records that were lost.
fn verdict(inner: &Arc<Inner>, check: &Check, epoch: i32, end: i64) {
    set_checked(inner, check);
    let unknown = epoch < 0 || end < 0;
    if !unknown && end >= check.offset {
        return;
    }
    tracing::warn!(partition = %check.partition, position = check.offset, end, "the log was truncated below the position");
    if inner.config.auto_offset_reset == OffsetReset::None || unknown {
        reset(inner, &check.partition, check.generation, check.offset);
    } else {
        let mut state = inner.state.lock();
        let position = state.position(&check.partition).unwrap_or(end).min(end);
        state.resolved(&check.partition, check.generation, position);
    }
}

/// Applies `auto.offset.reset`. `true`: there is an error to poll.
fn reset(inner: &Inner, partition: &TopicPartition, generation: u64, offset: i64) -> bool {
    let mut state = inner.state.lock();
    match reset_start(inner.config.auto_offset_reset) {
        Some(start) => {
            if let Some(part) = state.parts.get_mut(partition).filter(|part| part.generation == generation) {
                part.start = Some(start);
            }
            drop(state);
            inner.change();
            false
        }
        None => {
            let error = Error::NoOffset { partition: partition.clone(), offset: Some(offset) };
            state.stick(partition, generation, error);
            true
        }
    }
}

/// A broker refused to read a partition. `true`: there is an error to poll.
pub(super) fn fetch_refused(
    inner: &Inner,
    partition: &TopicPartition,
    generation: u64,
    offset: i64,
    code: ErrorCode,
) -> bool {
    let mut state = inner.state.lock();
    let Some(part) = state.parts.get_mut(partition).filter(|part| part.generation == generation) else { return false };
    let from_follower = part.preferred.take().is_some();
    part.retry_at = Some(Instant::now() + inner.cluster.retry_backoff().after(1));
    // A reset drops what was not polled yet, so it waits for that.
    if code == ErrorCode::OFFSET_OUT_OF_RANGE && !from_follower && !state.has_chunks(partition) {
        drop(state);
        return reset(inner, partition, generation, offset);
    }
    if !code.is_retryable() && code != ErrorCode::OFFSET_OUT_OF_RANGE && code != ErrorCode::UNKNOWN_SERVER_ERROR {
        state.stick(partition, generation, Error::broker(code, None, format!("fetch of {partition}")));
        return true;
    }
    drop(state);
    inner.cluster.request_refresh();
    false
}

/// A broker sent what can't be read: the error is for the program, and the partition is tried again after a while.
pub(super) fn damaged(inner: &Inner, partition: &TopicPartition, generation: u64, error: Error) -> bool {
    let mut state = inner.state.lock();
    if let Some(part) = state.parts.get_mut(partition).filter(|part| part.generation == generation) {
        part.retry_at = Some(Instant::now() + inner.cluster.retry_backoff().after(1));
        state.push_error(error);
        return true;
    }
    false
}
