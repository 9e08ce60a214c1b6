//! Consumer groups whose coordinator is here: states, members, offsets and lag.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use leat_protocol::Str;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::sheet::{Kind, Sheet};
use crate::groups::{Groups, Offsets, Request};
use crate::partition::{Partition, State};
use crate::server::Server;

/// Coordinators that do not answer in time are left out: the rest of a scrape is worth more.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);

struct Seen {
    group: Str,
    state: &'static str,
    members: usize,
    offsets: Vec<Committed>,
}

struct Committed {
    topic: Str,
    index: i32,
    offset: i64,
}

pub(super) async fn write(server: &Server, sheet: &mut Sheet) {
    let deadline = Instant::now() + ANSWER_TIME_MAX;
    let seen = look(server, deadline).await;
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    seen.iter().for_each(|group| *states.entry(group.state).or_default() += 1);
    let samples = states.iter().map(|(state, count)| ([state as &dyn Display], *count));
    sheet.family(("leat_groups", Kind::Gauge, "Consumer groups that are led here, by state."), ["state"], samples);
    let samples = seen.iter().map(|group| ([&group.group as &dyn Display], group.members));
    let family = ("kafka_consumergroup_members", Kind::Gauge, "Members of a consumer group.");
    sheet.family(family, ["consumergroup"], samples);

    let committed: Vec<_> =
        seen.iter().flat_map(|group| group.offsets.iter().map(move |committed| (&group.group, committed))).collect();
    let labels = ["consumergroup", "topic", "partition"];
    let samples = committed.iter().map(|(group, at)| {
        let labels: [&dyn Display; 3] = [*group, &at.topic, &at.index];
        (labels, at.offset)
    });
    let family = ("kafka_consumergroup_current_offset", Kind::Gauge, "The offset that a group has committed.");
    sheet.family(family, labels, samples);

    let partitions: Vec<_> = committed.iter().map(|(_, at)| partition(server, at)).collect();
    // One that was not used since the start does not know its end yet.
    let _ = timeout_at(deadline, server.open_all(partitions.iter().flatten().cloned())).await;
    let samples = committed.iter().zip(&partitions).filter_map(|((group, at), partition)| {
        let partition = partition.as_ref().filter(|partition| partition.state() == State::Open)?;
        let labels: [&dyn Display; 3] = [*group, &at.topic, &at.index];
        Some((labels, partition.high_watermark().saturating_sub(at.offset).max(0)))
    });
    let family = ("kafka_consumergroup_lag", Kind::Gauge, "Records that a group has not come to yet.");
    sheet.family(family, labels, samples);
}

/// What every coordinator here says of its groups, by name.
async fn look(server: &Server, deadline: Instant) -> Vec<Seen> {
    let (part, mut parts) = mpsc::unbounded_channel();
    let part = Arc::new(part);
    server.groups.send_all(|| {
        let part = part.clone();
        Request::Look(Box::new(move |groups| {
            // The scrape may have given up. Another node's coordinators are another scrape's.
            let _ = part.send(groups.map_or_else(|_| Vec::new(), seen));
        }))
    });
    // The last one to be done with the sender ends the list.
    drop(part);
    let mut all = Vec::new();
    while let Ok(Some(part)) = timeout_at(deadline, parts.recv()).await {
        all.extend(part);
    }
    all.sort_by(|a, b| a.group.cmp(&b.group));
    all
}

fn seen(groups: &Groups) -> Vec<Seen> {
    let seen = groups.all().map(|(name, group)| Seen {
        group: name.clone(),
        state: group.state().name(),
        members: group.members().count(),
        offsets: groups.offsets(name).map(committed).unwrap_or_default(),
    });
    seen.collect()
}

fn committed(offsets: &Offsets) -> Vec<Committed> {
    let committed = offsets.committed();
    committed.map(|(topic, index, value)| Committed { topic: topic.clone(), index, offset: value.offset }).collect()
}

fn partition(server: &Server, at: &Committed) -> Option<Arc<Partition>> {
    let image = server.image();
    server.partitions.get(image.topic(&at.topic)?.id, at.index)
}
