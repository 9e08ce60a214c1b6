//! A configuration that a broker has described, as a table and as JSON.

use comfy_table::Table;
use leat_client::{ConfigEntry, ConfigSource};
use serde_json::{Value, json};

use crate::output;

/// A row for each of `entries`.
pub(crate) fn table(entries: &[ConfigEntry]) -> Table {
    let mut table = output::list(&["config", "value", "source"]);
    for entry in entries {
        let value = entry.value.as_deref().unwrap_or("-");
        table.add_row([&*entry.name, value, source(entry.source)]);
    }
    table
}

/// One entry.
pub(crate) fn json(entry: &ConfigEntry) -> Value {
    json!({
        "name": &*entry.name,
        "value": entry.value.as_deref(),
        "source": source(entry.source),
        "read_only": entry.read_only,
    })
}

fn source(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "topic",
        ConfigSource::DynamicBroker => "broker",
        ConfigSource::DynamicDefaultBroker => "cluster",
        ConfigSource::StaticBroker => "start",
        ConfigSource::Default => "default",
        _ => "other",
    }
}
