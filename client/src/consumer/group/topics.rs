//! Which topics a subscription is for, and how many partitions topics have.

use std::collections::{BTreeSet, HashMap};

use leat_protocol::Str;
use regex::Regex;

use super::assignor::Counts;
use crate::Error;
use crate::cluster::{Cluster, ask_topics};

/// What a program subscribed to.
#[derive(Debug, Clone, Default)]
pub(super) enum Wanted {
    #[default]
    Nothing,
    Topics(BTreeSet<Str>),
    /// All topics whose whole name matches, but for internal ones.
    Pattern(Regex),
}

/// A pattern for whole names, as Java matches them.
pub(super) fn pattern(text: &str) -> Result<Regex, Error> {
    Regex::new(&format!("^(?:{text})$")).map_err(|error| Error::Invalid(format!("pattern {text:?}: {error}")))
}

/// The topics that match now.
pub(super) async fn matching(cluster: &Cluster, pattern: &Regex) -> Result<BTreeSet<Str>, Error> {
    let response = ask_topics(cluster, None, false).await?;
    let topics = response.topics.into_iter().filter(|topic| !topic.is_internal && !topic.error_code.is_err());
    Ok(topics.filter_map(|topic| topic.name).filter(|name| pattern.is_match(name)).collect())
}

/// Asks how many partitions each topic has; topics that are not there are left out.
pub(super) async fn count(cluster: &Cluster, topics: &BTreeSet<Str>) -> Result<Counts, Error> {
    if topics.is_empty() {
        return Ok(Counts::new());
    }
    let names: Vec<Str> = topics.iter().cloned().collect();
    let response = ask_topics(cluster, Some(&names), cluster.creates_topics()).await?;
    let found = response.topics.into_iter().filter(|topic| !topic.partitions.is_empty());
    let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
    Ok(found.filter_map(|topic| Some((topic.name?, count(topic.partitions.len())))).collect())
}

/// The same from what is known already; `None` while some topic is not.
pub(super) fn known_counts(cluster: &Cluster, topics: &BTreeSet<Str>) -> Option<Counts> {
    let metadata = cluster.metadata();
    let mut counts = HashMap::new();
    for name in topics {
        match metadata.topic(name)? {
            Ok(topic) if topic.partitions.is_empty() => return None,
            Ok(topic) => _ = counts.insert(name.clone(), i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)),
            Err(error) if matches!(error, Error::UnknownTopic(_)) || !error.is_retryable() => {}
            Err(_) => return None,
        }
    }
    Some(counts)
}
