//! The value of a group: versions 0 to 4 of `GroupMetadataValue`.

use bytes::Bytes;
use leat_protocol::Str;
use leat_protocol::wire::{Error, ErrorKind, Reader, Writer};

use super::nullable_string;

/// The version that is written.
const VERSION: i16 = 3;
const VERSION_MAX: i16 = 4;

/// The least bytes that a member takes in any version.
const MEMBER_BYTES_MIN: usize = 6;

/// A group and its members at the end of a rebalance.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GroupValue {
    pub(crate) protocol_type: Str,
    pub(crate) generation: i32,
    pub(crate) protocol: Option<Str>,
    pub(crate) leader: Option<Str>,
    /// When it came into its state; -1 in old records.
    pub(crate) state_ms: i64,
    pub(crate) members: Vec<MemberValue>,
}

/// A member of a group.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MemberValue {
    pub(crate) id: Str,
    pub(crate) instance: Option<Str>,
    pub(crate) client_id: Str,
    pub(crate) client_host: Str,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// What it sent with the protocol that was chosen.
    pub(crate) subscription: Bytes,
    pub(crate) assignment: Bytes,
}

impl GroupValue {
    pub(super) fn encode(&self) -> Result<Bytes, Error> {
        let mut writer = Writer::new();
        writer.i16(VERSION);
        put(&mut writer, Some(&self.protocol_type))?;
        writer.i32(self.generation);
        put(&mut writer, self.protocol.as_ref())?;
        put(&mut writer, self.leader.as_ref())?;
        writer.i64(self.state_ms);
        writer.put_len(Some(self.members.len()), false)?;
        for member in &self.members {
            member.encode(&mut writer)?;
        }
        writer.finish_bytes()
    }

    pub(super) fn decode(value: &Bytes) -> Result<GroupValue, Error> {
        let mut reader = Reader::new(value.clone());
        let version = reader.i16()?;
        if !(0..=VERSION_MAX).contains(&version) {
            return Err(ErrorKind::Version { version, min: 0, max: VERSION_MAX }.into());
        }
        let flexible = version >= 4;
        let protocol_type = get(&mut reader, flexible)?;
        let generation = reader.i32()?;
        let protocol = nullable_string(&mut reader, flexible)?;
        let leader = nullable_string(&mut reader, flexible)?;
        let state_ms = if version >= 2 { reader.i64()? } else { -1 };
        let count = reader.len(flexible)?.ok_or(ErrorKind::Null)?;
        let mut members = reader.vec(count, MEMBER_BYTES_MIN)?;
        for _ in 0..count {
            members.push(MemberValue::decode(&mut reader, version)?);
        }
        Ok(GroupValue { protocol_type, generation, protocol, leader, state_ms, members })
    }
}

impl MemberValue {
    fn encode(&self, writer: &mut Writer) -> Result<(), Error> {
        put(writer, Some(&self.id))?;
        put(writer, self.instance.as_ref())?;
        put(writer, Some(&self.client_id))?;
        put(writer, Some(&self.client_host))?;
        writer.i32(self.rebalance_timeout_ms);
        writer.i32(self.session_timeout_ms);
        for bytes in [&self.subscription, &self.assignment] {
            writer.put_len(Some(bytes.len()), false)?;
            writer.bytes(bytes);
        }
        Ok(())
    }

    fn decode(reader: &mut Reader, version: i16) -> Result<MemberValue, Error> {
        let flexible = version >= 4;
        let id = get(reader, flexible)?;
        let instance = if version >= 3 { nullable_string(reader, flexible)? } else { None };
        let (client_id, client_host) = (get(reader, flexible)?, get(reader, flexible)?);
        let rebalance_timeout_ms = if version >= 1 { Some(reader.i32()?) } else { None };
        let session_timeout_ms = reader.i32()?;
        let (subscription, assignment) = (bytes(reader, flexible)?, bytes(reader, flexible)?);
        if flexible {
            reader.tagged_fields(|_, _| Ok(false))?;
        }
        Ok(MemberValue {
            id,
            instance,
            client_id,
            client_host,
            // Before there were two, the session's time-out was also the rebalance's.
            rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
            session_timeout_ms,
            subscription,
            assignment,
        })
    }
}

fn put(writer: &mut Writer, text: Option<&Str>) -> Result<(), Error> {
    writer.string_len(text.map(|text| text.len()), false)?;
    writer.slice(text.map_or(&[], |text| text.as_bytes()));
    Ok(())
}

fn get(reader: &mut Reader, flexible: bool) -> Result<Str, Error> {
    nullable_string(reader, flexible)?.ok_or_else(|| ErrorKind::Null.into())
}

/// Bytes of their own, as strings are.
fn bytes(reader: &mut Reader, flexible: bool) -> Result<Bytes, Error> {
    let len = reader.len(flexible)?.ok_or(ErrorKind::Null)?;
    reader.bytes(len).map(|bytes| Bytes::copy_from_slice(&bytes))
}
