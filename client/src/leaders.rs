//! Asks the leaders of many partitions for something, each leader once, and asks again what can be better later.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::{Error, TopicPartition};

/// A partition, what to ask about it, and its leader's epoch.
#[derive(Debug, Clone)]
pub(crate) struct Item<Q> {
    pub(crate) partition: TopicPartition,
    pub(crate) query: Q,
    pub(crate) leader_epoch: i32,
}

/// What a leader said, by partition.
pub(crate) type Answers<T> = HashMap<TopicPartition, Result<T, Error>>;

/// Answers in no particular order. An error that a retry may help becomes a timeout after `limit`.
pub(crate) async fn ask<Q, T, F, Fut>(
    cluster: &Cluster,
    what: &str,
    items: Vec<(TopicPartition, Q)>,
    limit: Duration,
    ask_leader: F,
) -> Vec<(TopicPartition, Q, Result<T, Error>)>
where
    Q: Clone,
    F: Fn(i32, Vec<Item<Q>>) -> Fut,
    Fut: Future<Output = Result<Answers<T>, Error>>,
{
    let deadline = Instant::now() + limit;
    let mut done = Vec::with_capacity(items.len());
    let mut left = items;
    let mut failures = 0;
    loop {
        let mut again = Vec::new();
        for (partition, query, result) in round(cluster, left, deadline, &ask_leader).await {
            match result {
                Err(error) if error.is_retryable() && !matches!(error, Error::Timeout { .. }) => {
                    again.push((partition, query, error))
                }
                result => done.push((partition, query, result)),
            }
        }
        if again.is_empty() {
            return done;
        }
        failures += 1;
        let wait = cluster.retry_backoff().after(failures);
        if Instant::now() + wait >= deadline {
            done.extend(again.into_iter().map(|(partition, query, error)| {
                let error = Error::timeout(format!("{what} of {partition}"), limit, Some(error));
                (partition, query, Err(error))
            }));
            return done;
        }
        cluster.request_refresh();
        tokio::time::sleep(wait).await;
        left = again.into_iter().map(|(partition, query, _)| (partition, query)).collect();
    }
}

/// Asks each leader, all at the same time.
async fn round<Q, T, F, Fut>(
    cluster: &Cluster,
    items: Vec<(TopicPartition, Q)>,
    deadline: Instant,
    ask_leader: &F,
) -> Vec<(TopicPartition, Q, Result<T, Error>)>
where
    Q: Clone,
    F: Fn(i32, Vec<Item<Q>>) -> Fut,
    Fut: Future<Output = Result<Answers<T>, Error>>,
{
    let mut requests: HashMap<(i32, usize), Vec<Item<Q>>> = HashMap::new();
    let mut results = Vec::with_capacity(items.len());
    // A request names a partition once, so further questions about it go into further requests.
    let mut times: HashMap<TopicPartition, usize> = HashMap::new();
    for (partition, query) in items {
        if cluster.leader(&partition).is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Err(error) = cluster.topic(&partition.topic, left).await {
                results.push((partition, query, Err(error)));
                continue;
            }
        }
        let Some((leader, leader_epoch)) = cluster.leader(&partition) else {
            let error = missing(cluster, &partition);
            results.push((partition, query, Err(error)));
            continue;
        };
        let time = times.entry(partition.clone()).or_default();
        requests.entry((leader, *time)).or_default().push(Item { partition, query, leader_epoch });
        *time += 1;
    }
    let answers =
        requests.into_iter().map(async |((leader, _), items)| (items.clone(), ask_leader(leader, items).await));
    for (items, answer) in join_all(answers).await {
        match answer {
            Ok(mut answers) => results.extend(items.into_iter().map(|item| {
                let missing = || Error::corrupt(format!("answer for {}", item.partition), "the partition is missing");
                let result = answers.remove(&item.partition).unwrap_or_else(|| Err(missing()));
                (item.partition, item.query, result)
            })),
            Err(error) => {
                results.extend(items.into_iter().map(|item| (item.partition, item.query, Err(error.clone()))))
            }
        }
    }
    results
}

/// Why a partition of a topic asked for has no leader.
fn missing(cluster: &Cluster, partition: &TopicPartition) -> Error {
    let metadata = cluster.metadata();
    match metadata.topic(&partition.topic) {
        Some(Ok(topic)) if usize::try_from(partition.partition).is_ok_and(|p| p < topic.partitions.len()) => {
            Error::NoLeader(partition.clone())
        }
        Some(Err(error)) => error.clone(),
        _ => Error::UnknownTopic(partition.to_string()),
    }
}
