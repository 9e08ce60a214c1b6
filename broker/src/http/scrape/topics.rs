//! What clients have moved, by topic, of the partitions that are here.

use std::collections::BTreeMap;
use std::fmt::Display;

use leat_protocol::Str;

use super::sheet::{Kind, Sheet};
use crate::server::Server;

/// In the order of `Traffic::read`.
const FAMILIES: [(&str, &str); 4] = [
    ("kafka_server_brokertopicmetrics_bytesin_total", "Bytes of record batches that were taken from producers."),
    ("kafka_server_brokertopicmetrics_messagesin_total", "Records that were taken from producers."),
    ("kafka_server_brokertopicmetrics_bytesout_total", "Bytes of record batches that consumers were given."),
    ("leat_topic_records_out_total", "Records that consumers were given, from the offset that they asked for."),
];

pub(super) fn write(server: &Server, sheet: &mut Sheet) {
    let mut topics: BTreeMap<Str, [u64; 4]> = BTreeMap::new();
    for partition in server.partitions.all() {
        let sums = topics.entry(partition.topic.clone()).or_default();
        sums.iter_mut().zip(partition.traffic.read()).for_each(|(sum, count)| *sum += count);
    }
    for (at, (name, help)) in FAMILIES.into_iter().enumerate() {
        let samples = topics.iter().map(|(topic, sums)| ([topic as &dyn Display], sums[at]));
        sheet.family((name, Kind::Counter, help), ["topic"], samples);
    }
}
