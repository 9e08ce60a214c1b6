//! Where every stage on this node stands: for whoever asks, for quiet partitions, and for retention.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use leat_pipeline::stage::{Counts, Merged};
use leat_pipeline::time::NEVER;
use leat_protocol::Uuid;
use leat_storage::GroupId;
use parking_lot::Mutex;

use super::entry::Stage;
use crate::peers::Mark;

/// One stage of a pipeline, for one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) pipeline: u64,
    pub(crate) stage: Stage,
    pub(crate) partition: i32,
}

/// Where a stage stands.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) watermark: i64,
    /// Of its input, the offset after the last record that was applied.
    pub(crate) next_offset: i64,
    /// When the last record came, as far as this leader saw.
    pub(crate) data_at: Instant,
    /// What became of the rows of a source, and of what a merge was sent, since the pipeline began.
    pub(crate) counts: Counts,
    pub(crate) merged: Merged,
    pub(crate) open_windows: usize,
    pub(crate) state_bytes: u64,
    /// Why it does not go on.
    pub(crate) stopped: Option<String>,
}

/// What is known of all stages.
#[derive(Debug, Default)]
pub(crate) struct Board {
    standings: Mutex<BTreeMap<Name, Standing>>,
    /// The first offset that each pipeline needs of a partition.
    needed: Mutex<HashMap<GroupId, BTreeMap<Name, i64>>>,
    /// By topic, the pipelines that wait for its time, and take that of its records for that of their rows.
    readers: Mutex<HashMap<Uuid, Vec<u64>>>,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing {
            watermark: NEVER,
            next_offset: 0,
            data_at: Instant::now(),
            counts: Counts::default(),
            merged: Merged::default(),
            open_windows: 0,
            state_bytes: 0,
            stopped: None,
        }
    }
}

impl Board {
    pub(crate) fn set(&self, name: Name, standing: Standing) {
        self.standings.lock().insert(name, standing);
    }

    /// A stage does not go on.
    pub(crate) fn stop(&self, name: Name, reason: String) {
        self.standings.lock().entry(name).or_default().stopped = Some(reason);
    }

    pub(crate) fn forget(&self, name: Name) {
        self.standings.lock().remove(&name);
    }

    /// The stages of a pipeline that are on this node.
    pub(crate) fn of(&self, pipeline: u64) -> Vec<(Name, Standing)> {
        let first = Name { pipeline, stage: Stage::Source, partition: i32::MIN };
        let standings = self.standings.lock();
        let own = standings.range(first..).take_while(|(name, _)| name.pipeline == pipeline);
        own.map(|(name, standing)| (*name, standing.clone())).collect()
    }

    pub(crate) fn set_readers(&self, readers: HashMap<Uuid, Vec<u64>>) {
        *self.readers.lock() = readers;
    }

    /// The pipelines that wait for a topic's time, and take that of its records for that of their rows.
    pub(crate) fn readers(&self, topic: Uuid) -> Vec<u64> {
        self.readers.lock().get(&topic).cloned().unwrap_or_default()
    }

    /// How far a partition without data may follow the others: to the least watermark of those that have data, or, where all
    /// are quiet, to the greatest.
    pub(crate) fn follows(&self, own: Name, idle: Duration, elsewhere: &[(i32, Mark)]) -> Option<i64> {
        let here = self.of(own.pipeline);
        let here = here.iter().filter(|(name, _)| name.stage == Stage::Source);
        let here = here.map(|(name, standing)| {
            (name.partition, Mark { watermark: standing.watermark, data_at: standing.data_at })
        });
        let (mut live, mut quiet) = (None::<i64>, None::<i64>);
        for (_, mark) in here.chain(elsewhere.iter().copied()).filter(|(partition, _)| *partition != own.partition) {
            if mark.data_at.elapsed() < idle {
                live = Some(live.map_or(mark.watermark, |least| least.min(mark.watermark)));
            } else {
                quiet = quiet.max(Some(mark.watermark));
            }
        }
        live.or(quiet).filter(|&watermark| watermark != NEVER)
    }

    /// A stage needs its input from this offset on; `None` where it needs it no more. Gives what all of them need.
    pub(crate) fn need(&self, group: GroupId, name: Name, offset: Option<i64>) -> i64 {
        let mut needed = self.needed.lock();
        let of = needed.entry(group).or_default();
        match offset {
            Some(offset) => of.insert(name, offset),
            None => of.remove(&name),
        };
        of.values().copied().min().unwrap_or(i64::MAX)
    }
}
