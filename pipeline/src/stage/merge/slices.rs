//! A merge's groups by slice, and the windows that they are united to.

use std::collections::{BTreeMap, BTreeSet};

use crate::aggregate::Full;
use crate::codec::{Corrupt, Reader, put_bytes, put_int, put_len};
use crate::plan::Aggregate;
use crate::stage::cell::Cell;
use crate::stage::panes::{ByKey, Key};
use crate::window::{Slicer, Span};

/// What a group has in a slice, by the first window end that it counts for.
pub(super) type Parts = Vec<(i64, Cell)>;

/// Groups by slice.
#[derive(Debug)]
pub(super) struct Slices {
    pub(super) slicer: Slicer,
    pub(super) slices: BTreeMap<Span, ByKey<Parts>>,
    /// Windows that are not closed, by end.
    pub(super) open: BTreeSet<(i64, i64)>,
    /// Windows that have not ended, where results are shown on time.
    pub(super) unshown: BTreeSet<(i64, i64)>,
}

impl Slices {
    /// The groups of a window, in the order of their keys.
    pub(super) fn keys(&self, window: Span) -> BTreeSet<Key> {
        let mut keys = BTreeSet::new();
        for (_, groups) in self.within(window) {
            for (key, parts) in groups {
                if parts.iter().any(|(since, _)| *since <= window.end) {
                    keys.insert(key.clone());
                }
            }
        }
        keys
    }

    pub(super) fn within(&self, window: Span) -> impl Iterator<Item = (&Span, &ByKey<Parts>)> {
        let from = Span { start: window.start, end: i64::MIN };
        self.slices.range(from..).take_while(move |(slice, _)| slice.end <= window.end)
    }

    pub(super) fn unite(&self, aggregate: &Aggregate, window: Span, key: &[u8]) -> Result<Option<Cell>, Full> {
        let mut united: Option<Cell> = None;
        for (_, groups) in self.within(window) {
            let parts = groups.get(key).into_iter().flatten();
            for (_, cell) in parts.filter(|(since, _)| *since <= window.end) {
                match &mut united {
                    Some(united) => united.merge(&aggregate.calls, cell)?,
                    None => united = Some(cell.clone()),
                }
            }
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
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.slices.len());
        for (slice, groups) in &self.slices {
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
            let mut since_least = i64::MAX;
            for _ in 0..reader.len()? {
                let key: Key = reader.bytes()?.into();
                let mut parts = Parts::new();
                for _ in 0..reader.len()? {
                    let since = reader.int()?;
                    since_least = since_least.min(since);
                    parts.push((since, Cell::decode(&aggregate.calls, reader)?));
                }
                groups.insert(key, parts);
            }
            for window in self.slicer.windows(slice) {
                if window.end >= since_least && window.end.saturating_add(aggregate.grace_ms) > watermark {
                    self.open.insert((window.end, window.start));
                    if window.end > watermark {
                        self.unshown.insert((window.end, window.start));
                    }
                }
            }
            self.slices.insert(slice, groups);
        }
        Ok(())
    }
}
