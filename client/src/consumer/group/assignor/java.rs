//! In which order Java's hash maps hand out what is in them: parts of the assignors depend on it.

use crate::TopicPartition;

/// `String.hashCode`.
pub(super) fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// `TopicPartition.hashCode`.
pub(super) fn partition_hash(partition: &TopicPartition) -> i32 {
    let hash = 31_i32.wrapping_add(partition.partition);
    hash.wrapping_mul(31).wrapping_add(string_hash(&partition.topic))
}

/// What was put into a new `HashMap` in this order, in the order of its iterator.
pub(super) fn map_order<T>(mut items: Vec<T>, hash: impl Fn(&T) -> i32) -> Vec<T> {
    let capacity = capacity(items.len());
    items.sort_by_cached_key(|item| bucket(hash(item), capacity));
    items
}

/// The size of the table that so many entries need.
pub(super) fn capacity(entries: usize) -> u32 {
    let mut capacity = 16;
    while entries * 4 > capacity as usize * 3 {
        capacity *= 2;
    }
    capacity
}

/// The place in a table of this size.
pub(super) fn bucket(hash: i32, capacity: u32) -> u32 {
    let hash = hash.cast_unsigned();
    (hash ^ (hash >> 16)) & (capacity - 1)
}
