//! A state machine over one partition's committed records: the metadata now, coordinators later.

use std::sync::Arc;

use bytes::Bytes;
use leat_storage::GroupId;

/// Memory that is a function of a log.
pub(crate) trait Machine: Send {
    /// Takes up the saved state, which is that after entry `applied`. An error takes the partition offline.
    fn restore(&mut self, state: &[u8], applied: u64) -> Result<(), String>;

    /// Applies a committed batch, once each, in order.
    fn apply(&mut self, index: u64, batch: &Bytes);

    /// Everything up to an entry is applied, of which those without records said nothing.
    fn reach(&mut self, index: u64);

    /// The whole state, for the checkpoint.
    fn save(&self) -> Bytes;
}

/// Tells that a group has these members, and an entry that is committed, by index and term.
pub(crate) type TellMembers = Arc<dyn Fn(GroupId, Vec<u64>, (u64, u64)) + Send + Sync>;

/// Makes the state machine of a group that has one.
pub(crate) type MachineFactory = Arc<dyn Fn(GroupId) -> Option<Box<dyn Machine>> + Send + Sync>;
