//! How far replicas on other nodes are behind those that lead here.

use std::sync::Arc;

use super::Shard;
use super::owned::Phase;
use crate::partition::Partition;

/// A replica of a partition that is led here, and the entries that it lacks.
#[derive(Debug)]
pub(crate) struct Lag {
    pub(crate) partition: Arc<Partition>,
    pub(crate) follower: i32,
    pub(crate) entries: u64,
}

impl Shard {
    /// Of every follower of what is led here.
    pub(super) fn lags(&self) -> Vec<Lag> {
        let mut lags = Vec::new();
        for owned in self.slots.iter().flatten() {
            let partition = &owned.partition;
            let Phase::Open(running) = &owned.phase else { continue };
            let led = partition.is_replicated() && partition.is_led_here();
            let Some(standing) = led.then(|| running.replica.standing()).flatten() else { continue };
            for member in standing.members.iter().filter(|member| member.replica_id != partition.replica_id) {
                if let Some(follower) = partition.node_of(member.replica_id) {
                    lags.push(Lag { partition: partition.clone(), follower, entries: standing.lag(member) });
                }
            }
        }
        lags
    }
}
