//! DescribeQuorum of several brokers: each tells what the metadata's leader knows.

use std::collections::BTreeSet;

use leat_protocol::ErrorCode;
use leat_protocol::messages::{QuorumPartition, QuorumReplica};

use super::{create, wait_until};
use crate::harness::{Cluster, Connection, skip_unless_leat};
use crate::quorum::quorum;

pub(super) fn seen_by(cluster: &Cluster, node: usize) -> (QuorumPartition, Vec<i32>) {
    quorum(&mut Connection::open(cluster.address(node).parse().expect("an address")), 2)
}

fn replica(described: &QuorumPartition, node: usize) -> QuorumReplica {
    let mut all = described.current_voters.iter().chain(&described.observers);
    all.find(|replica| replica.replica_id == node as i32).expect("a replica").clone()
}

/// Entries that a replica lacks.
fn lag(described: &QuorumPartition, node: usize) -> i64 {
    replica(described, described.leader_id as usize).log_end_offset - replica(described, node).log_end_offset
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broker_tells_how_the_metadatas_replicas_stand() {
    if skip_unless_leat("every_broker_tells_how_the_metadatas_replicas_stand") {
        return;
    }
    let mut cluster = Cluster::start(3, &[]);
    create(&cluster, "one", 1).await;
    for node in 1..=3 {
        let (told, nodes) = seen_by(&cluster, node);
        assert_eq!((told.error_code, told.observers.len()), (ErrorCode::NONE, 0));
        assert_eq!(nodes, [1, 2, 3]);
        assert_eq!(told.current_voters.iter().map(|voter| voter.replica_id).collect::<Vec<_>>(), nodes);
        let folders: BTreeSet<_> = told.current_voters.iter().map(|voter| voter.replica_directory_id).collect();
        assert_eq!(folders.len(), 3, "a data folder each");
        let known = |voter: &QuorumReplica| voter.last_fetch_timestamp > 0 && voter.last_caught_up_timestamp > 0;
        assert!(told.current_voters.iter().all(known), "{told:?}");
    }

    // A fourth follows without a vote: four voters bear no more losses than three.
    assert_eq!(cluster.add(), 4);
    wait_until("it observes", || seen_by(&cluster, 4).0.observers.iter().any(|seen| seen.replica_id == 4)).await;
    wait_until("it has everything", || lag(&seen_by(&cluster, 1).0, 4) == 0).await;
    assert_eq!(seen_by(&cluster, 1).0.current_voters.len(), 3);

    // One that is down lags, and the time when it had everything stays.
    let leader = seen_by(&cluster, 1).0.leader_id as usize;
    let (killed, asked) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    cluster.kill(killed);
    create(&cluster, "two", 1).await;
    create(&cluster, "three", 1).await;
    wait_until("it lags", || lag(&seen_by(&cluster, asked).0, killed) >= 2).await;
    let lagging = replica(&seen_by(&cluster, asked).0, killed);
    assert!(lagging.last_caught_up_timestamp > 0, "{lagging:?}");
    create(&cluster, "four", 1).await;
    let later = replica(&seen_by(&cluster, asked).0, killed);
    assert!(later.last_caught_up_timestamp <= lagging.last_caught_up_timestamp + 1, "{lagging:?} {later:?}");
    cluster.restart(killed);
    wait_until("it has everything", || lag(&seen_by(&cluster, killed).0, killed) == 0).await;
    let back = replica(&seen_by(&cluster, asked).0, killed);
    assert!(back.last_caught_up_timestamp > lagging.last_caught_up_timestamp, "{lagging:?} {back:?}");

    // Another leader, in a later epoch.
    let before = seen_by(&cluster, asked).0.leader_epoch;
    cluster.kill(leader);
    let led = || {
        let told = seen_by(&cluster, asked).0;
        told.error_code == ErrorCode::NONE && told.leader_id != leader as i32 && told.leader_epoch > before
    };
    wait_until("another one leads", led).await;
}
