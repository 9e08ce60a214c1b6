//! AlterPartitionReassignments: other brokers should hold partitions, or those of before again.

use std::collections::BTreeSet;

use leat_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use leat_protocol::{ErrorCode, Str};

use super::place::Problem;
use super::{Finish, PARTITIONS_NAMED_MAX, Plan};
use crate::metadata::record::{Kind, PartitionReassigned, Placement};
use crate::metadata::{Image, Partition, Topic};

impl Finish for AlterPartitionReassignmentsResponse {
    fn refuse(&mut self, at: usize, code: ErrorCode, message: Option<Str>) {
        if let Some(result) = self.responses.iter_mut().flat_map(|topic| &mut topic.partitions).nth(at) {
            result.error_code = code;
            result.error_message = message;
        }
    }
}

/// Plans the request.
pub(crate) fn plan(
    image: &Image,
    request: &AlterPartitionReassignmentsRequest,
) -> Plan<AlterPartitionReassignmentsResponse> {
    if request.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>() > PARTITIONS_NAMED_MAX {
        return Plan::new(AlterPartitionReassignmentsResponse {
            error_code: ErrorCode::INVALID_REQUEST,
            error_message: Some(format!("One request may name {PARTITIONS_NAMED_MAX} partitions.").into()),
            ..AlterPartitionReassignmentsResponse::default()
        });
    }
    let answer = |partition: &ReassignablePartition| ReassignablePartitionResponse {
        partition_index: partition.partition_index,
        ..ReassignablePartitionResponse::default()
    };
    let responses = request.topics.iter().map(|topic| ReassignableTopicResponse {
        name: topic.name.clone(),
        partitions: topic.partitions.iter().map(answer).collect(),
    });
    let mut plan = Plan::new(AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses: responses.collect(),
        ..AlterPartitionReassignmentsResponse::default()
    });
    let asked =
        request.topics.iter().flat_map(|topic| topic.partitions.iter().map(|partition| (&topic.name, partition)));
    for (at, (name, asked)) in asked.enumerate() {
        match reassign(image, name, asked, request.allow_replication_factor_change) {
            Ok(record) => plan.propose(at, Kind::PartitionReassigned(record)),
            Err((code, text)) => plan.response_mut().refuse(at, code, Some(text.into())),
        }
    }
    plan
}

fn reassign(
    image: &Image,
    name: &str,
    asked: &ReassignablePartition,
    may_resize: bool,
) -> Result<PartitionReassigned, Problem> {
    let (topic, partition) = find(image, name, asked.partition_index)?;
    let target = match &asked.replicas {
        None if partition.change.is_none() => {
            let code = ErrorCode::NO_REASSIGNMENT_IN_PROGRESS;
            return Err((code, code.message().to_owned()));
        }
        None => None,
        Some(nodes) => {
            check(image, nodes)?;
            let (before, after) = (partition.replicas.len(), nodes.len());
            if !may_resize && before != after {
                let text = format!("The replication factor is changed from {before} to {after}");
                return Err((ErrorCode::INVALID_REPLICATION_FACTOR, text));
            }
            Some(Placement { nodes: nodes.clone() })
        }
    };
    Ok(PartitionReassigned { topic_id: topic.id.as_bytes().to_vec(), partition: asked.partition_index, target })
}

/// A partition of the image, for whoever may not know that it is not there.
pub(super) fn find<'a>(image: &'a Image, name: &str, index: i32) -> Result<(&'a Topic, &'a Partition), Problem> {
    let topic = image.topic(name);
    topic.and_then(|topic| Some((&**topic, topic.partition(index)?))).ok_or_else(|| {
        let text = format!("There is no partition {index} of a topic named {name:?}.");
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text)
    })
}

fn check(image: &Image, nodes: &[i32]) -> Result<(), Problem> {
    let wrong = |text: String| Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    if nodes.is_empty() {
        return wrong("The manual partition assignment includes an empty replica list.".into());
    }
    let mut seen = BTreeSet::new();
    for node in nodes {
        if image.broker(*node).is_none() {
            return wrong(format!(
                "The manual partition assignment includes broker {node}, but no such broker is registered."
            ));
        }
        if !seen.insert(node) {
            return wrong(format!("The manual partition assignment includes the broker {node} more than once."));
        }
    }
    Ok(())
}
