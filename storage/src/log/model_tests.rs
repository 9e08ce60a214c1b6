//! The log against a `Vec`: whatever is done to it and whenever the power goes, what was synced is there and nothing else is
//! ever read. Compaction leaves the latest record of each key at its offset, or has not happened.

use std::collections::{BTreeMap, HashMap};

use leat_protocol::records::{BatchHeader, Compression, Record, records};
use proptest::collection::vec;
use proptest::prelude::*;

use super::testing::{compact, *};
use super::*;
use crate::checkpoint::Checkpoint;
use crate::compact::Config;
use crate::error::Error;
use crate::fs::FaultFs;

#[derive(Debug, Clone)]
enum Step {
    /// Appends batches of so many records, and a control frame for 0.
    Append(Vec<u8>, u8),
    Sync,
    /// Syncs and saves a checkpoint of the last entry.
    Checkpoint,
    /// The power goes.
    Crash,
    /// The process ends, the page cache does not.
    Kill,
    Close,
    Truncate(u8),
    Trim(u8),
    /// Cleans what the checkpoint covers, with room for so many keys, after so many ms.
    Compact(u8, u8),
    /// The same, and after so many calls to the disk the process or the power goes.
    CompactAndEnd(u8, bool),
    NewTerm,
    Read(u8, u16),
    Search(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (vec(0u8..6, 1..12), 0u8..5).prop_map(|(counts, codec)| Step::Append(counts, codec)),
        3 => Just(Step::Sync),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::Crash),
        1 => Just(Step::Kill),
        1 => Just(Step::Close),
        1 => any::<u8>().prop_map(Step::Truncate),
        1 => any::<u8>().prop_map(Step::Trim),
        2 => (1u8..20, any::<u8>()).prop_map(|(keys, later)| Step::Compact(keys, later)),
        1 => (0u8..60, any::<bool>()).prop_map(|(calls, power)| Step::CompactAndEnd(calls, power)),
        1 => Just(Step::NewTerm),
        3 => (any::<u8>(), any::<u16>()).prop_map(|(at, max)| Step::Read(at, max)),
        3 => any::<u8>().prop_map(Step::Search),
    ]
}

/// A record below the first entry: cleaned, or beside what was.
#[derive(Debug, Clone, PartialEq)]
struct Old {
    record: Record,
    /// First and last offset of its batch.
    batch: (i64, i64),
}

struct Model {
    env: Env,
    fs: FaultFs,
    folder: PathBuf,
    log: Option<Log>,
    /// Entries that are in the log, by index.
    entries: BTreeMap<u64, Bytes>,
    /// Every frame that was ever appended at an index.
    history: BTreeMap<u64, Vec<Bytes>>,
    /// Entries below it survive anything.
    certain: u64,
    checkpoint: Option<Checkpoint>,
    log_start: i64,
    /// What is left below the first entry; what the log start has passed may be missing from the log.
    old: Vec<Old>,
    /// By base offset of the batch.
    horizons: HashMap<i64, i64>,
    term: i32,
    clock: i64,
    now_ms: i64,
}

/// Segments of a few batches, so that there is something to clean.
fn tiny() -> LogConfig {
    LogConfig { segment_bytes: 1500, ..small() }
}

fn header(frame: &Bytes) -> BatchHeader {
    BatchHeader::parse(frame).unwrap()
}

impl Model {
    fn new(root: &Path, seed: u64) -> Self {
        let (env, fs) = fault_env(root, seed);
        let folder = root.join("t-0");
        let mut log = create(&env, &folder);
        log.set_config(tiny());
        let log = Some(log);
        Self {
            env,
            fs,
            folder,
            log,
            entries: BTreeMap::new(),
            history: BTreeMap::new(),
            certain: 1,
            checkpoint: None,
            log_start: 0,
            old: Vec::new(),
            horizons: HashMap::new(),
            term: 1,
            clock: 0,
            now_ms: NOW,
        }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(counts, codec) => self.append(&counts, codec),
            Step::Sync => self.sync(),
            Step::Checkpoint => self.save_checkpoint(),
            Step::Crash => {
                self.fs.crash().unwrap();
                self.reopen(false);
            }
            Step::Kill => {
                self.fs.kill();
                self.certain = self.log().next_index();
                self.reopen(true);
            }
            Step::Close => {
                self.log.take().unwrap().close().unwrap();
                let next = self.entries.last_key_value().map_or(self.certain, |(index, _)| index + 1);
                self.certain = next.max(self.certain);
                self.reopen(true);
            }
            Step::Truncate(at) => self.truncate(at),
            Step::Trim(at) => self.trim(at),
            Step::Compact(keys, later) => self.compact(keys, later),
            Step::CompactAndEnd(calls, power) => self.compact_and_end(calls, power),
            Step::NewTerm => self.term += 1,
            Step::Read(at, max) => self.read(at, max),
            Step::Search(at) => self.search(at),
        }
    }

    fn append(&mut self, counts: &[u8], codec: u8) {
        let codec = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
            [codec as usize];
        let (mut offset, term) = (self.log().end_offset(), self.term);
        let (mut frames, mut index) = (Vec::new(), self.log().next_index());
        for count in counts {
            let frame = self.frame(offset, term, codec, *count);
            offset += i64::from(*count);
            self.entries.insert(index, frame.clone());
            self.history.entry(index).or_default().push(frame.clone());
            frames.push(frame);
            index += 1;
        }
        self.log().append(&frames, NOW).unwrap();
        assert_eq!((self.log().next_index(), self.log().end_offset()), (index, offset));
    }

    /// A batch of records with keys of a few, some of them tombstones; a control frame for none.
    fn frame(&mut self, offset: i64, term: i32, codec: Compression, count: u8) -> Bytes {
        self.clock += 1;
        if count == 0 {
            return control(offset, term);
        }
        let draw = |n: i64| (self.clock * 7919 + n * 104_729).unsigned_abs();
        let keys: Vec<_> = (0..i64::from(count)).map(|n| format!("key {}", draw(n) / 3 % 11)).collect();
        let values: Vec<_> = (0..i64::from(count)).map(|n| format!("record {}", offset + n)).collect();
        let rows: Vec<Row<'_>> = (0..usize::from(count))
            .map(|n| {
                let draw = draw(n as i64);
                let value = (draw % 5 != 0).then_some(&*values[n]);
                ((draw % 5000) as i64, Some(&*keys[n]), value)
            })
            .collect();
        keyed(offset, term, codec, None, &rows)
    }

    fn sync(&mut self) {
        self.log().sync().unwrap();
        self.certain = self.log().next_index();
        assert_eq!(self.log().synced_index(), self.certain);
    }

    fn save_checkpoint(&mut self) {
        self.sync();
        self.log().sync_indexes().unwrap();
        let (applied, term) = self.log().last_entry();
        if applied == 0 {
            return;
        }
        let checkpoint = Checkpoint {
            applied,
            commit: applied,
            term_at_applied: term,
            end_offset_at_applied: self.log().end_offset(),
            log_start_offset: self.log_start,
            epochs: self.log().reader().epochs(),
            ..Checkpoint::default()
        };
        checkpoint.save(&self.env, &self.folder).unwrap();
        self.checkpoint = Some(checkpoint);
    }

    fn reopen(&mut self, same_boot: bool) {
        self.log = None;
        let checkpoint = Checkpoint::load(&self.env, &self.folder).unwrap();
        assert_eq!(checkpoint, self.checkpoint);
        let applied = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.applied);
        let mut seen = BTreeMap::new();
        let hint = OpenHint { checkpoint, same_boot };
        let log = Log::open(&self.env, &self.folder, identity(), small(), hint, &mut |index, _, frame| {
            assert_eq!(seen.insert(index, Bytes::copy_from_slice(frame)), None);
        });
        let mut log = log.unwrap();
        log.set_config(tiny());
        let reader = log.reader();
        assert_eq!(log.report().quarantined, []);
        assert!(log.next_index() >= self.certain, "entries {}..{} are lost", log.next_index(), self.certain);
        assert!(log.reader().log_start_offset() <= self.log_start.max(0) || log.end_offset() < self.log_start);
        let first = reader.first_index();
        let frames = reader.read_entries(first, u64::MAX, u64::MAX).unwrap();
        assert_eq!(first + frames.len() as u64, log.next_index());
        let found: BTreeMap<_, _> = (first..).zip(frames).collect();
        for (index, frame) in &found {
            if *index < self.certain
                && let Some(expected) = self.entries.get(index)
            {
                assert_eq!(frame, expected, "entry {index}");
            }
            assert!(self.history[index].contains(frame), "entry {index} was never appended");
            if *index > applied {
                assert_eq!(seen.get(index), Some(frame));
            }
        }
        self.entries = found;
        self.certain = self.certain.min(log.next_index());
        self.log_start = reader.log_start_offset();
        self.term = self.term.max(log.last_entry().1 as i32);
        self.log = Some(log);
        self.log().sync().unwrap();
        self.certain = self.log().next_index();
        self.check();
    }

    fn truncate(&mut self, at: u8) {
        let reader = self.log().reader();
        let lowest = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.applied + 1).max(reader.first_index());
        // Nor below the log start, which only committed entries move.
        let lowest = self
            .entries
            .range(lowest..)
            .find(|(_, frame)| header(frame).base_offset >= self.log_start)
            .map(|(index, _)| *index);
        let Some(lowest) = lowest else { return };
        let index = lowest + (self.log().next_index() - lowest) * u64::from(at) / 255;
        self.log().truncate_from(index).unwrap();
        self.entries.retain(|known, _| *known < index);
        self.certain = self.certain.min(index);
        self.check();
    }

    fn trim(&mut self, at: u8) {
        // The log start moves by committed entries, so what it passes is synced.
        self.sync();
        let end = self.log().end_offset();
        let offset = self.log_start + (end - self.log_start) * i64::from(at) / 255;
        self.log().trim_to(offset).unwrap();
        self.log_start = offset;
        let first = self.log().reader().first_index();
        self.entries.retain(|index, _| *index >= first);
        self.check();
    }

    /// What may be cleaned: up to the last checkpoint, or a new one.
    fn limits(&mut self, new: bool) -> Option<crate::compact::Order> {
        if new {
            self.save_checkpoint();
        }
        Some(order(self.checkpoint.as_ref()?.applied, self.now_ms))
    }

    fn compact(&mut self, keys: u8, later: u8) {
        self.now_ms += i64::from(later) * 10;
        let Some(order) = self.limits(!later.is_multiple_of(4)) else { return };
        let dirty = self.log().reader().clean_end().max(self.log_start);
        let config = Config { keys_bytes_max: usize::from(keys) * 24, ..eager() };
        if compact(self.log(), &config, order).unwrap().is_none() {
            return;
        }
        let (first, until) = (self.log().reader().first_index(), self.log().reader().clean_end());
        self.clean(first, dirty, until);
        self.check();
    }

    /// What a pass leaves whose map went from `dirty` to `until`.
    fn clean(&mut self, first: u64, dirty: i64, until: i64) {
        let entries = self.entries.split_off(&first);
        for frame in std::mem::replace(&mut self.entries, entries).values() {
            self.old.extend(decode(frame));
        }
        let mapped = self.old.iter().filter(|old| (dirty..until).contains(&old.record.offset));
        let latest: HashMap<_, _> = mapped.map(|old| (old.record.key.clone(), old.record.offset)).collect();
        let (horizons, now_ms) = (&self.horizons, self.now_ms);
        self.old.retain(|Old { record, batch }| {
            let may_go = horizons.get(&batch.0).is_some_and(|horizon| *horizon <= now_ms);
            record.offset >= until
                || latest.get(&record.key).is_none_or(|latest| record.offset >= *latest)
                    && (record.value.is_some() || !may_go)
        });
        for Old { record, batch } in &self.old {
            if record.value.is_none() && batch.0 < until {
                self.horizons.entry(batch.0).or_insert(now_ms + 1000);
            }
        }
    }

    /// Whatever a pass had come to when everything ended: no latest record is lost, and nothing is there that was not.
    fn compact_and_end(&mut self, calls: u8, power: bool) {
        let Some(order) = self.limits(!calls.is_multiple_of(4)) else { return };
        self.sync();
        self.fs.halt_after(calls.into());
        // It fails, or was quick enough.
        let _ = compact(self.log(), &eager(), order);
        self.log = None;
        if power {
            self.fs.crash().unwrap()
        } else {
            self.fs.kill()
        }
        let before = self.records();
        let hint = OpenHint { checkpoint: self.checkpoint.clone(), same_boot: !power };
        let (log, _) = open(&self.env, &self.folder, hint).unwrap();
        let first = log.reader().first_index();
        self.entries.retain(|index, _| *index >= first);
        let limit = self.entries.values().next().map_or(log.end_offset(), |frame| header(frame).base_offset);
        // Of the log's own word: which records are left, and what their batches say.
        self.old.clear();
        for frame in frames(&log) {
            if header(&frame).base_offset < limit {
                self.old.extend(decode(&frame));
                let horizon = header(&frame).delete_horizon_ms();
                self.horizons.extend(horizon.map(|horizon| (header(&frame).base_offset, horizon)));
            }
        }
        let start = log.reader().log_start_offset();
        let left: Vec<_> =
            self.records().into_iter().filter(|record| record.offset >= start.max(self.log_start)).collect();
        assert!(left.iter().all(|record| before.contains(record)));
        let latest: HashMap<_, _> = before.iter().map(|record| (record.key.clone(), record)).collect();
        let now_ms = self.now_ms;
        assert!(latest.values().filter(|record| record.offset >= self.log_start).all(|record| {
            left.contains(record) || record.value.is_none() && self.horizons.values().any(|horizon| *horizon <= now_ms)
        }));
        drop(log);
        self.reopen(!power);
    }

    /// Every record at or past the log start, as consumers must get them.
    fn records(&self) -> Vec<Record> {
        let young = self.entries.values().flat_map(decode);
        let all = self.old.iter().cloned().chain(young).map(|old| old.record);
        all.filter(|record| record.offset >= self.log_start).collect()
    }

    fn read(&mut self, at: u8, max: u16) {
        let reader = self.log().reader();
        let (start, end) = (self.log_start, reader.end_offset());
        let from = start + (end - start) * i64::from(at) / 255;
        let until = from + (end - from) * i64::from(max % 7) / 6;
        let slice = reader.read(from, until, max.into(), true).unwrap();
        let mut bytes = Vec::new();
        for range in &slice.ranges {
            bytes.extend_from_slice(&range.read_to_bytes().unwrap());
        }
        assert_eq!(bytes.len() as u64, slice.len);
        let batches = split(bytes.clone().into());
        assert!(batches.iter().all(|batch| header(batch).last_offset() < until && header(batch).last_offset() >= from));
        let got: Vec<_> = batches.iter().flat_map(decode).map(|old| old.record).filter(|r| r.offset >= from).collect();
        let expected: Vec<_> =
            self.records().into_iter().filter(|r| (from..slice.next_offset).contains(&r.offset)).collect();
        assert_eq!(got, expected);
        // Young batches are sent byte for byte.
        for batch in &batches {
            let same =
                |frame: &&Bytes| header(frame).base_offset == header(batch).base_offset && !header(frame).is_entry();
            assert!(self.entries.values().find(same).is_none_or(|frame| frame == batch));
        }
        let young = self.entries.values().flat_map(decode);
        let next = self.old.iter().cloned().chain(young).find(|old| old.record.offset >= from);
        let fits = next.is_some_and(|old| old.batch.1 < until);
        assert!(!bytes.is_empty() || !fits);
        // A cleaned batch goes on behind its last record.
        let cleaned = self.entries.values().next().is_none_or(|frame| from < header(frame).base_offset);
        assert!(bytes.is_empty() || fits || cleaned);
        for outside in [start - 1, end + 1] {
            assert!(matches!(reader.read(outside, end, 1, true), Err(Error::OffsetOutOfRange { .. })));
        }
    }

    fn search(&mut self, at: u8) {
        let reader = self.log().reader();
        let until = self.log_start + (reader.end_offset() - self.log_start) * i64::from(at % 16) / 15;
        let asked = i64::from(at) * 20;
        let records = self.records().into_iter().filter(|record| record.offset < until);
        let records: Vec<_> = records.map(|record| (record.offset, record.timestamp)).collect();
        let found = reader.offset_for_timestamp(asked, until).unwrap().map(|found| (found.offset, found.timestamp));
        assert_eq!(found, records.iter().copied().find(|(_, time)| *time >= asked));
        let max = records.iter().map(|(_, time)| *time).max();
        let first = max.and_then(|max| records.iter().copied().find(|(_, time)| *time == max));
        assert_eq!(reader.max_timestamp(until).unwrap().map(|found| (found.offset, found.timestamp)), first);
    }

    /// Entries, epochs, ends.
    fn check(&mut self) {
        let log = self.log.as_ref().unwrap();
        let reader = log.reader();
        let first = reader.first_index();
        let frames = reader.read_entries(first, u64::MAX, u64::MAX).unwrap();
        assert!(frames.iter().eq(self.entries.values()));
        for (index, frame) in &self.entries {
            assert_eq!(reader.term_of(*index), Some(header(frame).partition_leader_epoch as u64));
        }
        if let Some((index, frame)) = self.entries.last_key_value() {
            assert_eq!((log.next_index(), log.end_offset()), (index + 1, header(frame).next_offset()));
        }
        assert_eq!(reader.log_start_offset(), self.log_start);
        assert_eq!(reader.last_entry(), log.last_entry());
        assert_eq!(consume(log), self.records());
    }
}

/// The records of a frame.
fn decode(frame: &Bytes) -> Vec<Old> {
    let batch = (header(frame).base_offset, header(frame).last_offset());
    let all = records(frame, 1 << 20).unwrap();
    all.map(|record| Old { record: record.unwrap(), batch }).collect()
}

fn split(mut bytes: Bytes) -> Vec<Bytes> {
    let mut batches = Vec::new();
    while !bytes.is_empty() {
        batches.push(bytes.split_to(header(&bytes).size()));
    }
    batches
}

/// Every data batch that a consumer gets.
fn frames(log: &Log) -> Vec<Bytes> {
    split(fetch_all(log).into())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_holds_what_was_synced_and_reads_what_was_appended(seed in any::<u64>(), steps in vec(step(), 1..40)) {
        let temp = tempfile::tempdir().unwrap();
        let mut model = Model::new(temp.path(), seed);
        for step in steps {
            model.step(step);
        }
        model.check();
        model.log.take().unwrap().close().unwrap();
        if model.folder.exists() {
            prop_assert_eq!(crate::dump::verify(&model.env, &model.folder).unwrap().problems, vec![]);
        }
    }
}
