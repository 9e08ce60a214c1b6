//! The Leat server: a Kafka-compatible log broker in a library.
//!
//! ```text
//!   net          sockets: frames in, answers out, in order
//!   handlers     one file per API ------------------+
//!   cluster      changes of the metadata            | find, propose, read
//!   groups       consumer groups; coordinator <-----+
//!   partition    what every thread may know  <------+
//!   peers        the other brokers: links, liveness, who leads what
//!   shard        one thread: many replicas  --- disk (write threads, syncs, pool)
//!   replica      Raft: events -> effects, no I/O
//!   http         metrics and health, on a thread of its own
//! ```
//!
//! | folder | what |
//! |---|---|
//! | [`config`] | every key: broker and topic |
//! | [`metadata`] | what the cluster has decided: records, image, snapshot |
//! | [`producers`] | idempotent producers of a partition |
//! | [`fetch_session`] | incremental fetches |
//! | `groups` | consumer groups: members, rebalances, committed offsets |
//! | `coordinator` | memory that is a function of one partition's log, of which groups are the first kind |
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use leat_broker::{Broker, Config};
//!
//! let sets = [("log.dirs".into(), "data".into()), ("listeners".into(), "PLAINTEXT://127.0.0.1:0".into())];
//! let broker = Broker::start(Config::load(None, [], &sets)?)?;
//! println!("bootstrap={}", broker.bootstrap());
//! broker.stop();
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod broker;
mod clock;
mod cluster;
mod compaction;
pub mod config;
mod coordinator;
mod disk;
mod error;
pub mod fetch_session;
mod groups;
mod handlers;
mod http;
mod meeting;
pub mod metadata;
mod metrics;
mod net;
mod partition;
mod peers;
mod pipelines;
pub mod producers;
mod replica;
mod retention;
mod server;
mod shard;
#[cfg(test)]
mod sim;

pub use broker::Broker;
pub use config::Config;
pub use error::Error;
