//! Which partition a group belongs to: that of its key, as Java's producer places it.

use leat_protocol::partitioner;

/// The partition of a key among `count`.
pub(crate) fn for_key(key: &[u8], count: i32) -> i32 {
    let count = usize::try_from(count).unwrap_or(1).max(1);
    i32::try_from(partitioner::for_key(key, count)).unwrap_or(0)
}
