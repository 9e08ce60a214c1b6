//! The configuration for people and programs: `leat config`, and docs/configuration.md, which a test compares.

use std::fmt::Write;

use serde::Serialize;

use super::key::{Key, Update};
use super::{Config, broker, topic};

/// One key as `leat config --json` shows it.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// The key.
    pub key: &'static str,
    /// Its value; null where none is set.
    pub value: Option<String>,
    /// `default`, `file`, `environment`, `set`, `cluster` or `broker`.
    pub source: &'static str,
    /// What it is when no source gives one.
    pub default: Option<&'static str>,
    /// Kafka's word for the type.
    pub r#type: &'static str,
    /// What a number counts; empty for a plain one.
    pub unit: &'static str,
    /// `at start` or `at once`.
    pub update: &'static str,
    /// What it does.
    pub doc: &'static str,
}

impl Config {
    /// Every key that does something, in the order of the documents.
    pub fn entries(&self) -> Vec<Entry> {
        broker::KEYS.iter().map(|key| self.entry(key)).collect()
    }

    fn entry(&self, key: &'static Key) -> Entry {
        let (value, source) = self.value(key);
        let value = if key.is_sensitive() { value.map(|_| "[hidden]") } else { value };
        Entry {
            key: key.name,
            value: value.map(str::to_owned),
            source: source.name(),
            default: key.default,
            r#type: key.kind.name(),
            unit: key.unit.describe(),
            update: key.update.describe(),
            doc: key.doc,
        }
    }

    /// The configuration as a TOML file that would give it, with a comment per key.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for entry in self.entries() {
            let default = entry.default.unwrap_or("not set");
            let _ = writeln!(text, "# {}\n# From: {}. Default: {default}.", entry.doc, entry.source);
            let _ = match (&entry.value, entry.r#type) {
                (None, _) => writeln!(text, "# {} =\n", entry.key),
                (Some(value), "boolean" | "short" | "int" | "long" | "double") => {
                    writeln!(text, "{} = {value}\n", entry.key)
                }
                (Some(value), _) => writeln!(text, "{} = {}\n", entry.key, toml::Value::String(value.clone())),
            };
        }
        text
    }
}

const HEAD: &str = "# Configuration

Made from the tables in `broker/src/config`; a test fails when this page and the tables differ.

A broker reads, the later over the earlier: the defaults below, one TOML file (`--config`), the environment, and
`--set key=value`. A key is Kafka's property name where Kafka has one; in TOML `log.retention.ms = 1000` and

```toml
[log.retention]
ms = 1000
```

say the same. The variable of a key is `LEAT_` and its name in capitals with `_` for each dot, without a leading `leat.`:
`LEAT_LOG_RETENTION_MS`, `LEAT_SHARDS`. `broker.id` and `log.dir` are read as `node.id` and `log.dirs`. An unknown key or a bad
value is an error that names it and says what would be right. `leat config` prints what a broker would run with and
where each value comes from. \"At once\": can also be altered while running, by `IncrementalAlterConfigs` or
`AlterConfigs`, for one broker or, as the default of all brokers, for the cluster.
";

/// docs/configuration.md.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n## Broker\n\n| key | type | default | changes | what it does, and why this default |\n|---|---|---|---|---|\n");
    for key in broker::KEYS {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} *{}* |",
            key.name,
            typed(key),
            shown(key.default),
            key.update.describe(),
            key.doc,
            key.why
        );
    }
    text.push_str(
        "\n## Topic\n\nA topic's own value wins over the broker keys named beside it, tried in this order.\n\n\
         | key | type | default | falls back to | what it does |\n|---|---|---|---|---|\n",
    );
    for row in topic::KEYS.iter().filter(|row| row.key.update != Update::Inert) {
        let broker: Vec<String> = row.falls_back_to.iter().map(|name| format!("`{name}`")).collect();
        let (key, broker) = (&row.key, broker.join(", "));
        let _ = writeln!(text, "| `{}` | {} | {} | {broker} | {} |", key.name, typed(key), shown(key.default), key.doc);
    }
    text.push_str("\n## Kafka's topic keys without effect\n\nListed with Kafka's default and read-only.\n\n| key | default | why |\n|---|---|---|\n");
    for row in topic::KEYS.iter().filter(|row| row.key.update == Update::Inert) {
        let _ = writeln!(text, "| `{}` | {} | {} |", row.key.name, shown(row.key.default), row.key.doc);
    }
    text.push_str(
        "\nKafka's broker keys that have no effect here are listed by `DescribeConfigs` in the same way, read-only, with\n\
         Kafka 4.3.1's defaults; setting one to anything else is an error.\n",
    );
    text
}

fn typed(key: &Key) -> String {
    let unit = key.unit.describe();
    let range = key.kind.describe();
    if unit.is_empty() {
        format!("{}: {range}", key.kind.name())
    } else {
        format!("{}, {unit}: {range}", key.kind.name())
    }
}

fn shown(default: Option<&str>) -> String {
    match default {
        None => "not set".into(),
        Some("") => "empty".into(),
        Some(default) => format!("`{default}`"),
    }
}
