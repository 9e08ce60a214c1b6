//! A source partition's groups by slice: what was added to them since it was last sent on.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::cell::{Cell, Row};
use super::partial::Partial;
use crate::aggregate::Full;
use crate::codec::{Corrupt, Reader, put_bytes, put_int, put_len};
use crate::plan::Call;
use crate::time::NEVER;
use crate::window::{Slicer, Span};

/// Group keys in their binary form.
pub(crate) type Key = Box<[u8]>;

/// A map by group key. Its order never reaches an output.
pub(crate) type ByKey<T> = std::collections::HashMap<Key, T, foldhash::fast::RandomState>;

/// What became of a row.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Assigned {
    /// Windows that it counts for.
    pub(crate) windows: u64,
    /// Windows that it came too late for.
    pub(crate) late: Vec<Span>,
    /// It was not added: what is closed has to be sent before.
    pub(crate) send_first: bool,
}

/// The slices that hold something to send.
#[derive(Debug)]
pub(crate) struct Panes {
    slicer: Slicer,
    grace: i64,
    /// By slice and by the first window end that the rows count for.
    panes: BTreeMap<(Span, i64), ByKey<Cell>>,
    /// The same by the first window end that they count for.
    ends: BTreeSet<(i64, (Span, i64))>,
    /// The windows of the slice that was asked for last.
    recent: (Span, Vec<Span>),
}

impl Panes {
    pub(crate) fn new(slicer: Slicer, grace: i64) -> Panes {
        let recent = (Span { start: 0, end: 0 }, Vec::new());
        Panes { slicer, grace, panes: BTreeMap::new(), ends: BTreeSet::new(), recent }
    }

    /// Adds a row where it belongs, at a watermark. Also says whether it came after the end of a window that it counts for.
    #[inline]
    pub(crate) fn add(&mut self, calls: &[Call], key: &[u8], row: &Row<'_>, watermark: i64) -> Result<Assigned, Full> {
        let slice = self.slicer.slice(row.time);
        if slice != self.recent.0 {
            self.recent = (slice, self.slicer.windows(slice).collect());
        }
        let windows = &self.recent.1;
        let closed = |window: &Span| window.end.saturating_add(self.grace) <= watermark;
        let late = windows.iter().take_while(|window| closed(window)).count();
        let count = (windows.len() - late) as u64;
        let assigned = Assigned { windows: count, late: windows[..late].to_vec(), send_first: false };
        let Some(first) = windows.get(late) else { return Ok(assigned) };
        let since = if late == 0 { NEVER } else { first.end };
        let pane = self.panes.entry((slice, since)).or_insert_with(|| {
            self.ends.insert((first.end, (slice, since)));
            ByKey::default()
        });
        match pane.get_mut(key) {
            Some(cell) => cell.add(calls, row)?,
            None => pane.entry(key.into()).or_insert_with(|| Cell::new(calls)).add(calls, row)?,
        }
        Ok(assigned)
    }

    /// Takes out what a merge needs before it closes, or shows, windows that end `early` milliseconds or more before the
    /// watermark.
    pub(crate) fn take_due(&mut self, watermark: i64, early: i64, out: &mut Vec<(Key, Partial)>) {
        while let Some(&(end, pane)) = self.ends.first()
            && end.saturating_add(early) <= watermark
        {
            self.ends.pop_first();
            self.take(pane, out);
        }
    }

    pub(crate) fn take_all(&mut self, out: &mut Vec<(Key, Partial)>) {
        std::mem::take(&mut self.ends).into_iter().for_each(|(_, pane)| self.take(pane, out));
    }

    fn take(&mut self, pane: (Span, i64), out: &mut Vec<(Key, Partial)>) {
        let (slice, since) = pane;
        let mut cells: Vec<(Key, Cell)> = self.panes.remove(&pane).into_iter().flatten().collect();
        cells.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        out.extend(cells.into_iter().map(|(key, cell)| (key, Partial::Slice { slice, since, cell })));
    }

    /// The next watermark that closes windows, or shows them where that is done on time, while rows up to `latest` wait for it.
    pub(crate) fn next_edge(&self, latest: i64, watermark: i64, grace: i64, on_time: bool) -> Option<i64> {
        if latest == NEVER {
            return None;
        }
        let last = self.slicer.windows(self.slicer.slice(latest)).last()?;
        if last.end == i64::MAX || last.end.saturating_add(grace) <= watermark {
            return None;
        }
        // Nothing older than the disorder closes at once: so far back there is nothing.
        let closes = self.slicer.next_edge(watermark.saturating_sub(grace)).saturating_add(grace);
        let shows = self.slicer.next_edge(watermark);
        Some(if on_time && last.end > watermark { closes.min(shows) } else { closes })
    }

    /// Whether a window that holds `time` has ended.
    pub(crate) fn has_ended(&self, time: i64, watermark: i64) -> bool {
        let first = self.slicer.windows(self.slicer.slice(time)).next();
        first.is_some_and(|window| window.end <= watermark)
    }

    /// Two watermarks with the same edge close the same windows.
    pub(crate) fn edge(&self, watermark: i64) -> i64 {
        if watermark == NEVER { NEVER } else { self.slicer.edge(watermark) }
    }

    pub(crate) fn bytes(&self) -> usize {
        let cells = self.panes.values().flatten();
        cells.map(|(key, cell)| key.len() + 32 + cell.bytes()).sum()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.panes.len());
        for ((slice, since), cells) in &self.panes {
            [slice.start, slice.end, *since].iter().for_each(|&value| put_int(out, value));
            encode_cells(cells, out);
        }
    }

    pub(crate) fn decode(&mut self, calls: &[Call], reader: &mut Reader<'_>) -> Result<(), Corrupt> {
        for _ in 0..reader.len()? {
            let slice = Span { start: reader.int()?, end: reader.int()? };
            let since = reader.int()?;
            let end = self.slicer.windows(slice).next().map_or(i64::MAX, |window| window.end);
            self.ends.insert((since.max(end), (slice, since)));
            self.panes.insert((slice, since), decode_cells(calls, reader)?);
        }
        Ok(())
    }
}

/// In the order of keys, so that equal states have equal bytes.
pub(crate) fn encode_cells(cells: &ByKey<Cell>, out: &mut Vec<u8>) {
    put_len(out, cells.len());
    let mut sorted: Vec<_> = cells.iter().collect();
    sorted.sort_unstable_by(|a, b| a.0.cmp(b.0));
    for (key, cell) in sorted {
        put_bytes(out, key);
        cell.encode(out);
    }
}

pub(crate) fn decode_cells(calls: &[Call], reader: &mut Reader<'_>) -> Result<ByKey<Cell>, Corrupt> {
    let mut cells = ByKey::default();
    for _ in 0..reader.len()? {
        let key = reader.bytes()?.into();
        let Entry::Vacant(entry) = cells.entry(key) else { return Err(Corrupt("a group that comes twice")) };
        entry.insert(Cell::decode(calls, reader)?);
    }
    Ok(cells)
}
