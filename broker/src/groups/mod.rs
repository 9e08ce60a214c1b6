//! Consumer groups: who reads what, and how far they have come.
//!
//! ```text
//!   handlers --Request--> directory: group id -> partition of __consumer_offsets
//!                            |
//!              coordinator::Actor of that partition, on its shard
//!                            |
//!                         Groups ── Group: members and their rebalances, a state machine
//!                            |  └── Offsets: committed, and on their way
//!                         records: Kafka's schema, into the log and back
//! ```

mod admin;
mod commit;
mod directory;
mod group;
mod machine;
mod offsets;
mod records;
mod request;
mod settings;
#[cfg(test)]
mod tests;

pub(crate) use self::directory::{Directory, OFFSETS_TOPIC, partition_of};
pub(crate) use self::group::{Caller, Event, Join, Joined, Protocol, Reply, State, Sync, Synced};
pub(crate) use self::machine::Groups;
pub(crate) use self::offsets::Offsets;
pub(crate) use self::records::OffsetValue;
pub(crate) use self::request::{Answer, Commit, Offset, Request};
pub(crate) use self::settings::Settings;
