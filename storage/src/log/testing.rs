//! Frames and logs for tests.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use leat_protocol::records::entry::{self, EntryKind};
use leat_protocol::records::{self, BatchHeader, Builder, Compression};
use uuid::Uuid;

use super::{Identity, Log, LogConfig, OpenHint};
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
