//! Which segments can be cleaned, and whether it is time to. The rules are those of Kafka's `LogCleanerManager`.

use std::sync::Arc;

use super::{Config, Limit};
use crate::error::Result;
use crate::log::View;
use crate::reader::{LogReader, Opened};
use crate::segment::Segment;

/// How much a pass would clean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dirt {
    /// Bytes that were never cleaned, and can be now.
    pub bytes: u64,
    /// Their share of these and what is clean.
    pub ratio: f64,
    /// Something has waited for longer than `max.compaction.lag.ms`.
    pub overdue: bool,
}

impl Dirt {
    /// Whether the log should be cleaned now.
    pub fn is_due(&self, config: &Config) -> bool {
        self.bytes > 0 && (self.overdue || self.ratio > config.min_dirty_ratio)
    }
}

/// A segment that can be cleaned, and where the one behind it begins.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) segment: Arc<Segment>,
    pub(super) end_offset: i64,
    pub(super) next_index: u64,
    pub(super) last_term: u64,
}

impl LogReader {
    /// How dirty the log is.
    pub fn dirt(&self, config: &Config, limit: Limit, now_ms: i64) -> Result<Dirt> {
        self.look(|view| {
            let from = first_dirty(view, self.log_start_offset());
            let sources = sources(view, from, config, limit, now_ms)?;
            let (mut clean, mut bytes) = (0, 0);
            // Where no record can be older than that, none is looked at.
            let overdue_before = now_ms.saturating_sub_unsigned(config.max_lag_ms);
            let mut overdue = false;
            for source in &sources {
                let len = source.segment.log_len()?;
                if source.end_offset <= from {
                    clean += len;
                } else {
                    bytes += len;
                    overdue |= overdue_before > 0
                        && first_timestamp(&source.segment)?.is_some_and(|first| first < overdue_before);
                }
            }
            let ratio = if bytes == 0 { 0.0 } else { bytes as f64 / (clean + bytes) as f64 };
            Ok(Dirt { bytes, ratio, overdue })
        })
    }
}

/// The offset from which on keys may have two records.
pub(super) fn first_dirty(view: &View, log_start: i64) -> i64 {
    view.clean_end.max(log_start)
}

/// The segments that can be cleaned now, from the first one on; none while a range of the log is set aside, since what stays
/// of a key may lie there.
pub(super) fn sources(view: &View, dirty: i64, config: &Config, limit: Limit, now_ms: i64) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    if !view.gaps.is_empty() {
        return Ok(sources);
    }
    let latest = now_ms.saturating_sub_unsigned(config.min_lag_ms);
    for pair in view.segments.windows(2) {
        let (segment, next) = (&pair[0], pair[1].header()?);
        if next.first_index > limit.applied.saturating_add(1) || next.base_offset > limit.stable_offset {
            break;
        }
        if next.base_offset > dirty && config.min_lag_ms > 0 && time_of(segment)? > latest {
            break;
        }
        sources.push(Source {
            segment: segment.clone(),
            end_offset: next.base_offset,
            next_index: next.first_index,
            last_term: next.previous_term,
        });
    }
    Ok(sources)
}

/// The time of a segment's latest record; of its file where records have none.
fn time_of(segment: &Arc<Segment>) -> Result<i64> {
    match segment.max_timestamp()? {
        ..0 => segment.modified_ms(),
        timestamp => Ok(timestamp),
    }
}

/// The time of a segment's first batch, if it has one.
fn first_timestamp(segment: &Arc<Segment>) -> Result<Option<i64>> {
    let opened = Opened::new(segment)?;
    let first = opened.walk(opened.begin()?, |_, header| (!header.is_entry()).then_some(header.max_timestamp))?;
    Ok(first.filter(|timestamp| *timestamp > 0))
}
