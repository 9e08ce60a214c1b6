//! OffsetForLeaderEpoch: where an epoch ends, by which a client sees whether what it read is still there.

use leat_protocol::ErrorCode;
use leat_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use crate::harness::{Connection, Partition, Process, batch, describe_topic, skip_unless_leat};

/// The leader epoch as Metadata tells it.
fn current(partition: &mut Partition) -> i32 {
    let name = partition.topic.clone();
    describe_topic(&mut partition.connection, &name).partitions[0].leader_epoch
}

/// Asks where `epoch` ends, as one who knows the leader's epoch to be `known`: epoch and end.
fn end_of(connection: &mut Connection, topic: &str, known: i32, epoch: i32) -> Result<(i32, i64), ErrorCode> {
    let asked = OffsetForLeaderPartition { partition: 0, current_leader_epoch: known, leader_epoch: epoch };
    let topics = vec![OffsetForLeaderTopic { topic: topic.into(), partitions: vec![asked] }];
    let request = OffsetForLeaderEpochRequest { replica_id: -1, topics };
    let answer = connection.call(4, &request).topics.remove(0).partitions.remove(0);
    if answer.error_code.is_err() { Err(answer.error_code) } else { Ok((answer.leader_epoch, answer.end_offset)) }
}

#[test]
fn the_epoch_of_now_ends_at_the_end_and_one_to_come_nowhere() {
    let mut partition = Partition::new("epoch-ends");
    partition.append(batch(&["a", "b", "c"]));
    let now = current(&mut partition);
    let mut end = |known, epoch| end_of(&mut partition.connection, &partition.topic, known, epoch);
    assert_eq!(end(-1, now), Ok((now, 3)));
    assert_eq!(end(now, now), Ok((now, 3)));
    assert_eq!(end(-1, now + 1), Ok((-1, -1)), "an epoch to come");
    assert_eq!(end(-1, -1), Ok((-1, -1)), "none");
    assert_eq!(end(now + 1, now), Err(ErrorCode::UNKNOWN_LEADER_EPOCH));
    let unknown = end_of(&mut partition.connection, "no-such-topic", -1, 0);
    assert_eq!(unknown, Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}

/// A broker that starts again leads in another epoch.
#[test]
fn an_old_epoch_ends_where_the_next_one_began() {
    if skip_unless_leat("an_old_epoch_ends_where_the_next_one_began") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let start = || Process::start(&parent.path().join("data"), "127.0.0.1:0", &[]);
    let mut process = start();
    let mut partition = Partition::with(&process.target, "old-epochs", &[]);
    let mut epochs = Vec::new();
    for _ in 0..3 {
        partition.append(batch(&["a", "b"]));
        epochs.push(current(&mut partition));
        process.kill();
        process = start();
        partition = partition.beside(&process.target);
    }
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
    let mut end = |epoch| end_of(&mut partition.connection, &partition.topic, -1, epoch).unwrap();
    assert_eq!((end(epochs[0]), end(epochs[1])), ((epochs[0], 2), (epochs[1], 4)));
    assert_eq!(end(epochs[2]), (epochs[2], 6));
    assert_eq!(end(epochs[0] - 1), (epochs[0] - 1, 0), "before the first");
}
