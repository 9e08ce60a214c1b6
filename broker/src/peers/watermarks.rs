//! How far the pipelines' source partitions are, as the nodes that lead them say: a partition without data follows the others.
//!
//! Only a hint: what a partition then does is an entry of its own log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::wire::{Watermark, Watermarks as Told};

/// What a node says is out of date after this.
const KEPT: Duration = Duration::from_secs(5);

/// Where a source partition is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) watermark: i64,
    /// When its last record came.
    pub(crate) data_at: Instant,
}

/// By pipeline and partition.
type Marks = BTreeMap<(u64, i32), Mark>;

/// What is told and what was heard.
#[derive(Debug, Default)]
pub(crate) struct Watermarks {
    own: Mutex<Marks>,
    heard: Mutex<BTreeMap<(u64, i32), (Mark, Instant)>>,
}

impl Watermarks {
    /// Says where a partition that is led here is; `None` where it is led no longer.
    pub(crate) fn tell(&self, pipeline: u64, partition: i32, mark: Option<Mark>) {
        let mut own = self.own.lock();
        match mark {
            Some(mark) => own.insert((pipeline, partition), mark),
            None => own.remove(&(pipeline, partition)),
        };
    }

    /// Where partitions of a pipeline are that other nodes lead.
    pub(crate) fn heard(&self, pipeline: u64) -> Vec<(i32, Mark)> {
        let mut heard = self.heard.lock();
        heard.retain(|_, (_, at)| at.elapsed() < KEPT);
        let of = heard.range((pipeline, i32::MIN)..=(pipeline, i32::MAX));
        of.map(|((_, partition), (mark, _))| (*partition, *mark)).collect()
    }

    /// Everything to tell; `None` where there is nothing.
    pub(super) fn to_wire(&self) -> Option<Told> {
        let own = self.own.lock();
        let mark = |(&(pipeline, partition), mark): (&(u64, i32), &Mark)| Watermark {
            pipeline,
            partition,
            watermark: mark.watermark,
            quiet_ms: u64::try_from(mark.data_at.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        (!own.is_empty()).then(|| Told { marks: own.iter().map(mark).collect() })
    }

    pub(super) fn learn(&self, told: &Told) {
        let now = Instant::now();
        let mut heard = self.heard.lock();
        for mark in &told.marks {
            let data_at = now.checked_sub(Duration::from_millis(mark.quiet_ms)).unwrap_or(now);
            let known = Mark { watermark: mark.watermark, data_at };
            heard.insert((mark.pipeline, mark.partition), (known, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_tells_the_other_hears() {
        let (here, there) = (Watermarks::default(), Watermarks::default());
        assert!(here.to_wire().is_none());
        here.tell(1, 0, Some(Mark { watermark: 7, data_at: Instant::now() }));
        here.tell(2, 0, Some(Mark { watermark: 8, data_at: Instant::now() }));
        there.learn(&here.to_wire().expect("two marks"));
        let heard: Vec<_> = there.heard(1).into_iter().map(|(partition, mark)| (partition, mark.watermark)).collect();
        assert_eq!(heard, [(0, 7)]);
        here.tell(1, 0, None);
        assert_eq!(here.to_wire().expect("one mark").marks.len(), 1);
    }
}
