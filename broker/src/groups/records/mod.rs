//! The records of `__consumer_offsets`, in Kafka's own schema, so that any tool that reads Kafka's reads ours.
//!
//! A key begins with its type; a value begins with its version. Written are the versions that Kafka 4.3.1 writes, read are
//! all. Keys of other types (KIP-848, share and streams groups) are passed over.

mod group;
mod offset;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use leat_protocol::Str;
use leat_protocol::wire::{Error, ErrorKind, Reader, Writer};

pub(crate) use self::group::{GroupValue, MemberValue};
pub(crate) use self::offset::OffsetValue;

/// Types of keys. Type 0 is the first form of type 1, with the same fields.
const OLD_OFFSET_KEY: i16 = 0;
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;

/// A change of a group, as the log has it. Without a value it is a tombstone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Offset { group: Str, topic: Str, partition: i32, value: Option<OffsetValue> },
    Group { group: Str, value: Option<GroupValue> },
}

impl Change {
    /// Key and value of its record. Fails where a text is longer than the schema can say (32 KiB).
    pub(crate) fn encode(&self) -> Result<(Bytes, Option<Bytes>), Error> {
        let mut key = Writer::new();
        let value = match self {
            Change::Offset { group, topic, partition, value } => {
                key.i16(OFFSET_KEY);
                put_string(&mut key, group)?;
                put_string(&mut key, topic)?;
                key.i32(*partition);
                value.as_ref().map(OffsetValue::encode).transpose()?
            }
            Change::Group { group, value } => {
                key.i16(GROUP_KEY);
                put_string(&mut key, group)?;
                value.as_ref().map(GroupValue::encode).transpose()?
            }
        };
        Ok((key.finish_bytes()?, value))
    }

    /// `None` for a record of a kind that is not kept here.
    pub(crate) fn decode(key: &Bytes, value: Option<&Bytes>) -> Result<Option<Change>, Error> {
        let mut reader = Reader::new(key.clone());
        match reader.i16()? {
            OLD_OFFSET_KEY | OFFSET_KEY => {
                let (group, topic) = (string(&mut reader)?, string(&mut reader)?);
                let partition = reader.i32()?;
                let value = value.map(OffsetValue::decode).transpose()?;
                Ok(Some(Change::Offset { group, topic, partition, value }))
            }
            GROUP_KEY => {
                let group = string(&mut reader)?;
                let value = value.map(GroupValue::decode).transpose()?;
                Ok(Some(Change::Group { group, value }))
            }
            _ => Ok(None),
        }
    }
}

fn put_string(writer: &mut Writer, text: &str) -> Result<(), Error> {
    writer.string_len(Some(text.len()), false)?;
    writer.slice(text.as_bytes());
    Ok(())
}

fn string(reader: &mut Reader) -> Result<Str, Error> {
    nullable_string(reader, false)?.ok_or_else(|| ErrorKind::Null.into())
}

/// A string of its own: one that shares a batch's memory would keep the batch.
fn nullable_string(reader: &mut Reader, compact: bool) -> Result<Option<Str>, Error> {
    let len = reader.string_len(compact)?;
    len.map(|len| reader.string(len).map(|text| Str::from(text.to_string()))).transpose()
}
