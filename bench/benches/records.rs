//! Record batches: checksum, validation, iteration, building and each codec. Throughput is in bytes of values.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use leat_protocol::Bytes;
use leat_protocol::records::{Builder, Compression, check, records, validate, validate_records};
use std::hint::black_box;

/// Value size and number of records: one small, a usual and a large batch.
const SHAPES: [(usize, usize); 4] = [(100, 1), (100, 160), (1024, 16), (1024, 250)];

/// Text that compresses about twofold: words in random order.
fn value(size: usize, seed: &mut u64) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "arrival",
        "Newark",
        "delayed",
        "carrier",
        "UA",
        "gate",
        "minutes",
        "cancelled",
        "flight",
        "departed",
        "weather",
        "LaGuardia",
        "tail",
        "N14228",
        "distance",
        "1400",
    ];
    let mut out = Vec::with_capacity(size + 16);
    while out.len() < size {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(WORDS[(*seed >> 60) as usize].as_bytes());
        out.push(b'0' + (*seed >> 40) as u8 % 10);
    }
    out.truncate(size);
    out
}

fn build(codec: Compression, values: &[Vec<u8>]) -> Bytes {
    let mut builder = Builder::with_capacity(codec, None, values.iter().map(|value| value.len() + 16).sum());
    for (index, value) in (0i64..).zip(values) {
        builder.push(1_357_016_400_000 + index, None, Some(value), &[]);
    }
    builder.finish().unwrap_or_default()
}

fn values(size: usize, count: usize) -> Vec<Vec<u8>> {
    let mut seed = 7;
    (0..count).map(|_| value(size, &mut seed)).collect()
}

fn plain(c: &mut Criterion) {
    for (size, count) in SHAPES {
        let values = values(size, count);
        let batch = build(Compression::None, &values);
        let mut group = c.benchmark_group(format!("records/{size}Bx{count}"));
        group.throughput(Throughput::Bytes((size * count) as u64));
        group.bench_function("crc", |b| b.iter(|| check(black_box(&batch))));
        group.bench_function("validate", |b| b.iter(|| validate(black_box(&batch), usize::MAX)));
        group.bench_function("iterate", |b| {
            b.iter(|| {
                let records = records(black_box(&batch), usize::MAX).ok()?;
                Some(records.flatten().filter_map(|record| record.value).map(|value| value.len()).sum::<usize>())
            });
        });
        group.bench_function("iterate by reference", |b| {
            b.iter(|| {
                let mut records = records(black_box(&batch), usize::MAX).ok()?;
                let mut sum = 0;
                while let Some(Ok(record)) = records.next_ref() {
                    sum += record.value.map_or(0, <[u8]>::len);
                }
                Some(sum)
            });
        });
        group.bench_function("build", |b| b.iter(|| build(Compression::None, black_box(&values))));
    }
}

fn codecs(c: &mut Criterion) {
    let (size, count) = (1024, 250);
    let values = values(size, count);
    let mut group = c.benchmark_group(format!("codec/{size}Bx{count}"));
    group.throughput(Throughput::Bytes((size * count) as u64));
    for codec in Compression::ALL.into_iter().skip(1) {
        let batch = build(codec, &values);
        group.bench_function(BenchmarkId::new("build", codec), |b| b.iter(|| build(codec, black_box(&values))));
        group.bench_function(BenchmarkId::new("validate records", codec), |b| {
            b.iter(|| validate_records(black_box(&batch), usize::MAX));
        });
        group.bench_function(BenchmarkId::new("validate frame", codec), |b| {
            b.iter(|| validate(black_box(&batch), usize::MAX));
        });
    }
}

criterion_group!(benches, plain, codecs);
criterion_main!(benches);
