//! The value of a committed offset: versions 0 to 4 of `OffsetCommitValue`.

use bytes::Bytes;
use leat_protocol::wire::{Error, ErrorKind, Reader, Writer};
use leat_protocol::{Str, Uuid};

use super::nullable_string;

/// The version that is written, the first with tagged fields.
const VERSION: i16 = 4;
const TOPIC_ID_TAG: u32 = 0;

/// A committed offset.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OffsetValue {
    pub(crate) offset: i64,
    /// Of the last record that was read; -1 where the client did not say.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Str,
    pub(crate) commit_ms: i64,
    /// When it expires by a client's own wish (version 1 only), else -1.
    pub(crate) expire_ms: i64,
    /// Nil in old records.
    pub(crate) topic_id: Uuid,
}

impl OffsetValue {
    pub(super) fn encode(&self) -> Result<Bytes, Error> {
        let mut writer = Writer::new();
        // Only version 1 can say when an offset expires.
        let version = if self.expire_ms < 0 { VERSION } else { 1 };
        let flexible = version >= 4;
        writer.i16(version);
        writer.i64(self.offset);
        if version >= 3 {
            writer.i32(self.leader_epoch);
        }
        writer.string_len(Some(self.metadata.len()), flexible)?;
        writer.slice(self.metadata.as_bytes());
        writer.i64(self.commit_ms);
        if version == 1 {
            writer.i64(self.expire_ms);
        }
        if flexible {
            if self.topic_id.is_nil() {
                writer.uvarint(0);
            } else {
                writer.uvarint(1);
                writer.tagged(TOPIC_ID_TAG, |writer| {
                    writer.slice(self.topic_id.as_bytes());
                    Ok(())
                })?;
            }
        }
        writer.finish_bytes()
    }

    pub(super) fn decode(value: &Bytes) -> Result<OffsetValue, Error> {
        let mut reader = Reader::new(value.clone());
        let version = reader.i16()?;
        if !(0..=VERSION).contains(&version) {
            return Err(ErrorKind::Version { version, min: 0, max: VERSION }.into());
        }
        let flexible = version >= 4;
        let offset = reader.i64()?;
        let leader_epoch = if version >= 3 { reader.i32()? } else { -1 };
        let metadata = nullable_string(&mut reader, flexible)?.ok_or(ErrorKind::Null)?;
        let commit_ms = reader.i64()?;
        let expire_ms = if version == 1 { reader.i64()? } else { -1 };
        let mut topic_id = Uuid::nil();
        if flexible {
            reader.tagged_fields(|reader, tag| {
                if tag == TOPIC_ID_TAG {
                    topic_id = reader.uuid()?;
                }
                Ok(tag == TOPIC_ID_TAG)
            })?;
        }
        Ok(OffsetValue { offset, leader_epoch, metadata, commit_ms, expire_ms, topic_id })
    }
}
