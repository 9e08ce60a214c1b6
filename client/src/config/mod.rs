//! Typed settings under Kafka's own property names.
//!
//! Each client has one table; a row gives the name, the type, the default and what values are right, and the struct,
//! its setters, `set`, `get` and the list of keys come from it. An unknown key is an error that names the nearest
//! known one.

mod admin;
mod assignor;
mod common;
mod consumer;
mod nearest;
mod producer;
mod table;
mod value;

pub use admin::AdminConfig;
pub use assignor::Assignor;
pub(crate) use common::CommonConfig;
pub use consumer::{ConsumerConfig, IsolationLevel, OffsetReset};
pub use producer::{Acks, ProducerConfig};
