//! A log's behaviour without faults.

use leat_protocol::records::Compression;
use leat_protocol::records::entry::{self, EntryKind};
use leat_protocol::records::{self, BatchHeader};

use super::testing::*;
use super::*;
use crate::checkpoint::Checkpoint;
use crate::error::Error;

fn temp() -> (tempfile::TempDir, Env) {
    (tempfile::tempdir().unwrap(), Env::default())
}

#[test]
fn an_empty_log_has_no_files() {
    let (temp, env) = temp();
    let folder = temp.path().join("t-0");
    let log = create(&env, &folder);
    assert!(!folder.exists());
    let reader = log.reader();
    assert_eq!(
        (reader.log_start_offset(), reader.end_offset(), reader.first_index(), reader.next_index()),
        (0, 0, 1, 1)
    );
    assert!(reader.read(0, 0, 100, true).unwrap().ranges.is_empty());
    assert_eq!(reader.offset_for_timestamp(0, 0).unwrap(), None);
    log.close().unwrap();
    let (log, seen) = open(&env, &folder, OpenHint::default()).unwrap();
    assert_eq!((log.last_entry(), seen.len()), ((0, 0), 0));
}

#[test]
fn what_is_appended_is_fetched_without_control_frames_and_read_with_them() {
    let (temp, env) = temp();
    let folder = temp.path().join("t-0");
    let mut log = create(&env, &folder);
    let (mut all, mut data) = (Vec::new(), Vec::new());
    for n in 0..200 {
        let mut frames = vec![batch(log.end_offset(), 1 + n / 50, Compression::None, &[NOW + i64::from(n); 3])];
        data.extend_from_slice(&frames[0]);
        if n % 7 == 0 {
            frames.push(control(log.end_offset() + 3, 1 + n / 50));
        }
        all.extend(frames.clone());
        log.append(&frames, NOW).unwrap();
    }
    let check = |log: &Log| {
        let reader = log.reader();
        assert_eq!(fetch_all(log), data);
        assert_eq!(reader.read_entries(1, u64::MAX, u64::MAX).unwrap(), all);
        for (n, frame) in all.iter().enumerate() {
            let index = n as u64 + 1;
            assert_eq!(&reader.read_entries(index, index + 1, 0).unwrap()[0], frame);
            assert_eq!(reader.entry_header(index).unwrap(), BatchHeader::parse(frame).unwrap());
        }
        assert_eq!(reader.epochs().iter().map(|e| e.term).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(reader.last_entry(), (all.len() as u64, 4));
        assert!(reader.shared_segments() > 3, "the test is to roll");
    };
    check(&log);
    log.close().unwrap();
    let (log, seen) = open(&env, &folder, same_boot()).unwrap();
    assert_eq!(seen.len(), all.len());
    assert_eq!(log.report().cut_bytes, 0);
    check(&log);
}

#[test]
fn a_fetch_gives_whole_batches_within_its_limits() {
    let (temp, env) = temp();
    let mut log = Log::create(&env, &temp.path().join("t-0"), identity(), small(), 1, 100).unwrap();
    for _ in 0..10 {
        log.append(&[batch(log.end_offset(), 1, Compression::None, &[NOW; 5])], NOW).unwrap();
    }
    let reader = log.reader();
    let size = batch(100, 1, Compression::None, &[NOW; 5]).len() as u64;
    let read = |from, until, max, one| reader.read(from, until, max, one).map(|s| (s.len, s.next_offset)).unwrap();
    assert_eq!(read(107, 150, 0, true), (size, 110), "one whole batch even if it starts before the offset");
    assert_eq!(read(107, 150, 0, false), (0, 107));
    assert_eq!(read(107, 150, size as u32 * 2, false), (size * 2, 115));
    assert_eq!(read(107, 150, size as u32 * 3 - 1, false), (size * 2, 115));
    assert_eq!(read(100, 120, u32::MAX, true), (size * 4, 120), "not past the high watermark");
    assert_eq!(read(100, 119, u32::MAX, true), (size * 3, 115), "nor a batch that crosses it");
    assert_eq!(read(150, 150, 100, true), (0, 150));
    let out =
        |from| matches!(reader.read(from, 160, 1, true), Err(Error::OffsetOutOfRange { start: 100, end: 150, .. }));
    assert!(out(151) && out(99) && out(-1));
}

#[test]
fn segments_end_by_size_time_and_full_index() {
    let (temp, env) = temp();
    let names = |folder: &Path| {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.ends_with(".log"));
        names.len()
    };
    let config = LogConfig { segment_bytes: 1000, ..LogConfig::default() };
    let folder = temp.path().join("size-0");
    let mut log = Log::create(&env, &folder, identity(), config, 1, 0).unwrap();
    for n in 0..10 {
        log.append(&[sized(n, 1, NOW, 400)], NOW).unwrap();
    }
    assert_eq!(names(&folder), 10, "a header and two of 470 bytes are more than 1000");
    log.append(&[sized(10, 1, NOW, 5000)], NOW).unwrap();
    assert_eq!(names(&folder), 11, "too large a batch has a segment of its own");

    let config = LogConfig { segment_ms: 1000, ..LogConfig::default() };
    let folder = temp.path().join("time-0");
    let mut log = Log::create(&env, &folder, identity(), config, 1, 0).unwrap();
    for (n, time) in [0, 1000, 500, 1001, 1500, 2002].into_iter().enumerate() {
        log.append(&[sized(n as i64, 1, time, 1)], NOW).unwrap();
    }
    assert_eq!(names(&folder), 3);

    let config = LogConfig { segment_index_bytes: 48, index_interval_bytes: 0, ..LogConfig::default() };
    let folder = temp.path().join("index-0");
    let mut log = Log::create(&env, &folder, identity(), config, 1, 0).unwrap();
    for n in 0..12 {
        log.append(&[sized(n, 1, NOW + n, 1)], NOW).unwrap();
    }
    assert!(names(&folder) > 2);
    for n in 0..12 {
        let found = log.reader().offset_for_timestamp(NOW + n, i64::MAX).unwrap();
        assert_eq!(found.unwrap().offset, n);
    }

    let folder = temp.path().join("control-0");
    let config = LogConfig { segment_bytes: 300, ..LogConfig::default() };
    let mut log = Log::create(&env, &folder, identity(), config, 1, 0).unwrap();
    for _ in 0..20 {
        log.append(&[control(0, 1)], NOW).unwrap();
    }
    assert_eq!(names(&folder), 1, "a segment without a record never rolls");
}

#[test]
fn a_frame_that_does_not_follow_is_refused_and_changes_nothing() {
    let (temp, env) = temp();
    let mut log = create(&env, &temp.path().join("t-0"));
    log.append(&[batch(0, 2, Compression::None, &[NOW])], NOW).unwrap();
    let good = batch(1, 2, Compression::None, &[NOW]);
    let mut long = good.to_vec();
    long.push(0);
    for bad in [
        batch(3, 2, Compression::None, &[NOW]),
        batch(1, 1, Compression::None, &[NOW]),
        control(0, 2),
        long.into(),
        Bytes::from_static(b"x"),
    ] {
        let error = log.append(&[good.clone(), bad], NOW).unwrap_err();
        assert!(matches!(error, Error::InvalidFrame { .. }), "{error}");
        assert_eq!((log.next_index(), log.end_offset()), (2, 1));
    }
    log.append(&[good], NOW).unwrap();
    assert_eq!(log.end_offset(), 2);
}

#[test]
fn timestamps_are_found_exactly_whatever_their_order() {
    let (temp, env) = temp();
    let folder = temp.path().join("t-0");
    let mut log = create(&env, &folder);
    let mut times = Vec::new();
    let mut seed = 7u64;
    for _ in 0..150 {
        let mut batch_times = Vec::new();
        for _ in 0..4 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            batch_times.push((seed >> 33) as i64 % 1000 + times.len() as i64);
        }
        let codec = [Compression::None, Compression::Lz4, Compression::Zstd, Compression::Gzip, Compression::Snappy]
            [times.len() / 4 % 5];
        log.append(&[batch(log.end_offset(), 1, codec, &batch_times)], NOW).unwrap();
        times.extend(batch_times);
    }
    let check = |log: &Log| {
        let reader = log.reader();
        for start in [0, 1, 2, 37, 250, 599] {
            if start > reader.log_start_offset() {
                continue;
            }
            for until in [600, 599, 300, 41] {
                for asked in (-1..1700).step_by(13) {
                    let from = reader.log_start_offset() as usize;
                    let expected =
                        times.iter().enumerate().skip(from).find(|(_, t)| **t >= asked).map(|(n, t)| (n as i64, *t));
                    let found = reader.offset_for_timestamp(asked, until).unwrap().map(|f| (f.offset, f.timestamp));
                    assert_eq!(found, expected.filter(|(n, _)| *n < until), "asked {asked} from {from} until {until}");
                }
                let from = reader.log_start_offset() as usize;
                let within = times.get(from..until as usize).unwrap_or(&[]);
                let max = within
                    .iter()
                    .max()
                    .map(|max| (from as i64 + within.iter().position(|t| t == max).unwrap() as i64, *max));
                let found = reader.max_timestamp(until).unwrap().map(|f| (f.offset, f.timestamp));
                assert_eq!(found, max, "max from {from} until {until}");
            }
        }
    };
    check(&log);
    for start in [1, 2, 37, 250, 599] {
        log.trim_to(start).unwrap();
        check(&log);
    }
    log.close().unwrap();
    let checkpoint = Checkpoint { log_start_offset: 599, ..Checkpoint::default() };
    let (log, _) = open(&env, &folder, OpenHint { checkpoint: Some(checkpoint), same_boot: true }).unwrap();
    check(&log);
}

#[test]
fn trimming_deletes_whole_segments_and_the_rest_still_describes_itself() {
    let (temp, env) = temp();
    let folder = temp.path().join("t-0");
    let mut log = create(&env, &folder);
    for n in 0..100 {
        log.append(&[sized(n, 1 + (n / 30) as i32, NOW + n, 200)], NOW).unwrap();
    }
    let reader = log.reader();
    let held = reader.read(0, 100, 100, true).unwrap();
    log.trim_to(50).unwrap();
    assert_eq!(held.ranges[0].read_to_bytes().unwrap(), sized(0, 1, NOW, 200), "a reader keeps its file");
    assert!(matches!(reader.read(49, 100, 1, true), Err(Error::OffsetOutOfRange { start: 50, .. })));
    assert!(reader.first_index() > 1 && reader.first_index() <= 51);
    let first = reader.first_index();
    assert_eq!(reader.term_of(first - 1), Some(2));
    assert_eq!(
        reader.read_entries(first, first + 1, 0).unwrap()[0],
        sized(first as i64 - 1, 2, NOW + first as i64 - 1, 200)
    );
    log.close().unwrap();
    let (mut log, seen) = open(&env, &folder, same_boot()).unwrap();
    assert_eq!((log.reader().first_index(), seen[0].0, log.next_index()), (first, first, 101));
    log.trim_to(100).unwrap();
    assert_eq!((log.reader().first_index(), log.last_entry()), (101, (100, 4)));
    log.close().unwrap();
    let (mut log, seen) = open(&env, &folder, same_boot()).unwrap();
    assert_eq!((log.last_entry(), log.end_offset(), seen.len()), ((100, 4), 100, 0));
    assert_eq!(log.reader().log_start_offset(), 100);
    log.append(&[sized(100, 4, NOW, 1)], NOW).unwrap();
    assert!(matches!(log.trim_to(102), Err(Error::OffsetOutOfRange { .. })));
}

/// Found by the cluster's simulation: entries without records behind the last applied one went with the records.
#[test]
fn entries_that_no_checkpoint_covers_outlive_a_trim() {
    let (temp, env) = temp();
    for more in [0, 1] {
        let folder = temp.path().join(format!("t-{more}"));
        let mut log = create(&env, &folder);
        for n in 0..30 {
            log.append(&[sized(n, 1, NOW, 200)], NOW).unwrap();
        }
        let (applied, end) = (log.next_index() - 1, log.end_offset());
        log.append(&[control(end, 1)], NOW).unwrap();
        for n in 0..more * 30 {
            log.append(&[sized(end + n, 1, NOW, 200)], NOW).unwrap();
        }
        let checkpoint = Checkpoint {
            applied,
            commit: applied,
            term_at_applied: 1,
            end_offset_at_applied: end,
            log_start_offset: end,
            epochs: log.reader().epochs(),
            ..Checkpoint::default()
        };
        log.sync().unwrap();
        log.sync_indexes().unwrap();
        log.trim_applied(end, applied).unwrap();
        assert_eq!(log.reader().log_start_offset(), end);
        assert!(log.reader().first_index() > 1 && log.reader().first_index() <= applied + 1);
        drop(log);
        let hint = OpenHint { checkpoint: Some(checkpoint), same_boot: true };
        let (mut log, seen) = open(&env, &folder, hint).unwrap();
        assert_eq!((seen[0].0, log.reader().log_start_offset()), (applied + 1, end));
        log.truncate_from(applied + 1).unwrap();
        assert_eq!((log.next_index(), log.end_offset()), (applied + 1, end));
    }
}

#[test]
fn truncation_takes_entries_away_in_any_segment() {
    let (temp, env) = temp();
    for cut in [101u64, 100, 99, 60, 23, 2, 1] {
        let folder = temp.path().join(format!("t-{cut}"));
        let mut log = create(&env, &folder);
        for n in 0..100 {
            log.append(&[sized(n, 1 + (n / 30) as i32, NOW + n, 200)], NOW).unwrap();
        }
        fetch_all(&log);
        log.truncate_from(cut).unwrap();
        let kept = cut as i64 - 1;
        let term = if kept == 0 { 0 } else { 1 + (kept as u64 - 1) / 30 };
        assert_eq!((log.end_offset(), log.last_entry()), (kept, (kept as u64, term)));
        for n in 0..50 {
            log.append(&[sized(kept + n, 9, NOW - n, 100)], NOW).unwrap();
        }
        let check = |log: &Log| {
            let found = log.reader().offset_for_timestamp(NOW, i64::MAX).unwrap().unwrap();
            assert_eq!(found.offset, 0);
            assert_eq!(log.last_entry(), (kept as u64 + 50, 9));
            let frames = log.reader().read_entries(1, u64::MAX, u64::MAX).unwrap();
            assert_eq!(frames.len() as i64, kept + 50);
            assert_eq!(frames[kept as usize], sized(kept, 9, NOW, 100));
        };
        check(&log);
        log.close().unwrap();
        let verified = crate::dump::verify(&env, &folder).unwrap();
        assert_eq!(verified.problems, []);
        check(&open(&env, &folder, same_boot()).unwrap().0);
    }
}

#[test]
fn epochs_answer_as_kafkas_do() {
    let (temp, env) = temp();
    let mut log = create(&env, &temp.path().join("t-0"));
    for (offset, term) in [(0, 2), (1, 2), (2, 5), (3, 7)] {
        log.append(&[sized(offset, term, NOW, 1)], NOW).unwrap();
    }
    let reader = log.reader();
    let answers: Vec<_> = (-1..9).map(|epoch| reader.epoch_end_offset(epoch, 4)).collect();
    assert_eq!(answers, [(-1, -1), (0, 0), (1, 0), (2, 2), (2, 2), (2, 2), (5, 3), (5, 3), (7, 4), (-1, -1)]);
}

#[test]
fn retention_goes_by_time_size_and_segment() {
    let (temp, env) = temp();
    let mut log = create(&env, &temp.path().join("t-0"));
    for n in 0..100 {
        log.append(&[sized(n, 1, n * 1000, 200)], NOW).unwrap();
    }
    let reader = log.reader();
    assert_eq!(reader.retention_start(50_000, None, None, 100).unwrap(), None);
    let by_time = reader.retention_start(60_000, Some(20_000), None, 100).unwrap().unwrap();
    assert!((25..=40).contains(&by_time), "{by_time}");
    assert!(
        reader.retention_start(60_000, Some(20_000), None, 20).unwrap().unwrap() <= 20,
        "not past the high watermark"
    );
    assert_eq!(reader.retention_start(1_000_000, Some(1), None, 100).unwrap(), Some(100), "all of it");
    let size = reader.size_bytes().unwrap();
    let by_size = reader.retention_start(0, None, Some(size / 2), 100).unwrap().unwrap();
    assert!((35..=50).contains(&by_size), "{by_size}");
    log.trim_to(by_size).unwrap();
    assert!(log.reader().size_bytes().unwrap() >= size / 2);
}

#[test]
fn indexes_are_made_again_when_missing_or_wrong() {
    let (temp, env) = temp();
    let folder = temp.path().join("t-0");
    let mut log = create(&env, &folder);
    for n in 0..100 {
        log.append(&[sized(n, 1, NOW + n, 200)], NOW).unwrap();
    }
    log.close().unwrap();
    let data = fetch_all(&open(&env, &folder, same_boot()).unwrap().0);
    let checkpoint = || {
        let epochs = vec![crate::Epoch { term: 1, first_index: 1, first_offset: 0 }];
        Checkpoint {
            applied: 100,
            commit: 100,
            term_at_applied: 1,
            end_offset_at_applied: 100,
            epochs,
            ..Checkpoint::default()
        }
    };
    for damage in 0..4 {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e != "log") {
                let bytes = std::fs::read(&path).unwrap();
                match damage {
                    0 => std::fs::remove_file(&path).unwrap(),
                    1 => std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                    2 => std::fs::write(&path, vec![0; bytes.len()]).unwrap(),
                    _ => std::fs::write(&path, [&bytes[..], b"more"].concat()).unwrap(),
                }
            }
        }
        let hint = OpenHint { checkpoint: Some(checkpoint()), same_boot: false };
        let (log, seen) = open(&env, &folder, hint).unwrap();
        assert_eq!((fetch_all(&log) == data, seen.len(), log.report().cut_bytes), (true, 0, 0), "damage {damage}");
        assert_eq!(log.reader().offset_for_timestamp(NOW + 33, 100).unwrap().unwrap().offset, 33);
        log.close().unwrap();
    }
}

#[test]
fn a_log_of_another_topic_is_refused() {
    let (temp, env) = temp();
    let folder = temp.path().join("t-0");
    let mut log = create(&env, &folder);
    append_times(&mut log, &[NOW]);
    log.close().unwrap();
    let other = Identity { topic_id: Uuid::from_u128(1), ..identity() };
    let error = Log::open(&env, &folder, other, small(), same_boot(), &mut |_, _, _| {}).unwrap_err();
    assert!(matches!(error, Error::Foreign { what: "topic id", .. }), "{error}");
    assert!(Log::create(&env, &folder, identity(), small(), 1, 0).is_err());
}

#[test]
fn deletion_leaves_nothing_and_readers_finish() {
    let (temp, env) = temp();
    let folder = temp.path().join("t-0");
    let mut log = create(&env, &folder);
    append_times(&mut log, &[NOW, NOW]);
    let reader = log.reader();
    let slice = reader.read(0, 2, 1000, true).unwrap();
    log.delete().unwrap();
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
    assert!(slice.ranges[0].is_resident());
    assert_eq!(slice.ranges[0].read_to_bytes().unwrap().len() as u64, slice.len);
    assert!(reader.read(0, 2, 1000, true).is_err());
}

#[test]
fn the_budget_closes_segments_and_they_open_again() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::new(2);
    let mut logs: Vec<_> = (0..6).map(|n| create(&env, &temp.path().join(format!("t-{n}")))).collect();
    for round in 0..30 {
        for log in &mut logs {
            log.append(&[sized(round, 1, NOW + round, 300)], NOW).unwrap();
        }
        assert!(env.open_files.len() <= 2);
    }
    for log in &mut logs {
        log.sync().unwrap();
        assert_eq!(log.reader().read_entries(1, 31, u64::MAX).unwrap().len(), 30);
        assert_eq!(log.reader().offset_for_timestamp(NOW + 17, 100).unwrap().unwrap().offset, 17);
        assert!(env.open_files.len() <= 2);
    }
}

#[test]
fn membership_goes_into_the_next_segments_header() {
    let (temp, env) = temp();
    let folder = temp.path().join("t-0");
    let mut log = create(&env, &folder);
    log.append(&[entry::frame(EntryKind::Membership, 0, 1, b"m")], NOW).unwrap();
    log.set_membership(1, Bytes::from_static(b"m"));
    for n in 0..40 {
        log.append(&[sized(n, 1, NOW, 200)], NOW).unwrap();
    }
    log.trim_to(40).unwrap();
    log.close().unwrap();
    let (log, _) = open(&env, &folder, same_boot()).unwrap();
    assert_eq!(log.membership(), (1, Bytes::from_static(b"m")));
}

#[test]
fn readers_beside_a_writer_see_whole_batches_in_order() {
    use std::sync::atomic::{AtomicBool, Ordering};
    const ENTRIES: i64 = 6000;
    let temp = tempfile::tempdir().unwrap();
    let env = Env::new(3);
    let mut log = create(&env, &temp.path().join("t-0"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for n in 0..3 {
            let (reader, done) = (log.reader(), &done);
            scope.spawn(move || {
                let (mut from, mut reads) = (0, 0u64);
                while !done.load(Ordering::Relaxed) || from < reader.end_offset() {
                    let end = reader.end_offset();
                    let slice = match reader.read(from, end, 700, true) {
                        Ok(slice) => slice,
                        Err(Error::OffsetOutOfRange { start, .. }) if start > from => {
                            from = start;
                            continue;
                        }
                        Err(e) => panic!("{e}"),
                    };
                    for range in &slice.ranges {
                        for batch in records::split(&range.read_to_bytes().unwrap()) {
                            let (header, batch) = batch.unwrap();
                            assert_eq!(header.base_offset, from);
                            records::check(&batch).unwrap();
                            from = header.next_offset();
                        }
                    }
                    assert_eq!(from, slice.next_offset);
                    reads += 1;
                    if reads % 16 == n {
                        let (last, term) = reader.last_entry();
                        assert!(term >= 1 || last == 0);
                        let found = reader.offset_for_timestamp(NOW + from, i64::MAX);
                        assert!(found.is_ok_and(|found| found.is_none_or(|found| found.timestamp >= NOW + from)));
                        match reader.read_entries(last.max(1), last + 1, 0) {
                            Ok(entries) => assert_eq!(entries.len() as u64, last.min(1)),
                            Err(Error::IndexOutOfRange { first, .. }) => assert!(first > last, "trimmed since"),
                            Err(e) => panic!("{e}"),
                        }
                    }
                }
            });
        }
        for offset in 0..ENTRIES {
            let end = log.end_offset();
            let mut frames = vec![sized(end, 1, NOW + offset, 100)];
            if offset % 5 == 0 {
                frames.insert(0, control(end, 1));
            }
            log.append(&frames, NOW).unwrap();
            if offset % 500 == 499 {
                log.trim_to(end - 300).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}
