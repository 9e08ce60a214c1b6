//! The log on disk: append, look-ups by offset and by time, and reading, on a log of many segments in the page cache.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leat_protocol::records::{BatchHeader, Builder, Compression, set_base_offset, set_leader_epoch};
use leat_protocol::{Bytes, Uuid};
use leat_storage::{Env, Identity, Log, LogConfig};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A million records in 16 KiB batches over 16 segments or so.
const BATCHES: i64 = 62_500;
const RECORDS: i64 = 16;
const SEGMENT_BYTES: u32 = 64 << 20;
const START: i64 = 1_357_016_400_000;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A batch whose records are 10 ms apart, each pair the wrong way round.
fn batch(base: i64) -> Result<Bytes> {
    let mut builder = Builder::with_capacity(Compression::None, None, 17 << 10);
    for record in 0..RECORDS {
        let timestamp = START + 10 * ((base + record) ^ 1);
        builder.push(timestamp, None, Some(&[b'x'; 1000]), &[]);
    }
    let mut batch = builder.finish()?.to_vec();
    set_base_offset(&mut batch, base);
    set_leader_epoch(&mut batch, 1);
    Ok(Bytes::from(batch))
}

fn open(folder: &std::path::Path) -> Result<Log> {
    let identity = Identity { topic_id: Uuid::from_u128(7), partition: 0, replica_id: 1 };
    let config = LogConfig { segment_bytes: SEGMENT_BYTES, ..LogConfig::default() };
    Ok(Log::create(&Env::new(1000), folder, identity, config, 1, 0)?)
}

fn run(c: &mut Criterion) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    append(c, &scratch.path().join("append-0"))?;

    let mut log = open(&scratch.path().join("read-0"))?;
    for index in 0..BATCHES {
        log.append(&[batch(index * RECORDS)?], START)?;
    }
    let (reader, end) = (log.reader(), log.end_offset());
    let mut at = 0;
    // Jumps all over the log, the same in every run.
    let mut next = move || {
        at = (at + 7_368_787) % (BATCHES * RECORDS);
        at
    };
    let mut group = c.benchmark_group("log");
    group.bench_function("offset to range of 1 MiB", |b| {
        b.iter(|| reader.read(black_box(next()), end, 1 << 20, true));
    });
    group.bench_function("timestamp to offset", |b| {
        b.iter(|| reader.offset_for_timestamp(black_box(START + 10 * next()), end));
    });
    group.bench_function("largest timestamp", |b| b.iter(|| reader.max_timestamp(black_box(end))));
    group.bench_function("header of a raft entry", |b| {
        b.iter(|| reader.entry_header(black_box(1 + (next() / RECORDS) as u64)));
    });
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("read 1 MiB to memory", |b| {
        b.iter(|| {
            let slice = reader.read(next(), end, 1 << 20, true).ok()?;
            Some(slice.ranges.iter().flat_map(|range| range.read_to_bytes()).map(|bytes| bytes.len()).sum::<usize>())
        });
    });
    Ok(())
}

/// Appends of one batch and of 16, to the page cache.
fn append(c: &mut Criterion, folder: &std::path::Path) -> Result<()> {
    let mut log = open(folder)?;
    let template = batch(0)?;
    let size = BatchHeader::parse(&template)?.size() as u64;
    let mut group = c.benchmark_group("append");
    for count in [1i64, 16] {
        group.throughput(Throughput::Bytes(size * count as u64));
        // Frames are numbered before the clock runs, and each is appended before the next are numbered.
        group.bench_function(format!("{count} of 16 KiB"), |b| {
            b.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                for turn in 0..iterations {
                    let base = log.end_offset();
                    let frames: Vec<_> = (0..count).map(|index| numbered(&template, base + index * RECORDS)).collect();
                    let begun = Instant::now();
                    let appended = log.append(black_box(&frames), START);
                    spent += begun.elapsed();
                    assert!(appended.is_ok(), "{appended:?}");
                    // The scratch folder stays small.
                    if turn % 1000 == 999 {
                        assert!(log.trim_to(base).is_ok());
                    }
                }
                spent
            });
        });
    }
    Ok(())
}

fn numbered(template: &[u8], base: i64) -> Bytes {
    let mut frame = template.to_vec();
    set_base_offset(&mut frame, base);
    Bytes::from(frame)
}

fn log(c: &mut Criterion) {
    let done = run(c);
    assert!(done.is_ok(), "{done:?}");
}

criterion_group!(benches, log);
criterion_main!(benches);
