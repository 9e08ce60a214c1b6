//! The values that sources gave, layer by layer, and which of them counts.

use std::collections::BTreeMap;

use super::key::Key;

/// Where a value comes from; a later one wins over an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The table.
    Default,
    /// The configuration file.
    File,
    /// An environment variable `LEAT_...`.
    Environment,
    /// `--set key=value`.
    Set,
    /// Altered while running, for every broker of the cluster.
    Cluster,
    /// Altered while running, for this broker.
    Broker,
    /// Altered for one topic.
    Topic,
}

impl Source {
    /// The number that stands for it in a `DescribeConfigs` answer (`ConfigSource` of Kafka's protocol).
    pub fn code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::Broker => 2,
            Self::Cluster => 3,
            Self::Set | Self::Environment | Self::File => 4,
            Self::Default => 5,
        }
    }

    /// Where to look for it, for an error.
    pub(crate) fn origin(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "configuration file",
            Self::Environment => "environment",
            Self::Set => "--set",
            Self::Cluster => "the cluster's dynamic configuration",
            Self::Broker => "this broker's dynamic configuration",
            Self::Topic => "the topic's configuration",
        }
    }

    /// A word for listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Set => "set",
            Self::Cluster => "cluster",
            Self::Broker => "broker",
            Self::Topic => "topic",
        }
    }
}

/// One name, value and source that a value was, or would have been, taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The key at that level.
    pub name: &'static str,
    /// Its value there.
    pub value: String,
    /// The level.
    pub source: Source,
}

/// Values by key and source. Holds canonical text only: what is put in has been checked against its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<&'static str, BTreeMap<Source, String>>,
}

impl Settings {
    /// Puts a checked value into a layer, over the one that was there.
    pub(crate) fn put(&mut self, key: &Key, source: Source, value: String) {
        self.values.entry(key.name).or_default().insert(source, value);
    }

    /// Takes everything out of a layer.
    pub(crate) fn clear(&mut self, source: Source) {
        for layers in self.values.values_mut() {
            layers.remove(&source);
        }
    }

    /// The value that counts and where it comes from.
    pub fn get(&self, key: &Key) -> (Option<&str>, Source) {
        match self.values.get(key.name).and_then(BTreeMap::last_key_value) {
            Some((source, value)) => (Some(value), *source),
            None => (key.default, Source::Default),
        }
    }

    /// Every value of a key, the one that counts first, the table's default last. The sources that Kafka calls
    /// static (file, environment, `--set`) are one level, so only the strongest of them is named.
    pub fn synonyms(&self, key: &Key) -> Vec<Synonym> {
        let mut found: Vec<Synonym> = Vec::new();
        for (source, value) in self.values.get(key.name).into_iter().flatten().rev() {
            if found.last().is_none_or(|last| last.source.code() != source.code()) {
                found.push(Synonym { name: key.name, value: value.clone(), source: *source });
            }
        }
        if let Some(default) = key.default {
            found.push(Synonym { name: key.name, value: default.to_owned(), source: Source::Default });
        }
        found
    }
}
