//! Compaction: a log in the page cache, cleaned in one pass, synced on the way as a broker does it. The rate is of what is read
//! for the first time; what is kept is read once more and written.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leat_protocol::records::{Builder, Compression, set_base_offset, set_leader_epoch};
use leat_protocol::{Bytes, Uuid};
use leat_storage::compact::{Config, Limit, Order, Step};
use leat_storage::{Compaction, Env, Identity, Log, LogConfig};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

const LOG_BYTES: u64 = 64 << 20;
const RECORDS: u64 = 100;
const CONFIG: LogConfig = LogConfig {
    segment_bytes: 16 << 20,
    segment_ms: u64::MAX,
    segment_index_bytes: 10 << 20,
    index_interval_bytes: 4096,
};
const NOW: i64 = 1_700_000_000_000;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Records of 100 bytes, keyed by one of `keys`.
fn fill(log: &mut Log, codec: Compression, keys: u64) -> Result<()> {
    let mut random = 7u64;
    let mut value = [0; 80];
    while log.reader().size_bytes()? < LOG_BYTES {
        let mut builder = Builder::with_capacity(codec, None, 16 << 10);
        for _ in 0..RECORDS {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            for (n, byte) in value[..40].iter_mut().enumerate() {
                *byte = (random >> (n % 8 * 7)) as u8 ^ n as u8;
            }
            let key = format!("user-{:015}", (random >> 20) % keys);
            builder.push(NOW, Some(key.as_bytes()), Some(&value), &[]);
        }
        let mut batch = builder.finish()?.to_vec();
        set_base_offset(&mut batch, log.end_offset());
        set_leader_epoch(&mut batch, 1);
        log.append(&[Bytes::from(batch)], NOW)?;
    }
    Ok(log.sync()?)
}

/// One pass over all of it; how long it took.
fn clean(folder: &Path, codec: Compression, keys: u64) -> Result<Duration> {
    let identity = Identity { topic_id: Uuid::from_u128(7), partition: 0, replica_id: 1 };
    let mut log = Log::create(&Env::new(1000), folder, identity, CONFIG, 1, 0)?;
    fill(&mut log, codec, keys)?;
    let config = Config {
        min_lag_ms: 0,
        max_lag_ms: u64::MAX,
        min_dirty_ratio: 0.0,
        delete_retention_ms: 0,
        keys_bytes_max: 128 << 20,
        keys_load_factor: 0.9,
    };
    let limit = Limit { applied: u64::MAX, stable_offset: i64::MAX };
    let order = Order { limit, now_ms: NOW, producers: HashMap::new(), secret: [3; 16] };
    let begun = Instant::now();
    let Some(mut pass) = Compaction::begin(&log.reader(), CONFIG, &config, order)? else { return Ok(begun.elapsed()) };
    loop {
        match pass.step()? {
            Step::More { .. } => {}
            Step::Swap(swap) => log.swap_in(*swap)?,
            Step::Done(_) => break,
        }
    }
    let took = begun.elapsed();
    log.delete()?;
    Ok(took)
}

fn run(c: &mut Criterion) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut group = c.benchmark_group("compact");
    group.sample_size(10).throughput(Throughput::Bytes(LOG_BYTES));
    for (what, keys) in [("1 in 10 stays", 60_000), ("most stays", 100_000_000)] {
        for codec in [Compression::None, Compression::Lz4] {
            group.bench_function(format!("{what}, {codec}"), |b| {
                b.iter_custom(|times| {
                    let each = (0..times).map(|_| clean(&scratch.path().join("log-0"), codec, keys));
                    each.sum::<Result<Duration>>().unwrap_or(Duration::MAX)
                });
            });
        }
    }
    Ok(())
}

fn compact(c: &mut Criterion) {
    let done = run(c);
    assert!(done.is_ok(), "{done:?}");
}

criterion_group!(benches, compact);
criterion_main!(benches);
