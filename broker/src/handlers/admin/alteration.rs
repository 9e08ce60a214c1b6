//! What AlterConfigs and IncrementalAlterConfigs share: the resource that is meant, its values now, and the record
//! that changes them.

use std::sync::Arc;

use leat_protocol::ErrorCode;

use super::place::Problem;
use super::{name, resource};
use crate::config::key::{Update, items};
use crate::config::{Config, Key, Overrides, broker, topic};
use crate::metadata::record::{BrokerConfigChanged, ConfigEntry, Kind, TopicConfigChanged};
use crate::metadata::{Image, Topic};

/// A resource whose configuration can be altered.
#[derive(Debug)]
pub(super) enum Target<'a> {
    Topic(&'a Arc<Topic>),
    /// The default of all brokers.
    Cluster,
    Broker(i32),
}

/// What is to be done with one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Operation {
    pub(super) fn from_i8(number: i8) -> Option<Self> {
        [Self::Set, Self::Delete, Self::Append, Self::Subtract]
            .into_iter()
            .zip(0..)
            .find(|(_, n)| *n == number)
            .map(|(op, _)| op)
    }
}

fn invalid(text: impl Into<String>) -> Problem {
    (ErrorCode::INVALID_REQUEST, text.into())
}

/// The resource that a request names.
pub(super) fn target<'a>(image: &'a Image, resource_type: i8, resource_name: &str) -> Result<Target<'a>, Problem> {
    match resource_type {
        resource::TOPIC if resource_name.is_empty() => Err(invalid("Default topic resources are not allowed.")),
        resource::TOPIC => {
            name::check(resource_name).map_err(|text| (ErrorCode::INVALID_TOPIC_EXCEPTION, text))?;
            let unknown =
                || (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("The topic '{resource_name}' does not exist."));
            image.topic(resource_name).map(Target::Topic).ok_or_else(unknown)
        }
        resource::BROKER if resource_name.is_empty() => Ok(Target::Cluster),
        resource::BROKER => node(image, resource_name).map(Target::Broker),
        8 => Err(invalid("Leat's log lines are chosen at start, by the environment variable LEAT_LOG.")),
        other => {
            Err(invalid(format!("Resource type {other} has no configuration here; topics (2) and brokers (4) have.")))
        }
    }
}

/// The registered broker of this name.
pub(super) fn node(image: &Image, text: &str) -> Result<i32, Problem> {
    let node_id = text.parse().map_err(|_| invalid(format!("Broker id must be an integer, but it is: {text}")))?;
    if image.broker(node_id).is_none() {
        return Err(invalid(format!("There is no broker {node_id}.")));
    }
    Ok(node_id)
}

impl Target<'_> {
    /// Its own values now.
    pub(super) fn overrides(&self, image: &Image) -> Overrides {
        match self {
            Self::Topic(topic) => topic.configs.clone(),
            Self::Cluster => image.cluster_configs().clone(),
            Self::Broker(node_id) => image.broker_configs(*node_id).cloned().unwrap_or_default(),
        }
    }

    /// The canonical form of a value for this resource.
    fn check(&self, key: &str, value: &str) -> Result<String, Problem> {
        if let Self::Topic(_) = self {
            return topic::check(key, value).map_err(|text| (ErrorCode::INVALID_CONFIG, text));
        }
        let Some(row) = broker::key(key) else {
            let hint = crate::config::suggest_broker_key(key);
            return Err((ErrorCode::INVALID_CONFIG, format!("Unknown broker config name: {key}{hint}")));
        };
        if row.update != Update::Dynamic {
            return Err(invalid(format!("Cannot update these configs dynamically: [{key}]")));
        }
        row.check(value).map_err(|problem| invalid(format!("Invalid value {value} for configuration {key}: {problem}")))
    }

    /// The key's row and the value that it has now, for lists that are appended to.
    fn now(&self, config: &Config, overrides: &Overrides, key: &str) -> Option<(&'static Key, String)> {
        if let Self::Topic(_) = self {
            let row = topic::key(key)?;
            return Some((&row.key, config.topic_value(row, overrides).0));
        }
        let row = broker::key(key)?;
        let own = overrides.get(key).cloned();
        Some((row, own.unwrap_or_else(|| config.value(row).0.unwrap_or_default().to_owned())))
    }

    /// What an operation does to a key.
    pub(super) fn change(
        &self,
        config: &Config,
        overrides: &Overrides,
        operation: Operation,
        key: &str,
        value: Option<&str>,
    ) -> Result<ConfigEntry, Problem> {
        if operation == Operation::Delete {
            return Ok(ConfigEntry::unset(key));
        }
        let value = value.ok_or_else(|| invalid(format!("Null value not supported for : {key}")))?;
        if operation == Operation::Set {
            return Ok(ConfigEntry::set(key, &self.check(key, value)?));
        }
        let Some((row, now)) = self.now(config, overrides, key) else {
            return self.check(key, value).map(|value| ConfigEntry::set(key, &value));
        };
        if !row.kind.is_list() {
            let word = if operation == Operation::Append { "APPEND to" } else { "SUBTRACT from" };
            let text = format!("Can't {word} key {key} because its type is not LIST.");
            return Err((ErrorCode::INVALID_CONFIG, text));
        }
        let given: Vec<&str> = items(value).collect();
        let mut list: Vec<&str> = items(&now).collect();
        if operation == Operation::Append {
            for item in given {
                if !list.contains(&item) {
                    list.push(item);
                }
            }
        } else {
            list.retain(|item| !given.contains(item));
        }
        Ok(ConfigEntry::set(key, &self.check(key, &list.join(","))?))
    }

    /// Do the values still go together?
    pub(super) fn check_together(
        &self,
        config: &Config,
        now: &Overrides,
        changes: &[ConfigEntry],
    ) -> Result<(), Problem> {
        let mut after = now.clone();
        for ConfigEntry { key, value } in changes {
            match value {
                Some(value) => after.insert(key.clone(), value.clone()),
                None => after.remove(key),
            };
        }
        if let Self::Topic(_) = self {
            return topic::check_together(&after, config).map_err(|text| (ErrorCode::INVALID_CONFIG, text));
        }
        let values = after.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        config.check_dynamic(values).map_err(|error| invalid(error.to_string()))
    }

    /// The record of these changes.
    pub(super) fn record(&self, changes: Vec<ConfigEntry>) -> Kind {
        match self {
            Self::Topic(topic) => {
                Kind::TopicConfigChanged(TopicConfigChanged { topic_id: topic.id.as_bytes().to_vec(), changes })
            }
            Self::Cluster => Kind::BrokerConfigChanged(BrokerConfigChanged { node_id: None, changes }),
            Self::Broker(node_id) => {
                Kind::BrokerConfigChanged(BrokerConfigChanged { node_id: Some(*node_id), changes })
            }
        }
    }
}
