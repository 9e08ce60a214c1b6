//! Records for the side topics: the original, with where it lies and why it is there.

use leat_protocol::records::{Header, RecordRef};

use super::{Emission, Target, header};
use crate::window::Span;

/// A record that gave no row.
pub(crate) fn rejected(record: &RecordRef<'_>, partition: i32, reason: &str) -> Emission {
    aside(Target::Rejected, record, partition, vec![header("leat.reason", reason)])
}

/// A record whose row came after windows that it belongs to were closed.
pub(crate) fn late(record: &RecordRef<'_>, partition: i32, time: i64, watermark: i64, missed: &[Span]) -> Emission {
    let windows: Vec<String> = missed.iter().map(|span| format!("{}-{}", span.start, span.end)).collect();
    let why = vec![
        header("leat.windows", windows.join(",")),
        header("leat.watermark", watermark),
        header("leat.late.ms", watermark.saturating_sub(time)),
    ];
    aside(Target::Late, record, partition, why)
}

fn aside(target: Target, record: &RecordRef<'_>, partition: i32, why: Vec<Header>) -> Emission {
    let mut headers: Vec<Header> = record.headers.map(|header| header.to_header()).collect();
    headers.extend(why);
    headers.push(header("leat.partition", partition));
    headers.push(header("leat.offset", record.offset));
    Emission {
        target,
        timestamp: record.timestamp,
        key: record.key.map(<[u8]>::to_vec),
        value: record.value.map(<[u8]>::to_vec),
        headers,
    }
}
