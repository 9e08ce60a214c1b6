//! How many records followers lack, by asking each broker where its own replicas end.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::future::join_all;
use leat_client::{Admin, PartitionDescription, TopicDescription, TopicPartition};

/// A broker that takes longer hangs: the others' answers are not kept waiting.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);

/// Records that each follower of a partition lacks; one that did not say is left out.
pub(super) type Lags = BTreeMap<i32, i64>;

/// Of each partition. Leaders are asked first, so that what comes meanwhile is no lag.
pub(super) async fn collect(admin: &Admin, topic: &TopicDescription) -> Vec<Lags> {
    let replicated = || topic.partitions.iter().filter(|there| there.replicas.len() > 1);
    let led = replicated().filter_map(|there| Some((there.leader?, there)));
    let leaders = ends(admin, topic, led).await;
    let followers =
        ends(admin, topic, replicated().flat_map(|there| followers(there).map(move |id| (id, there)))).await;
    let of = |there: &PartitionDescription| {
        let end = there.leader.and_then(|leader| leaders.get(&(leader, there.partition)));
        let lag = |id| Some((id, (end? - followers.get(&(id, there.partition))?).max(0)));
        self::followers(there).filter_map(lag).collect()
    };
    topic.partitions.iter().map(of).collect()
}

fn followers(there: &PartitionDescription) -> impl Iterator<Item = i32> {
    there.replicas.iter().copied().filter(|id| Some(*id) != there.leader && !there.offline.contains(id))
}

/// Ends by broker and partition: one question to each broker.
async fn ends<'a>(
    admin: &Admin,
    topic: &TopicDescription,
    replicas: impl Iterator<Item = (i32, &'a PartitionDescription)>,
) -> HashMap<(i32, i32), i64> {
    let mut by_broker: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
    for (broker, there) in replicas {
        by_broker.entry(broker).or_default().push(TopicPartition::new(topic.name.clone(), there.partition));
    }
    let asked = by_broker.iter().map(async |(&broker, partitions)| {
        let answer = tokio::time::timeout(ANSWER_TIME_MAX, admin.replica_ends(broker, partitions)).await;
        let ends = answer.ok().and_then(Result::ok).unwrap_or_default();
        ends.into_iter().map(move |(partition, end)| ((broker, partition.partition), end))
    });
    join_all(asked).await.into_iter().flatten().collect()
}
