//! The broker's configuration: tables of keys, and the typed values they make. No globals: it is read once, checked
//! and passed in; what is altered while running makes a new [`Config`].
//!
//! ```text
//! key        one row: name, type, range, unit, default, documentation
//! broker     the broker's rows and Config        inert   Kafka's rows without meaning here
//! topic      a topic's rows and TopicConfig      policy, listener, address, field   types of values
//! settings   values by source, who wins          load, check   sources to Config
//! render     `leat config`, docs/configuration.md
//! ```

mod address;
pub mod broker;
mod check;
mod error;
mod field;
mod inert;
pub mod key;
mod listener;
mod load;
mod policy;
mod render;
mod settings;
#[cfg(test)]
mod tests;
pub mod topic;

pub use address::Address;
pub use broker::Config;
pub use error::Error;
pub use key::Key;
pub use listener::Listener;
pub(crate) use load::ALIASES;
pub use policy::{CleanupPolicy, CompressionType, TimestampType};
pub use render::{Entry, document};
pub use settings::{Settings, Source, Synonym};
pub use topic::{Overrides, TopicConfig, TopicKey};

/// `; did you mean ...?` for a misspelt broker key, or nothing.
pub(crate) fn suggest_broker_key(name: &str) -> String {
    error::suggest(name, broker::KEYS.iter().map(|key| key.name))
}
