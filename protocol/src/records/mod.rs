//! Record batches, format 2: the bytes that producers send, that lie on disk, that Raft replicates and that
//! consumers fetch. Nothing here does I/O, and nothing here trusts a length it has not checked.
//!
//! ```text
//!  0        8        12      16    17    21          23        27       35       43      51     53     57     61
//!  | base   | batch  | leader|magic| crc | attributes| last    | base   | max    | prod- | epoch| base | count | records
//!  | offset | length | epoch | = 2 |     |           | offset  | time-  | time-  | ucer  |      | seq. |       | (maybe
//!  |        |        |       |     |     |           | delta   | stamp  | stamp  | id    |      |      |       | compressed)
//!                                        |<---------------------- covered by the CRC-32C -------------------------->|
//! ```
//!
//! All numbers are big-endian. Base offset, length and leader epoch lie outside the checksum, so a broker numbers a
//! batch in place. Source of the format: KIP-98, and `DefaultRecordBatch` / `DefaultRecord` of Apache Kafka.
//!
//! | what | where |
//! |---|---|
//! | the 61 bytes in front, and patching them | [`BatchHeader`], [`set_base_offset`], [`set_leader_epoch`] |
//! | is it what it says it is | [`check`] (frame and checksum), [`validate`], [`validate_records`] |
//! | one batch after another | [`split`] |
//! | reading records | [`records`], [`RecordIter`] |
//! | writing records | [`Builder`] |
//! | leaving records out, as compaction does | [`retain`], [`without_records`] |
//! | Raft entries that carry no records | [`entry`] |
//!
//! Message sets (formats 0 and 1) are recognised and refused: [`BatchError::Magic`].

mod builder;
mod codec;
mod crc;
pub mod entry;
mod error;
mod header;
mod iter;
mod patch;
mod raw;
mod retain;
mod split;
mod validate;
mod varint;

pub use builder::Builder;
pub use codec::Compression;
pub use error::BatchError;
pub use header::{
    BatchHeader, HEADER_LEN, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, TimestampType, next_sequence,
};
pub use iter::{Header, Record, RecordIter, RecordRef, records};
pub use patch::{set_base_offset, set_leader_epoch, set_log_append_time, set_max_timestamp};
pub use raw::{HeaderRef, HeaderRefs};
pub use retain::{Retained, retain, without_records};
pub use split::{Split, split};
pub use validate::{check, validate, validate_records};
