//! Which brokers hold a partition: spread evenly, leaders and followers alike, with a start that moves on as
//! partitions are made. The same image gives the same placement.

use std::collections::BTreeSet;

use leat_protocol::ErrorCode;

use crate::metadata::Image;
use crate::metadata::record::Placement;

/// Error number and text.
pub(super) type Problem = (ErrorCode, String);

/// Places `count` partitions, the first of which will be the topic's `first`th.
pub(super) fn spread(
    image: &Image,
    first: usize,
    count: usize,
    replication_factor: i16,
) -> Result<Vec<Placement>, Problem> {
    let nodes: Vec<i32> = image.brokers().map(|broker| broker.node_id).collect();
    let factor = usize::try_from(replication_factor).unwrap_or(0);
    if factor == 0 || factor > nodes.len() {
        let text = format!(
            "Unable to replicate the partition {replication_factor} time(s): only {} broker(s) are registered.",
            nodes.len()
        );
        return Err((ErrorCode::INVALID_REPLICATION_FACTOR, text));
    }
    let start = usize::try_from(image.partition_count() % nodes.len() as u64).unwrap_or(0);
    Ok((first..first + count).map(|partition| Placement { nodes: row(&nodes, start, partition, factor) }).collect())
}

/// Leaders go round; followers follow at a distance that grows by one with each round, so that no two brokers share
/// all their partitions.
fn row(nodes: &[i32], start: usize, partition: usize, factor: usize) -> Vec<i32> {
    let leader = (start + partition) % nodes.len();
    let round = partition / nodes.len();
    let others = nodes.len() - 1;
    let follower = |n: usize| nodes[(leader + 1 + (round + n) % others) % nodes.len()];
    std::iter::once(nodes[leader]).chain((0..factor - 1).map(follower)).collect()
}

/// Checks one partition's brokers as a client assigned them.
pub(super) fn check(image: &Image, nodes: &[i32]) -> Result<Placement, Problem> {
    let wrong = |text: String| (ErrorCode::INVALID_REPLICA_ASSIGNMENT, text);
    if nodes.is_empty() {
        return Err(wrong("The manual partition assignment includes an empty replica list.".into()));
    }
    let mut seen = BTreeSet::new();
    for node in nodes {
        if image.broker(*node).is_none() {
            return Err(wrong(format!(
                "The manual partition assignment includes broker {node}, but no such broker is registered."
            )));
        }
        if !seen.insert(node) {
            return Err(wrong(format!("The manual partition assignment includes the broker {node} more than once.")));
        }
    }
    Ok(Placement { nodes: nodes.to_vec() })
}

/// Every partition of a topic has the same number of replicas.
pub(super) fn check_factor(placements: &[Placement], factor: usize) -> Result<(), Problem> {
    match placements.iter().find(|placement| placement.nodes.len() != factor) {
        None => Ok(()),
        Some(other) => Err((
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with \
                 the other partitions, which have {factor} replica(s).",
                other.nodes.len()
            ),
        )),
    }
}

/// Would `more` partitions pass the cluster's bound?
pub(super) fn check_room(image: &Image, planned: u64, more: usize, max: u32) -> Result<(), Problem> {
    if image.partition_count() + planned + more as u64 <= u64::from(max) {
        return Ok(());
    }
    let text = format!(
        "The cluster has {} partitions and may have {max} (leat.max.partitions); {more} more are too many.",
        image.partition_count() + planned
    );
    Err((ErrorCode::POLICY_VIOLATION, text))
}
