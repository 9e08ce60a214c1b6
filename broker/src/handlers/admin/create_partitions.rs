//! CreatePartitions: a topic only ever grows.

use leat_protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use leat_protocol::{ErrorCode, Str};

use super::place::{self, Problem};
use super::repeat::Repeats;
use super::{Finish, PARTITIONS_PER_REQUEST_MAX, Plan};
use crate::config::Config;
use crate::metadata::record::{Kind, PartitionsAdded, Placement};
use crate::metadata::{Image, Topic};

impl Finish for CreatePartitionsResponse {
    fn refuse(&mut self, at: usize, code: ErrorCode, message: Option<Str>) {
        if let Some(result) = self.results.get_mut(at) {
            result.error_code = code;
            result.error_message = message;
        }
    }
}

/// Plans the request.
pub(crate) fn plan(
    image: &Image,
    config: &Config,
    request: &CreatePartitionsRequest,
) -> Plan<CreatePartitionsResponse> {
    let mut plan = Plan::new(CreatePartitionsResponse::default());
    let mut repeats = Repeats::of(request.topics.iter().map(|topic| &topic.name));
    let mut planned = 0;
    for asked in &request.topics {
        let Some(repeated) = repeats.take(&&asked.name) else { continue };
        let at = plan.response_mut().results.len();
        plan.response_mut()
            .results
            .push(CreatePartitionsTopicResult { name: asked.name.clone(), ..Default::default() });
        let result = match image.topic(&asked.name) {
            _ if repeated => Err((ErrorCode::INVALID_REQUEST, "Duplicate topic name.".to_owned())),
            None => Err(unknown()),
            Some(topic) => grow(image, config, topic, asked, planned).map(|partitions| (topic, partitions)),
        };
        match result {
            Err((code, text)) => plan.response_mut().refuse(at, code, Some(text.into())),
            Ok((topic, partitions)) => {
                planned += partitions.len() as u64;
                if !request.validate_only {
                    let (topic_id, first) = (topic.id.as_bytes().to_vec(), topic.partition_count());
                    plan.propose(at, Kind::PartitionsAdded(PartitionsAdded { topic_id, first, partitions }));
                }
            }
        }
    }
    plan
}

fn unknown() -> Problem {
    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    (code, code.message().to_owned())
}

fn grow(
    image: &Image,
    config: &Config,
    topic: &Topic,
    asked: &CreatePartitionsTopic,
    planned: u64,
) -> Result<Vec<Placement>, Problem> {
    if let Some(writer) = image.writer_of(topic.id) {
        let text =
            format!("Pipeline {} writes to the topic, and where its groups are depends on their number.", writer.name);
        return Err((ErrorCode::INVALID_PARTITIONS, text));
    }
    let now = topic.partition_count();
    if asked.count == now {
        return Err((ErrorCode::INVALID_PARTITIONS, format!("Topic already has {now} partition(s).")));
    }
    if asked.count < now {
        let text = format!(
            "The topic {} currently has {now} partition(s); {} would not be an increase.",
            topic.name, asked.count
        );
        return Err((ErrorCode::INVALID_PARTITIONS, text));
    }
    let more = i64::from(asked.count) - i64::from(now);
    if more + i64::try_from(planned).unwrap_or(i64::MAX) > PARTITIONS_PER_REQUEST_MAX {
        return Err((ErrorCode::POLICY_VIOLATION, "Excessively large number of partitions per request.".into()));
    }
    let more = usize::try_from(more).unwrap_or(0);
    place::check_room(image, planned, more, config.leat_max_partitions)?;
    let Some(assignments) = &asked.assignments else {
        return place::spread(image, topic.partitions.len(), more, topic.replication_factor());
    };
    if assignments.len() != more {
        let text = format!(
            "Attempted to add {more} additional partition(s), but {} assignment(s) were specified.",
            assignments.len()
        );
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    }
    let placements: Vec<Placement> =
        assignments.iter().map(|assignment| place::check(image, &assignment.broker_ids)).collect::<Result<_, _>>()?;
    place::check_factor(&placements, topic.partitions.first().map_or(0, |first| first.replicas.len()))?;
    Ok(placements)
}
