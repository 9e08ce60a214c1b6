//! What a merge tells the pipelines that read its results: how far they are. Results come once in a window's length, so that a
//! window over them would wait for the next one, or for `idle`.

use std::time::Duration;

use leat_pipeline::plan::{Body, Window};
use leat_pipeline::stage::Target;
use leat_pipeline::time::NEVER;

use super::ticks::LOOK_EVERY;
use super::{Live, Machine};
use crate::pipelines;
use crate::pipelines::entry::Advance;
use crate::pipelines::lane::Lane;

/// How soon to look again whether the results were taken.
const TAKEN_SOON: Duration = Duration::from_millis(10);

impl Live<'_> {
    /// The time before which no result comes any more.
    fn results_upto(&self) -> Option<i64> {
        let Machine::Merge(stage) = &self.machine else { return None };
        let grace_ms = match &self.task.pipeline.plan.body {
            Body::Aggregate(aggregate) if aggregate.window != Window::None => aggregate.grace_ms,
            Body::Over(over) => over.grace_ms,
            Body::Join(join) => join.wait_ms.unwrap_or(0),
            Body::Aggregate(_) | Body::Project { .. } => return None,
        };
        (stage.watermark() != NEVER).then(|| stage.watermark().saturating_sub(grace_ms))
    }

    /// The next pipeline that is to be told, and what. Where the time of its rows is not that of the records, nothing is known of it.
    fn untold(&self) -> Option<Advance> {
        let watermark = self.results_upto()?;
        let task = self.task;
        let readers = task.board.readers(task.pipeline.topics.output).into_iter();
        let mut untold = readers.filter(|reader| self.forwarded.get(reader).is_none_or(|&told| told < watermark));
        untold.next().map(|pipeline| Advance { pipeline, watermark })
    }

    /// When to look whether somebody is to be told.
    pub(super) fn forwards_after(&self) -> Option<Duration> {
        self.untold()?;
        Some(if self.lanes.values().all(Lane::is_empty) { LOOK_EVERY } else { TAKEN_SOON })
    }

    /// Tells them, once every result that came out was taken: what has been told stands in the log behind them.
    pub(super) async fn forward(&mut self) {
        while let Some(advance) = self.untold()
            && self.lanes.values().all(Lane::is_empty)
        {
            let output = Target::Output(self.task.partition.index());
            let Some(group) = self.task.group_of(output) else { return };
            match pipelines::advance(&self.task.server, group, advance).await {
                Ok(()) => drop(self.forwarded.insert(advance.pipeline, advance.watermark)),
                // It may have no leader now: the next look tries again.
                Err(reason) => return tracing::debug!(?group, %reason, "a watermark is told again"),
            }
        }
    }
}
