//! From a file, the environment and `--set` to a [`Config`]: default < file < environment < set.

use std::path::Path;

use super::broker::{self, KEYS};
use super::error::suggest;
use super::settings::{Settings, Source};
use super::{Config, Error};

/// Kafka's second names for a key.
pub(crate) const ALIASES: &[(&str, &str)] = &[("broker.id", "node.id"), ("log.dir", "log.dirs")];

/// Variables that begin with `LEAT_` and belong to the command line's clients.
const CLIENT_VARIABLES: &[&str] = &["LEAT_BOOTSTRAP_SERVER", "LEAT_CONFIG", "LEAT_HTTP"];

impl Config {
    /// Reads every source and checks it. `environment` is usually [`std::env::vars`]; only names that begin with
    /// `LEAT_` are looked at. The error names the key, the value, where it stands and what would be right.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        sets: &[(String, String)],
    ) -> Result<Self, Error> {
        let mut settings = Settings::default();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
            read_toml(&mut settings, path, &text)?;
        }
        for (name, value) in environment {
            read_variable(&mut settings, &name, &value)?;
        }
        for (name, value) in sets {
            put(&mut settings, Source::Set, Source::Set.origin(), name.trim(), value)?;
        }
        Self::from_settings(settings)
    }

    /// This configuration with what was altered while running: for the whole cluster, and for this broker.
    /// What was checked when it was altered but can't be read by this release is left out, with a warning.
    #[must_use]
    pub fn with_dynamic<'a>(
        &self,
        cluster: impl IntoIterator<Item = (&'a str, &'a str)>,
        broker: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut settings = self.without_dynamic();
        let cluster = cluster.into_iter().map(|(name, value)| (Source::Cluster, name, value));
        for (source, name, value) in
            cluster.chain(broker.into_iter().map(|(name, value)| (Source::Broker, name, value)))
        {
            if let Err(error) = put(&mut settings, source, source.origin(), name, value) {
                tracing::warn!(%error, "a dynamic configuration is left out");
            }
        }
        Self::from_settings(settings).unwrap_or_else(|error| {
            tracing::warn!(%error, "the dynamic configuration is left out");
            self.clone()
        })
    }

    /// Would these values, set while running on top of what was set at start, make a configuration?
    pub fn check_dynamic<'a>(&self, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(), Error> {
        let mut settings = self.without_dynamic();
        for (name, value) in values {
            put(&mut settings, Source::Broker, Source::Broker.origin(), name, value)?;
        }
        Self::from_settings(settings).map(|_| ())
    }

    fn without_dynamic(&self) -> Settings {
        let mut settings = self.settings.clone();
        settings.clear(Source::Cluster);
        settings.clear(Source::Broker);
        settings
    }
}

fn read_toml(settings: &mut Settings, path: &Path, text: &str) -> Result<(), Error> {
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| Error::Toml { path: path.to_owned(), message: error.to_string() })?;
    let origin = path.display().to_string();
    let mut found = Vec::new();
    flatten("", &table, &mut found);
    found.into_iter().try_for_each(|(name, value)| put(settings, Source::File, &origin, &name, &value))
}

/// Nested tables become dotted names, arrays lists with commas. toml bounds how deep a table nests.
fn flatten(prefix: &str, table: &toml::Table, found: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&name, inner, found),
            toml::Value::Array(items) => {
                let items: Vec<String> = items.iter().map(scalar).collect();
                found.push((name, items.join(",")));
            }
            other => found.push((name, scalar(other))),
        }
    }
}

fn scalar(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn read_variable(settings: &mut Settings, variable: &str, value: &str) -> Result<(), Error> {
    if !variable.starts_with("LEAT_") || CLIENT_VARIABLES.contains(&variable) || is_service_link(variable) {
        return Ok(());
    }
    match KEYS.iter().find(|key| key.environment() == variable) {
        Some(key) => put(settings, Source::Environment, &format!("environment variable {variable}"), key.name, value),
        None => {
            let known: Vec<String> = KEYS.iter().map(super::Key::environment).collect();
            let hint = suggest(variable, known.iter().map(String::as_str));
            Err(Error::UnknownKey { origin: Source::Environment.origin().into(), key: variable.into(), hint })
        }
    }
}

/// Kubernetes announces a service named `leat...` to every container by variables such as `LEAT_SERVICE_HOST` and
/// `LEAT_PORT_9092_TCP`; no key of ours has such a name.
fn is_service_link(variable: &str) -> bool {
    variable.contains("_SERVICE_") || variable.ends_with("_PORT") || variable.contains("_PORT_")
}

fn put(settings: &mut Settings, source: Source, origin: &str, name: &str, value: &str) -> Result<(), Error> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    let Some(key) = broker::key(name) else {
        let hint = suggest(name, KEYS.iter().map(|key| key.name));
        return Err(Error::UnknownKey { origin: origin.into(), key: name.into(), hint });
    };
    let value = key.check(value).map_err(|problem| Error::Value {
        origin: origin.into(),
        key: name.into(),
        value: value.into(),
        problem,
    })?;
    settings.put(key, source, value);
    Ok(())
}
