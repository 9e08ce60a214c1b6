//! A merge's groups by slice, and the windows that they are united to.

use std::collections::{BTreeMap, BTreeSet};

use super::running::Running;
use crate::aggregate::{Accumulator, Full};
use crate::codec::{Corrupt, Reader, put_bytes, put_int, put_len};
use crate::plan::{Aggregate, Call};
use crate::stage::cell::Cell;
use crate::stage::panes::{ByKey, Key};
use crate::window::{Slicer, Span};

/// What a group has in a slice, by the first window end that it counts for.
pub(super) type Parts = Vec<(i64, Cell)>;

/// A slice's groups.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) groups: ByKey<Parts>,
    /// The first window end that any of them counts for.
    since: i64,
}

/// Groups by slice.
#[derive(Debug)]
pub(super) struct Slices {
    pub(super) slicer: Slicer,
    slices: BTreeMap<Span, Slice>,
    /// Windows that are not closed, by end.
    pub(super) open: BTreeSet<(i64, i64)>,
    /// Windows that have not ended, where results are shown on time.
    pub(super) unshown: BTreeSet<(i64, i64)>,
    /// Where windows overlap, and unions are small enough to have some of them for each group.
    running: Option<Running>,
}

impl Slices {
    pub(super) fn new(slicer: Slicer, calls: &[Call]) -> Slices {
        let running = (slicer.overlaps() && calls.iter().all(Accumulator::is_small)).then(Running::new);
        Slices { slicer, slices: BTreeMap::new(), open: BTreeSet::new(), unshown: BTreeSet::new(), running }
    }

    pub(super) fn bytes(&self) -> usize {
        let parts = self.slices.values().flat_map(|slice| &slice.groups);
        let parts =
            parts.map(|(key, parts)| key.len() + 56 + parts.iter().map(|(_, cell)| 8 + cell.bytes()).sum::<usize>());
        parts.sum::<usize>() + self.running.as_ref().map_or(0, Running::bytes)
    }

    /// Adds what counts for the windows that end at `since` or later, and opens those.
    pub(super) fn add(
        &mut self,
        aggregate: &Aggregate,
        watermark: i64,
        key: &[u8],
        slice: Span,
        since: i64,
        cell: Cell,
    ) -> Result<(), Full> {
        if let Some(running) = &mut self.running {
            running.touch(key, slice);
        }
        let of = self.slices.entry(slice).or_insert_with(|| Slice { groups: ByKey::default(), since: i64::MAX });
        let parts = of.groups.entry(key.into()).or_default();
        match parts.iter_mut().find(|(of, _)| *of == since) {
            Some((_, own)) => own.merge(&aggregate.calls, &cell)?,
            None => {
                let at = parts.partition_point(|(of, _)| *of < since);
                parts.insert(at, (since, cell));
            }
        }
        if since < of.since {
            let opened = std::mem::replace(&mut of.since, since);
            self.open(slice, since, opened, watermark, aggregate.grace_ms);
        }
        Ok(())
    }

    /// Opens a slice's windows that end at `since` or later, but before `opened`, unless they are closed.
    fn open(&mut self, slice: Span, since: i64, opened: i64, watermark: i64, grace: i64) {
        for Span { start, end } in self.slicer.windows(slice) {
            if since <= end && (end < opened || opened == i64::MAX) && end.saturating_add(grace) > watermark {
                self.open.insert((end, start));
                if end > watermark {
                    self.unshown.insert((end, start));
                }
            }
        }
    }

    /// The groups of a window, in the order of their keys.
    pub(super) fn keys(&self, window: Span) -> BTreeSet<Key> {
        let groups = within(&self.slices, window).flat_map(|(_, slice)| &slice.groups);
        let counted = groups.filter(|(_, parts)| parts.iter().any(|(since, _)| *since <= window.end));
        counted.map(|(key, _)| key.clone()).collect()
    }

    pub(super) fn unite(&self, aggregate: &Aggregate, window: Span, key: &[u8]) -> Result<Option<Cell>, Full> {
        unite(&aggregate.calls, &self.slices, window, key)
    }

    /// The groups of the window that closes next, in the order of their keys.
    pub(super) fn united(&mut self, aggregate: &Aggregate, window: Span) -> Result<Vec<(Key, Cell)>, Full> {
        if let Some(running) = &mut self.running {
            return running.united(&aggregate.calls, &self.slices, window);
        }
        let mut united = Vec::new();
        for key in self.keys(window) {
            united.extend(self.unite(aggregate, window, &key)?.map(|cell| (key, cell)));
        }
        Ok(united)
    }

    /// Slices whose last window is closed.
    pub(super) fn forget(&mut self, watermark: i64, grace: i64) {
        while let Some(first) = self.slices.first_entry() {
            let last = self.slicer.windows(*first.key()).last();
            if last.is_some_and(|window| window.end.saturating_add(grace) > watermark) {
                return;
            }
            first.remove();
        }
        // Nothing is left of which unions could be.
        if let Some(running) = &mut self.running {
            *running = Running::new();
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.slices.len());
        for (slice, Slice { groups, .. }) in &self.slices {
            put_int(out, slice.start);
            put_int(out, slice.end);
            put_len(out, groups.len());
            let mut sorted: Vec<_> = groups.iter().collect();
            sorted.sort_unstable_by(|a, b| a.0.cmp(b.0));
            for (key, parts) in sorted {
                put_bytes(out, key);
                put_len(out, parts.len());
                for (since, cell) in parts {
                    put_int(out, *since);
                    cell.encode(out);
                }
            }
        }
    }

    pub(super) fn decode(
        &mut self,
        aggregate: &Aggregate,
        watermark: i64,
        reader: &mut Reader<'_>,
    ) -> Result<(), Corrupt> {
        for _ in 0..reader.len()? {
            let slice = Span { start: reader.int()?, end: reader.int()? };
            let mut groups = ByKey::default();
            let mut least = i64::MAX;
            for _ in 0..reader.len()? {
                let key: Key = reader.bytes()?.into();
                let mut parts = Parts::new();
                for _ in 0..reader.len()? {
                    let since = reader.int()?;
                    least = least.min(since);
                    parts.push((since, Cell::decode(&aggregate.calls, reader)?));
                }
                groups.insert(key, parts);
            }
            self.open(slice, least, i64::MAX, watermark, aggregate.grace_ms);
            self.slices.insert(slice, Slice { groups, since: least });
        }
        Ok(())
    }
}

/// The slices of a window.
pub(super) fn within(slices: &BTreeMap<Span, Slice>, window: Span) -> impl DoubleEndedIterator<Item = (&Span, &Slice)> {
    // No slice goes across a window's end.
    let begins = |start| Span { start, end: i64::MIN };
    slices.range(begins(window.start)..begins(window.end))
}

/// The union of what a group has in a window.
pub(super) fn unite(
    calls: &[Call],
    slices: &BTreeMap<Span, Slice>,
    window: Span,
    key: &[u8],
) -> Result<Option<Cell>, Full> {
    let mut united: Option<Cell> = None;
    let parts = within(slices, window).filter_map(|(_, slice)| slice.groups.get(key)).flatten();
    for (_, cell) in parts.filter(|(since, _)| *since <= window.end) {
        match &mut united {
            Some(united) => united.merge(calls, cell)?,
            None => united = Some(cell.clone()),
        }
    }
    Ok(united)
}
