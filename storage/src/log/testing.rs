//! Frames and logs for tests.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use leat_protocol::records::entry::{self, EntryKind};
use leat_protocol::records::{self, BatchHeader, Builder, Compression, Record};
use uuid::Uuid;

use super::{Identity, Log, LogConfig, OpenHint};
use crate::compact::{self, Compaction, Limit, Order, Outcome, Step};
use crate::env::Env;
use crate::error::Result;
use crate::fs::FaultFs;

pub(crate) const NOW: i64 = 1_700_000_000_000;

pub(crate) fn identity() -> Identity {
    Identity { topic_id: Uuid::from_u128(0xABCD), partition: 0, replica_id: 1 }
}

/// Small enough that a test rolls and indexes.
pub(crate) fn small() -> LogConfig {
    LogConfig { segment_bytes: 4096, index_interval_bytes: 256, ..LogConfig::default() }
}

/// A batch as a leader numbers it. A record for each timestamp; its value says which record it is.
pub(crate) fn batch(offset: i64, term: i32, compression: Compression, timestamps: &[i64]) -> Bytes {
    let mut builder = Builder::new(compression, None);
    for (n, timestamp) in timestamps.iter().enumerate() {
        let value = format!("record {}", offset + n as i64);
        builder.push(*timestamp, None, Some(value.as_bytes()), &[]);
    }
    let mut batch = builder.finish().unwrap().to_vec();
    records::set_base_offset(&mut batch, offset);
    records::set_leader_epoch(&mut batch, term);
    batch.into()
}

/// A record of a compacted topic: timestamp, key, value.
pub(crate) type Row<'a> = (i64, Option<&'a str>, Option<&'a str>);

/// A batch of such records, without a producer where `producer` is none.
pub(crate) fn keyed(
    offset: i64,
    term: i32,
    compression: Compression,
    producer: Option<(i64, i32)>,
    rows: &[Row<'_>],
) -> Bytes {
    let mut builder = Builder::new(compression, None);
    for (timestamp, key, value) in rows {
        builder.push(*timestamp, key.map(str::as_bytes), value.map(str::as_bytes), &[]);
    }
    if let Some((id, sequence)) = producer {
        builder.set_producer(id, 0, sequence);
    }
    let mut batch = builder.finish().unwrap().to_vec();
    records::set_base_offset(&mut batch, offset);
    records::set_leader_epoch(&mut batch, term);
    batch.into()
}

/// A configuration that cleans whatever can be.
pub(crate) fn eager() -> compact::Config {
    compact::Config {
        min_lag_ms: 0,
        max_lag_ms: u64::MAX,
        min_dirty_ratio: 0.0,
        delete_retention_ms: 1000,
        keys_bytes_max: 1 << 20,
        keys_load_factor: 0.9,
    }
}

/// What a pass is told: entries up to `applied` may be cleaned.
pub(crate) fn order(applied: u64, now_ms: i64) -> Order {
    let limit = Limit { applied, stable_offset: i64::MAX };
    Order { limit, now_ms, producers: HashMap::new(), secret: [42; 16] }
}

/// A whole pass, swaps and all.
pub(crate) fn compact(log: &mut Log, config: &compact::Config, order: Order) -> Result<Option<Outcome>> {
    let Some(mut pass) = Compaction::begin(&log.reader(), log.config, config, order)? else { return Ok(None) };
    loop {
        match pass.step()? {
            Step::More { .. } => {}
            Step::Swap(swap) => log.swap_in(*swap)?,
            Step::Done(outcome) => return Ok(Some(outcome)),
        }
    }
}

/// Every record that a consumer gets.
pub(crate) fn consume(log: &Log) -> Vec<Record> {
    let (all, mut out) = (Bytes::from(fetch_all(log)), Vec::new());
    let mut at = 0;
    while at < all.len() {
        let size = BatchHeader::parse(&all[at..]).unwrap().size();
        let batch = all.slice(at..at + size);
        out.extend(records::records(&batch, 1 << 20).unwrap().map(|record| record.unwrap()));
        at += size;
    }
    out.retain(|record| record.offset >= log.reader().log_start_offset());
    out
}

/// One record of `len` bytes or so.
pub(crate) fn sized(offset: i64, term: i32, timestamp: i64, len: usize) -> Bytes {
    let mut builder = Builder::new(Compression::None, None);
    builder.push(timestamp, None, Some(&vec![b'x'; len]), &[]);
    let mut batch = builder.finish().unwrap().to_vec();
    records::set_base_offset(&mut batch, offset);
    records::set_leader_epoch(&mut batch, term);
    batch.into()
}

pub(crate) fn control(offset: i64, term: i32) -> Bytes {
    entry::frame(EntryKind::NoOp, offset, term, b"")
}

pub(crate) fn fault_env(root: &Path, seed: u64) -> (Env, FaultFs) {
    let fs = FaultFs::new(root, seed);
    (Env::with_fs(Arc::new(fs.clone())), fs)
}

pub(crate) fn create(env: &Env, folder: &Path) -> Log {
    Log::create(env, folder, identity(), small(), 1, 0).unwrap()
}

/// Opens a log and returns what it handed on.
pub(crate) fn open(env: &Env, folder: &Path, hint: OpenHint) -> Result<(Log, Vec<(u64, BatchHeader)>)> {
    let mut seen = Vec::new();
    let log = Log::open(env, folder, identity(), small(), hint, &mut |index, header, _| seen.push((index, *header)))?;
    Ok((log, seen))
}

pub(crate) fn same_boot() -> OpenHint {
    OpenHint { checkpoint: None, same_boot: true }
}

/// Appends batches of one record each with these timestamps.
pub(crate) fn append_times(log: &mut Log, timestamps: &[i64]) {
    for timestamp in timestamps {
        let frame = batch(log.end_offset(), 1, Compression::None, &[*timestamp]);
        log.append(&[frame], NOW).unwrap();
    }
}

/// All bytes that a fetch of everything would send.
pub(crate) fn fetch_all(log: &Log) -> Vec<u8> {
    let reader = log.reader();
    let (mut from, mut out) = (reader.log_start_offset(), Vec::new());
    while from < reader.end_offset() {
        let slice = reader.read(from, i64::MAX, 1000, true).unwrap();
        for range in &slice.ranges {
            out.extend_from_slice(&range.read_to_bytes().unwrap());
        }
        assert!(slice.next_offset > from);
        from = slice.next_offset;
    }
    out
}
