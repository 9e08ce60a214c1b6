//! Configs of topics and brokers.

use leat_protocol::Str;
use leat_protocol::messages::alter_configs::{AlterConfigsResource, AlterableConfig};
use leat_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    IncrementalAlterConfigsRequest, ListConfigResourcesRequest, incremental_alter_configs as incremental,
};

use super::{Admin, To, controller_answered, item, missing};
use crate::Error;

/// What has configs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ResourceKind {
    Topic,
    Broker,
    BrokerLogger,
    ClientMetrics,
    Group,
    /// One that this release does not know.
    Other(i8),
}

impl ResourceKind {
    fn wire(self) -> i8 {
        match self {
            ResourceKind::Topic => 2,
            ResourceKind::Broker => 4,
            ResourceKind::BrokerLogger => 8,
            ResourceKind::ClientMetrics => 16,
            ResourceKind::Group => 32,
            ResourceKind::Other(other) => other,
        }
    }

    fn from_wire(kind: i8) -> Self {
        match kind {
            2 => ResourceKind::Topic,
            4 => ResourceKind::Broker,
            8 => ResourceKind::BrokerLogger,
            16 => ResourceKind::ClientMetrics,
            32 => ResourceKind::Group,
            other => ResourceKind::Other(other),
        }
    }
}

/// A topic or a broker, by name; a broker's is its id, or empty for the defaults of all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConfigResource {
    pub kind: ResourceKind,
    pub name: Str,
}

impl ConfigResource {
    pub fn topic(name: impl Into<Str>) -> Self {
        Self { kind: ResourceKind::Topic, name: name.into() }
    }

    pub fn broker(id: i32) -> Self {
        Self { kind: ResourceKind::Broker, name: id.to_string().into() }
    }

    /// Who has to be asked: a broker's own settings are known to it alone.
    fn to(&self) -> To {
        match (self.kind, self.name.parse()) {
            (ResourceKind::Broker | ResourceKind::BrokerLogger, Ok(node)) => To::Node(node),
            _ => To::Any,
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigSource {
    Topic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    DynamicBrokerLogger,
    ClientMetrics,
    Group,
    Other(i8),
}

impl ConfigSource {
    fn from_wire(source: i8) -> Self {
        match source {
            1 => ConfigSource::Topic,
            2 => ConfigSource::DynamicBroker,
            3 => ConfigSource::DynamicDefaultBroker,
            4 => ConfigSource::StaticBroker,
            5 => ConfigSource::Default,
            6 => ConfigSource::DynamicBrokerLogger,
            7 => ConfigSource::ClientMetrics,
            8 => ConfigSource::Group,
            other => ConfigSource::Other(other),
        }
    }
}

/// The type of a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigType {
    Unknown,
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl ConfigType {
    fn from_wire(kind: i8) -> Self {
        match kind {
            1 => ConfigType::Boolean,
            2 => ConfigType::String,
            3 => ConfigType::Int,
            4 => ConfigType::Short,
            5 => ConfigType::Long,
            6 => ConfigType::Double,
            7 => ConfigType::List,
            8 => ConfigType::Class,
            9 => ConfigType::Password,
            _ => ConfigType::Unknown,
        }
    }
}

/// One config with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigEntry {
    pub name: Str,
    /// `None` if it has none, or it is not to be seen.
    pub value: Option<Str>,
    pub source: ConfigSource,
    pub kind: ConfigType,
    pub read_only: bool,
    pub sensitive: bool,
    pub documentation: Option<Str>,
    /// What the value would be, level by level.
    pub synonyms: Vec<ConfigSynonym>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ConfigSynonym {
    pub name: Str,
    pub value: Option<Str>,
    pub source: ConfigSource,
}

impl From<DescribeConfigsResourceResult> for ConfigEntry {
    fn from(row: DescribeConfigsResourceResult) -> Self {
        let synonyms = row.synonyms.into_iter().map(|synonym| ConfigSynonym {
            name: synonym.name,
            value: synonym.value,
            source: ConfigSource::from_wire(synonym.source),
        });
        Self {
            synonyms: synonyms.collect(),
            name: row.name,
            value: row.value,
            source: ConfigSource::from_wire(row.config_source),
            kind: ConfigType::from_wire(row.config_type),
            read_only: row.read_only,
            sensitive: row.is_sensitive,
            documentation: row.documentation,
        }
    }
}

/// One change to a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOperation {
    Set(Str),
    /// Back to the default.
    Delete,
    /// Adds to a list.
    Append(Str),
    /// Removes from a list.
    Subtract(Str),
}

impl ConfigOperation {
    fn wire(&self) -> (i8, Option<Str>) {
        match self {
            ConfigOperation::Set(value) => (0, Some(value.clone())),
            ConfigOperation::Delete => (1, None),
            ConfigOperation::Append(value) => (2, Some(value.clone())),
            ConfigOperation::Subtract(value) => (3, Some(value.clone())),
        }
    }
}

impl Admin {
    /// All configs of these resources, with synonyms and documentation.
    ///
    /// # Errors
    /// A broker did not answer within `default.api.timeout.ms`. Each resource has its own result.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
    ) -> Result<Vec<Result<Vec<ConfigEntry>, Error>>, Error> {
        let mut results = Vec::with_capacity(resources.len());
        for resource in resources {
            let to = resource.to();
            let version = self.connection(to).await?.version::<DescribeConfigsRequest>(None)?;
            let request = DescribeConfigsRequest {
                resources: vec![DescribeConfigsResource {
                    resource_type: resource.kind.wire(),
                    resource_name: resource.name.clone(),
                    configuration_keys: None,
                }],
                include_synonyms: true,
                include_documentation: version >= 3,
            };
            let response = self.call(to, &request, |_| Ok(())).await?;
            let answer = response.results.into_iter().find(|answer| answer.resource_name == resource.name);
            results.push(match answer {
                Some(answer) => {
                    item(answer.error_code, &answer.error_message, || format!("configs of {}", resource.name))
                        .map(|()| answer.configs.into_iter().map(ConfigEntry::from).collect())
                }
                None => missing("DescribeConfigs", &resource.name),
            });
        }
        Ok(results)
    }

    /// Replaces all configs of a resource: those not named go back to their defaults. Kafka has deprecated this; use
    /// [`incremental_alter_configs`](Admin::incremental_alter_configs) where the broker has it.
    ///
    /// # Errors
    /// The broker did not answer within `default.api.timeout.ms`, or refused.
    pub async fn alter_configs(
        &self,
        resource: &ConfigResource,
        configs: &[(Str, Option<Str>)],
        validate_only: bool,
    ) -> Result<(), Error> {
        let rows = configs.iter().map(|(name, value)| AlterableConfig { name: name.clone(), value: value.clone() });
        let request = AlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: resource.kind.wire(),
                resource_name: resource.name.clone(),
                configs: rows.collect(),
            }],
            validate_only,
        };
        let check = |response: &leat_protocol::messages::AlterConfigsResponse| {
            controller_answered(response.responses.iter().map(|r| r.error_code))
        };
        let response = self.call(resource.to(), &request, check).await?;
        match response.responses.first() {
            Some(answer) => item(answer.error_code, &answer.error_message, || format!("configs of {}", resource.name)),
            None => missing("AlterConfigs", &resource.name),
        }
    }

    /// Changes some configs of a resource and leaves the others.
    ///
    /// # Errors
    /// The broker did not answer within `default.api.timeout.ms`, or refused.
    pub async fn incremental_alter_configs(
        &self,
        resource: &ConfigResource,
        changes: &[(Str, ConfigOperation)],
        validate_only: bool,
    ) -> Result<(), Error> {
        let rows = changes.iter().map(|(name, operation)| {
            let (config_operation, value) = operation.wire();
            incremental::AlterableConfig { name: name.clone(), config_operation, value }
        });
        let request = IncrementalAlterConfigsRequest {
            resources: vec![incremental::AlterConfigsResource {
                resource_type: resource.kind.wire(),
                resource_name: resource.name.clone(),
                configs: rows.collect(),
            }],
            validate_only,
        };
        let check = |response: &leat_protocol::messages::IncrementalAlterConfigsResponse| {
            controller_answered(response.responses.iter().map(|r| r.error_code))
        };
        let response = self.call(resource.to(), &request, check).await?;
        match response.responses.first() {
            Some(answer) => item(answer.error_code, &answer.error_message, || format!("configs of {}", resource.name)),
            None => missing("IncrementalAlterConfigs", &resource.name),
        }
    }

    /// What has configs of these kinds, or of any kind if none is named.
    ///
    /// # Errors
    /// The broker did not answer within `default.api.timeout.ms`, or refused; one before 4.1 only knows client metrics.
    pub async fn list_config_resources(&self, kinds: &[ResourceKind]) -> Result<Vec<ConfigResource>, Error> {
        let request = ListConfigResourcesRequest { resource_types: kinds.iter().map(|kind| kind.wire()).collect() };
        let check = |response: &leat_protocol::messages::ListConfigResourcesResponse| {
            Error::check(response.error_code, None, || "ListConfigResources".to_owned())
        };
        let response = self.call(To::Any, &request, check).await?;
        let resource = |row: leat_protocol::messages::ConfigResource| ConfigResource {
            kind: ResourceKind::from_wire(row.resource_type),
            name: row.resource_name,
        };
        Ok(response.config_resources.into_iter().map(resource).collect())
    }
}
