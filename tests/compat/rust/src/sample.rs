//! The records that every program writes and expects back; ../../README.md gives the rules in words.

use crate::checks::Outcome;

pub const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
pub const RECORDS: i64 = 500;
pub const CHUNK: i64 = 50;
pub const EPOCH_MS: i64 = 1_357_034_400_000;
pub const DELETED: i64 = 120;
pub const TOPIC_CONFIG: [(&str, &str); 2] = [("retention.ms", "-1"), ("segment.ms", "200000")];

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

pub fn timestamp(i: i64) -> i64 {
    let shift = match i % 10 {
        2 => 3000,
        7 => -4500,
        _ => 0,
    };
    EPOCH_MS + 1000 * i + shift
}

pub fn record(partition: i32, i: i64) -> Record {
    let key = match i {
        _ if i % 7 == 0 => None,
        _ if i % 11 == 0 => Some(Vec::new()),
        _ => Some(format!("key-{i}").into_bytes()),
    };
    let value = match i {
        _ if i % 14 == 3 => None,
        _ if i % 17 == 0 => Some(Vec::new()),
        _ if i % CHUNK == CHUNK - 1 => Some(format!("{partition}:{i};").repeat(4000).as_bytes()[..20_000].to_vec()),
        _ => Some(format!("value {partition} {i}").into_bytes()),
    };
    let headers: Vec<(&str, Option<String>)> = match i % 3 {
        0 => vec![],
        1 => vec![("h", Some(i.to_string()))],
        _ => vec![
            ("a", Some("1".to_owned())),
            ("a", Some("2".to_owned())),
            ("empty", Some(String::new())),
            ("null", None),
        ],
    };
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.map(String::into_bytes))).collect();
    Record { timestamp: timestamp(i), key, value, headers }
}

/// What ListOffsets has to answer for a time, by brute force; none past the end.
pub fn first_at_or_after(ms: i64) -> Option<i64> {
    (0..RECORDS).find(|&i| timestamp(i) >= ms)
}

pub fn seek_times() -> Vec<i64> {
    let last = (0..RECORDS).map(timestamp).max().unwrap_or_default();
    let mut times = vec![0, EPOCH_MS - 1, last, last + 1];
    times.extend([0, 1, 2500, 3500, 5000, 5001, 99_999, 100_000, 123_456, 250_000, 400_500].map(|t| EPOCH_MS + t));
    times
}

/// Fails where two records differ, in words short enough for one line.
pub fn same(offset: i64, got: &Record, want: &Record) -> Outcome {
    if got == want {
        return Ok(());
    }
    Err(format!("offset {offset}: {:.160}, not {:.160}", format!("{got:?}"), format!("{want:?}")).into())
}
