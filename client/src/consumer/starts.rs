//! Where a replay starts, as an offset.

use std::time::{Duration, SystemTime};

use super::{Inner, Start};
use crate::offsets::{self, Query};
use crate::{Error, OffsetReset, TopicPartition};

type Found = Vec<(TopicPartition, Query, offsets::Found)>;

/// Turns starts into offsets, asking each leader as rarely as can be.
pub(super) async fn resolve(
    inner: &Inner,
    starts: &[(TopicPartition, Start)],
    limit: Duration,
) -> Result<Vec<(TopicPartition, i64)>, Error> {
    // The ends are asked for before the times: a record that comes in between is then found by its time, or lies after
    // the end.
    let mut found = ask(inner, starts, ends, limit).await?;
    found.extend(ask(inner, starts, times, limit).await?);
    let of = |partition: &TopicPartition, query: Query| {
        let one = found.iter().find(|(p, q, _)| p == partition && *q == query);
        one.map(|(_, _, found)| found.offset).filter(|offset| *offset >= 0)
    };
    let mut resolved = Vec::with_capacity(starts.len());
    for (partition, start) in starts {
        let latest = of(partition, Query::LATEST);
        let earliest = of(partition, Query::EARLIEST);
        let offset = match *start {
            Start::Offset(offset) => Some(offset),
            Start::Earliest => earliest,
            Start::Latest => latest,
            Start::Timestamp(time) => of(partition, Query::at(time)).or(latest),
            Start::Last(count) => latest.zip(earliest).map(|(latest, earliest)| {
                latest.saturating_sub(i64::try_from(count).unwrap_or(i64::MAX)).max(earliest)
            }),
        };
        let unknown = || Error::corrupt(format!("ListOffsets for {partition}"), "the answer has no offset");
        resolved.push((partition.clone(), offset.ok_or_else(unknown)?));
    }
    Ok(resolved)
}

async fn ask(
    inner: &Inner,
    starts: &[(TopicPartition, Start)],
    queries_of: fn(Start) -> Vec<Query>,
    limit: Duration,
) -> Result<Found, Error> {
    let mut queries = Vec::new();
    for (partition, start) in starts {
        queries.extend(queries_of(*start).into_iter().map(|query| (partition.clone(), query)));
    }
    if queries.is_empty() {
        return Ok(Found::new());
    }
    offsets::list_each(&inner.cluster, queries, inner.config.isolation_level, limit).await
}

/// Which ends of the log have to be known.
fn ends(start: Start) -> Vec<Query> {
    match start {
        Start::Offset(_) => vec![],
        Start::Earliest => vec![Query::EARLIEST],
        Start::Latest | Start::Timestamp(_) => vec![Query::LATEST],
        Start::Last(_) => vec![Query::LATEST, Query::EARLIEST],
    }
}

fn times(start: Start) -> Vec<Query> {
    match start {
        Start::Timestamp(time) => vec![Query::at(time)],
        _ => vec![],
    }
}

/// Where `auto.offset.reset` says to start; `None`: nowhere.
pub(super) fn reset_start(reset: OffsetReset) -> Option<Start> {
    match reset {
        OffsetReset::Earliest => Some(Start::Earliest),
        OffsetReset::Latest => Some(Start::Latest),
        OffsetReset::None => None,
        OffsetReset::ByDuration(age) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Some(Start::Timestamp(i64::try_from(now.saturating_sub(age).as_millis()).unwrap_or(0)))
        }
    }
}
