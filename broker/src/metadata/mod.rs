//! The cluster's metadata: what is *decided* (topics, assignments, configurations, producer ids, brokers), as a state
//! machine over a Raft log. Pure: no I/O, no clock, no randomness; the same records give the same image everywhere.
//!
//! ```text
//! record      what the log holds (prost), in batches: one Raft entry each
//! image       the state: persistent maps, so that a change costs O(log n) and a published image never moves
//! topic       one topic in the image
//! partition   who holds a partition of it
//! statement   a stream, a table or a pipeline
//! apply       record -> change, or a refusal that changes nothing
//! snapshot    image <-> bytes, with version and CRC
//! ```
//!
//! Who leads a partition is *observed* and never in here.

mod apply;
mod image;
mod partition;
pub mod record;
mod snapshot;
mod statement;
#[cfg(test)]
mod tests;
mod topic;

pub use apply::{Outcome, Refusal};
pub use image::{Broker, Image};
pub use partition::{Change, Partition, Replica};
pub use record::{Batch, Kind, Record};
pub use snapshot::Error;
pub use statement::{Statement, Text, Topics};
pub use topic::Topic;
pub(crate) use topic::is_internal;
