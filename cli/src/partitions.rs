//! A topic's partitions, and the offset at which a [`Position`] lies in each.

use leat_client::{Consumer, TopicPartition};

use crate::error::{Error, Result};
use crate::position::Position;

/// The partitions of `topic`: all of them, or those in `wanted`.
pub(crate) async fn find(consumer: &Consumer, topic: &str, wanted: &[i32]) -> Result<Vec<TopicPartition>> {
    let mut partitions = consumer.partitions(topic).await?;
    let missing = wanted.iter().find(|&&wanted| partitions.iter().all(|there| there.partition != wanted));
    if let Some(missing) = missing {
        return Err(Error::NotFound(format!(
            "topic {topic} has no partition {missing}: they are numbered from 0 to {}",
            partitions.len().saturating_sub(1)
        )));
    }
    if !wanted.is_empty() {
        partitions.retain(|there| wanted.contains(&there.partition));
    }
    Ok(partitions)
}

/// The offset of `position` in each of `partitions`, as it is now. A time past all records is the end.
pub(crate) async fn resolve(
    consumer: &Consumer,
    partitions: &[TopicPartition],
    position: Position,
) -> Result<Vec<(TopicPartition, i64)>> {
    let of = |found: i64, partition: &TopicPartition| (partition.clone(), found);
    let offsets = match position {
        Position::Offset(offset) => partitions.iter().map(|partition| of(offset, partition)).collect(),
        Position::Earliest => {
            let starts = consumer.beginning_offsets(partitions).await?;
            partitions.iter().filter_map(|partition| Some(of(*starts.get(partition)?, partition))).collect()
        }
        Position::Latest => {
            let ends = consumer.end_offsets(partitions).await?;
            partitions.iter().filter_map(|partition| Some(of(*ends.get(partition)?, partition))).collect()
        }
        Position::Last(count) => {
            let starts = consumer.beginning_offsets(partitions).await?;
            let ends = consumer.end_offsets(partitions).await?;
            let last = |partition: &TopicPartition| {
                let (start, end) = (*starts.get(partition)?, *ends.get(partition)?);
                Some(of(end.saturating_sub_unsigned(count).max(start), partition))
            };
            partitions.iter().filter_map(last).collect()
        }
        Position::Time(millis) => {
            let times: Vec<_> = partitions.iter().map(|partition| (partition.clone(), millis)).collect();
            // Ends first: a record that comes in between is then simply not part of the answer.
            let ends = consumer.end_offsets(partitions).await?;
            let found = consumer.offsets_for_times(&times).await?;
            let at = |partition: &TopicPartition| {
                let offset = found.get(partition)?.map(|(offset, _)| offset);
                Some(of(offset.or_else(|| ends.get(partition).copied())?, partition))
            };
            partitions.iter().filter_map(at).collect()
        }
    };
    Ok(offsets)
}
