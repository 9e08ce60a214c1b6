//! The traps of event time: what holds windows open, what must not close them, and how each ends.

use super::tests::{Pipeline, plan_with};
use super::*;
use crate::plan::{Emit, Source, Window};
use crate::time::NEVER;

const TEN: Window = Window::Hopping { size_ms: 10, advance_ms: 10, offset_ms: 0 };

/// Windows of ten milliseconds, a disorder of five, and a second until a partition is idle, unless `change` says otherwise.
fn pipeline(sources: usize, change: impl FnOnce(&mut Source)) -> Pipeline {
    Pipeline::new(plan_with(TEN, 0, Emit::Final, change), sources, 1)
}

fn watermarks(pipeline: &Pipeline) -> Vec<i64> {
    pipeline.sources.iter().map(SourceStage::watermark).collect()
}

/// What the leader of a quiet partition commits: see [`Clock::advance`](crate::time::Clock::advance).
fn follow(pipeline: &mut Pipeline, partition: usize, watermark: i64) {
    let mut out = Vec::new();
    pipeline.sources[partition].advance(watermark, &mut out);
    pipeline.deliver(out);
}

#[test]
fn a_partition_that_falls_quiet_goes_on_by_ticks_and_is_not_late_when_it_comes_back() {
    let mut pipeline = pipeline(2, |_| {});
    pipeline.row((0, 1, 1, 12));
    pipeline.row((1, 2, 1, 3));
    pipeline.row((0, 1, 1, 40));
    assert_eq!((pipeline.finals().len(), watermarks(&pipeline)), (0, vec![35, -2]), "partition 1 holds them open");
    let Due::Quiet(ms) = pipeline.sources[1].due() else { panic!("a window waits for it") };
    pipeline.tick(1, ms);
    assert_eq!(watermarks(&pipeline), [35, 0]);
    // The idle time, and what is left until the end of the window.
    pipeline.tick(1, 10);
    assert_eq!((pipeline.finals().len(), watermarks(&pipeline)), (1, vec![35, 10]));
    // It comes back where it was: its own watermark decides, not that of the others.
    pipeline.row((1, 2, 1, 11));
    pipeline.row((1, 2, 1, 4));
    assert_eq!((pipeline.counts().applied, pipeline.counts().late), (4, 1));
}

#[test]
fn a_partition_that_never_had_a_row_is_moved_only_by_what_its_leader_commits() {
    let mut pipeline = pipeline(2, |_| {});
    pipeline.row((0, 1, 1, 3));
    pipeline.row((0, 1, 1, 40));
    pipeline.tick(1, 1_000_000_000);
    assert_eq!((pipeline.sources[1].due(), watermarks(&pipeline)), (Due::Nothing, vec![35, NEVER]));
    assert_eq!(pipeline.finals().len(), 0);
    follow(&mut pipeline, 1, 35);
    assert_eq!(pipeline.finals().len(), 1);
    // A first row that is older than that is late: nothing else would be the same at each replay.
    pipeline.row((1, 2, 1, 9));
    assert_eq!(pipeline.counts().late, 1);
}

#[test]
fn when_all_partitions_are_quiet_ticks_close_what_waits_and_then_nothing_is_due() {
    let mut pipeline = pipeline(3, |_| {});
    for partition in 0..3 {
        pipeline.row((partition, 1, 1, 3 + 10 * partition as i64));
    }
    for _ in 0..100 {
        for partition in 0..3 {
            if let Due::Quiet(ms) = pipeline.sources[partition].due() {
                pipeline.tick(partition, ms);
            }
        }
    }
    assert!(pipeline.sources.iter().all(|source| source.due() == Due::Nothing), "no tick is periodic");
    // Each has closed its own last window; to what the furthest reached, the others follow.
    assert_eq!((watermarks(&pipeline), pipeline.finals().len()), (vec![10, 20, 30], 1));
    follow(&mut pipeline, 0, 30);
    follow(&mut pipeline, 1, 30);
    assert_eq!(pipeline.finals().len(), 3);
}

#[test]
fn a_backfill_that_stalls_loses_nothing_where_idle_is_never_and_ends_by_an_advance() {
    let rows = |pipeline: &mut Pipeline| {
        pipeline.row((0, 1, 1, 3));
        pipeline.tick(0, 600_000);
        pipeline.row((0, 1, 1, 4));
        pipeline.row((0, 1, 1, 17));
    };
    let mut stalled = pipeline(1, |_| {});
    rows(&mut stalled);
    assert_eq!(stalled.counts().late, 2, "time went on for ten minutes");
    let mut backfill = pipeline(1, |source| source.idle_ms = None);
    rows(&mut backfill);
    assert_eq!((backfill.counts().late, watermarks(&backfill)), (0, vec![12]));
    assert_eq!(backfill.sources[0].due(), Due::Nothing, "no tick would move it");
    backfill.advance_all(1_000);
    let finals: Vec<_> = backfill.finals().into_values().collect();
    assert_eq!(finals, [(2, 2), (1, 1)]);
}

#[test]
fn a_row_of_2099_is_rejected_and_closes_nothing() {
    const HOUR: i64 = 3_600_000;
    let of_2099 = 4_070_908_800_000;
    let mut pipeline = pipeline(1, |source| source.future_ms = Some(HOUR));
    pipeline.row((0, 1, 1, 3));
    pipeline.row((0, 1, 1, of_2099));
    // The wall clock that the log tells is 0: an hour ahead is believed, no more.
    pipeline.row((0, 1, 1, HOUR + 1));
    assert_eq!((watermarks(&pipeline), pipeline.counts().rejected), (vec![-2], 2));
    pipeline.row((0, 1, 1, 4));
    assert_eq!((pipeline.counts().applied, pipeline.counts().late), (2, 0));
    // Where anything is believed, one row closes every window.
    let mut believing = self::pipeline(1, |_| {});
    believing.row((0, 1, 1, of_2099));
    believing.row((0, 1, 1, 4));
    assert_eq!(believing.counts().late, 1);
}

#[test]
fn a_clock_that_is_set_back_takes_back_no_watermark_and_rejects_nothing_that_was_believed() {
    let mut pipeline = pipeline(1, |source| source.future_ms = Some(100));
    let mut out = Vec::new();
    pipeline.row((0, 1, 1, 90));
    pipeline.sources[0].tick(1_020, 5_000, &mut out);
    assert_eq!(watermarks(&pipeline), [105]);
    // Another leader, whose clock is behind, and whose measure of the time that passed is none.
    pipeline.sources[0].tick(-7, 1_000, &mut out);
    pipeline.deliver(out);
    assert_eq!((watermarks(&pipeline), pipeline.sources[0].wall_ms()), (vec![105], 5_000));
    pipeline.row((0, 1, 1, 5_100));
    assert_eq!((pipeline.counts().rejected, watermarks(&pipeline)), (0, vec![5_095]));
}

#[test]
fn lateness_is_decided_by_a_rows_own_partition_and_grace() {
    let mut pipeline = Pipeline::new(plan_with(TEN, 20, Emit::Final, |_| {}), 2, 1);
    pipeline.row((0, 1, 1, 34));
    pipeline.row((0, 1, 1, 3));
    assert_eq!(pipeline.counts().late, 0, "29 is not 10 + 20 yet");
    pipeline.row((0, 1, 1, 35));
    pipeline.row((0, 1, 1, 3));
    assert_eq!(pipeline.counts().late, 1);
    pipeline.row((1, 1, 1, 3));
    assert_eq!(pipeline.counts().late, 1, "the other partition's watermark is its own");
}
