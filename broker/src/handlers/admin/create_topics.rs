//! CreateTopics: names, counts and configurations are checked, replicas placed; ids are drawn by the caller.

use std::collections::BTreeMap;

use leat_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use leat_protocol::{ErrorCode, Str, Uuid};

use super::place::{self, Problem};
use super::repeat::Repeats;
use super::{Finish, PARTITIONS_PER_REQUEST_MAX, Plan, name};
use crate::config::{Config, Overrides, topic};
use crate::groups::OFFSETS_TOPIC;
use crate::metadata::Image;
use crate::metadata::record::{ConfigEntry, Kind, Placement, TopicCreated};

impl Finish for CreateTopicsResponse {
    fn refuse(&mut self, at: usize, code: ErrorCode, message: Option<Str>) {
        if let Some(result) = self.topics.get_mut(at) {
            *result = refused(result.name.clone(), code, message);
        }
    }
}

/// Plans the request; `new_id` draws the id of each topic.
pub(crate) fn plan(
    image: &Image,
    config: &Config,
    request: &CreateTopicsRequest,
    new_id: &mut dyn FnMut() -> Uuid,
) -> Plan<CreateTopicsResponse> {
    let mut repeats = Repeats::of(request.topics.iter().map(|topic| &topic.name));
    let asked: i64 = request.topics.iter().map(|topic| partitions_asked(topic, config)).sum();
    let mut plan = Plan::new(CreateTopicsResponse::default());
    let mut planned = 0;
    for topic in &request.topics {
        let at = plan.response_mut().topics.len();
        let result = match repeats.take(&&topic.name) {
            None => continue,
            Some(true) => Err((ErrorCode::INVALID_REQUEST, "Duplicate topic name.".into())),
            Some(false) => create(image, config, topic, asked, planned),
        };
        match result {
            Err((code, text)) => plan.response_mut().topics.push(refused(topic.name.clone(), code, Some(text.into()))),
            Ok((partitions, overrides)) => {
                let id = new_id();
                planned += partitions.len() as u64;
                plan.response_mut().topics.push(created(config, topic, id, &partitions, &overrides));
                if !request.validate_only {
                    plan.propose(at, record(&topic.name, id, partitions, &overrides));
                }
            }
        }
    }
    plan
}

/// The record that creates a topic.
pub(super) fn record(name: &str, id: Uuid, partitions: Vec<Placement>, overrides: &Overrides) -> Kind {
    Kind::TopicCreated(TopicCreated {
        name: name.to_owned(),
        id: id.as_bytes().to_vec(),
        partitions,
        configs: overrides.iter().map(|(key, value)| ConfigEntry::set(key, value)).collect(),
    })
}

/// The record that creates the topic of committed offsets, which is made when it is first needed.
pub(crate) fn offsets_topic(image: &Image, config: &Config, id: Uuid) -> Result<Kind, Problem> {
    let factor =
        i16::try_from(image.brokers().count()).unwrap_or(i16::MAX).min(config.offsets_topic_replication_factor);
    let partitions = automatic(image, config, config.offsets_topic_num_partitions, factor)?;
    place::check_room(image, 0, partitions.len(), config.leat_max_partitions)?;
    let segment_bytes = config.offsets_topic_segment_bytes.to_string();
    let settings = [("cleanup.policy", "compact"), ("compression.type", "producer"), ("segment.bytes", &segment_bytes)];
    let overrides = settings.map(|(key, value)| (key.to_owned(), topic::check(key, value).unwrap_or_default()));
    Ok(record(OFFSETS_TOPIC, id, partitions, &Overrides::from(overrides)))
}

/// Placement and configuration of one topic, or what is wrong with it.
fn create(
    image: &Image,
    config: &Config,
    topic: &CreatableTopic,
    asked: i64,
    planned: u64,
) -> Result<(Vec<Placement>, Overrides), Problem> {
    name::check(&topic.name).map_err(|text| (ErrorCode::INVALID_TOPIC_EXCEPTION, text))?;
    if topic.name == name::RESERVED {
        let text = format!("Creation of internal topic {} is prohibited.", name::RESERVED);
        return Err((ErrorCode::INVALID_REQUEST, text));
    }
    if image.topic(&topic.name).is_some() {
        return Err((ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{}' already exists.", topic.name)));
    }
    if asked > PARTITIONS_PER_REQUEST_MAX {
        return Err((ErrorCode::POLICY_VIOLATION, "Excessively large number of partitions per request.".into()));
    }
    let overrides = overrides(topic)?;
    topic::check_together(&overrides, config).map_err(|text| (ErrorCode::INVALID_CONFIG, text))?;
    let partitions = if topic.assignments.is_empty() {
        automatic(image, config, topic.num_partitions, topic.replication_factor)?
    } else {
        manual(image, topic)?
    };
    place::check_room(image, planned, partitions.len(), config.leat_max_partitions)?;
    Ok((partitions, overrides))
}

/// Placement by count and factor; -1 is the broker's default.
pub(super) fn automatic(
    image: &Image,
    config: &Config,
    partitions: i32,
    factor: i16,
) -> Result<Vec<Placement>, Problem> {
    let partitions = if partitions == -1 { config.num_partitions } else { partitions };
    let factor = if factor == -1 { config.default_replication_factor } else { factor };
    let count = usize::try_from(partitions).unwrap_or(0);
    if count == 0 {
        let text = "Number of partitions was set to an invalid non-positive value.";
        return Err((ErrorCode::INVALID_PARTITIONS, text.into()));
    }
    if factor < 1 {
        let text = "Replication factor must be larger than 0, or -1 to use the default value.";
        return Err((ErrorCode::INVALID_REPLICATION_FACTOR, text.into()));
    }
    place::spread(image, 0, count, factor)
}

fn manual(image: &Image, topic: &CreatableTopic) -> Result<Vec<Placement>, Problem> {
    let given = |what| format!("A manual partition assignment was specified, but {what} was not set to -1.");
    if topic.num_partitions != -1 {
        return Err((ErrorCode::INVALID_REQUEST, given("numPartitions")));
    }
    if topic.replication_factor != -1 {
        return Err((ErrorCode::INVALID_REQUEST, given("replication factor")));
    }
    let mut placements = BTreeMap::new();
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if placements.insert(index, place::check(image, &assignment.broker_ids)?).is_some() {
            let text = format!("Found multiple manual partition assignments for partition {index}");
            return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
        }
    }
    if !placements.keys().copied().eq((0..).take(placements.len())) {
        let text = "partitions should be a consecutive 0-based integer sequence";
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, text.into()));
    }
    let placements: Vec<Placement> = placements.into_values().collect();
    place::check_factor(&placements, placements.first().map_or(0, |first| first.nodes.len()))?;
    Ok(placements)
}

fn overrides(asked: &CreatableTopic) -> Result<Overrides, Problem> {
    let mut overrides = Overrides::new();
    for entry in &asked.configs {
        let Some(value) = &entry.value else {
            let text = format!("Null value not supported for topic configs: {}", entry.name);
            return Err((ErrorCode::INVALID_CONFIG, text));
        };
        let value = topic::check(&entry.name, value).map_err(|text| (ErrorCode::INVALID_CONFIG, text))?;
        overrides.insert(entry.name.to_string(), value);
    }
    Ok(overrides)
}

fn partitions_asked(topic: &CreatableTopic, config: &Config) -> i64 {
    let asked = match (topic.assignments.len(), topic.num_partitions) {
        (0, -1) => config.num_partitions,
        (0, count) => count.max(0),
        (assigned, _) => i32::try_from(assigned).unwrap_or(i32::MAX),
    };
    i64::from(asked)
}

fn created(
    config: &Config,
    asked: &CreatableTopic,
    topic_id: Uuid,
    partitions: &[Placement],
    overrides: &Overrides,
) -> CreatableTopicResult {
    let configs = topic::KEYS.iter().map(|row| {
        let (value, source, _) = config.topic_value(row, overrides);
        CreatableTopicConfigs {
            name: row.key.name.into(),
            value: Some(value.into()),
            read_only: row.key.is_inert(),
            config_source: source.code(),
            is_sensitive: row.key.is_sensitive(),
        }
    });
    CreatableTopicResult {
        name: asked.name.clone(),
        topic_id,
        num_partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
        replication_factor: partitions.first().map_or(0, |first| i16::try_from(first.nodes.len()).unwrap_or(i16::MAX)),
        configs: Some(configs.collect()),
        ..CreatableTopicResult::default()
    }
}

fn refused(name: Str, error_code: ErrorCode, error_message: Option<Str>) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code,
        error_message,
        configs: Some(Vec::new()),
        ..CreatableTopicResult::default()
    }
}
