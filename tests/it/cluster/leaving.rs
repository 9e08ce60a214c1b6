//! Brokers that are taken out of the cluster.

use leat_client::NewTopic;
use leat_protocol::ErrorCode;
use leat_protocol::messages::UnregisterBrokerRequest;

use super::history::Load;
use super::members::{arrived, connect, placed};
use super::quorum::seen_by;
use super::{admin, wait_until};
use crate::harness::{Cluster, Process, skip_unless_leat};
use crate::reassignments::reassign;

fn unregister(cluster: &Cluster, asked: usize, node: i32) -> (ErrorCode, String) {
    let response = connect(cluster, asked).call(0, &UnregisterBrokerRequest { broker_id: node });
    (response.error_code, response.error_message.map_or_else(String::new, |message| message.to_string()))
}

/// Five become one, each time without who leads the metadata, while a partition is written to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_five_shrinks_to_one_under_load() {
    if skip_unless_leat("a_cluster_of_five_shrinks_to_one_under_load") {
        return;
    }
    let mut cluster = Cluster::start(5, &[]);
    placed(&cluster, "shrinks", &[1, 2, 3]).await;
    let load = Load::start(&cluster.bootstrap(), "shrinks", 0).await;
    assert_eq!(unregister(&cluster, 1, 99).0, ErrorCode::BROKER_ID_NOT_REGISTERED);
    let (code, message) = unregister(&cluster, 1, 2);
    assert!(
        code == ErrorCode::INVALID_REQUEST && message.contains("1 partitions, one of them of 'shrinks'"),
        "{message}"
    );
    let mut left = vec![1, 2, 3, 4, 5];
    while left.len() > 1 {
        let out = usize::try_from(seen_by(&cluster, left[0]).0.leader_id).unwrap();
        left.retain(|&node| node != out);
        let asked = left[0];
        // One has died before, the others run.
        if left.len() == 4 {
            cluster.kill(out);
        }
        let target: Vec<i32> = left.iter().map(|&node| node as i32).take(3).collect();
        assert_eq!(reassign(&mut connect(&cluster, asked), "shrinks", 0, Some(target.clone())), ErrorCode::NONE);
        arrived(&cluster, asked, "shrinks", &target).await;
        assert_eq!(unregister(&cluster, asked, out as i32), (ErrorCode::NONE, String::new()));
        wait_until("others vote", || votes(&cluster, asked) == (left.len() - 1) / 2 * 2 + 1).await;
        if left.len() < 4 {
            cluster.kill(out);
        }
        make_and_delete(&cluster, asked as i32).await;
    }
    // Nobody comes back under its number, with what it has or without.
    let out = if left == [1] { 2 } else { 1 };
    std::fs::remove_dir_all(cluster.folder(out)).unwrap();
    let settings = cluster.settings(out);
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let said = Process::refused(&cluster.folder(out), &settings);
    assert!(said.contains("was taken out of cluster"), "{said}");
    let told = load.stop().await;
    told.no_error();
    told.check(&cluster.address(left[0])).await;
}

fn votes(cluster: &Cluster, asked: usize) -> usize {
    seen_by(cluster, asked).0.current_voters.len()
}

/// The metadata takes changes.
async fn make_and_delete(cluster: &Cluster, node: i32) {
    let own = admin(&cluster.bootstrap()).await;
    own.create_topic(NewTopic::new("meanwhile").replicas(&[node])).await.unwrap();
    own.delete_topics(&["meanwhile"]).await.unwrap().remove(0).unwrap();
    own.close().await;
}
