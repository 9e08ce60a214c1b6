//! Who this producer is to the brokers: an id and an epoch, shared by all its partitions (KIP-98, KIP-360).

use crate::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProducerId {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// What the brokers were last told, or have to be asked.
#[derive(Debug, Default)]
pub(super) struct Identity {
    current: Option<ProducerId>,
    /// An InitProducerId request is on its way.
    pub(super) asking: bool,
    /// No id can be had, and no record be sent.
    pub(super) fatal: Option<Error>,
}

impl Identity {
    pub(super) fn current(&self) -> Option<ProducerId> {
        self.current
    }

    pub(super) fn set(&mut self, producer: ProducerId) {
        self.current = Some(producer);
        self.asking = false;
    }

    /// A partition that used `stale` needs to start its sequences again: the epoch goes up, unless it already did. Brokers
    /// accept the next epoch of a producer without being asked first. After the last one a new id is asked for.
    pub(super) fn bump(&mut self, stale: ProducerId) {
        if self.current == Some(stale) {
            self.current =
                stale.epoch.checked_add(1).filter(|next| *next < i16::MAX).map(|epoch| ProducerId { epoch, ..stale });
        }
    }

    /// The brokers do not accept this id any more.
    pub(super) fn renew(&mut self, stale: ProducerId) {
        if self.current == Some(stale) {
            self.current = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_goes_up_once_for_all_partitions_and_an_exhausted_id_is_given_up() {
        let first = ProducerId { id: 9, epoch: 0 };
        let mut identity = Identity::default();
        identity.set(first);
        identity.bump(first);
        identity.bump(first);
        assert_eq!(identity.current(), Some(ProducerId { id: 9, epoch: 1 }));
        let last = ProducerId { id: 9, epoch: i16::MAX - 1 };
        identity.set(last);
        identity.bump(last);
        assert_eq!(identity.current(), None);
    }
}
