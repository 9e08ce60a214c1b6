//! What can be set for a log, under the names that Kafka gives it.

/// When segments end and how dense their indexes are. Can be changed while a log is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment does not grow past it, unless one batch alone is larger.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment's batches are not further apart in time.
    pub segment_ms: u64,
    /// `segment.index.bytes`: room for each of `.index` and `.timeindex`.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: log bytes between two index entries.
    pub index_interval_bytes: u32,
}

impl Default for LogConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
        }
    }
}
