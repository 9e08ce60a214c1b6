//! How far a group has read: what it has committed, and what that leaves to be read.

use std::collections::BTreeMap;

use leat_client::{Admin, CommittedOffset, Consumer, Error as Client, ErrorCode, GroupDescription, TopicPartition};

use crate::error::{Error, Result};

/// A group and its partitions: those with a commit, and those that a member reads.
pub(super) struct Progress {
    pub(super) group: GroupDescription,
    pub(super) partitions: BTreeMap<TopicPartition, Place>,
}

/// Where a group is in a partition.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) committed: Option<CommittedOffset>,
    /// The end of the log; `None` where the partition is gone.
    pub(super) latest: Option<i64>,
    /// The member that reads it, by its place in the description.
    pub(super) member: Option<usize>,
}

impl Place {
    /// What is left to be read. A partition without a commit has no lag: where its reading starts is not known here.
    pub(super) fn lag(&self) -> Option<i64> {
        Some((self.latest? - self.committed.as_ref()?.offset).max(0))
    }
}

impl Progress {
    pub(super) async fn of(admin: &Admin, consumer: &Consumer, name: &str) -> Result<Self> {
        let group = describe(admin, name).await?;
        let mut partitions: BTreeMap<TopicPartition, Place> = BTreeMap::new();
        for (partition, committed) in admin.list_group_offsets(name).await? {
            partitions.entry(partition).or_default().committed = Some(committed);
        }
        for (at, member) in group.members.iter().enumerate() {
            for partition in &member.assignment {
                partitions.entry(partition.clone()).or_default().member = Some(at);
            }
        }
        if group.state == "Dead" && partitions.is_empty() {
            return Err(Error::NotFound(format!("there is no group {name}: `leat group list` shows which there are")));
        }
        let there = existing(admin, partitions.keys()).await?;
        for (partition, end) in consumer.end_offsets(&there).await? {
            partitions.entry(partition).or_default().latest = Some(end);
        }
        Ok(Self { group, partitions })
    }
}

async fn describe(admin: &Admin, name: &str) -> Result<GroupDescription> {
    let described = admin.describe_groups(&[name]).await.pop();
    Ok(described.ok_or_else(|| Error::Failed(format!("the broker said nothing of group {name}")))??)
}

/// Those whose topics are still there: nobody could be asked about the others.
async fn existing(admin: &Admin, partitions: impl Iterator<Item = &TopicPartition>) -> Result<Vec<TopicPartition>> {
    let partitions: Vec<_> = partitions.cloned().collect();
    let mut names: Vec<&str> = partitions.iter().map(|partition| &*partition.topic).collect();
    names.dedup();
    if names.is_empty() {
        return Ok(partitions);
    }
    let mut counts = BTreeMap::new();
    for (name, described) in names.iter().zip(admin.describe_topics(&names).await?) {
        match described {
            Ok(topic) => _ = counts.insert(*name, topic.partitions.len()),
            Err(error) if is_unknown(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let there = |partition: &&TopicPartition| {
        counts.get(&*partition.topic).is_some_and(|count| (partition.partition as usize) < *count)
    };
    Ok(partitions.iter().filter(there).cloned().collect())
}

fn is_unknown(error: &Client) -> bool {
    matches!(error, Client::UnknownTopic(_)) || error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}
