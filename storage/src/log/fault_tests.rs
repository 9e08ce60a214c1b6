//! A log on a disk that fails: power cuts, damage, failed syncs, no space.

use std::io::ErrorKind;

use leat_protocol::records::Compression;

use super::testing::*;
use super::*;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::fs::fault::Call;
use crate::segment::name::{self, Part};

fn one(offset: i64) -> Bytes {
    sized(offset, 1, NOW + offset, 200)
}

/// A log of `count` entries in segments of some 15 each.
fn filled(env: &Env, folder: &Path, count: i64) -> Log {
    let mut log = create(env, folder);
    for offset in 0..count {
        log.append(&[one(offset)], NOW).unwrap();
    }
    log
}

/// The state after entry `applied`, as the broker would save it.
fn checkpoint(log: &Log, applied: u64) -> Checkpoint {
    Checkpoint {
        applied,
        commit: applied,
        term_at_applied: 1,
        end_offset_at_applied: applied as i64,
        epochs: log.reader().epochs(),
        ..Checkpoint::default()
    }
}

fn bases(folder: &Path) -> Vec<i64> {
    let mut bases = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        if let name::Name::Segment(base, Part::Log) = name::parse(entry.unwrap().file_name().to_str().unwrap()) {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    bases
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn an_unfinished_tail_is_cut_and_the_log_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let tail = one(20);
    for intact in [true, false] {
        for len in [1, 12, 60, 61, 100, tail.len() - 1] {
            let folder = temp.path().join(format!("t-{len}-{intact}"));
            filled(&env, &folder, 20).close().unwrap();
            let last = name::path(&folder, *bases(&folder).last().unwrap(), Part::Log);
            let mut bytes = std::fs::read(&last).unwrap();
            bytes.extend_from_slice(&tail[..len]);
            std::fs::write(&last, &bytes).unwrap();
            let (mut log, _) = open(&env, &folder, OpenHint { checkpoint: None, same_boot: intact }).unwrap();
            assert_eq!((log.next_index(), log.report().cut_bytes), (21, len as u64));
            assert_eq!(log.report().quarantined, []);
            log.append(std::slice::from_ref(&tail), NOW).unwrap();
            log.close().unwrap();
            assert_eq!(open(&env, &folder, same_boot()).unwrap().0.next_index(), 22);
        }
    }
}

#[test]
fn damage_before_the_checkpoint_is_set_aside_and_never_served() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    for same_boot in [true, false] {
        let folder = temp.path().join(format!("t-{same_boot}"));
        let log = filled(&env, &folder, 50);
        let saved = checkpoint(&log, 49);
        log.close().unwrap();
        let base = *bases(&folder).last().unwrap();
        let path = name::path(&folder, base, Part::Log);
        flip(&path, std::fs::metadata(&path).unwrap().len() as usize - 300);
        let hint = OpenHint { checkpoint: Some(saved), same_boot };
        let (mut log, _) = open(&env, &folder, hint.clone()).unwrap();
        let report = log.report().clone();
        assert_eq!((report.cut_bytes, report.quarantined.len()), (0, 1), "{report:?}");
        let aside = &report.quarantined[0];
        assert_eq!((aside.from, aside.until, log.next_index()), (base, log.end_offset(), log.end_offset() as u64 + 1));
        assert!(log.next_index() >= 50, "what was applied is not forgotten");
        assert!(aside.path.exists() && !path.exists() || bases(&folder).contains(&aside.until));
        let end = log.end_offset();
        for offset in base..end {
            let error = log.reader().read(offset, i64::MAX, 1, true).unwrap_err();
            assert!(matches!(error, Error::Quarantined { .. }), "{error}");
        }
        log.append(&[one(end)], NOW).unwrap();
        assert_eq!(log.reader().read(end, i64::MAX, 1, true).unwrap().next_offset, end + 1);
        assert_eq!(log.reader().read(base - 1, i64::MAX, 1, true).unwrap().next_offset, base);
        log.close().unwrap();
        let (mut log, _) = open(&env, &folder, hint).unwrap();
        assert_eq!(
            (log.report().quarantined.len(), log.report().quarantined[0].from, log.end_offset()),
            (1, base, end + 1)
        );
        assert_eq!(log.report().quarantined[0].until, end);
        log.trim_to(end).unwrap();
        assert!(!aside.path.exists(), "below the log start it is deleted");
        assert!(log.reader().read(end, i64::MAX, 1, true).is_ok());
    }
}

#[test]
fn within_one_boot_a_complete_frame_that_is_bad_is_damage() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let folder = temp.path().join("t-0");
    filled(&env, &folder, 50).close().unwrap();
    let bases = bases(&folder);
    let base = bases[1];
    flip(&name::path(&folder, base, Part::Log), 1000);
    let (log, _) = open(&env, &folder, same_boot()).unwrap();
    let aside = &log.report().quarantined;
    assert_eq!((aside.len(), aside[0].from, aside[0].until), (1, base, bases[2]));
    assert_eq!((log.next_index(), log.report().cut_bytes), (51, 0), "what lies behind is still there");
    assert_eq!(log.reader().read(bases[2], i64::MAX, 1, true).unwrap().next_offset, bases[2] + 1);
    assert!(matches!(log.reader().read(base, i64::MAX, 1, true), Err(Error::Quarantined { .. })));
    assert_eq!(log.reader().read(0, i64::MAX, 1, true).unwrap().next_offset, 1);
}

#[test]
fn damage_in_any_byte_of_a_sealed_header_is_refused_or_set_aside() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let folder = temp.path().join("t-0");
    let log = filled(&env, &folder, 50);
    let saved = checkpoint(&log, 50);
    log.close().unwrap();
    let base = bases(&folder)[1];
    let path = name::path(&folder, base, Part::Log);
    // Base offset and epoch are outside the CRC; their damage shows elsewhere.
    for at in (8..12).chain(16..150) {
        flip(&path, at);
        let (log, _) = open(&env, &folder, OpenHint { checkpoint: Some(saved.clone()), same_boot: true }).unwrap();
        assert!(log.reader().read(base, i64::MAX, 1, true).is_err(), "byte {at}");
        assert!(log.reader().read(0, i64::MAX, 1, true).is_ok());
        drop(log);
        flip(&path, at);
    }
}

#[test]
fn a_failed_sync_takes_the_log_offline_for_good() {
    let temp = tempfile::tempdir().unwrap();
    for (call, nth) in [(Call::Sync, 1), (Call::SyncDir, 1)] {
        let folder = temp.path().join(format!("{call:?}"));
        std::fs::create_dir(&folder).unwrap();
        let (env, fs) = fault_env(&folder, 1);
        let mut log = create(&env, &folder.join("t-0"));
        log.append(&[one(0)], NOW).unwrap();
        fs.fail(call, nth, ErrorKind::Other);
        assert!(log.sync().unwrap_err().to_string().contains("injected"));
        let offline = |result: Result<()>| {
            let error = result.unwrap_err();
            assert!(matches!(&error, Error::Offline { reason } if reason.contains("injected")), "{error}");
        };
        offline(log.sync());
        offline(log.append(&[one(1)], NOW));
        offline(log.truncate_from(1));
        offline(log.trim_to(1));
        offline(log.reader().read(0, 1, 1, true).map(drop));
        offline(log.reader().offset_for_timestamp(0, 1).map(drop));
        offline(log.close());
    }
}

#[test]
fn a_full_disk_refuses_an_append_and_leaves_the_log_as_it_was() {
    let temp = tempfile::tempdir().unwrap();
    for space in (0..9000).step_by(97) {
        let folder = temp.path().join(space.to_string());
        std::fs::create_dir(&folder).unwrap();
        let (env, fs) = fault_env(&folder, 1);
        let mut log = create(&env, &folder.join("t-0"));
        fs.set_space(Some(space));
        let mut appended = 0;
        // Calls of ten frames, so that some fail after they have rolled.
        let frames = |from: i64| (from..from + 10).map(one).collect::<Vec<_>>();
        while log.append(&frames(appended), NOW).is_ok() {
            appended += 10;
        }
        let error = log.append(&frames(appended), NOW).unwrap_err();
        assert!(error.is_full(), "{error}");
        assert_eq!((log.end_offset(), log.next_index()), (appended, appended as u64 + 1));
        if appended > 0 {
            assert_eq!(log.reader().read_entries(1, u64::MAX, u64::MAX).unwrap().len() as i64, appended);
        }
        fs.set_space(None);
        log.append(&frames(appended), NOW).unwrap();
        log.sync().unwrap();
        drop(log);
        fs.kill();
        let (log, seen) = open(&env, &folder.join("t-0"), same_boot()).unwrap();
        assert_eq!(
            (log.end_offset(), seen.len() as i64, log.report().cut_bytes),
            (appended + 10, appended + 10, 0),
            "space {space}"
        );
        assert_eq!(crate::dump::verify(&env, log.folder()).unwrap().problems, []);
    }
}

#[test]
fn any_failing_call_leaves_a_log_that_opens_with_all_that_was_synced() {
    let temp = tempfile::tempdir().unwrap();
    for call in [Call::Open, Call::Write, Call::Truncate, Call::Rename, Call::Read] {
        for nth in 1..60 {
            let root = temp.path().join(format!("{call:?}-{nth}"));
            std::fs::create_dir(&root).unwrap();
            let (env, fs) = fault_env(&root, u64::from(nth));
            let folder = root.join("t-0");
            let mut log = filled(&env, &folder, 40);
            log.sync().unwrap();
            fs.fail(call, nth, ErrorKind::Other);
            let mut failed = 0;
            for offset in 40..60 {
                failed += u32::from(log.append(&[one(log.end_offset())], NOW).is_err());
                failed += u32::from(log.reader().offset_for_timestamp(NOW + offset, i64::MAX).is_err());
                if offset == 50 {
                    failed += u32::from(log.truncate_from(47).is_err());
                }
            }
            assert!(failed <= 40);
            fs.kill();
            let (log, _) = open(&env, &folder, same_boot()).unwrap();
            assert_eq!(log.report().quarantined, [], "{call:?} {nth}");
            let frames = log.reader().read_entries(1, u64::MAX, u64::MAX).unwrap();
            assert!(frames.len() >= 40);
            assert!(frames.iter().enumerate().all(|(n, frame)| *frame == one(n as i64)));
        }
    }
}

#[test]
fn a_power_cut_in_the_middle_of_a_first_append_leaves_an_empty_log_or_that_append() {
    let temp = tempfile::tempdir().unwrap();
    for seed in 0..100 {
        let root = temp.path().join(seed.to_string());
        std::fs::create_dir(&root).unwrap();
        let (env, fs) = fault_env(&root, seed);
        let folder = root.join("t-0");
        let mut log = create(&env, &folder);
        log.append(&[batch(0, 1, Compression::None, &[NOW])], NOW).unwrap();
        fs.crash().unwrap();
        let (mut log, seen) = open(&env, &folder, OpenHint::default()).unwrap();
        assert!(seen.len() <= 1 && log.report().quarantined.is_empty(), "seed {seed}: {:?}", log.report());
        let end = log.end_offset();
        log.append(&[one(end)], NOW).unwrap();
        log.sync().unwrap();
        fs.crash().unwrap();
        assert_eq!(open(&env, &folder, OpenHint::default()).unwrap().0.end_offset(), end + 1, "seed {seed}");
    }
}

#[test]
fn a_log_whose_files_are_gone_goes_on_behind_what_was_applied() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let folder = temp.path().join("t-0");
    let log = filled(&env, &folder, 50);
    let saved = checkpoint(&log, 50);
    log.close().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let (mut log, _) = open(&env, &folder, OpenHint { checkpoint: Some(saved), same_boot: true }).unwrap();
    assert_eq!((log.next_index(), log.end_offset(), log.report().quarantined.len()), (51, 50, 1));
    assert!(matches!(log.reader().read(7, 50, 1, true), Err(Error::Quarantined { from: 0, until: 50, .. })));
    log.append(&[one(50)], NOW).unwrap();
    assert_eq!(log.reader().read(50, 51, 1, true).unwrap().next_offset, 51);
}

#[test]
fn entries_behind_damage_are_counted_where_the_indexes_lead_to_them() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let folder = temp.path().join("t-0");
    filled(&env, &folder, 50).close().unwrap();
    let base = *bases(&folder).last().unwrap();
    // The second frame of the last segment: a header that leads nowhere.
    flip(&name::path(&folder, base, Part::Log), 500);
    let (log, _) = open(&env, &folder, same_boot()).unwrap();
    assert_eq!((log.next_index(), log.end_offset(), log.report().cut_bytes), (51, 50, 0));
    assert!(matches!(log.reader().read(base, 50, 1, true), Err(Error::Quarantined { until: 50, .. })));
}
