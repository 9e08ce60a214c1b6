//! A pass over a small log: what stays, what readers see of it, and what a failure leaves.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use leat_protocol::records::{BatchHeader, Compression};

use super::*;
use crate::checkpoint::Checkpoint;
use crate::fs::FaultFs;
use crate::fs::fault::Call;
use crate::log::testing::*;
use crate::log::{Log, OpenHint};
use crate::segment::name;

/// Appends a batch of rows, after an empty one of Raft's now and then.
fn put(log: &mut Log, rows: &[Row<'_>]) {
    put_as(log, None, Compression::None, rows);
}

fn put_as(log: &mut Log, producer: Option<(i64, i32)>, codec: Compression, rows: &[Row<'_>]) {
    let (offset, index) = (log.end_offset(), log.next_index());
    let mut frames = vec![keyed(offset, 1, codec, producer, rows)];
    if index.is_multiple_of(7) {
        frames.insert(0, control(offset, 1));
    }
    log.append(&frames, NOW).unwrap();
}

/// 300 records of seven keys in batches of three, in segments of some 15 batches; the active one is small.
fn filled(log: &mut Log) {
    for n in 0..100 {
        let keys = [n * 3, n * 3 + 1, n * 3 + 2].map(|n| format!("key-{}", n % 7));
        let values = [0, 1, 2].map(|m| format!("value {} {}", n * 3 + m, "x".repeat(40)));
        let rows: Vec<Row<'_>> =
            (0..3).map(|m| (NOW + (n * 3 + m as i64), Some(&*keys[m]), Some(&*values[m]))).collect();
        put_as(log, None, Compression::ALL[n as usize % 5], &rows);
    }
    log.sync().unwrap();
    log.sync_indexes().unwrap();
}

/// Every entry is in a checkpoint.
fn all(log: &Log) -> Order {
    order(log.next_index() - 1, NOW)
}

fn checkpoint(log: &Log) -> Checkpoint {
    let (applied, term_at_applied) = log.last_entry();
    Checkpoint {
        applied,
        commit: applied,
        term_at_applied,
        end_offset_at_applied: log.end_offset(),
        epochs: log.reader().epochs(),
        ..Checkpoint::default()
    }
}

/// Offset, key and value of a record.
type Left = (i64, String, Option<String>);

/// Every record.
fn rows(log: &Log) -> Vec<Left> {
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    consume(log).into_iter().map(|r| (r.offset, r.key.map_or("-".into(), text), r.value.map(text))).collect()
}

/// What must be left of `before` when everything below `until` is clean.
fn latest(before: &[Left], until: i64) -> Vec<Left> {
    let mut latest = HashMap::new();
    for (offset, key, _) in before.iter().filter(|(offset, ..)| *offset < until) {
        latest.insert(key.clone(), *offset);
    }
    before.iter().filter(|(offset, key, _)| *offset >= until || latest[key] == *offset).cloned().collect()
}

fn sound(env: &Env, folder: &Path) {
    assert_eq!(crate::dump::verify(env, folder).unwrap().problems, []);
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn of_each_key_the_latest_record_stays_where_it_was() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let mut log = create(&env, temp.path());
    filled(&mut log);
    let before = rows(&log);
    let full: HashMap<_, _> = consume(&log).into_iter().map(|record| (record.offset, record)).collect();
    log.set_config(LogConfig { segment_bytes: 1 << 20, ..small() });
    let order = all(&log);
    let outcome = compact(&mut log, &eager(), order).unwrap().unwrap();
    assert!(outcome.bytes_after < outcome.bytes_before / 4 && !outcome.partial, "{outcome:?}");
    assert_eq!(outcome.segments_after, 1, "what is small is merged");
    let until = log.reader().clean_end();
    assert!(until > 200 && until < 300);
    assert_eq!(rows(&log), latest(&before, until));
    assert!(consume(&log).iter().all(|record| full[&record.offset] == *record), "with their times and all");
    sound(&env, temp.path());
    let order = all(&log);
    assert_eq!(compact(&mut log, &eager(), order).unwrap(), None, "nothing is dirty now");
}

#[test]
fn every_offset_can_be_fetched_from_and_every_time_looked_up() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let mut log = create(&env, temp.path());
    filled(&mut log);
    let config = LogConfig { segment_bytes: 1024, ..small() };
    let order = all(&log);
    let mut pass = Compaction::begin(&log.reader(), config, &eager(), order).unwrap().unwrap();
    while let step = pass.step().unwrap()
        && !matches!(step, Step::Done(_))
    {
        if let Step::Swap(swap) = step {
            log.swap_in(*swap).unwrap();
        }
    }
    let (left, reader) = (consume(&log), log.reader());
    for from in 0..reader.end_offset() {
        let slice = reader.read(from, i64::MAX, 1, true).unwrap();
        let next = left.iter().find(|record| record.offset >= from).unwrap();
        let header = BatchHeader::parse(&slice.ranges[0].read_to_bytes().unwrap()).unwrap();
        assert!(slice.next_offset > from && header.last_offset() >= from, "offset {from}");
        assert!(header.base_offset <= next.offset || header.records_count == 0, "offset {from}");
        let found = reader.offset_for_timestamp(NOW + from, i64::MAX).unwrap().unwrap();
        assert_eq!(found.offset, next.offset, "times rise with offsets here");
    }
    assert_eq!(reader.max_timestamp(i64::MAX).unwrap().unwrap().offset, 299);
    assert_eq!(reader.offset_for_timestamp(NOW + 300, i64::MAX).unwrap(), None);
    assert_eq!((reader.epoch_end_offset(1, 300), reader.log_start_offset()), ((1, 300), 0));
}

#[test]
fn a_tombstone_stays_for_its_time_and_then_goes() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let mut log = create(&env, temp.path());
    let big = "x".repeat(2000);
    put(&mut log, &[(NOW, Some("a"), Some("1")), (NOW, Some("b"), Some("2"))]);
    put(&mut log, &[(NOW, Some("a"), None), (NOW + 5, Some("c"), Some("3"))]);
    for _ in 0..3 {
        put(&mut log, &[(NOW, Some("big"), Some(&big))]);
    }
    let applied = log.next_index() - 1;
    let offsets = |log: &Log| consume(log).iter().map(|record| record.offset).collect::<Vec<_>>();
    compact(&mut log, &eager(), order(applied, NOW)).unwrap().unwrap();
    assert_eq!(offsets(&log)[..3], [1, 2, 3]);
    let slice = log.reader().read(2, 4, u32::MAX, true).unwrap();
    let bytes = slice.ranges[0].read_to_bytes().unwrap();
    assert_eq!(BatchHeader::parse(&bytes).unwrap().delete_horizon_ms(), Some(NOW + 1000));
    assert_eq!(consume(&log)[1].timestamp, NOW, "its time is what it was");
    for (later, left) in [(999, vec![1, 2, 3]), (1000, vec![1, 3])] {
        for _ in 0..3 {
            put(&mut log, &[(NOW, Some("big"), Some(&big))]);
        }
        let applied = log.next_index() - 1;
        compact(&mut log, &eager(), order(applied, NOW + later)).unwrap().unwrap();
        assert_eq!(offsets(&log)[..left.len()], left, "after {later} ms");
        sound(&env, temp.path());
    }
}

#[test]
fn the_last_batch_of_a_producer_and_of_the_cleaned_part_stay_empty() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let mut log = create(&env, temp.path());
    for sequence in 0..3 {
        put_as(&mut log, Some((9, sequence)), Compression::None, &[(NOW, Some("a"), Some("old"))]);
    }
    let big = "x".repeat(4000);
    put(&mut log, &[(NOW, Some("a"), Some("new"))]);
    put(&mut log, &[(NOW, Some("b"), Some("old"))]);
    put(&mut log, &[(NOW, Some("b"), Some(&big))]);
    put(&mut log, &[(NOW, None, Some("no key"))]);
    put(&mut log, &[(NOW, Some("c"), Some(&big))]);
    let told = Order { producers: HashMap::from([(9, 2)]), ..all(&log) };
    let until = log.reader().shared_segments();
    assert_eq!(until, 4);
    compact(&mut log, &eager(), told).unwrap().unwrap();
    let bytes = fetch_all(&log);
    let (mut at, mut batches) = (0, Vec::new());
    while at < bytes.len() {
        let header = BatchHeader::parse(&bytes[at..]).unwrap();
        batches.push((header.base_offset, header.records_count, header.last_sequence()));
        at += header.size();
    }
    assert_eq!(batches, [(2, 0, 2), (3, 1, -1), (5, 1, -1), (6, 0, -1), (7, 1, -1)]);
    sound(&env, temp.path());
}

#[test]
fn what_does_not_fit_the_map_takes_more_passes_and_comes_to_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let mut log = create(&env, temp.path());
    filled(&mut log);
    let before = rows(&log);
    let narrow = Config { keys_bytes_max: 24 * 4, ..eager() };
    let mut passes = 0;
    loop {
        let order = all(&log);
        let Some(outcome) = compact(&mut log, &narrow, order).unwrap() else { break };
        passes += 1;
        assert_eq!(rows(&log), latest(&before, log.reader().clean_end()), "pass {passes}: {outcome:?}");
    }
    assert!(passes > 20, "{passes}");
    sound(&env, temp.path());
}

#[test]
fn raft_is_given_nothing_of_the_clean_part_and_all_of_the_rest() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let mut log = create(&env, temp.path());
    filled(&mut log);
    let entries = log.reader().read_entries(1, u64::MAX, u64::MAX).unwrap();
    let order = all(&log);
    compact(&mut log, &eager(), order).unwrap();
    let saved = checkpoint(&log);
    let hint = OpenHint { checkpoint: Some(saved), same_boot: true };
    log.close().unwrap();
    for _ in 0..2 {
        let (mut log, _) = open(&env, temp.path(), hint.clone()).unwrap();
        let reader = log.reader();
        let first = reader.first_index();
        assert!(first > 90 && first < log.next_index());
        assert_eq!((reader.term_of(first - 1), reader.term_of(first - 2)), (Some(1), None));
        assert_eq!(reader.read_entries(first, u64::MAX, u64::MAX).unwrap(), entries[first as usize - 1..]);
        for index in [1, first - 1] {
            assert!(matches!(reader.read_entries(index, first, 1), Err(Error::IndexOutOfRange { .. })));
            assert!(reader.entry_header(index).is_err());
            assert!(log.truncate_from(index).is_err());
        }
        assert_eq!(log.report().quarantined, []);
    }
}

#[test]
fn readers_in_the_old_segments_read_on_whatever_the_budget_closes() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::new(1);
    let mut log = create(&env, temp.path());
    filled(&mut log);
    let (reader, before) = (log.reader(), fetch_all(&log));
    let slice = reader.read(0, i64::MAX, u32::MAX, true).unwrap();
    let order = all(&log);
    let merged = LogConfig { segment_bytes: 1 << 20, ..small() };
    let mut pass = Compaction::begin(&reader, merged, &eager(), order).unwrap().unwrap();
    let swap = loop {
        assert_eq!(fetch_all(&log), before);
        if let Step::Swap(swap) = pass.step().unwrap() {
            break swap;
        }
    };
    assert_eq!(fetch_all(&log), before, "until it is swapped in");
    let stale: Vec<_> = swap.sources.clone();
    log.swap_in(*swap).unwrap();
    let held: Vec<u8> = slice.ranges.iter().flat_map(|range| range.read_to_bytes().unwrap()).collect();
    assert_eq!(held, before[..held.len()], "who has the file goes on");
    stale.iter().for_each(|segment| segment.close_files());
    assert!(stale.iter().all(|segment| segment.open().unwrap_err().is_not_found()), "nobody opens it again");
    for _ in 0..3 {
        assert!(fetch_all(&log).len() < before.len() / 2);
        assert_eq!(consume(&log).len(), rows(&log).len());
    }
    assert!(env.open_files.len() <= 2);
}

#[test]
fn segments_that_are_trimmed_away_meanwhile_stay_away() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    for share in [1, 3, 5] {
        let folder = temp.path().join(share.to_string());
        let mut log = create(&env, &folder);
        filled(&mut log);
        let order = all(&log);
        let mut pass = Compaction::begin(&log.reader(), small(), &eager(), order).unwrap().unwrap();
        let swap = loop {
            if let Step::Swap(swap) = pass.step().unwrap() {
                break swap;
            }
        };
        let start = log.end_offset() * share / 5;
        log.trim_to(start).unwrap();
        log.swap_in(*swap).unwrap();
        drop(pass);
        let left = rows(&log);
        assert!(left.iter().all(|(offset, ..)| *offset >= start));
        let saved = Checkpoint { log_start_offset: start, ..checkpoint(&log) };
        let first = log.reader().first_index();
        log.close().unwrap();
        let (log, _) = open(&env, &folder, OpenHint { checkpoint: Some(saved), same_boot: true }).unwrap();
        assert_eq!((rows(&log), log.reader().first_index()), (left, first));
        assert!(names(&folder).iter().all(|name| !name.ends_with(".cleaned")));
        sound(&env, &folder);
    }
}

#[test]
fn what_may_be_cleaned_and_when_follows_the_limits() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let mut log = create(&env, temp.path());
    filled(&mut log);
    let reader = log.reader();
    let limit = |applied, stable_offset| Limit { applied, stable_offset };
    let dirt = |config: &Config, limit, now| reader.dirt(config, limit, now).unwrap();
    let everything = dirt(&eager(), limit(u64::MAX, i64::MAX), NOW);
    assert_eq!((everything.ratio, everything.overdue), (1.0, false));
    assert!(everything.bytes < reader.size_bytes().unwrap(), "never the active segment");
    assert_eq!(dirt(&eager(), limit(0, i64::MAX), NOW).bytes, 0);
    assert_eq!(dirt(&eager(), limit(u64::MAX, 10), NOW).bytes, 0);
    let half = dirt(&eager(), limit(u64::MAX, 150), NOW).bytes;
    assert!(half > 0 && half < everything.bytes);
    assert_eq!(dirt(&eager(), limit(60, i64::MAX), NOW).bytes, half);
    let young = Config { min_lag_ms: 1000, ..eager() };
    assert_eq!(dirt(&young, limit(u64::MAX, i64::MAX), NOW + 999).bytes, 0);
    assert_eq!(dirt(&young, limit(u64::MAX, i64::MAX), NOW + 1299), everything);
    assert!(dirt(&young, limit(u64::MAX, i64::MAX), NOW + 1150).bytes > 0);
    let seldom = Config { min_dirty_ratio: 1.0, max_lag_ms: 500, ..eager() };
    assert!(!dirt(&seldom, limit(u64::MAX, i64::MAX), NOW + 502).is_due(&seldom));
    assert!(dirt(&seldom, limit(u64::MAX, i64::MAX), NOW + 503).is_due(&seldom), "the first batch is 2 ms younger");
    let order = all(&log);
    compact(&mut log, &eager(), order).unwrap();
    let clean = log.reader().dirt(&eager(), limit(u64::MAX, i64::MAX), NOW).unwrap();
    assert_eq!((clean.bytes, clean.ratio, clean.is_due(&eager())), (0, 0.0, false));
}

#[test]
fn damage_ends_a_pass_and_leaves_the_log_as_it_was() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let mut log = create(&env, temp.path());
    filled(&mut log);
    let path = name::path(temp.path(), 0, Part::Log);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[2000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let before = names(temp.path());
    let order = all(&log);
    assert!(matches!(compact(&mut log, &eager(), order), Err(Error::Corrupt { .. })));
    assert_eq!((names(temp.path()), log.reader().clean_end()), (before, 0));
}

/// A log in a folder of its own on a disk that fails, and what it holds.
fn on_faults(root: &Path, seed: u64) -> (Env, FaultFs, Log, Vec<Left>) {
    std::fs::create_dir(root).unwrap();
    let (env, fs) = fault_env(root, seed);
    let folder = root.join("t-0");
    let mut log = create(&env, &folder);
    filled(&mut log);
    let saved = checkpoint(&log);
    saved.save(&env, &folder).unwrap();
    log.sync().unwrap();
    let before = rows(&log);
    (env, fs, log, before)
}

/// Whatever has become of a pass: old records and new ones, and a log that goes on.
fn whole_after(env: &Env, folder: &Path, same_boot: bool, before: &[Left], what: &str) {
    let saved = Checkpoint::load(env, folder).unwrap();
    let (mut log, _) = open(env, folder, OpenHint { checkpoint: saved.clone(), same_boot }).unwrap();
    assert_eq!(log.report().quarantined, [], "{what}");
    assert!(names(folder).iter().all(|name| !name.ends_with(".cleaned")), "{what}");
    let reader = log.reader();
    assert_eq!(reader.end_offset(), 300, "{what}");
    // Each group is either as it was or clean, so the records lie between the two.
    let left = rows(&log);
    assert!(left.iter().all(|row| before.contains(row)), "{what}");
    let everything = latest(before, 300);
    assert!(everything.iter().all(|row| left.contains(row)), "{what}: a latest record is lost");
    assert!(reader.first_index() <= saved.unwrap().applied + 1, "{what}");
    let first = reader.first_index();
    assert_eq!(reader.read_entries(first, u64::MAX, u64::MAX).unwrap().len() as u64, log.next_index() - first);
    sound(env, folder);
    let order = all(&log);
    let (_, until) = (compact(&mut log, &eager(), order).unwrap(), log.reader().clean_end());
    assert_eq!(rows(&log), latest(before, until), "{what}: and the next pass ends it");
    put(&mut log, &[(NOW, Some("after"), Some("all"))]);
    assert_eq!(rows(&log).last().unwrap().0, 300);
    sound(env, folder);
}

#[test]
fn a_pass_that_ends_anywhere_leaves_the_old_segments_or_the_new_ones() {
    let temp = tempfile::tempdir().unwrap();
    let small_groups = LogConfig { segment_bytes: 8192, ..small() };
    for same_boot in [true, false] {
        for calls in 0.. {
            let what = format!("{calls} calls, same boot {same_boot}");
            let root = temp.path().join(format!("{calls}-{same_boot}"));
            let (env, fs, mut log, before) = on_faults(&root, calls.into());
            log.set_config(small_groups);
            fs.halt_after(calls);
            let order = all(&log);
            let ended = compact(&mut log, &eager(), order).is_ok();
            drop(log);
            if same_boot {
                fs.kill()
            } else {
                fs.crash().unwrap()
            }
            whole_after(&env, &root.join("t-0"), same_boot, &before, &what);
            std::fs::remove_dir_all(&root).unwrap();
            if ended {
                assert!(calls > 40, "{calls}");
                break;
            }
        }
    }
}

#[test]
fn a_call_that_fails_ends_the_pass_and_the_next_one_does_it() {
    let temp = tempfile::tempdir().unwrap();
    for call in [Call::Open, Call::Read, Call::Write, Call::Sync, Call::SyncDir, Call::Rename] {
        for nth in 1.. {
            let what = format!("{call:?} {nth}");
            let root = temp.path().join(&what);
            let (env, fs, mut log, before) = on_faults(&root, nth.into());
            fs.fail(call, nth, ErrorKind::StorageFull);
            let order = all(&log);
            let ended = compact(&mut log, &eager(), order);
            let offline = log.reader().read(0, 1, 1, true).is_err();
            if let Err(error) = &ended
                && !offline
            {
                assert!(error.is_full(), "{what}: {error}");
                let left = rows(&log);
                assert!(latest(&before, 300).iter().all(|row| left.contains(row)), "{what}");
                let order = all(&log);
                compact(&mut log, &eager(), order).unwrap();
            }
            drop(log);
            fs.kill();
            whole_after(&env, &root.join("t-0"), true, &before, &what);
            std::fs::remove_dir_all(&root).unwrap();
            if ended.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn a_hole_at_the_end_is_passed_over() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let mut log = create(&env, temp.path());
    filled(&mut log);
    let order = all(&log);
    compact(&mut log, &eager(), order).unwrap();
    let saved = checkpoint(&log);
    // The active segment was never written to after all.
    let active = log.reader().clean_end();
    log.close().unwrap();
    for part in Part::ALL {
        std::fs::remove_file(name::path(temp.path(), active, part)).unwrap();
    }
    let saved = Checkpoint { applied: log_end(temp.path()), end_offset_at_applied: active, ..saved };
    let (mut log, _) = open(&env, temp.path(), OpenHint { checkpoint: Some(saved), same_boot: false }).unwrap();
    let reader = log.reader();
    assert_eq!(
        (reader.end_offset(), reader.first_index(), log.report().quarantined.len()),
        (active, log.next_index(), 0)
    );
    let last = rows(&log).last().unwrap().0;
    assert!(last < active);
    let slice = reader.read(last + 1, active, 1, true).unwrap();
    assert_eq!(slice.next_offset, active);
    put(&mut log, &[(NOW, Some("after"), Some("all"))]);
    assert_eq!(rows(&log).last().unwrap().0, active);
    sound(&env, temp.path());
}

/// The last entry that the cleaned segments stand for.
fn log_end(folder: &Path) -> u64 {
    Manifest::load(&Env::default(), folder, &identity()).unwrap().unwrap().first_index - 1
}
