//! Which brokers hold partitions, and which are in the cluster.

use leat_protocol::messages::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic, UnregisterBrokerRequest,
};

use super::{Admin, To, controller_answered, item, missing};
use crate::{Error, TopicPartition};

impl Admin {
    /// Has other brokers hold partitions, the preferred leader first; with no brokers a move that is under way is taken back. It goes
    /// on when this returns: [`Admin::describe_topics`] shows the new replicas beside the old ones until it is done.
    ///
    /// # Errors
    /// No broker answered within `default.api.timeout.ms`, or refused all. Each partition has its own result.
    pub async fn reassign_partitions(
        &self,
        moves: &[(TopicPartition, Option<Vec<i32>>)],
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let topic = |(partition, replicas): &(TopicPartition, Option<Vec<i32>>)| ReassignableTopic {
            name: partition.topic.clone(),
            partitions: vec![ReassignablePartition {
                partition_index: partition.partition,
                replicas: replicas.clone(),
            }],
        };
        let request = AlterPartitionReassignmentsRequest {
            topics: moves.iter().map(topic).collect(),
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        let check = |response: &leat_protocol::messages::AlterPartitionReassignmentsResponse| {
            let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
            controller_answered(partitions.map(|partition| partition.error_code).chain([response.error_code]))?;
            item(response.error_code, &response.error_message, || "AlterPartitionReassignments".to_owned())
        };
        let response = self.call(To::Controller, &request, check).await?;
        let one = |(partition, _): &(TopicPartition, Option<Vec<i32>>)| {
            let topics = response.responses.iter().filter(|topic| topic.name == partition.topic);
            let mut answers = topics.flat_map(|topic| &topic.partitions);
            let Some(answer) = answers.find(|answer| answer.partition_index == partition.partition) else {
                return missing("AlterPartitionReassignments", partition.to_string());
            };
            item(answer.error_code, &answer.error_message, || format!("reassign {partition}"))
        };
        Ok(moves.iter().map(one).collect())
    }

    /// Takes a broker out of the cluster. Leat refuses it while the broker holds partitions; Apache Kafka does not.
    ///
    /// # Errors
    /// There is no such broker, it was refused, or no broker answered within `default.api.timeout.ms`.
    pub async fn unregister_broker(&self, broker: i32) -> Result<(), Error> {
        let request = UnregisterBrokerRequest { broker_id: broker };
        let check = |response: &leat_protocol::messages::UnregisterBrokerResponse| {
            item(response.error_code, &response.error_message, || format!("unregister broker {broker}"))
        };
        self.call(To::Any, &request, check).await.map(drop)
    }
}
