//! Deleting records, and who writes them.

use leat_protocol::messages::describe_producers::TopicRequest;
use leat_protocol::messages::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic, DescribeProducersRequest,
};

use super::Admin;
use crate::cluster::{Cluster, Lane};
use crate::leaders::{self, Answers, Item};
use crate::{Error, TopicPartition};

/// An idempotent or transactional producer, as a partition's leader knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    pub producer_id: i64,
    pub producer_epoch: i32,
    pub last_sequence: i32,
    pub last_timestamp: i64,
    pub coordinator_epoch: Option<i32>,
    /// The first offset of its open transaction.
    pub transaction_start: Option<i64>,
}

impl Admin {
    /// Deletes all records before an offset of each partition (-1: all there are). Returns each partition's new first
    /// offset, in the order asked.
    ///
    /// # Errors
    /// Each partition has its own.
    pub async fn delete_records(&self, before: &[(TopicPartition, i64)]) -> Vec<Result<i64, Error>> {
        let limit = self.cluster.config().default_api_timeout;
        let ask = |leader, items| delete_at(&self.cluster, leader, items);
        let answers = leaders::ask(&self.cluster, "deleting records", before.to_vec(), limit, ask).await;
        in_order(before.iter().map(|(partition, _)| partition), answers)
    }

    /// The producers that are writing to each partition, in the order asked.
    ///
    /// # Errors
    /// Each partition has its own.
    pub async fn describe_producers(&self, partitions: &[TopicPartition]) -> Vec<Result<Vec<ProducerState>, Error>> {
        let limit = self.cluster.config().default_api_timeout;
        let ask = |leader, items| producers_at(&self.cluster, leader, items);
        let items = partitions.iter().map(|partition| (partition.clone(), ())).collect();
        let answers = leaders::ask(&self.cluster, "describing producers", items, limit, ask).await;
        in_order(partitions.iter(), answers)
    }
}

fn in_order<'a, Q, T: Clone>(
    asked: impl Iterator<Item = &'a TopicPartition>,
    answers: Vec<(TopicPartition, Q, Result<T, Error>)>,
) -> Vec<Result<T, Error>> {
    let one = |partition: &TopicPartition| {
        let answer = answers.iter().find(|(answered, _, _)| answered == partition);
        answer.map_or_else(|| super::missing("the answer", partition), |(_, _, result)| result.clone())
    };
    asked.map(one).collect()
}

async fn delete_at(cluster: &Cluster, leader: i32, items: Vec<Item<i64>>) -> Result<Answers<i64>, Error> {
    let connection = cluster.connection(leader, Lane::Calls).await?;
    let mut topics: Vec<DeleteRecordsTopic> = Vec::new();
    for item in items {
        let row = DeleteRecordsPartition { partition_index: item.partition.partition, offset: item.query };
        match topics.iter_mut().find(|topic| topic.name == item.partition.topic) {
            Some(topic) => topic.partitions.push(row),
            None => topics.push(DeleteRecordsTopic { name: item.partition.topic, partitions: vec![row] }),
        }
    }
    let timeout = cluster.config().request_timeout;
    let request = DeleteRecordsRequest { topics, timeout_ms: super::millis(timeout) };
    let response = connection.call(&request, timeout).await?;
    let mut answers = Answers::new();
    for topic in response.topics {
        for row in topic.partitions {
            let partition = TopicPartition { topic: topic.name.clone(), partition: row.partition_index };
            let result = Error::check(row.error_code, None, || format!("delete records of {partition}"));
            answers.insert(partition, result.map(|()| row.low_watermark));
        }
    }
    Ok(answers)
}

async fn producers_at(
    cluster: &Cluster,
    leader: i32,
    items: Vec<Item<()>>,
) -> Result<Answers<Vec<ProducerState>>, Error> {
    let connection = cluster.connection(leader, Lane::Calls).await?;
    let mut topics: Vec<TopicRequest> = Vec::new();
    for item in items {
        match topics.iter_mut().find(|topic| topic.name == item.partition.topic) {
            Some(topic) => topic.partition_indexes.push(item.partition.partition),
            None => topics
                .push(TopicRequest { name: item.partition.topic, partition_indexes: vec![item.partition.partition] }),
        }
    }
    let response = connection.call(&DescribeProducersRequest { topics }, cluster.config().request_timeout).await?;
    let mut answers = Answers::new();
    for topic in response.topics {
        for row in topic.partitions {
            let partition = TopicPartition { topic: topic.name.clone(), partition: row.partition_index };
            let result =
                Error::check(row.error_code, row.error_message.as_deref(), || format!("producers of {partition}"));
            let producers = row.active_producers.into_iter().map(|producer| ProducerState {
                producer_id: producer.producer_id,
                producer_epoch: producer.producer_epoch,
                last_sequence: producer.last_sequence,
                last_timestamp: producer.last_timestamp,
                coordinator_epoch: (producer.coordinator_epoch >= 0).then_some(producer.coordinator_epoch),
                transaction_start: (producer.current_txn_start_offset >= 0)
                    .then_some(producer.current_txn_start_offset),
            });
            let producers = producers.collect();
            answers.insert(partition, result.map(|()| producers));
        }
    }
    Ok(answers)
}
