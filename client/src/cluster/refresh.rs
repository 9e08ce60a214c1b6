//! The task that keeps metadata fresh: when asked, when old, and again after a failure.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use leat_protocol::messages::MetadataRequest;
use leat_protocol::messages::metadata::MetadataRequestTopic;
use leat_protocol::{ErrorCode, Str};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Cluster, until_closed};
use crate::Error;

/// Runs until the cluster is closed or dropped.
pub(super) async fn run(cluster: Weak<Cluster>, closed: watch::Receiver<bool>) {
    tokio::select! {
        () = keep_fresh(cluster) => {}
        () = until_closed(closed) => {}
    }
}

async fn keep_fresh(cluster: Weak<Cluster>) {
    let (mut failures, mut burst, mut before) = (0, 0_u32, None::<Instant>);
    loop {
        let Some(strong) = cluster.upgrade() else { return };
        let asked = Instant::now();
        burst = if before.is_some_and(|before| asked < before + BURST) { (burst + 1).min(10) } else { 0 };
        before = Some(asked);
        // Another broker may know what one that hangs does not tell.
        let result = match tokio::time::timeout(PATIENCE, ask(&strong)).await {
            Ok(result) => result,
            Err(_) => Err(Error::timeout("metadata", PATIENCE, None)),
        };
        let complete = result.as_ref().is_ok_and(|complete| *complete);
        // Who is asked again at once has told what turned out wrong: it may be cut off from the others, and not know it.
        strong.in_doubt.store(!complete || burst > 0, Ordering::Relaxed);
        failures = if complete { 0 } else { failures + 1 };
        let error = result.err();
        if let Some(error) = &error {
            tracing::debug!(%error, "metadata could not be refreshed");
        }
        strong.answers.send_modify(|answer| {
            answer.count += 1;
            answer.error = error;
        });
        let age_max = strong.config.metadata_max_age;
        // The first refreshes asked for come fast, since most waits are for a topic just made; a caller that keeps
        // asking gets one per retry.backoff.ms.
        let pause = (PAUSE * (1 << burst)).min(strong.config.retry_backoff).max(PAUSE);
        let soonest = asked + strong.retry_backoff().after(failures).max(pause);
        // An incomplete answer (a topic just made, a partition without a leader) is followed up without being asked.
        let latest = if complete { asked + age_max } else { soonest };
        let wanted = async {
            strong.wanted.notified().await;
            tokio::time::sleep_until(soonest).await;
        };
        tokio::select! {
            () = wanted => {}
            () = tokio::time::sleep_until(latest) => {}
        }
    }
}

/// The longest that one broker is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The least time between two refreshes; doubled while they follow each other closely.
const PAUSE: Duration = Duration::from_millis(2);
const BURST: Duration = Duration::from_secs(1);

/// Asks for the tracked topics. `false`: something in the answer may be better soon.
async fn ask(cluster: &Cluster) -> Result<bool, Error> {
    let topics: Vec<Str> = cluster.topics.lock().iter().cloned().collect();
    let response = ask_topics(cluster, Some(&topics), cluster.create_topics).await?;
    let complete = response.topics.iter().all(|topic| {
        let settled = !topic.error_code.is_err() || !topic.error_code.is_retryable();
        settled && topic.partitions.iter().all(|p| p.leader_id >= 0)
    });
    let mut metadata = cluster.metadata.write();
    *metadata = Arc::new(metadata.merged(&response));
    Ok(complete)
}

/// One Metadata request to any broker; `None` asks for all topics.
pub(crate) async fn ask_topics(
    cluster: &Cluster,
    names: Option<&[Str]>,
    create: bool,
) -> Result<leat_protocol::messages::MetadataResponse, Error> {
    let connection = cluster.any_connection().await?;
    let topics = names.map(|names| {
        let one = |name: &Str| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        names.iter().map(one).collect()
    });
    let request = MetadataRequest { topics, allow_auto_topic_creation: create, ..Default::default() };
    let response = connection.call(&request, cluster.config.request_timeout).await?;
    if response.brokers.is_empty() {
        // A broker that has just started may not know the others, or itself, yet.
        return Err(Error::broker(ErrorCode::BROKER_NOT_AVAILABLE, None, "the cluster has no brokers yet"));
    }
    Ok(response)
}
