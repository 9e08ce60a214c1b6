//! What a request names twice is an error, answered once for topics and each time for resources, as in Kafka.

use std::collections::BTreeMap;

/// How often each key is in a request.
#[derive(Debug)]
pub(super) struct Repeats<K>(BTreeMap<K, u32>);

impl<K: Ord> Repeats<K> {
    /// Counts.
    pub(super) fn of(keys: impl IntoIterator<Item = K>) -> Self {
        let mut times = BTreeMap::new();
        for key in keys {
            *times.entry(key).or_default() += 1;
        }
        Self(times)
    }

    /// At each key, in the request's order: `None` where it has been answered, else whether it is there more than once.
    pub(super) fn take(&mut self, key: &K) -> Option<bool> {
        match self.0.get_mut(key) {
            None | Some(0) => None,
            Some(times) => Some(std::mem::replace(times, 0) > 1),
        }
    }

    /// Is a key there more than once?
    pub(super) fn contains(&self, key: &K) -> bool {
        self.0.get(key).is_some_and(|times| *times > 1)
    }
}
