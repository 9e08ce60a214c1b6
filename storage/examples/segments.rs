//! Writes segments of every shape into a folder, for other tools to read: Kafka's DumpLogSegments must find nothing to complain
//! of, with deep iteration and with the index sanity check.
//!
//! `cargo run -p leat-storage --example segments -- FOLDER`

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use leat_protocol::Bytes;
use leat_protocol::records::entry::{self, EntryKind};
use leat_protocol::records::{self, Builder, Compression};
use leat_storage::compact::{self, Limit, Order, Step};
use leat_storage::{Checkpoint, Compaction, Env, Identity, Log, LogConfig, OpenHint};
use uuid::Uuid;

const NOW: i64 = 1_700_000_000_000;
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: segments FOLDER")?;
    let folder = Path::new(&folder);
    let env = Env::default();
    for (partition, disorder) in [0, 1, 60_000, 10_000_000].into_iter().enumerate() {
        let folder = folder.join(format!("segments-{partition}"));
        let mut log = write(&env, &folder, partition as i32, disorder)?;
        if partition == 2 {
            // Truncated in the middle of a sealed segment, and written on.
            log.truncate_from(log.next_index() / 2)?;
            fill(&mut log, 2_000, disorder, 9)?;
        }
        if partition == 3 {
            log.trim_to(log.end_offset() / 2)?;
        }
        if partition == 1 {
            compact(&mut log)?;
        }
        log.close()?;
        let problems = leat_storage::dump::verify(&env, &folder)?.problems;
        if !problems.is_empty() {
            return Err(format!("{problems:?}").into());
        }
    }
    Ok(())
}

/// Cleans it twice, so that tombstones get their horizon and go; the second time with a map too small for all keys.
fn compact(log: &mut Log) -> Result<(), Box<dyn Error>> {
    for (now_ms, keys_bytes_max) in [(NOW, 1 << 20), (NOW + 1001, 24_000)] {
        let config = compact::Config {
            min_lag_ms: 0,
            max_lag_ms: u64::MAX,
            min_dirty_ratio: 0.0,
            delete_retention_ms: 1000,
            keys_bytes_max,
            keys_load_factor: 0.9,
        };
        let limit = Limit { applied: log.next_index() - 1, stable_offset: log.end_offset() };
        let order = Order { limit, now_ms, producers: HashMap::new(), secret: [1; 16] };
        let log_config = LogConfig { segment_bytes: 200_000, ..LogConfig::default() };
        let Some(mut pass) = Compaction::begin(&log.reader(), log_config, &config, order)? else { continue };
        while let step = pass.step()?
            && !matches!(step, Step::Done(_))
        {
            if let Step::Swap(swap) = step {
                log.swap_in(*swap)?;
            }
        }
        fill(log, 2_000, 1, 2)?;
    }
    Ok(())
}

fn write(env: &Env, folder: &Path, partition: i32, disorder: i64) -> Result<Log, Box<dyn Error>> {
    let identity = Identity { topic_id: Uuid::from_u128(0x1EA7), partition, replica_id: 1 };
    let config = LogConfig { segment_bytes: 200_000, ..LogConfig::default() };
    let mut log = Log::create(env, folder, identity, config, 1, 1_000_000)?;
    fill(&mut log, 5_000, disorder, 1)?;
    log.sync_indexes()?;
    log.close()?;
    // What recovery writes must be as good.
    let hint = OpenHint { checkpoint: Checkpoint::load(env, folder)?, same_boot: true };
    Ok(Log::open(env, folder, identity, config, hint, &mut |_, _, _| {})?)
}

fn fill(log: &mut Log, batches: u64, disorder: i64, term: i32) -> Result<(), Box<dyn Error>> {
    let mut random = 7u64;
    let mut draw = |below: i64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as i64 % below.max(1)
    };
    for n in 0..batches {
        let offset = log.end_offset();
        if n % 50 == 0 {
            log.append(&[entry::frame(EntryKind::NoOp, offset, term, b"")], NOW)?;
        }
        let mut batch = Builder::new(CODECS[(n % 5) as usize], None);
        for _ in 0..=draw(20) {
            let time = NOW + n as i64 * 1000 + draw(disorder);
            let value = vec![b'v'; draw(200) as usize];
            let value = (draw(10) > 0).then_some(&value[..]);
            batch.push(time, Some(&draw(2_000).to_be_bytes()), value, &[]);
        }
        let mut batch = Vec::from(batch.finish()?);
        records::set_base_offset(&mut batch, offset);
        records::set_leader_epoch(&mut batch, term);
        log.append(&[Bytes::from(batch)], NOW)?;
    }
    Ok(())
}
