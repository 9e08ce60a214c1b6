//! The log against a `Vec`: whatever is done to it and whenever the power goes, what was synced is there and nothing else is
//! ever read.

use std::collections::BTreeMap;

use leat_protocol::records::{BatchHeader, Compression};
use proptest::collection::vec;
use proptest::prelude::*;

use super::testing::*;
use super::*;
use crate::checkpoint::Checkpoint;
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
        1 => Just(Step::NewTerm),
        3 => (any::<u8>(), any::<u16>()).prop_map(|(at, max)| Step::Read(at, max)),
        3 => any::<u8>().prop_map(Step::Search),
    ]
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
    term: i32,
    clock: i64,
}

fn header(frame: &Bytes) -> BatchHeader {
    BatchHeader::parse(frame).unwrap()
}

impl Model {
    fn new(root: &Path, seed: u64) -> Self {
        let (env, fs) = fault_env(root, seed);
        let folder = root.join("t-0");
        let log = Some(create(&env, &folder));
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
            term: 1,
            clock: 0,
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
            let times: Vec<_> = (0..i64::from(*count)).map(|n| (self.clock * 7919 + n * 104_729) % 5000).collect();
            self.clock += 1;
            let frame = if times.is_empty() { control(offset, term) } else { batch(offset, term, codec, &times) };
            offset += times.len() as i64;
            self.entries.insert(index, frame.clone());
            self.history.entry(index).or_default().push(frame.clone());
            frames.push(frame);
            index += 1;
        }
        self.log().append(&frames, NOW).unwrap();
        assert_eq!((self.log().next_index(), self.log().end_offset()), (index, offset));
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
        let log = log.unwrap();
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

    /// Data batches in `from..until`, as a fetch must give them.
    fn data(&self) -> impl Iterator<Item = &Bytes> {
        self.entries.values().filter(|frame| !header(frame).is_entry())
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
        let mut rest = &bytes[..];
        for frame in self.data().filter(|frame| header(frame).last_offset() >= from) {
            if rest.is_empty() {
                assert!(bytes.is_empty() || header(frame).base_offset >= slice.next_offset);
                break;
            }
            assert!(header(frame).last_offset() < until);
            rest = rest.strip_prefix(&frame[..]).unwrap();
        }
        assert!(rest.is_empty());
        let fits = self.data().any(|frame| {
            header(frame).base_offset <= from
                && from <= header(frame).last_offset()
                && header(frame).last_offset() < until
        });
        assert_eq!(!bytes.is_empty(), fits);
        for outside in [start - 1, end + 1] {
            assert!(matches!(reader.read(outside, end, 1, true), Err(Error::OffsetOutOfRange { .. })));
        }
    }

    fn search(&mut self, at: u8) {
        let reader = self.log().reader();
        let until = self.log_start + (reader.end_offset() - self.log_start) * i64::from(at % 16) / 15;
        let asked = i64::from(at) * 20;
        let mut records = Vec::new();
        for frame in self.data() {
            for record in leat_protocol::records::records(frame, 1 << 20).unwrap() {
                let record = record.unwrap();
                if record.offset >= self.log_start && record.offset < until {
                    records.push((record.offset, record.timestamp));
                }
            }
        }
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
    }
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
