//! `leat consume --group`: as a member of a group, which goes on where the group has committed.
//!
//! A record is committed once it was handed to standard output, so after a crash some come again and none is left out.

use leat_client::{Consumer, ConsumerRecord, TopicPartition};

use super::{POLL, Reading, start};
use crate::error::{Error, Result};
use crate::partitions;
use crate::position::Position;
use crate::session::Connection;
use crate::signals::Signals;

/// A poll that brings so many records has not come to an end.
const MANY: usize = 500;

/// What a member reads.
pub(super) struct Membership<'a> {
    pub(super) group: &'a str,
    pub(super) topic: &'a str,
    pub(super) from: Position,
    pub(super) until: Option<Position>,
}

/// Writes what comes until the end, the count or a signal, then leaves the group.
pub(super) async fn consume(connection: &Connection, member: Membership<'_>, mut reading: Reading) -> Result<()> {
    let mut signals = Signals::catch()?;
    let consumer = connection.member(member.group, reset(member.from)?).await?;
    let partitions = partitions::find(&consumer, member.topic, &[]).await?;
    if let Some(until) = member.until {
        let ends = partitions::resolve(&consumer, &partitions, until).await?;
        reading.ends = ends.into_iter().filter(|(_, end)| *end > 0).collect();
    }
    consumer.subscribe(&[member.topic]).await?;
    let result = tokio::select! {
        result = read(&consumer, &partitions, member.until.is_some(), &mut reading) => result,
        _ = signals.next() => Err(Error::Interrupted),
    };
    consumer.close().await;
    result
}

async fn read(consumer: &Consumer, partitions: &[TopicPartition], ends: bool, reading: &mut Reading) -> Result<()> {
    let mut busy = false;
    while reading.left != Some(0) && (busy || !ends || !is_at_the_end(consumer, partitions, reading).await?) {
        let mut done: Vec<ConsumerRecord> = Vec::new();
        let records = consumer.poll(POLL).await?;
        // In the midst of many records the end is not asked for.
        busy = records.len() >= MANY;
        for record in records {
            let partition = TopicPartition::new(record.topic.clone(), record.partition);
            let before = |end: &i64| record.offset < *end;
            if reading.left == Some(0) || ends && !reading.ends.get(&partition).is_some_and(before) {
                continue;
            }
            reading.write(&record)?;
            done.push(record);
        }
        reading.out.flush()?;
        if !done.is_empty() {
            consumer.commit_records(&done).await?;
        }
    }
    Ok(())
}

/// Whether the group, whichever its members, has committed up to the ends. Those of empty partitions are reached.
async fn is_at_the_end(consumer: &Consumer, partitions: &[TopicPartition], reading: &mut Reading) -> Result<bool> {
    let mut committed = consumer.committed(partitions).await?;
    for partition in partitions {
        // What holds no record, as a transaction's end, is passed without a commit.
        // A partition that went to another member meanwhile is that one's matter.
        if consumer.assignment().contains(partition)
            && let Ok(offset) = consumer.position(partition).await
        {
            let known = committed.entry(partition.clone()).or_insert_with(|| offset.into());
            known.offset = known.offset.max(offset);
        }
    }
    let left = |(partition, end): (&TopicPartition, &i64)| {
        committed.get(partition).is_none_or(|committed| committed.offset < *end)
    };
    Ok(!reading.ends.iter().any(left))
}

/// Where a partition starts that the group has not committed.
fn reset(from: Position) -> Result<&'static str> {
    match from {
        Position::Earliest => Ok("earliest"),
        Position::Latest => Ok("latest"),
        other => Err(Error::Usage(format!(
            "--from {:?} does not go with --group, which goes on where the group has committed: `leat group reset` sets \
             that; --from may be earliest or latest, for what has no commit yet",
            start(other)
        ))),
    }
}
