//! The groups of overlapping windows, kept from one that closes to the next, so that a part is merged some three times whatever
//! the overlap ("two stacks", as for a queue's maximum).
//!
//! ```text
//!   slices of a window   |--------- front ---------|----- back -----|
//!                        unions from each part's     one union, which
//!                        slice to the front's end    grows at its end
//! ```
//! A window's union is that of the front from its start on and the back. When the front is used up, what is left becomes the
//! front. None of it is state: it follows from the slices, is never saved, and changes no result.

use std::collections::{BTreeMap, BTreeSet};

use super::slices::{Slice, within};
use crate::aggregate::Full;
use crate::plan::Call;
use crate::stage::cell::Cell;
use crate::stage::panes::Key;
use crate::window::Span;

#[derive(Debug)]
pub(super) struct Running {
    /// Slices that begin before it were taken.
    upto: i64,
    runs: BTreeMap<Key, Run>,
    /// Groups to look at anew: parts came to slices that were taken, or count for later windows only.
    stale: BTreeSet<Key>,
}

/// A group's.
#[derive(Debug, Default)]
struct Run {
    /// The latest start first.
    front: Vec<(i64, Cell)>,
    /// With its first slice's start.
    back: Option<(i64, Cell)>,
}

impl Running {
    pub(super) fn new() -> Running {
        Running { upto: i64::MIN, runs: BTreeMap::new(), stale: BTreeSet::new() }
    }

    pub(super) fn bytes(&self) -> usize {
        let runs = self.runs.iter().map(|(key, run)| {
            let cells = run.front.iter().chain(&run.back);
            key.len() + size_of::<Run>() + cells.map(|(_, cell)| 8 + cell.bytes()).sum::<usize>()
        });
        runs.sum::<usize>() + self.stale.iter().map(|key| key.len()).sum::<usize>()
    }

    /// A part of a group came to a slice.
    pub(super) fn touch(&mut self, key: &[u8], slice: Span) {
        if slice.start < self.upto {
            self.runs.remove(key);
            self.stale.insert(key.into());
        }
    }

    /// A window's groups in the order of their keys. Windows come in the order of their ends.
    pub(super) fn united(
        &mut self,
        calls: &[Call],
        slices: &BTreeMap<Span, Slice>,
        window: Span,
    ) -> Result<Vec<(Key, Cell)>, Full> {
        self.take(calls, slices, window)?;
        self.refresh(calls, slices, window)?;
        let (mut united, mut gone) = (Vec::with_capacity(self.runs.len()), Vec::new());
        for (key, run) in &mut self.runs {
            match run.united(calls, slices, key, window)? {
                Some(cell) => united.push((key.clone(), cell)),
                None => gone.push(key.clone()),
            }
        }
        for key in gone {
            self.runs.remove(&key);
        }
        if !self.stale.is_empty() {
            for key in &self.stale {
                united.extend(super::slices::unite(calls, slices, window, key)?.map(|cell| (key.clone(), cell)));
            }
            united.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        }
        Ok(united)
    }

    /// Takes the slices since the window before.
    fn take(&mut self, calls: &[Call], slices: &BTreeMap<Span, Slice>, window: Span) -> Result<(), Full> {
        let fresh = Span { start: self.upto.max(window.start), end: window.end };
        self.upto = window.end;
        for (slice, Slice { groups, .. }) in within(slices, fresh) {
            for (key, parts) in groups {
                if parts.iter().any(|(since, _)| *since > window.end) {
                    self.touch(key, *slice);
                }
                if self.stale.contains(key) {
                    continue;
                }
                let run = match self.runs.get_mut(key) {
                    Some(run) => run,
                    None => self.runs.entry(key.clone()).or_default(),
                };
                for (_, cell) in parts {
                    match &mut run.back {
                        Some((_, back)) => back.merge(calls, cell)?,
                        None => run.back = Some((slice.start, cell.clone())),
                    }
                }
            }
        }
        Ok(())
    }

    /// Groups of which every part counts now are no longer stale.
    fn refresh(&mut self, calls: &[Call], slices: &BTreeMap<Span, Slice>, window: Span) -> Result<(), Full> {
        for key in std::mem::take(&mut self.stale) {
            let mut parts = within(slices, window).filter_map(|(_, slice)| slice.groups.get(&key)).flatten();
            if parts.any(|(since, _)| *since > window.end) {
                self.stale.insert(key);
                continue;
            }
            let mut run = Run::default();
            run.turn(calls, slices, &key, window)?;
            self.runs.insert(key, run);
        }
        Ok(())
    }
}

impl Run {
    /// The union of a window's slices, up to whose end all were taken.
    fn united(
        &mut self,
        calls: &[Call],
        slices: &BTreeMap<Span, Slice>,
        key: &[u8],
        window: Span,
    ) -> Result<Option<Cell>, Full> {
        while self.front.last().is_some_and(|(start, _)| *start < window.start) {
            self.front.pop();
        }
        if self.front.is_empty() && self.back.as_ref().is_some_and(|(start, _)| *start < window.start) {
            self.turn(calls, slices, key, window)?;
        }
        let Some((_, front)) = self.front.last() else { return Ok(self.back.as_ref().map(|(_, back)| back.clone())) };
        let mut united = front.clone();
        if let Some((_, back)) = &self.back {
            united.merge(calls, back)?;
        }
        Ok(Some(united))
    }

    /// Makes all that a window has of the group the front.
    fn turn(&mut self, calls: &[Call], slices: &BTreeMap<Span, Slice>, key: &[u8], window: Span) -> Result<(), Full> {
        (self.front, self.back) = (Vec::new(), None);
        for (slice, Slice { groups, .. }) in within(slices, window).rev() {
            let Some(parts) = groups.get(key) else { continue };
            let mut union: Option<Cell> = self.front.last().map(|(_, after)| after.clone());
            for (_, cell) in parts {
                match &mut union {
                    Some(union) => union.merge(calls, cell)?,
                    None => union = Some(cell.clone()),
                }
            }
            self.front.extend(union.map(|union| (slice.start, union)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::slices::Slices;
    use super::*;
    use crate::aggregate::Place;
    use crate::plan::{Body, Emit, Window};
    use crate::stage::cell::{Argument, Row};
    use crate::stage::tests::plan_with;
    use crate::time::NEVER;
    use crate::value::Value;
    use crate::window::Slicer;

    fn windows() -> impl Strategy<Value = Window> {
        prop_oneof![
            (1i64..30, 1i64..8).prop_map(|(size_ms, advance_ms)| Window::Hopping { size_ms, advance_ms, offset_ms: 0 }),
            (1i64..6, 1i64..6).prop_map(|(steps, step_ms)| Window::Cumulate {
                size_ms: steps * step_ms,
                step_ms,
                offset_ms: 0
            }),
        ]
    }

    proptest! {
        #[test]
        fn unions_that_are_kept_are_those_that_are_made_anew(
            window in windows(),
            steps in prop::collection::vec((0u8..4, 0i64..40, 0usize..6, -9i64..10, 0usize..3), 0..120),
        ) {
            let plan = plan_with(window, 0, Emit::Final, |_| {});
            let Body::Aggregate(aggregate) = &plan.body else { unreachable!() };
            let slicer = Slicer::new(&aggregate.window).unwrap().unwrap();
            let mut slices = Slices::new(slicer.clone(), &aggregate.calls);
            let (mut watermark, mut now) = (NEVER, 0);
            for (key, ahead, behind, value, closes) in steps {
                now += ahead / 8;
                let slice = slicer.slice(now + ahead - 20);
                // Some rows are late for more windows than are closed here: their partition is further.
                let open: Vec<Span> = slicer.windows(slice).filter(|window| window.end > watermark).collect();
                let is_whole = behind == 0 && slicer.windows(slice).next() == open.first().copied();
                if let Some(first) = open.get(behind) {
                    let arguments = [Argument::Row, Argument::Value(Value::Int(value))];
                    let place = Place { partition: 0, offset: 0, element: 0 };
                    let mut cell = Cell::new(&aggregate.calls);
                    cell.add(&aggregate.calls, &Row { time: slice.start, place, arguments: &arguments }).unwrap();
                    let since = if is_whole { NEVER } else { first.end };
                    slices.add(aggregate, watermark, &[key], slice, since, cell).unwrap();
                }
                for _ in 0..closes {
                    let Some((end, start)) = slices.open.pop_first() else { break };
                    let window = Span { start, end };
                    let results = |cell: &Cell| (cell.rows, cell.results(&aggregate.calls).collect::<Vec<Value>>());
                    let keys = slices.keys(window).into_iter();
                    let anew = keys.map(|key| (results(&slices.unite(aggregate, window, &key).unwrap().unwrap()), key));
                    let anew: Vec<_> = anew.collect();
                    let kept = slices.united(aggregate, window).unwrap().into_iter();
                    prop_assert_eq!(kept.map(|(key, cell)| (results(&cell), key)).collect::<Vec<_>>(), anew);
                    watermark = end;
                    slices.forget(watermark, 0);
                }
            }
        }
    }
}
