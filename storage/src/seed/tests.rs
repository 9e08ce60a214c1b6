use uuid::Uuid;

use super::*;
use crate::data_dir::DataDir;
use crate::log::testing::{
    append_times, consume, control, create, eager, fetch_all, identity, keyed, order, same_boot, small,
};
use leat_protocol::records::Compression;

const OTHER: u64 = 7;

fn other() -> Identity {
    Identity { replica_id: OTHER, ..identity() }
}

/// A log of several segments, the last of which has more than is applied.
fn source(env: &Env, folder: &Path) -> (Log, Checkpoint) {
    let mut log = create(env, folder);
    log.append(&[control(0, 1)], 0).unwrap();
    append_times(&mut log, &(0..400).collect::<Vec<_>>());
    log.sync().unwrap();
    let (applied, end) = (log.next_index() - 1, log.end_offset());
    let checkpoint = Checkpoint {
        applied,
        commit: applied,
        term_at_applied: 1,
        end_offset_at_applied: end,
        epochs: log.reader().epochs(),
        ..Checkpoint::default()
    };
    append_times(&mut log, &[1, 2, 3]);
    (log, checkpoint)
}

/// Sends a seed as a socket would, in small pieces.
fn send(seed: &Seed, seeding: &mut Seeding) {
    for part in &seed.parts {
        seeding.segment(part.base_offset).unwrap();
        let mut at = 0;
        while at < part.len {
            let len = (part.len - at).min(1000);
            seeding.write(&part.read(at, len).unwrap()).unwrap();
            at += len;
        }
    }
}

fn open_other(env: &Env, folder: &Path) -> Log {
    let checkpoint = Checkpoint::load(env, folder).unwrap();
    let hint = OpenHint { checkpoint, ..same_boot() };
    Log::open(env, folder, other(), small(), hint, &mut |_, _, _| panic!("nothing is behind the checkpoint")).unwrap()
}

#[test]
fn a_replica_is_what_the_other_was_at_the_entry() {
    let temp = tempfile::tempdir().unwrap();
    let (env, folder) = (Env::default(), temp.path().join("b"));
    let (log, checkpoint) = source(&env, &temp.path().join("a"));
    // What was there before is gone afterwards.
    let mut before = Log::create(&env, &folder, other(), small(), 1, 0).unwrap();
    before.append(&[control(0, 1)], 0).unwrap();
    drop(before);
    let seed = log.reader().seed(checkpoint.applied).unwrap();
    assert!(seed.parts.len() > 2);
    let mut seeding = Seeding::begin(&env, &folder, other()).unwrap();
    send(&seed, &mut seeding);
    let staged = seeding.finish(seed.outline, &checkpoint, small()).unwrap();
    assert_eq!((staged.applied, staged.term), (checkpoint.applied, 1));
    staged.take_place().unwrap();
    let copy = open_other(&env, &folder);
    assert_eq!((copy.next_index(), copy.end_offset()), (checkpoint.applied + 1, checkpoint.end_offset_at_applied));
    assert_eq!(copy.reader().epochs(), log.reader().epochs());
    let (all, copied) = (fetch_all(&log), fetch_all(&copy));
    assert!(copied.len() < all.len() && all.starts_with(&copied));
    assert_eq!(copy.reader().read_entries(2, 5, 1 << 20).unwrap(), log.reader().read_entries(2, 5, 1 << 20).unwrap());
}

#[test]
fn a_trimmed_log_is_seeded_from_where_it_begins() {
    let temp = tempfile::tempdir().unwrap();
    let (env, folder) = (Env::default(), temp.path().join("b"));
    let (mut log, mut checkpoint) = source(&env, &temp.path().join("a"));
    log.trim_to(300).unwrap();
    checkpoint.log_start_offset = 300;
    assert!(log.reader().first_index() > 1);
    let seed = log.reader().seed(checkpoint.applied).unwrap();
    let mut seeding = Seeding::begin(&env, &folder, other()).unwrap();
    send(&seed, &mut seeding);
    seeding.finish(seed.outline, &checkpoint, small()).unwrap().take_place().unwrap();
    let copy = open_other(&env, &folder);
    assert_eq!(copy.reader().first_index(), log.reader().first_index());
    assert_eq!((copy.reader().log_start_offset(), copy.end_offset()), (300, checkpoint.end_offset_at_applied));
}

#[test]
fn a_compacted_log_is_seeded_as_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let (env, folder) = (Env::default(), temp.path().join("b"));
    let mut log = create(&env, &temp.path().join("a"));
    for offset in 0..300 {
        let key = format!("key {}", offset % 7);
        let value = "v".repeat(50);
        let batch = keyed(offset, 1, Compression::None, None, &[(offset, Some(&key), Some(&value))]);
        log.append(&[batch], 0).unwrap();
    }
    log.sync().unwrap();
    let applied = log.next_index() - 1;
    crate::log::testing::compact(&mut log, &eager(), order(applied, 1_000_000)).unwrap().unwrap();
    assert!(log.reader().first_index() > 1 && log.reader().clean_end() > 0);
    let checkpoint = Checkpoint {
        applied,
        commit: applied,
        term_at_applied: 1,
        end_offset_at_applied: log.end_offset(),
        epochs: log.reader().epochs(),
        ..Checkpoint::default()
    };
    let seed = log.reader().seed(applied).unwrap();
    let mut seeding = Seeding::begin(&env, &folder, other()).unwrap();
    send(&seed, &mut seeding);
    seeding.finish(seed.outline, &checkpoint, small()).unwrap().take_place().unwrap();
    let copy = open_other(&env, &folder);
    assert_eq!(consume(&copy), consume(&log));
    assert_eq!(copy.reader().clean_end(), log.reader().clean_end());
    assert_eq!(copy.reader().first_index(), log.reader().first_index());
}

#[test]
fn a_seed_that_lacks_something_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let (log, checkpoint) = source(&env, &temp.path().join("a"));
    let seed = log.reader().seed(checkpoint.applied).unwrap();
    for lacking in 0..seed.parts.len() {
        let mut seeding = Seeding::begin(&env, &temp.path().join("b"), other()).unwrap();
        for (n, part) in seed.parts.iter().enumerate() {
            seeding.segment(part.base_offset).unwrap();
            let len = if n == lacking { part.len - 10 } else { part.len };
            seeding.write(&part.read(0, len).unwrap()).unwrap();
        }
        assert!(seeding.finish(seed.outline, &checkpoint, small()).is_err(), "part {lacking} is short");
    }
    let mut damaged = Seeding::begin(&env, &temp.path().join("b"), other()).unwrap();
    for part in &seed.parts {
        damaged.segment(part.base_offset).unwrap();
        let mut bytes = part.read(0, part.len).unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        damaged.write(&bytes).unwrap();
    }
    assert!(damaged.finish(seed.outline, &checkpoint, small()).is_err());
}

/// Where a crash comes between the steps of taking the place, the next start finishes them; a part of a seed goes.
#[test]
fn the_next_start_finishes_or_forgets() {
    let temp = tempfile::tempdir().unwrap();
    let env = Env::default();
    let data = temp.path().join("data");
    drop(DataDir::open(&env, &data, Some("c"), 1).unwrap());
    let folder = data.join("t-0");
    let (log, checkpoint) = source(&env, &temp.path().join("a"));
    let seed = log.reader().seed(checkpoint.applied).unwrap();
    let mut seeding = Seeding::begin(&env, &folder, other()).unwrap();
    send(&seed, &mut seeding);
    drop(seeding.finish(seed.outline, &checkpoint, small()).unwrap());
    for old in [true, false] {
        if old {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("old"), b"old").unwrap();
        } else {
            std::fs::remove_dir_all(&folder).unwrap();
            let mut seeding = Seeding::begin(&env, &folder, other()).unwrap();
            send(&seed, &mut seeding);
            drop(seeding.finish(seed.outline, &checkpoint, small()).unwrap());
        }
        std::fs::rename(data.join("t-0.seed"), data.join("t-0.seeded")).unwrap();
        drop(DataDir::open(&env, &data, Some("c"), 1).unwrap());
        assert!(!folder.join("old").exists() && !data.join("t-0.seeded").exists());
        assert_eq!(open_other(&env, &folder).next_index(), checkpoint.applied + 1);
    }
    let seeding = Seeding::begin(&env, &data.join("u-0"), Identity { topic_id: Uuid::nil(), ..other() }).unwrap();
    drop(seeding);
    drop(DataDir::open(&env, &data, Some("c"), 1).unwrap());
    assert!(!data.join("u-0.seed").exists() && !data.join("u-0").exists());
}
