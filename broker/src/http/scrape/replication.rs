//! Who leads the metadata, and how far followers are behind what is led here.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::sheet::{Kind, Sheet};
use crate::server::Server;
use crate::shard::Lag;

pub(super) async fn write(server: &Server, sheet: &mut Sheet) {
    let (leader, term) = server.metadata.leader();
    sheet.one(("leat_metadata_leader", Kind::Gauge, "The node that leads the metadata, -1 for none."), leader);
    sheet.one(("leat_metadata_term", Kind::Gauge, "The Raft term of the metadata."), term);
    let mut lags = Vec::new();
    for shard in server.shards() {
        lags.append(&mut shard.lags().await);
    }
    let mut most = BTreeMap::new();
    for lag in &lags {
        let entries: &mut u64 = most.entry(lag.follower).or_default();
        *entries = lag.entries.max(*entries);
    }
    let family =
        ("leat_follower_lag_max", Kind::Gauge, "Entries that a node lacks of one partition led here, at most.");
    let samples = most.iter().map(|(follower, entries)| ([follower as &dyn Display], entries));
    sheet.family(family, ["follower"], samples);
    if server.config().leat_metrics_partitions {
        lags.sort_by(|a, b| named(a).cmp(&named(b)));
        let family =
            ("leat_partition_follower_lag", Kind::Gauge, "Entries that a follower of a partition led here lacks.");
        let samples = lags.iter().map(|lag| {
            let labels: [&dyn Display; 3] = [&lag.partition.topic, &lag.partition.group.partition, &lag.follower];
            (labels, lag.entries)
        });
        sheet.family(family, ["topic", "partition", "follower"], samples);
    }
}

fn named(lag: &Lag) -> (&str, i32, i32) {
    (&lag.partition.topic, lag.partition.index(), lag.follower)
}
