//! The local frame that opens each segment and lets it describe itself (docs/disk.md, "The segment header").

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use leat_protocol::records::entry::{self, EntryKind};
use leat_protocol::records::{BatchHeader, HEADER_LEN};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::frame::{self, Fields};
use crate::fs::{self, File};
use crate::log::Identity;

/// Of a segment as it was appended, and of one that compaction wrote.
const VERSION: u16 = 1;
const VERSION_CLEANED: u16 = 2;
/// Enough for the frame with any usual membership; a longer one is read in a second call.
const READ_FIRST: usize = 512;
/// A membership of that size would be that of a million voters.
const SIZE_MAX: usize = 16 << 20;

/// What a segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) identity: Identity,
    pub(crate) base_offset: i64,
    /// Raft index of the first entry in this segment.
    pub(crate) first_index: u64,
    pub(crate) previous_index: u64,
    pub(crate) previous_term: u64,
    pub(crate) log_start_offset: i64,
    pub(crate) created_ms: i64,
    /// 0: not recorded.
    pub(crate) producers_checksum: u32,
    pub(crate) membership_index: u64,
    pub(crate) membership: Bytes,
    /// What a cleaned segment stands for; its frames no longer tell.
    pub(crate) cleaned: Option<Cleaned>,
}

/// Where the entries end that a cleaned segment replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cleaned {
    pub(crate) next_index: u64,
    pub(crate) end_offset: i64,
    pub(crate) last_term: u64,
}

impl SegmentHeader {
    /// The whole frame.
    pub(crate) fn encode(&self) -> Bytes {
        let mut payload = Vec::with_capacity(94 + self.membership.len());
        let version = if self.cleaned.is_some() { VERSION_CLEANED } else { VERSION };
        payload.extend_from_slice(&version.to_be_bytes());
        payload.extend_from_slice(self.identity.topic_id.as_bytes());
        payload.extend_from_slice(&self.identity.partition.to_be_bytes());
        payload.extend_from_slice(&self.identity.replica_id.to_be_bytes());
        payload.extend_from_slice(&self.base_offset.to_be_bytes());
        payload.extend_from_slice(&self.first_index.to_be_bytes());
        payload.extend_from_slice(&self.previous_index.to_be_bytes());
        payload.extend_from_slice(&self.previous_term.to_be_bytes());
        payload.extend_from_slice(&self.log_start_offset.to_be_bytes());
        payload.extend_from_slice(&self.created_ms.to_be_bytes());
        payload.extend_from_slice(&self.producers_checksum.to_be_bytes());
        payload.extend_from_slice(&self.membership_index.to_be_bytes());
        frame::put_bytes(&mut payload, &self.membership);
        if let Some(Cleaned { next_index, end_offset, last_term }) = self.cleaned {
            payload.extend_from_slice(&next_index.to_be_bytes());
            payload.extend_from_slice(&end_offset.to_be_bytes());
            payload.extend_from_slice(&last_term.to_be_bytes());
        }
        let term = i32::try_from(self.previous_term).unwrap_or(i32::MAX);
        entry::frame(EntryKind::SegmentHeader, self.base_offset, term, &payload)
    }

    /// Reads the frame at the start of a segment; returns it and its length.
    pub(crate) fn read(path: &Path, file: &dyn File) -> Result<(Self, u32)> {
        let mut first = [0; READ_FIRST];
        let read = fs::read_full_at(file, &mut first, 0).map_err(|e| Error::io("read", path, e))?;
        let bad = |e: leat_protocol::records::BatchError| Error::corrupt(path, 0, format!("segment header: {e}"));
        let size = BatchHeader::parse(&first[..read]).map_err(bad)?.size();
        if size > SIZE_MAX {
            return Err(Error::corrupt(path, 8, format!("a segment header of {size} bytes")));
        }
        let header = if size <= read {
            Self::decode(path, &first[..size])?
        } else {
            let mut all = vec![0; size];
            fs::read_exact_at(file, &mut all, 0)
                .map_err(|_| Error::corrupt(path, 0, "it ends within its segment header"))?;
            Self::decode(path, &all)?
        };
        Ok((header, size as u32))
    }

    /// The header in a whole frame.
    pub(crate) fn decode(path: &Path, batch: &[u8]) -> Result<Self> {
        let bad = |e: leat_protocol::records::BatchError| Error::corrupt(path, 0, format!("segment header: {e}"));
        leat_protocol::records::check(batch).map_err(bad)?;
        let Some((EntryKind::SegmentHeader, payload)) = entry::parse(batch).map_err(bad)? else {
            return Err(Error::corrupt(path, HEADER_LEN as u64, "it does not begin with a segment header"));
        };
        let mut fields = Fields::new(path, payload);
        let version = fields.u16()?;
        if version > VERSION_CLEANED {
            let known = VERSION_CLEANED.into();
            return Err(Error::NewerFormat { path: path.to_owned(), found: version.into(), known });
        }
        let topic_id = Uuid::from_bytes(fields.array()?);
        let identity = Identity { topic_id, partition: fields.i32()?, replica_id: fields.u64()? };
        let mut header = Self {
            identity,
            base_offset: fields.i64()?,
            first_index: fields.u64()?,
            previous_index: fields.u64()?,
            previous_term: fields.u64()?,
            log_start_offset: fields.i64()?,
            created_ms: fields.i64()?,
            producers_checksum: fields.u32()?,
            membership_index: fields.u64()?,
            membership: Bytes::copy_from_slice(fields.bytes()?),
            cleaned: None,
        };
        if version == VERSION_CLEANED {
            let cleaned = Cleaned { next_index: fields.u64()?, end_offset: fields.i64()?, last_term: fields.u64()? };
            let span = cleaned.end_offset.wrapping_sub(header.base_offset);
            if cleaned.next_index < header.first_index || u32::try_from(span).is_err() {
                return Err(Error::corrupt(path, 0, "a cleaned segment ends before it begins"));
            }
            header.cleaned = Some(cleaned);
        }
        fields.end()?;
        Ok(header)
    }

    /// Refuses a segment of another topic, partition or replica, or one that was renamed.
    pub(crate) fn check(&self, path: &Path, identity: &Identity, base_offset: i64) -> Result<()> {
        let foreign = |what, found: String, expected: String| {
            Err(Error::Foreign { path: path.to_owned(), what, found, expected })
        };
        if self.identity.topic_id != identity.topic_id {
            return foreign("topic id", self.identity.topic_id.to_string(), identity.topic_id.to_string());
        }
        if self.identity.partition != identity.partition {
            return foreign("partition", self.identity.partition.to_string(), identity.partition.to_string());
        }
        if self.identity.replica_id != identity.replica_id {
            return foreign("replica", self.identity.replica_id.to_string(), identity.replica_id.to_string());
        }
        if self.base_offset != base_offset {
            return Err(Error::corrupt(path, 0, format!("its header says base offset {}", self.base_offset)));
        }
        Ok(())
    }
}

impl fmt::Display for SegmentHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { topic_id, partition, replica_id } = self.identity;
        write!(
            f,
            "segment of topic {topic_id} partition {partition} replica {replica_id}, base offset {}, ",
            self.base_offset
        )?;
        write!(f, "first entry {}, after term {}, ", self.first_index, self.previous_term)?;
        write!(
            f,
            "log start {}, created {}, membership of entry {} ({} bytes)",
            self.log_start_offset,
            self.created_ms,
            self.membership_index,
            self.membership.len()
        )?;
        match self.cleaned {
            Some(Cleaned { next_index, end_offset, .. }) => {
                write!(f, ", cleaned up to entry {next_index} and offset {end_offset}")
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Fs, Mode, RealFs};

    fn example() -> SegmentHeader {
        SegmentHeader {
            identity: Identity { topic_id: Uuid::from_u128(1), partition: 2, replica_id: 3 },
            base_offset: 4,
            first_index: 6,
            previous_index: 5,
            previous_term: 7,
            log_start_offset: 8,
            created_ms: 9,
            producers_checksum: 10,
            membership_index: 11,
            membership: Bytes::from_static(b"mm"),
            cleaned: None,
        }
    }

    #[test]
    fn a_segment_header_has_these_bytes() {
        let frame = example().encode();
        let mut body = vec![0, 0, 1];
        body.extend_from_slice(&1u128.to_be_bytes());
        body.extend_from_slice(&2u32.to_be_bytes());
        for n in [3u64, 4, 6, 5, 7, 8, 9] {
            body.extend_from_slice(&n.to_be_bytes());
        }
        body.extend_from_slice(&10u32.to_be_bytes());
        body.extend_from_slice(&11u64.to_be_bytes());
        body.extend_from_slice(b"\0\0\0\x02mm");
        assert_eq!(frame[61..], body);
        let header = BatchHeader::parse(&frame).unwrap();
        assert_eq!((header.base_offset, header.partition_leader_epoch, header.last_offset()), (4, 7, 3));
    }

    #[test]
    fn a_cleaned_segment_says_where_it_ends() {
        let cleaned = Cleaned { next_index: 20, end_offset: 30, last_term: 9 };
        let header = SegmentHeader { cleaned: Some(cleaned), ..example() };
        let frame = header.encode();
        let plain = example().encode();
        assert_eq!(frame[62..64], [0, 2]);
        assert_eq!(frame[64..plain.len()], plain[64..]);
        let mut more = Vec::new();
        for n in [20u64, 30, 9] {
            more.extend_from_slice(&n.to_be_bytes());
        }
        assert_eq!(frame[plain.len()..], more);
        assert_eq!(SegmentHeader::decode(Path::new("x"), &frame).unwrap(), header);
        let backwards = SegmentHeader { cleaned: Some(Cleaned { end_offset: 3, ..cleaned }), ..example() };
        assert!(SegmentHeader::decode(Path::new("x"), &backwards.encode()).is_err());
    }

    #[test]
    fn it_reads_back_whatever_its_size_and_damage_is_found() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.log");
        for membership in [0, 2, 5000] {
            let header = SegmentHeader { membership: Bytes::from(vec![7; membership]), ..example() };
            let mut bytes = header.encode().to_vec();
            let len = bytes.len();
            bytes.extend_from_slice(b"next");
            std::fs::write(&path, &bytes).unwrap();
            let file = RealFs.open(&path, Mode::Read).unwrap();
            assert_eq!(SegmentHeader::read(&path, &*file).unwrap(), (header, len as u32));
            bytes[80] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(SegmentHeader::read(&path, &*file).is_err());
            std::fs::write(&path, &bytes[..70]).unwrap();
            assert!(SegmentHeader::read(&path, &*file).is_err());
        }
    }
}
