//! Files that hold anything: every call answers, right or with an error, and none panics.

use proptest::prelude::*;

use leat_protocol::records::Compression;

use super::testing::*;
use super::*;
use crate::checkpoint::Checkpoint;
use crate::dump;

#[derive(Debug, Clone)]
enum Damage {
    Flip(usize),
    Zero(usize, usize),
    Cut(usize),
    Add(Vec<u8>),
    Remove,
    /// The bytes of another file of the folder.
    Swap(usize),
}

fn damage() -> impl Strategy<Value = (usize, Damage)> {
    let what = prop_oneof![
        4 => any::<usize>().prop_map(Damage::Flip),
        2 => (any::<usize>(), 1usize..600).prop_map(|(at, len)| Damage::Zero(at, len)),
        2 => any::<usize>().prop_map(Damage::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..100).prop_map(Damage::Add),
        1 => Just(Damage::Remove),
        1 => any::<usize>().prop_map(Damage::Swap),
    ];
    (any::<usize>(), what)
}

fn do_damage(folder: &Path, file: usize, damage: &Damage) {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    if files.is_empty() {
        return;
    }
    let path = &files[file % files.len()];
    let mut bytes = std::fs::read(path).unwrap();
    let len = bytes.len().max(1);
    match damage {
        Damage::Flip(at) if !bytes.is_empty() => bytes[at / 8 % len] ^= 1 << (at % 8),
        Damage::Zero(at, count) => bytes.iter_mut().skip(at % len).take(*count).for_each(|byte| *byte = 0),
        Damage::Cut(at) => bytes.truncate(at % len),
        Damage::Add(more) => bytes.extend_from_slice(more),
        Damage::Swap(other) => bytes = std::fs::read(&files[other % files.len()]).unwrap(),
        Damage::Remove => return std::fs::remove_file(path).unwrap(),
        Damage::Flip(_) => {}
    }
    std::fs::write(path, bytes).unwrap();
}

/// Calls everything; what it answers is not looked at.
fn call_everything(env: &Env, folder: &Path, hint: OpenHint) -> Result<()> {
    let mut log = open(env, folder, hint)?.0;
    let reader = log.reader();
    let (start, end) = (reader.log_start_offset(), reader.end_offset());
    assert!(start <= end && end < 1 << 40, "{start} {end}");
    for offset in (start..=end.min(start + 300)).step_by(3) {
        for max in [0, 500, u32::MAX] {
            if let Ok(slice) = reader.read(offset, end, max, true) {
                for range in slice.ranges {
                    range.is_resident();
                    drop(range.read_to_bytes());
                }
            }
        }
    }
    for index in reader.first_index()..reader.next_index().min(reader.first_index() + 100) {
        drop(reader.read_entries(index, index + 3, 1000));
        drop(reader.entry_header(index));
        reader.term_of(index);
    }
    drop(reader.read_entries(reader.first_index(), u64::MAX, u64::MAX));
    for time in (-2..15).map(|n| NOW + n * 17) {
        drop(reader.offset_for_timestamp(time, end));
        drop(reader.max_timestamp(end - time % 50));
        drop(reader.retention_start(time, Some(100), Some(5000), end));
    }
    let frame = batch(log.end_offset(), log.last_entry().1 as i32, Compression::None, &[NOW]);
    log.append(&[frame], NOW)?;
    drop(log.truncate_from(log.next_index() - 20.min(log.next_index() - 1)));
    drop(log.trim_to(end / 2));
    log.close()
}

proptest! {
    // Each case makes thousands of calls.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 8,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_the_files_hold_no_call_panics(
        damages in prop::collection::vec(damage(), 1..5),
        applied in prop::option::of(1u64..120),
        same_boot in any::<bool>(),
    ) {
        let temp = tempfile::tempdir().unwrap();
        let env = Env::default();
        let folder = temp.path().join("t-0");
        let mut log = create(&env, &folder);
        for n in 0..100 {
            let offset = log.end_offset();
            let mut frames = vec![batch(offset, 1 + n / 40, Compression::Lz4, &[NOW + i64::from(n), NOW - i64::from(n)])];
            if n % 9 == 0 {
                frames.push(control(offset + 2, 1 + n / 40));
            }
            log.append(&frames, NOW).unwrap();
        }
        let checkpoint = applied.map(|applied| Checkpoint {
            applied,
            commit: applied,
            term_at_applied: log.reader().term_of(applied).unwrap_or(1),
            end_offset_at_applied: log.reader().entry_header(applied).map_or(200, |header| header.next_offset()),
            epochs: log.reader().epochs(),
            ..Checkpoint::default()
        });
        log.close().unwrap();
        for (file, damage) in &damages {
            do_damage(&folder, *file, damage);
        }
        drop(dump::verify(&env, &folder));
        drop(dump::dump(&env, &folder, dump::Options { records: true, values: true }, &mut Vec::new()));
        drop(call_everything(&env, &folder, OpenHint { checkpoint, same_boot }));
        drop(call_everything(&env, &folder, OpenHint { checkpoint: None, same_boot: true }));
    }
}
