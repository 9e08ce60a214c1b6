//! DescribeConfigs: values of topics and brokers with source, synonyms, type and documentation.

use leat_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use leat_protocol::{ErrorCode, Str};

use super::alteration::{self, Target};
use super::place::Problem;
use super::{View, name, resource};
use crate::config::key::Update;
use crate::config::{ALIASES, Key, Overrides, Source, Synonym, broker, topic};

/// Answers the request.
pub(crate) fn respond(view: &View<'_>, request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
    DescribeConfigsResponse {
        throttle_time_ms: view.throttle_time_ms,
        results: request.resources.iter().map(|resource| describe(view, request, resource)).collect(),
    }
}

fn describe(
    view: &View<'_>,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> DescribeConfigsResult {
    let (error_code, error_message, configs) = match values(view, resource) {
        Ok(values) => {
            let asked = resource.configuration_keys.as_deref().unwrap_or_default();
            let wanted =
                values.into_iter().filter(|value| asked.is_empty() || asked.iter().any(|key| *key == value.name));
            (ErrorCode::NONE, None, wanted.map(|value| value.result(request)).collect())
        }
        Err((code, text)) => (code, Some(Str::from(text)), Vec::new()),
    };
    DescribeConfigsResult {
        error_code,
        error_message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs,
    }
}

/// One key of one resource.
struct Value {
    name: &'static str,
    key: &'static Key,
    value: Option<String>,
    source: Source,
    synonyms: Vec<Synonym>,
    read_only: bool,
}

fn values(view: &View<'_>, asked: &DescribeConfigsResource) -> Result<Vec<Value>, Problem> {
    if asked.resource_type == resource::TOPIC {
        name::check(&asked.resource_name).map_err(|text| (ErrorCode::INVALID_TOPIC_EXCEPTION, text))?;
    }
    match alteration::target(view.image, asked.resource_type, &asked.resource_name)? {
        Target::Topic(topic) => Ok(topic::KEYS.iter().map(|row| topic_value(view, row, &topic.configs)).collect()),
        Target::Cluster => Ok(cluster_values(view)),
        Target::Broker(node_id) if node_id == view.node_id => {
            let second = ALIASES.iter().filter_map(|(alias, name)| Some((*alias, broker::key(name)?)));
            let named = broker::keys().map(|key| (key.name, key)).chain(second);
            Ok(named.map(|(name, key)| broker_value(view, name, key)).collect())
        }
        Target::Broker(node_id) => {
            let text =
                format!("Unexpected broker id, expected {} or empty string, but received {node_id}", view.node_id);
            Err((ErrorCode::INVALID_REQUEST, text))
        }
    }
}

fn topic_value(view: &View<'_>, row: &'static topic::TopicKey, overrides: &Overrides) -> Value {
    let (value, source, synonyms) = view.config.topic_value(row, overrides);
    Value { name: row.key.name, key: &row.key, value: Some(value), source, synonyms, read_only: row.key.is_inert() }
}

fn broker_value(view: &View<'_>, name: &'static str, key: &'static Key) -> Value {
    let (value, source) = view.config.value(key);
    Value {
        name,
        key,
        value: value.map(str::to_owned),
        source,
        synonyms: view.config.synonyms(key),
        read_only: key.update != Update::Dynamic,
    }
}

/// The default of all brokers is only what was altered for all of them.
fn cluster_values(view: &View<'_>) -> Vec<Value> {
    let altered = view.image.cluster_configs().iter();
    let known = altered.filter_map(|(name, value)| broker::key(name).map(|key| (key, value)));
    known
        .map(|(key, value)| Value {
            name: key.name,
            key,
            value: Some(value.clone()),
            source: Source::Cluster,
            synonyms: vec![Synonym { name: key.name, value: value.clone(), source: Source::Cluster }],
            read_only: false,
        })
        .collect()
}

impl Value {
    fn result(self, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
        let hidden = self.key.is_sensitive();
        let shown = |value: String| (!hidden).then(|| Str::from(value));
        let synonyms =
            self.synonyms.into_iter().filter(|_| request.include_synonyms).map(|synonym| DescribeConfigsSynonym {
                name: synonym.name.into(),
                value: shown(synonym.value),
                source: synonym.source.code(),
            });
        DescribeConfigsResourceResult {
            name: self.name.into(),
            value: self.value.and_then(shown),
            read_only: self.read_only,
            config_source: self.source.code(),
            is_sensitive: hidden,
            synonyms: synonyms.collect(),
            config_type: self.key.kind.code(),
            documentation: request.include_documentation.then(|| Str::from(self.key.documentation())),
        }
    }
}
