//! A state machine over one partition's committed records: the metadata now, coordinators later.

use std::sync::Arc;

use bytes::Bytes;
use leat_storage::GroupId;

/// Memory that is a function of a log.
pub(crate) trait Machine: Send {
    /// Takes up the saved state. An error takes the partition offline.
    fn restore(&mut self, state: &[u8]) -> Result<(), String>;

    /// Applies a committed batch, once each, in order.
    fn apply(&mut self, index: u64, batch: &Bytes);

    /// The whole state, for the checkpoint.
    fn save(&self) -> Bytes;
}

/// Makes the state machine of a group that has one.
pub(crate) type MachineFactory = Arc<dyn Fn(GroupId) -> Option<Box<dyn Machine>> + Send + Sync>;
