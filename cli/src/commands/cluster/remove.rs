//! `leat cluster remove`: what a node holds goes to the others, its vote too, then it is stopped.

use std::collections::BTreeMap;
use std::time::Instant;

use leat_client::{Admin, TopicDescription, TopicPartition};

use super::{Dir, LOOK_AGAIN, STOP};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::output::{Out, counted};
use crate::session;

/// Moves asked for at once.
const MOVES: usize = 100;

/// Move what a node holds to the others, take it out of the cluster and stop it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A partition that every node holds has a replica less afterwards. The node may be down: then the others have what it
held. Its number is not given again; its folder stays.

Example: leat cluster remove 3")]
pub(crate) struct Args {
    /// The node's number
    #[arg(value_name = "NODE")]
    node: u32,

    #[command(flatten)]
    dir: Dir,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let begun = Instant::now();
    let mut cluster = args.dir.cluster()?;
    let others: Vec<i32> =
        cluster.state.nodes.iter().filter(|node| node.id != args.node).map(|node| node.id.cast_signed()).collect();
    let process = cluster.node(args.node)?.process(&cluster.folder);
    if others.is_empty() {
        return Err(Error::Usage(format!("node {} is the only one; `leat cluster down` stops it", args.node)));
    }
    let moved = session::block_on(take_out(&cluster, args.node.cast_signed(), &others))?;
    if let Some(process) = process {
        process.terminate()?;
        if !process.wait_end(STOP) {
            let seconds = STOP.as_secs();
            return Err(Error::Failed(format!("node {} is out, and has not ended within {seconds} s", args.node)));
        }
    }
    cluster.remove(args.node)?;
    let mut out = Out::stdout();
    let (moved, seconds) = (counted(moved as u64, "partition"), begun.elapsed().as_secs_f64());
    out.line(format_args!("node {} is out of the cluster: {moved} moved in {seconds:.2} s", args.node))?;
    out.flush()
}

/// How many partitions were moved.
async fn take_out(cluster: &Cluster, node: i32, others: &[i32]) -> Result<usize> {
    let admin = Admin::builder().bootstrap(cluster.bootstrap()).client_id("leat").build().await?;
    let moves = moves(&described(&admin).await?, node, others);
    for some in moves.chunks(MOVES) {
        for moved in admin.reassign_partitions(some).await? {
            moved?;
        }
        while held(&described(&admin).await?, node)
            .any(|(partition, _)| some.iter().any(|(moved, _)| *moved == partition))
        {
            tokio::time::sleep(LOOK_AGAIN * 10).await;
        }
    }
    admin.unregister_broker(node).await?;
    Ok(moves.len())
}

async fn described(admin: &Admin) -> Result<Vec<TopicDescription>> {
    let listed = admin.list_topics().await?;
    let names: Vec<&str> = listed.iter().map(|topic| &*topic.name).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // One that is deleted meanwhile is nobody's concern.
    Ok(admin.describe_topics(&names).await?.into_iter().flatten().collect())
}

/// The partitions that a node holds, and who else does.
fn held(topics: &[TopicDescription], node: i32) -> impl Iterator<Item = (TopicPartition, &[i32])> {
    let partitions = topics.iter().flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)));
    partitions.filter(move |(_, partition)| partition.replicas.contains(&node)).map(|(topic, partition)| {
        (TopicPartition::new(topic.name.clone(), partition.partition), &partition.replicas[..])
    })
}

/// Where each of a node's partitions goes: to the other that holds least, in the node's place.
fn moves(topics: &[TopicDescription], node: i32, others: &[i32]) -> Vec<(TopicPartition, Option<Vec<i32>>)> {
    let holders = topics.iter().flat_map(|topic| &topic.partitions).flat_map(|partition| &partition.replicas);
    let mut load: BTreeMap<i32, usize> = others.iter().map(|&other| (other, 0)).collect();
    for holder in holders {
        load.entry(*holder).and_modify(|count| *count += 1);
    }
    let mut to = |(partition, replicas): (TopicPartition, &[i32])| {
        let free = load.iter_mut().filter(|(other, _)| !replicas.contains(other));
        let next = free.min_by_key(|(_, count)| **count).map(|(other, count)| {
            *count += 1;
            *other
        });
        let stays = |&holder: &i32| if holder == node { next } else { Some(holder) };
        (partition, Some(replicas.iter().filter_map(stays).collect()))
    };
    held(topics, node).map(&mut to).collect()
}

#[cfg(test)]
mod tests {
    use leat_client::PartitionDescription;

    use super::*;

    fn topic(replicas: &[&[i32]]) -> TopicDescription {
        let partition = |(partition, replicas): (i32, &&[i32])| PartitionDescription {
            partition,
            leader: None,
            leader_epoch: 0,
            replicas: replicas.to_vec(),
            in_sync: Vec::new(),
            offline: Vec::new(),
        };
        let partitions = (0..).zip(replicas).map(partition).collect();
        TopicDescription { name: "t".into(), id: Default::default(), internal: false, partitions }
    }

    #[test]
    fn partitions_go_to_whom_holds_least_and_where_all_hold_them_there_is_one_less() {
        let topics = [topic(&[&[3, 1], &[1, 3], &[2, 4], &[1, 2], &[4, 3, 2, 1]])];
        let to: Vec<_> =
            moves(&topics, 3, &[1, 2, 4]).into_iter().map(|(of, to)| (of.partition, to.unwrap())).collect();
        assert_eq!(to, [(0, vec![4, 1]), (1, vec![1, 2]), (4, vec![4, 2, 1])]);
    }
}
