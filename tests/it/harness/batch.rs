//! Batches, good ones and ones that were tampered with.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use leat_protocol::records::{self, Builder, Compression, Record};

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a clock before the end of i64")
}

/// A batch of these values, stamped with the time.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    batch_of(Compression::None, values)
}

pub(crate) fn batch_of(compression: Compression, values: &[&str]) -> Bytes {
    builder(compression, values).finish().expect("a batch")
}

/// A batch of records with these keys and values, which are null where there is none.
pub(crate) fn keyed(compression: Compression, timestamp: i64, rows: &[(Option<&str>, Option<&str>)]) -> Bytes {
    let mut builder = Builder::new(compression, None);
    for (key, value) in rows {
        builder.push(timestamp, key.map(str::as_bytes), value.map(str::as_bytes), &[]);
    }
    builder.finish().expect("a batch")
}

/// A batch of `records` records of an idempotent producer.
pub(crate) fn producer_batch(producer_id: i64, epoch: i16, base_sequence: i32, records: usize) -> Bytes {
    let mut builder = builder(Compression::None, &vec!["x"; records]);
    builder.set_producer(producer_id, epoch, base_sequence);
    builder.finish().expect("a batch")
}

fn builder(compression: Compression, values: &[&str]) -> Builder {
    let mut builder = Builder::new(compression, None);
    let now = now_ms();
    for value in values {
        builder.push(now, None, Some(value.as_bytes()), &[]);
    }
    builder
}

/// Overwrites bytes of a batch and gives it the checksum it then needs.
pub(crate) fn seal(batch: &Bytes, changes: &[(usize, &[u8])]) -> Bytes {
    let mut bytes = BytesMut::from(&batch[..]);
    for (at, change) in changes {
        bytes[*at..at + change.len()].copy_from_slice(change);
    }
    let crc = crc32c::crc32c(&bytes[21..]);
    (&mut bytes[17..21]).put_u32(crc);
    bytes.freeze()
}

/// All records in batches that stand back to back.
pub(crate) fn records_of(batches: &Bytes) -> Vec<Record> {
    let batches = records::split(batches).map(|batch| batch.expect("whole batches").1);
    let records = batches.flat_map(|batch| records::records(&batch, 64 << 20).expect("records"));
    records.map(|record| record.expect("a record")).collect()
}

/// Their offsets and values.
pub(crate) fn values(batches: &Bytes) -> Vec<(i64, String)> {
    let text = |value: Option<Bytes>| String::from_utf8(value.expect("a value").to_vec()).expect("text");
    records_of(batches).into_iter().map(|record| (record.offset, text(record.value))).collect()
}
