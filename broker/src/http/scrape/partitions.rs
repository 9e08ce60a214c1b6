//! Gauges of each partition that has a log here: one that was never written to, or not used since the start, has none.

use std::fmt::Display;

use super::sheet::{Kind, Sheet};
use crate::partition::{Partition, State};
use crate::server::Server;

/// Name, help, and what it says of a partition; nothing where that can't be said.
type Row = (&'static str, &'static str, fn(&Partition) -> Option<i64>);

const ROWS: &[Row] = &[
    ("kafka_log_log_size", "Bytes of the log's segments.", |partition| {
        partition.reader()?.size_bytes().ok()?.try_into().ok()
    }),
    ("kafka_topic_partition_oldest_offset", "The log's first offset.", |partition| Some(partition.log_start())),
    (
        "kafka_topic_partition_current_offset",
        "The high watermark: the offset after the last record that can be read.",
        |partition| Some(partition.high_watermark()),
    ),
];

/// How many there are, and how many of them can't be used.
pub(super) fn count(server: &Server, sheet: &mut Sheet) {
    let all = server.partitions.all();
    let offline = all.iter().filter(|partition| partition.state() == State::Offline).count();
    let family = ("kafka_server_replicamanager_partitioncount", Kind::Gauge, "Partitions with a replica here.");
    sheet.one(family, all.len());
    let name = "kafka_server_replicamanager_offlinereplicacount";
    sheet.one((name, Kind::Gauge, "Of them, those whose log can't be used."), offline);
}

pub(super) fn write(server: &Server, sheet: &mut Sheet) {
    let mut open = server.partitions.all();
    open.retain(|partition| partition.state() == State::Open && partition.reader().is_some());
    open.sort_by(|a, b| (&a.topic, a.index()).cmp(&(&b.topic, b.index())));
    for &(name, help, value) in ROWS {
        let samples = open.iter().filter_map(|partition| {
            let labels: [&dyn Display; 2] = [&partition.topic, &partition.group.partition];
            Some((labels, value(partition)?))
        });
        sheet.family((name, Kind::Gauge, help), ["topic", "partition"], samples);
    }
}
