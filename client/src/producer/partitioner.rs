//! Which partition a record without a key goes to, as Java's producer decides: sticky by bytes, weighted by queue length (KIP-794).

/// The partition that records without a key go to until enough bytes have gone there.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    current: Option<usize>,
    bytes: usize,
}

impl Sticky {
    pub(super) fn current(&self) -> Option<usize> {
        self.current
    }

    pub(super) fn switch(&mut self, to: usize) {
        *self = Self { current: Some(to), bytes: 0 };
    }

    /// Counts what went to `partition`. `true`: it is time for another partition. That is once `batch.size` bytes went
    /// there and no batch is left half full, or twice as many in any case.
    pub(super) fn wrote(&mut self, partition: usize, bytes: usize, batches_full: bool, batch_size: usize) -> bool {
        if self.current != Some(partition) {
            return false;
        }
        self.bytes += bytes;
        let enough = batch_size.max(1);
        (self.bytes >= enough && batches_full) || self.bytes >= enough * 2
    }
}

/// Picks by `random` among partitions with the given queue lengths, shorter ones more often: each has the weight of the
/// longest length plus one minus its own. All equal: each alike.
pub(super) fn weighted(queues: &mut [(usize, u32)], random: u32) -> Option<usize> {
    let longest = queues.iter().map(|(_, length)| *length).max()?;
    let mut total = 0_u32;
    for (_, length) in queues.iter_mut() {
        total = total.saturating_add(longest + 1 - *length);
        *length = total;
    }
    let point = random % total;
    queues.iter().find(|(_, end)| point < *end).map(|(partition, _)| *partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected frequencies are those of Kafka's `BuiltInPartitionerTest.adaptivePartitionsTest`.
    #[test]
    fn shorter_queues_are_picked_more_often() {
        let mut picks = [0; 5];
        for random in 0..21 {
            let mut queues = [(0, 5), (1, 0), (2, 3), (3, 0), (4, 1)];
            picks[weighted(&mut queues, random).unwrap()] += 1;
        }
        assert_eq!(picks, [1, 6, 3, 6, 5]);
    }

    #[test]
    fn sticky_switches_at_a_full_batch_or_at_twice_its_size() {
        let mut sticky = Sticky::default();
        sticky.switch(3);
        assert!(!sticky.wrote(3, 60, true, 100));
        assert!(!sticky.wrote(3, 60, false, 100), "a half full batch is not left behind");
        assert!(!sticky.wrote(7, 1000, true, 100), "records placed otherwise do not count");
        assert!(sticky.wrote(3, 1, true, 100));
        sticky.switch(4);
        assert!(sticky.wrote(4, 200, false, 100));
    }
}
