//! The state, saved into the log and restored from it, and what of the log has to stay for that.

use bytes::Bytes;

use super::{Ended, Live, Machine};
use crate::pipelines::entry::{Base, Control, Stage};
use crate::pipelines::state;

/// Entries after which the state is saved again, however small they are.
const BASE_ENTRIES: u64 = 50_000;

/// Bytes of a state in one entry.
const PART_BYTES: usize = 512 << 10;

impl Live<'_> {
    pub(super) fn is_base_due(&self) -> bool {
        let (state, every) = (self.budget.counted(), self.task.server.config().leat_pipeline_base_bytes);
        self.unsaved_bytes >= every.max(4 * state) || self.unsaved_entries >= BASE_ENTRIES
    }

    pub(super) fn count_state_bytes(&self) -> usize {
        match &self.machine {
            Machine::Source(stage) => stage.bytes(),
            Machine::Merge(stage) => stage.bytes(),
        }
    }

    /// Writes the state into the log, once everything that came out before has been taken.
    pub(super) async fn save_base(&mut self) -> Result<(), Ended> {
        let saved = self.save();
        let (entry, upto) = (self.next - 1, self.next_offset);
        (self.unsaved_bytes, self.unsaved_entries) = (0, 0);
        for lane in self.lanes.values() {
            lane.drained_to(0).await;
        }
        let task = self.task;
        let parts = saved.len().div_ceil(PART_BYTES).max(1);
        for part in 0..parts {
            let state = saved.slice(part * PART_BYTES..((part + 1) * PART_BYTES).min(saved.len()));
            let (pipeline, stage) = (task.pipeline.number, task.stage);
            let (part, parts) = (u32::try_from(part).unwrap_or(0), u32::try_from(parts).unwrap_or(0));
            task.commit(&Control::Base(Base { pipeline, stage, entry, part, parts, state })).await?;
        }
        self.from_offset = upto;
        self.need();
        if task.stage == Stage::Merge {
            // Its own topic holds nothing else that is needed before.
            task.server.shard(&task.partition).trim(&task.partition, self.needed_from()).await;
        }
        Ok(())
    }

    pub(super) fn save(&self) -> Bytes {
        let lanes = self.lanes.iter().map(|(target, lane)| (*target, lane.next()));
        let mut out = state::encode(self.generation, lanes, self.next_offset);
        match &self.machine {
            Machine::Source(stage) => stage.save(&mut out),
            Machine::Merge(stage) => stage.save(&mut out),
        }
        Bytes::from(out)
    }

    pub(super) fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let (head, rest) = state::decode(saved).ok_or("the base has a head of another release")?;
        (self.from_offset, self.next_offset) = (head.next_offset, head.next_offset);
        for (target, next) in head.lanes {
            self.open_lane(target, next);
        }
        let restored = match &mut self.machine {
            Machine::Source(stage) => stage.restore(rest),
            Machine::Merge(stage) => stage.restore(rest),
        };
        restored.map_err(|error| error.to_string())
    }

    /// Holds back retention, at what a restart reads again.
    pub(super) fn need(&self) {
        let task = self.task;
        let least = task.board.need(task.partition.group, task.name(), Some(self.needed_from()));
        task.partition.hold_from(least);
    }

    /// What must stay of the log. The base, or the beginning, lies behind the last record before it, in a segment that would go with
    /// all its records: so that record stays.
    pub(super) fn needed_from(&self) -> i64 {
        (self.from_offset - 1).max(0)
    }
}
