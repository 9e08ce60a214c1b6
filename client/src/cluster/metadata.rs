//! A snapshot of the cluster's members and of the topics asked for. Immutable; a refresh makes a new one.

use std::collections::HashMap;
use std::sync::Arc;

use leat_protocol::messages::MetadataResponse;
use leat_protocol::{ErrorCode, Str, Uuid};

use crate::Error;

#[derive(Debug, Clone, Default)]
pub(crate) struct Metadata {
    pub(crate) cluster_id: Option<Str>,
    pub(crate) controller: Option<i32>,
    brokers: HashMap<i32, Broker>,
    topics: HashMap<Str, Result<Arc<Topic>, Error>>,
    names: HashMap<Uuid, Str>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broker {
    pub(crate) host: Str,
    pub(crate) port: i32,
    pub(crate) rack: Option<Str>,
}

/// A topic's partitions, in order of their number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Topic {
    pub(crate) name: Str,
    /// Nil where the broker is too old to have ids.
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Partition>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Partition {
    /// -1 while there is none.
    pub(crate) leader: i32,
    /// -1 where the broker is too old to have epochs.
    pub(crate) leader_epoch: i32,
}

impl Metadata {
    pub(crate) fn topic(&self, name: &Str) -> Option<&Result<Arc<Topic>, Error>> {
        self.topics.get(name)
    }

    /// The name that goes with a topic's id.
    pub(crate) fn name(&self, id: Uuid) -> Option<&Str> {
        self.names.get(&id)
    }

    pub(crate) fn address(&self, node: i32) -> Option<String> {
        self.brokers.get(&node).map(address)
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.brokers.values().map(address).collect()
    }

    /// This snapshot with what a broker answered about some topics in place of what was known of them.
    pub(super) fn merged(&self, response: &MetadataResponse) -> Self {
        let mut next = Self {
            cluster_id: response.cluster_id.clone().or_else(|| self.cluster_id.clone()),
            controller: (response.controller_id >= 0).then_some(response.controller_id),
            brokers: HashMap::new(),
            topics: self.topics.clone(),
            names: HashMap::new(),
        };
        for broker in &response.brokers {
            let known = Broker { host: broker.host.clone(), port: broker.port, rack: broker.rack.clone() };
            next.brokers.insert(broker.node_id, known);
        }
        for answer in &response.topics {
            let Some(name) = answer.name.clone() else { continue };
            let old = self.topics.get(&name).and_then(|topic| topic.as_ref().ok());
            let topic = if answer.error_code.is_err() {
                Err(topic_error(answer.error_code, &name))
            } else {
                let same = old.filter(|old| old.id == answer.topic_id);
                Ok(Arc::new(topic(answer, name.clone(), same.map(Arc::as_ref))))
            };
            next.topics.insert(name, topic);
        }
        let known = next.topics.values().filter_map(|topic| topic.as_ref().ok());
        next.names = known.filter(|topic| !topic.id.is_nil()).map(|topic| (topic.id, topic.name.clone())).collect();
        next
    }
}

fn address(broker: &Broker) -> String {
    if broker.host.contains(':') {
        format!("[{}]:{}", broker.host, broker.port)
    } else {
        format!("{}:{}", broker.host, broker.port)
    }
}

fn topic_error(code: ErrorCode, name: &Str) -> Error {
    if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
        Error::UnknownTopic(name.to_string())
    } else {
        Error::broker(code, None, format!("topic {name}"))
    }
}

/// Leaders of an older epoch than the one known come from a broker that lags, and are ignored.
fn topic(answer: &leat_protocol::messages::metadata::MetadataResponseTopic, name: Str, old: Option<&Topic>) -> Topic {
    let count = answer.partitions.iter().map(|p| p.partition_index + 1).max().unwrap_or(0);
    // An index is no length to believe: right answers are dense.
    let count = usize::try_from(count).unwrap_or(0).min(answer.partitions.len());
    let mut partitions = vec![Partition { leader: -1, leader_epoch: -1 }; count];
    for found in &answer.partitions {
        let Ok(index) = usize::try_from(found.partition_index) else { continue };
        let Some(slot) = partitions.get_mut(index) else { continue };
        *slot = Partition { leader: found.leader_id, leader_epoch: found.leader_epoch };
        if let Some(known) = old.and_then(|old| old.partitions.get(index))
            && known.leader_epoch > slot.leader_epoch
            && slot.leader_epoch >= 0
        {
            *slot = known.clone();
        }
    }
    Topic { name, id: answer.topic_id, partitions }
}
