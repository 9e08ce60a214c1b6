//! Fetch sessions (KIP-227): a consumer names its partitions once, and then sends and receives only what changed.
//!
//! ```text
//!   FetchRequest -> SessionCache::begin -> Context: the partitions to read, in order
//!                                             |  read, wait, read again
//!   FetchResponse <- Context::respond <- one PartitionData for each of them
//! ```
//!
//! Nothing here reads a clock, looks a topic up or does I/O. A cache belongs to one shard; the ids of different shards never
//! meet. It is bounded in sessions and in partitions: a consumer that finds no room gets session id 0 and goes on with full
//! fetches. A response never holds back records, errors or a moved high watermark or log start.
//!
//! The rules are those that Apache Kafka 4.3.1 shows on the wire. One is worth knowing: a partition whose
//! records were sent goes to the end of its session, so that none starves under `max_bytes`.

mod cache;
mod context;
mod partitions;

#[cfg(test)]
mod tests;

pub use self::cache::SessionCache;
pub use self::context::{Context, Read, TopicKey, failed};

/// Asks for a new session.
const INITIAL_EPOCH: i32 = 0;
/// Asks for none, and closes the one named.
const FINAL_EPOCH: i32 = -1;
/// The id of no session.
const NO_SESSION: i32 = 0;
/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;

/// The epoch of the request after one with this epoch; after the largest comes 1, as 0 asks for a new session.
fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        i32::MAX => 1,
        _ => epoch + 1,
    }
}
