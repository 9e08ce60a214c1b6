//! Topics: create, delete, grow, list, describe.

use leat_protocol::messages::describe_topic_partitions::TopicRequest;
use leat_protocol::messages::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatePartitionsAssignment,
    CreatePartitionsRequest, CreatePartitionsTopic, CreateTopicsRequest, DeleteTopicState, DeleteTopicsRequest,
    DescribeTopicPartitionsRequest, MetadataRequest, MetadataRequestTopic,
};
use leat_protocol::{ErrorCode, Str, Uuid};

use super::{Admin, To, controller_answered, item, missing};
use crate::Error;

/// A topic to create.
///
/// ```
/// use leat_client::NewTopic;
///
/// let topic = NewTopic::new("flights").partitions(4).config("retention.ms", "-1");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewTopic {
    pub name: Str,
    /// -1: the broker's `num.partitions`.
    pub partitions: i32,
    /// -1: the broker's `default.replication.factor`.
    pub replication_factor: i16,
    /// The brokers of each partition, leader first; if there are any, the two above are not used.
    pub assignment: Vec<Vec<i32>>,
    pub configs: Vec<(Str, Option<Str>)>,
}

impl NewTopic {
    /// A topic with as many partitions and replicas as the broker likes.
    pub fn new(name: impl Into<Str>) -> Self {
        Self { name: name.into(), partitions: -1, replication_factor: -1, assignment: Vec::new(), configs: Vec::new() }
    }

    #[must_use]
    pub fn partitions(mut self, count: i32) -> Self {
        self.partitions = count;
        self
    }

    #[must_use]
    pub fn replication_factor(mut self, factor: i16) -> Self {
        self.replication_factor = factor;
        self
    }

    /// Puts the next partition on these brokers, leader first.
    #[must_use]
    pub fn replicas(mut self, brokers: &[i32]) -> Self {
        self.assignment.push(brokers.to_vec());
        self
    }

    #[must_use]
    pub fn config(mut self, name: impl Into<Str>, value: impl Into<Str>) -> Self {
        self.configs.push((name.into(), Some(value.into())));
        self
    }

    fn message(&self) -> CreatableTopic {
        let explicit = !self.assignment.is_empty();
        let assignment = self.assignment.iter().zip(0..);
        CreatableTopic {
            name: self.name.clone(),
            num_partitions: if explicit { -1 } else { self.partitions },
            replication_factor: if explicit { -1 } else { self.replication_factor },
            assignments: assignment
                .map(|(brokers, partition_index)| CreatableReplicaAssignment {
                    partition_index,
                    broker_ids: brokers.clone(),
                })
                .collect(),
            configs: self
                .configs
                .iter()
                .map(|(name, value)| CreatableTopicConfig { name: name.clone(), value: value.clone() })
                .collect(),
        }
    }
}

/// A topic as it was created; counts are -1 where the broker is too old to say.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatedTopic {
    pub name: Str,
    pub id: Uuid,
    pub partitions: i32,
    pub replication_factor: i16,
}

/// More partitions for a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPartitions {
    pub topic: Str,
    /// How many the topic has afterwards.
    pub total: i32,
    /// The brokers of each new partition, leader first; the broker chooses if there are none.
    pub assignment: Vec<Vec<i32>>,
}

impl NewPartitions {
    pub fn increase_to(topic: impl Into<Str>, total: i32) -> Self {
        Self { topic: topic.into(), total, assignment: Vec::new() }
    }
}

/// A topic's name and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    pub name: Str,
    pub id: Uuid,
    pub internal: bool,
}

/// A topic and where its partitions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    pub name: Str,
    pub id: Uuid,
    pub internal: bool,
    /// By number.
    pub partitions: Vec<PartitionDescription>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    pub partition: i32,
    pub leader: Option<i32>,
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
    pub offline: Vec<i32>,
}

impl Admin {
    /// Creates topics; with `validate_only` only says whether that would work.
    ///
    /// # Errors
    /// No broker answered within `default.api.timeout.ms`. Each topic has its own result.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Vec<Result<CreatedTopic, Error>>, Error> {
        let request = CreateTopicsRequest {
            topics: topics.iter().map(NewTopic::message).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
        };
        let check = |response: &leat_protocol::messages::CreateTopicsResponse| {
            controller_answered(response.topics.iter().map(|t| t.error_code))
        };
        let response = self.call(To::Controller, &request, check).await?;
        let one = |topic: &NewTopic| {
            let Some(answer) = response.topics.iter().find(|answer| answer.name == topic.name) else {
                return missing("CreateTopics", &topic.name);
            };
            item(answer.error_code, &answer.error_message, || format!("create topic {}", topic.name))?;
            Ok(CreatedTopic {
                name: topic.name.clone(),
                id: answer.topic_id,
                partitions: answer.num_partitions,
                replication_factor: answer.replication_factor,
            })
        };
        Ok(topics.iter().map(one).collect())
    }

    /// Creates one topic.
    ///
    /// # Errors
    /// The broker refused, or none answered within `default.api.timeout.ms`.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<CreatedTopic, Error> {
        self.create_topics(&[topic], false).await?.pop().unwrap_or_else(|| missing("CreateTopics", "the topic"))
    }

    /// Deletes topics with all their records.
    ///
    /// # Errors
    /// No broker answered within `default.api.timeout.ms`. Each topic has its own result.
    pub async fn delete_topics(&self, names: &[&str]) -> Result<Vec<Result<(), Error>>, Error> {
        let state = |name: &&str| DeleteTopicState { name: Some(Str::from(*name)), topic_id: Uuid::nil() };
        let connection = self.connection(To::Controller).await?;
        let by_state = connection.version::<DeleteTopicsRequest>(None)? >= 6;
        let request = DeleteTopicsRequest {
            topics: if by_state { names.iter().map(state).collect() } else { Vec::new() },
            topic_names: if by_state { Vec::new() } else { names.iter().map(|name| Str::from(*name)).collect() },
            timeout_ms: self.timeout_ms(),
        };
        let check = |response: &leat_protocol::messages::DeleteTopicsResponse| {
            controller_answered(response.responses.iter().map(|t| t.error_code))
        };
        let response = self.call(To::Controller, &request, check).await?;
        let one = |name: &&str| {
            let answer = response.responses.iter().find(|answer| answer.name.as_deref() == Some(*name));
            let Some(answer) = answer else { return missing("DeleteTopics", name) };
            item(answer.error_code, &answer.error_message, || format!("delete topic {name}"))
        };
        Ok(names.iter().map(one).collect())
    }

    /// Adds partitions to topics; with `validate_only` only says whether that would work.
    ///
    /// # Errors
    /// No broker answered within `default.api.timeout.ms`. Each topic has its own result.
    pub async fn create_partitions(
        &self,
        topics: &[NewPartitions],
        validate_only: bool,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let message = |topic: &NewPartitions| {
            let rows =
                topic.assignment.iter().map(|brokers| CreatePartitionsAssignment { broker_ids: brokers.clone() });
            CreatePartitionsTopic {
                name: topic.topic.clone(),
                count: topic.total,
                assignments: (!topic.assignment.is_empty()).then(|| rows.collect()),
            }
        };
        let request = CreatePartitionsRequest {
            topics: topics.iter().map(message).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
        };
        let check = |response: &leat_protocol::messages::CreatePartitionsResponse| {
            controller_answered(response.results.iter().map(|t| t.error_code))
        };
        let response = self.call(To::Controller, &request, check).await?;
        let one = |topic: &NewPartitions| {
            let Some(answer) = response.results.iter().find(|answer| answer.name == topic.topic) else {
                return missing("CreatePartitions", &topic.topic);
            };
            item(answer.error_code, &answer.error_message, || format!("add partitions to topic {}", topic.topic))
        };
        Ok(topics.iter().map(one).collect())
    }

    /// All topics, by name.
    ///
    /// # Errors
    /// No broker answered within `default.api.timeout.ms`.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>, Error> {
        let request = MetadataRequest { topics: None, allow_auto_topic_creation: false, ..Default::default() };
        let response = self.call(To::Any, &request, |_| Ok(())).await?;
        let listing = |topic: leat_protocol::messages::MetadataResponseTopic| {
            Some(TopicListing { name: topic.name?, id: topic.topic_id, internal: topic.is_internal })
        };
        let mut topics: Vec<_> = response.topics.into_iter().filter_map(listing).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Partitions, leaders and replicas of topics.
    ///
    /// # Errors
    /// No broker answered within `default.api.timeout.ms`. Each topic has its own result.
    pub async fn describe_topics(&self, names: &[&str]) -> Result<Vec<Result<TopicDescription, Error>>, Error> {
        match self.describe_paged(names).await {
            // Brokers before 3.7 know no DescribeTopicPartitions.
            Err(Error::Unsupported(_)) => self.describe_by_metadata(names).await,
            result => result,
        }
    }

    /// By DescribeTopicPartitions, which answers in pages (KIP-966).
    async fn describe_paged(&self, names: &[&str]) -> Result<Vec<Result<TopicDescription, Error>>, Error> {
        let mut found: Vec<(Str, Result<TopicDescription, Error>)> = Vec::new();
        let mut cursor = None;
        loop {
            let topics = names.iter().map(|name| TopicRequest { name: Str::from(*name) }).collect();
            let request = DescribeTopicPartitionsRequest { topics, cursor, ..Default::default() };
            let response = self.call(To::Any, &request, |_| Ok(())).await?;
            for topic in response.topics {
                let Some(name) = topic.name else { continue };
                if topic.error_code.is_err() {
                    found.push((name.clone(), Err(unknown(topic.error_code, &name))));
                    continue;
                }
                let rows = topic.partitions.into_iter().map(|row| PartitionDescription {
                    partition: row.partition_index,
                    leader: (row.leader_id >= 0).then_some(row.leader_id),
                    leader_epoch: row.leader_epoch,
                    replicas: row.replica_nodes,
                    in_sync: row.isr_nodes,
                    offline: row.offline_replicas,
                });
                // A page may end within a topic; the next goes on with it.
                if let Some((_, Ok(known))) = found.iter_mut().find(|(known, _)| *known == name) {
                    known.partitions.extend(rows);
                } else {
                    let (id, internal, partitions) = (topic.topic_id, topic.is_internal, rows.collect());
                    found.push((name.clone(), Ok(TopicDescription { name, id, internal, partitions })));
                }
            }
            match response.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(in_order(names, found)),
            }
        }
    }

    async fn describe_by_metadata(&self, names: &[&str]) -> Result<Vec<Result<TopicDescription, Error>>, Error> {
        let topics =
            names.iter().map(|name| MetadataRequestTopic { name: Some(Str::from(*name)), ..Default::default() });
        let request =
            MetadataRequest { topics: Some(topics.collect()), allow_auto_topic_creation: false, ..Default::default() };
        let response = self.call(To::Any, &request, |_| Ok(())).await?;
        let found = response.topics.into_iter().filter_map(|topic| {
            let name = topic.name?;
            if topic.error_code.is_err() {
                return Some((name.clone(), Err(unknown(topic.error_code, &name))));
            }
            let rows = topic.partitions.into_iter().map(|row| PartitionDescription {
                partition: row.partition_index,
                leader: (row.leader_id >= 0).then_some(row.leader_id),
                leader_epoch: row.leader_epoch,
                replicas: row.replica_nodes,
                in_sync: row.isr_nodes,
                offline: row.offline_replicas,
            });
            let (id, internal, partitions) = (topic.topic_id, topic.is_internal, rows.collect());
            Some((name.clone(), Ok(TopicDescription { name, id, internal, partitions })))
        });
        Ok(in_order(names, found.collect()))
    }
}

fn unknown(code: ErrorCode, name: &Str) -> Error {
    if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
        Error::UnknownTopic(name.to_string())
    } else {
        Error::broker(code, None, format!("topic {name}"))
    }
}

fn in_order(
    names: &[&str],
    found: Vec<(Str, Result<TopicDescription, Error>)>,
) -> Vec<Result<TopicDescription, Error>> {
    let one = |name: &&str| {
        let at = found.iter().position(|(known, _)| *known == **name);
        let mut result = at.map_or_else(|| missing("the description", name), |at| found[at].1.clone());
        if let Ok(topic) = &mut result {
            topic.partitions.sort_by_key(|partition| partition.partition);
        }
        result
    };
    names.iter().map(one).collect()
}
