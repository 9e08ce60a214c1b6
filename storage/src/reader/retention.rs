//! Retention by time and by size: what the log start could become. Moving it is the leader's entry, not ours.

use super::LogReader;
use crate::error::Result;
use crate::log::View;

impl LogReader {
    /// Bytes of all `.log` files.
    pub fn size_bytes(&self) -> Result<u64> {
        self.look(size_of)
    }

    /// The log start that `retention.ms` and `retention.bytes` ask for at `now_ms`: a segment's end at or below `until`. None
    /// where the start stays. Kafka's rules: a segment is as old as its latest record (as its file where records have no
    /// time), and goes by size only if what is left is still at least `retention_bytes`.
    pub fn retention_start(
        &self,
        now_ms: i64,
        retention_ms: Option<u64>,
        retention_bytes: Option<u64>,
        until: i64,
    ) -> Result<Option<i64>> {
        self.look(|view| self.retention_start_in(view, now_ms, retention_ms, retention_bytes, until))
    }

    fn retention_start_in(
        &self,
        view: &View,
        now_ms: i64,
        retention_ms: Option<u64>,
        retention_bytes: Option<u64>,
        until: i64,
    ) -> Result<Option<i64>> {
        let end = self.end_offset();
        let until = until.min(end);
        let mut surplus = match retention_bytes {
            Some(bytes) => size_of(view)?.saturating_sub(bytes),
            None => 0,
        };
        let mut start = self.log_start_offset();
        for (n, segment) in view.segments.iter().enumerate() {
            let segment_end = view.segments.get(n + 1).map_or(end, |next| next.base_offset);
            if segment_end > until || segment_end == segment.base_offset {
                break;
            }
            let len = segment.log_len()?;
            let too_much = retention_bytes.is_some() && surplus >= len;
            let too_old = match retention_ms {
                // The time is looked up only where size alone does not decide: it may have to open the segment.
                Some(ms) if !too_much => {
                    let latest = match segment.max_timestamp()? {
                        ..0 => segment.modified_ms()?,
                        timestamp => timestamp,
                    };
                    u64::try_from(now_ms.saturating_sub(latest)).is_ok_and(|age| age > ms)
                }
                _ => false,
            };
            if !too_much && !too_old {
                break;
            }
            surplus = surplus.saturating_sub(len);
            start = start.max(segment_end);
        }
        Ok((start > self.log_start_offset()).then_some(start))
    }
}

fn size_of(view: &View) -> Result<u64> {
    view.segments.iter().map(|segment| segment.log_len()).sum()
}
