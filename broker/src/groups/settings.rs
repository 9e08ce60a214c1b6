//! What groups may and may not, from the configuration.

use crate::config::Config;

/// See the keys of the same names.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) initial_rebalance_delay_ms: u64,
    /// Members of a group.
    pub(crate) size_max: usize,
    /// Memory of a group's members.
    pub(crate) group_bytes_max: usize,
    /// Memory of all groups of this broker.
    pub(crate) bytes_max: usize,
    pub(crate) retention_ms: i64,
    pub(crate) retention_check_ms: u64,
}

impl Settings {
    pub(crate) fn of(config: &Config) -> Settings {
        Settings {
            initial_rebalance_delay_ms: config.group_initial_rebalance_delay_ms,
            size_max: config.group_max_size as usize,
            group_bytes_max: config.leat_group_bytes_max as usize,
            bytes_max: config.leat_groups_bytes_max as usize,
            retention_ms: config.offsets_retention_minutes.saturating_mul(60_000),
            retention_check_ms: config.offsets_retention_check_interval_ms,
        }
    }
}
