//! Gauges of each partition that has a log here: one that was never written to, or not used since the start, has none.

use std::fmt::Display;

use super::sheet::{Kind, Sheet};
use crate::partition::{Partition, State};
use crate::server::Server;

/// Name, help, and what it says of a partition; nothing where that can't be said.
type Row = (&'static str, &'static str, fn(&Server, &Partition) -> Option<i64>);

const ROWS: &[Row] = &[
    ("kafka_log_log_size", "Bytes of the log's segments.", |_, partition| {
        partition.reader()?.size_bytes().ok()?.try_into().ok()
    }),
    ("kafka_topic_partition_oldest_offset", "The log's first offset.", |_, partition| Some(partition.log_start())),
    (
        "kafka_topic_partition_current_offset",
        "The high watermark: the offset after the last record that can be read.",
        |_, partition| Some(partition.high_watermark()),
    ),
    ("kafka_topic_partition_leader", "The node that leads, -1 for none.", |_, partition| {
        Some(partition.leader().0.into())
    }),
    ("leat_partition_leader_epoch", "The leader's epoch: its Raft term.", |_, partition| {
        Some(partition.leader_epoch().into())
    }),
    ("kafka_topic_partition_replicas", "Replicas that there should be.", |_, partition| {
        i64::try_from(partition.placement().replicas.len()).ok()
    }),
    (
        "kafka_topic_partition_in_sync_replica",
        "Replicas in sync, as this node knows where it leads.",
        |server, partition| i64::try_from(in_sync(server, partition)?).ok(),
    ),
];

/// Replicas in sync of a partition that is led here.
fn in_sync(server: &Server, partition: &Partition) -> Option<usize> {
    let observed = server.leader_of(partition.group).filter(|_| partition.is_led_here())?;
    let alive = server.peers.alive();
    Some(observed.in_sync.iter().filter(|node| alive.contains_key(node)).count())
}

/// How many there are, and how many of them can't be used.
pub(super) fn count(server: &Server, sheet: &mut Sheet) {
    let all = server.partitions.all();
    let offline = all.iter().filter(|partition| partition.state() == State::Offline).count();
    let family = ("kafka_server_replicamanager_partitioncount", Kind::Gauge, "Partitions with a replica here.");
    sheet.one(family, all.len());
    let name = "kafka_server_replicamanager_offlinereplicacount";
    sheet.one((name, Kind::Gauge, "Of them, those whose log can't be used."), offline);
    let led: Vec<_> = all.iter().filter(|partition| partition.is_led_here()).collect();
    let lacks = |partition: &Partition| {
        in_sync(server, partition).is_some_and(|count| count < partition.placement().replicas.len())
    };
    let lacking = led.iter().filter(|partition| lacks(partition)).count();
    let name = "kafka_server_replicamanager_leadercount";
    sheet.one((name, Kind::Gauge, "Of them, those that are led here."), led.len());
    let name = "kafka_server_replicamanager_underreplicatedpartitions";
    sheet.one((name, Kind::Gauge, "Of those, such that lack a replica in sync."), lacking);
    let name = "kafka_controller_kafkacontroller_activecontrollercount";
    sheet.one((name, Kind::Gauge, "1 where this node leads the metadata."), u8::from(server.metadata.is_led_here()));
    let alive = ("leat_brokers_alive", Kind::Gauge, "Brokers that this one has heard of lately, itself among them.");
    sheet.one(alive, server.peers.alive().len());
}

pub(super) fn write(server: &Server, sheet: &mut Sheet) {
    let mut open = server.partitions.all();
    open.retain(|partition| partition.state() == State::Open && partition.reader().is_some());
    open.sort_by(|a, b| (&a.topic, a.index()).cmp(&(&b.topic, b.index())));
    for &(name, help, value) in ROWS {
        let samples = open.iter().filter_map(|partition| {
            let labels: [&dyn Display; 2] = [&partition.topic, &partition.group.partition];
            Some((labels, value(server, partition)?))
        });
        sheet.family((name, Kind::Gauge, help), ["topic", "partition"], samples);
    }
}
