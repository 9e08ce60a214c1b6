//! A partition's log as a pipeline reads it: every committed entry in order, control frames among them.

use std::sync::Arc;

use bytes::Bytes;
use leat_pipeline::plan::Start;
use leat_protocol::records::{BatchHeader, entry};
use leat_storage::LogReader;

use super::entry::{Base, Begin, Control, Stage};
use crate::partition::Partition;

/// What is said of savepoints.
pub(crate) const NO_SAVEPOINTS: &str =
    "savepoints are not supported yet; CREATE OR REPLACE goes on with a pipeline's state";

/// Bytes read at a time.
const READ_BYTES: u64 = 1 << 20;

/// The largest batch, plain, that is read.
pub(crate) const BATCH_BYTES_MAX: usize = 256 << 20;

/// An entry.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A batch of records.
    Batch(Bytes),
    /// Something for pipelines.
    Control(Control),
    /// Nobody's here.
    Other,
}

/// What a log knows of a stage from before.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) begin: Option<Begin>,
    /// The newest base that is whole: the entry after which its state is, and the state.
    pub(crate) base: Option<(u64, Bytes)>,
}

/// The committed entries from `first` on, as many as are read at once.
pub(crate) fn read(partition: &Partition, first: u64) -> Result<Vec<Entry>, String> {
    let Some(reader) = partition.reader() else { return Ok(Vec::new()) };
    let until = partition.applied() + 1;
    if first >= until {
        return Ok(Vec::new());
    }
    let frames = reader.read_entries(first, until, READ_BYTES).map_err(|error| error.to_string())?;
    frames.into_iter().map(parse).collect()
}

/// The next batches of records from an offset on, and where to go on; nothing where there is none before `until`. Also reads
/// what compaction has left, which has no entries any more, and passes over control frames.
pub(crate) fn batches(reader: &LogReader, from: i64, until: i64) -> Result<Option<(Vec<Bytes>, i64)>, String> {
    if from >= until {
        return Ok(None);
    }
    let slice = reader.read(from, until, READ_BYTES as u32, true).map_err(|error| error.to_string())?;
    let mut batches = Vec::new();
    for range in slice.ranges {
        let mut bytes = range.read_to_bytes().map_err(|error| error.to_string())?;
        while !bytes.is_empty() {
            let size = BatchHeader::parse(&bytes).map_err(|error| error.to_string())?.size();
            batches.push(bytes.split_to(size.min(bytes.len())));
        }
    }
    Ok((slice.next_offset > from).then_some((batches, slice.next_offset)))
}

/// The offset at which reading begins.
pub(crate) fn start(partition: &Partition, start: &Start) -> Result<i64, String> {
    let (first, end) = (partition.log_start(), partition.high_watermark());
    Ok(match start {
        Start::Earliest | Start::Group(_) => first,
        Start::Savepoint(_) => return Err(NO_SAVEPOINTS.to_owned()),
        Start::Latest => end,
        Start::Timestamp(timestamp) => {
            let found = partition.reader().map(|reader| reader.offset_for_timestamp(*timestamp, end)).transpose();
            found.map_err(|error| error.to_string())?.flatten().map_or(end, |found| found.offset)
        }
        Start::Offsets(offsets) => {
            let given = offsets.iter().find(|(index, _)| *index == partition.index());
            given.map_or(first, |(_, offset)| (*offset).clamp(first, end))
        }
    })
}

fn parse(frame: Bytes) -> Result<Entry, String> {
    match entry::parse(&frame).map_err(|error| error.to_string())? {
        None => Ok(Entry::Batch(frame)),
        Some((kind, payload)) => {
            let control = Control::decode(kind, payload).map_err(|error| format!("a {kind:?} entry: {error}"))?;
            Ok(control.map_or(Entry::Other, Entry::Control))
        }
    }
}

/// The first entry after the last record before `offset`: with the control frames that stand before the record at `offset`.
pub(crate) fn index_of(reader: &LogReader, offset: i64) -> Result<u64, String> {
    let (mut low, mut high) = (reader.first_index(), reader.next_index());
    while low < high {
        let middle = low + (high - low) / 2;
        let header = reader.entry_header(middle).map_err(|error| error.to_string())?;
        let is_before = if header.is_entry() { header.base_offset < offset } else { header.next_offset() <= offset };
        if is_before { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// Looks back from the end for where a stage begins, and for its newest base.
pub(crate) fn past(partition: &Partition, pipeline: u64, stage: Stage) -> Result<Past, String> {
    let mut past = Past::default();
    let Some(reader) = partition.reader() else { return Ok(past) };
    let mut search = Search { reader, pipeline, stage, parts: Vec::new() };
    let mut index = partition.applied() + 1;
    while let Some(found) = search.reader.control_before(index).map_err(|error| error.to_string())? {
        index = found;
        let frames = search.reader.read_entries(found, found + 1, READ_BYTES).map_err(|error| error.to_string())?;
        let Some(frame) = frames.into_iter().next() else { break };
        match parse(frame)? {
            Entry::Control(Control::Base(base)) => {
                if let Some(whole) = search.take(base) {
                    past.base = Some(whole);
                    return Ok(past);
                }
            }
            Entry::Control(Control::Begin(begin)) if begin.pipeline == pipeline => {
                // The first one counts, where two leaders wrote it.
                past.begin = Some(begin);
            }
            _ => {}
        }
    }
    Ok(past)
}

struct Search {
    reader: Arc<LogReader>,
    pipeline: u64,
    stage: Stage,
    /// Of the base that is being gathered, the last part first.
    parts: Vec<Base>,
}

impl Search {
    fn take(&mut self, base: Base) -> Option<(u64, Bytes)> {
        if base.pipeline != self.pipeline || base.stage != self.stage {
            return None;
        }
        // A base that a leader did not finish has no last part.
        let continues = match self.parts.last() {
            Some(after) => after.entry == base.entry && after.parts == base.parts && after.part == base.part + 1,
            None => base.part + 1 == base.parts,
        };
        if !continues {
            self.parts.clear();
            if base.part + 1 != base.parts {
                return None;
            }
        }
        let (entry, is_first) = (base.entry, base.part == 0);
        self.parts.push(base);
        is_first.then(|| {
            let state: Vec<u8> = self.parts.iter().rev().flat_map(|part| part.state.iter().copied()).collect();
            (entry, Bytes::from(state))
        })
    }
}
