//! One produce request: at most one batch of each partition that a broker leads.

use std::sync::Arc;

use bytes::Bytes;
use leat_protocol::messages::{PartitionProduceData, ProduceRequest, TopicProduceData};
use leat_protocol::{Records, Uuid};

use super::batch::Batch;
use super::delivery::Outcome;
use super::sender::{Node, Sender};
use super::topics::Partition;
use crate::Error;
use crate::config::Acks;
use crate::net::Connection;

/// Produce refers to topics by id from this version on.
const TOPIC_IDS_SINCE: i16 = 13;

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) partition: Arc<Partition>,
    pub(super) topic_id: Uuid,
    pub(super) batch: Batch,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) node_id: i32,
    pub(super) node: Arc<Node>,
    /// Bytes of its batches.
    pub(super) size: usize,
    connection: Arc<Connection>,
    batches: Vec<Sent>,
}

impl Request {
    pub(super) fn new(node_id: i32, node: Arc<Node>, connection: Arc<Connection>, first: Sent) -> Self {
        let mut request = Self { node_id, node, size: 0, connection, batches: Vec::new() };
        request.push(first);
        request
    }

    pub(super) fn push(&mut self, sent: Sent) {
        self.size += sent.batch.size();
        self.batches.push(sent);
    }

    /// Sends the request. `done` runs once it is answered, or can't be any more, and all its batches are dealt with.
    pub(super) fn send(mut self, sender: &Arc<Sender>, done: impl FnOnce() + Send + 'static) {
        self.batches.sort_by(|a, b| a.partition.id.cmp(&b.partition.id));
        let with_ids = self.batches.iter().all(|sent| !sent.topic_id.is_nil());
        let newest = (!with_ids).then_some(TOPIC_IDS_SINCE - 1);
        let version = match self.connection.version::<ProduceRequest>(newest) {
            Ok(version) => version,
            Err(error) => {
                sender.all_failed(self.batches, &error);
                return done();
            }
        };
        let request = self.message(sender);
        let connection = self.connection.clone();
        let timeout = sender.config.common.request_timeout;
        let batches = self.batches;
        if sender.config.acks == Acks::None {
            connection.send(&request, version, timeout, None);
            for sent in batches {
                sender.delivered(sent, Outcome::Written { base_offset: -1, append_time: -1 });
            }
            return done();
        }
        let (sender, answering) = (sender.clone(), connection.clone());
        let answer = Box::new(move |frame: Result<Bytes, Error>| {
            match frame.and_then(|frame| answering.decode::<ProduceRequest>(frame, version)) {
                Ok(response) => sender.answered(batches, response, version >= TOPIC_IDS_SINCE),
                Err(error) => sender.all_failed(batches, &error),
            }
            done();
        });
        connection.send(&request, version, timeout, Some(answer));
    }

    /// The message; batches that can't be encoded leave the request.
    fn message(&mut self, sender: &Arc<Sender>) -> ProduceRequest {
        let mut topics: Vec<TopicProduceData> = Vec::new();
        let mut at = 0;
        while let Some(sent) = self.batches.get_mut(at) {
            let bytes = match sent.batch.encode() {
                Ok(bytes) => bytes,
                Err(error) => {
                    let sent = self.batches.remove(at);
                    let error = Error::corrupt(format!("batch for {}", sent.partition.id), error);
                    sender.given_up(sent, Outcome::Failed(error));
                    continue;
                }
            };
            let id = &sent.partition.id;
            if topics.last().is_none_or(|topic| topic.name != id.topic) {
                topics.push(TopicProduceData {
                    topic_id: sent.topic_id,
                    name: id.topic.clone(),
                    partition_data: Vec::new(),
                });
            }
            if let Some(topic) = topics.last_mut() {
                let records = Some(Records::from(bytes));
                topic.partition_data.push(PartitionProduceData { index: id.partition, records });
            }
            at += 1;
        }
        ProduceRequest {
            transactional_id: None,
            acks: sender.config.acks.wire(),
            timeout_ms: i32::try_from(sender.config.common.request_timeout.as_millis()).unwrap_or(i32::MAX),
            topic_data: topics,
        }
    }
}
