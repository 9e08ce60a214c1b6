//! The state of one partition at one applied index, saved so that a start scans only what came after.
//!
//! Save one only when every entry up to `applied` and its index entries are on stable storage
//! ([`Log::sync_indexes`](crate::Log::sync_indexes)): recovery takes a bad frame before it for damage.

use std::path::Path;

use bytes::Bytes;

use crate::env::Env;
use crate::error::Result;
use crate::frame::{self, Fields, Kind};

const KIND: Kind = Kind(*b"CKPT");

/// From `first_index` and `first_offset` on, entries are of `term` (until the next one in a list).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    pub term: u64,
    pub first_index: u64,
    pub first_offset: i64,
}

/// See the module and docs/disk.md.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint {
    pub applied: u64,
    /// At least `applied`.
    pub commit: u64,
    pub term_at_applied: u64,
    /// Offset of the first record after `applied`.
    pub end_offset_at_applied: i64,
    pub log_start_offset: i64,
    /// Raft's own bytes, and the index that made them valid.
    pub membership: Bytes,
    pub membership_index: u64,
    /// Producer state, in the broker's format.
    pub producers: Bytes,
    /// Ascending.
    pub epochs: Vec<Epoch>,
}

impl Checkpoint {
    /// Reads the checkpoint of the partition in `folder`, if it has one.
    pub fn load(env: &Env, folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("checkpoint");
        match frame::load(&*env.fs, &path, KIND)? {
            Some(body) => Self::decode(&path, &body).map(Some),
            None => Ok(None),
        }
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode()
    }

    /// Reads the bytes of a file that is not there; `path` is for the error.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self> {
        let (body, _) = frame::decode(path, KIND, bytes)?;
        Self::decode(path, body)
    }

    fn decode(path: &Path, body: &[u8]) -> Result<Self> {
        let mut fields = Fields::new(path, body);
        let mut checkpoint = Self {
            applied: fields.u64()?,
            commit: fields.u64()?,
            term_at_applied: fields.u64()?,
            end_offset_at_applied: fields.i64()?,
            log_start_offset: fields.i64()?,
            membership_index: fields.u64()?,
            membership: Bytes::copy_from_slice(fields.bytes()?),
            producers: Bytes::copy_from_slice(fields.bytes()?),
            epochs: Vec::new(),
        };
        for _ in 0..fields.u32()? {
            let epoch = Epoch { term: fields.u64()?, first_index: fields.u64()?, first_offset: fields.i64()? };
            checkpoint.epochs.push(epoch);
        }
        fields.end()?;
        Ok(checkpoint)
    }

    /// Replaces the checkpoint of the partition in `folder`; on stable storage when this returns.
    pub fn save(&self, env: &Env, folder: &Path) -> Result<()> {
        frame::replace(&*env.fs, &folder.join("checkpoint"), &self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(72 + self.membership.len() + self.producers.len() + 24 * self.epochs.len());
        for field in [self.applied, self.commit, self.term_at_applied] {
            body.extend_from_slice(&field.to_be_bytes());
        }
        for field in [self.end_offset_at_applied, self.log_start_offset] {
            body.extend_from_slice(&field.to_be_bytes());
        }
        body.extend_from_slice(&self.membership_index.to_be_bytes());
        frame::put_bytes(&mut body, &self.membership);
        frame::put_bytes(&mut body, &self.producers);
        body.extend_from_slice(&(self.epochs.len() as u32).to_be_bytes());
        for epoch in &self.epochs {
            body.extend_from_slice(&epoch.term.to_be_bytes());
            body.extend_from_slice(&epoch.first_index.to_be_bytes());
            body.extend_from_slice(&epoch.first_offset.to_be_bytes());
        }
        frame::encode(KIND, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Checkpoint {
        Checkpoint {
            applied: 10,
            commit: 12,
            term_at_applied: 3,
            end_offset_at_applied: 100,
            log_start_offset: 5,
            membership: Bytes::from_static(b"m"),
            membership_index: 1,
            producers: Bytes::from_static(b"pp"),
            epochs: vec![
                Epoch { term: 1, first_index: 1, first_offset: 0 },
                Epoch { term: 3, first_index: 7, first_offset: 60 },
            ],
        }
    }

    #[test]
    fn a_checkpoint_has_these_bytes() {
        let bytes = example().encode();
        assert_eq!(bytes[..16], *b"LEATCKPT\0\x01\0\0\0\0\0\x6F");
        let mut body = vec![];
        for n in [10u64, 12, 3, 100, 5, 1] {
            body.extend_from_slice(&n.to_be_bytes());
        }
        body.extend_from_slice(b"\0\0\0\x01m\0\0\0\x02pp\0\0\0\x02");
        for n in [1u64, 1, 0, 3, 7, 60] {
            body.extend_from_slice(&n.to_be_bytes());
        }
        assert_eq!(bytes[20..], body);
    }

    #[test]
    fn what_was_saved_is_loaded_and_nothing_from_an_empty_folder() {
        let temp = tempfile::tempdir().unwrap();
        let env = Env::default();
        assert_eq!(Checkpoint::load(&env, temp.path()).unwrap(), None);
        example().save(&env, temp.path()).unwrap();
        assert_eq!(Checkpoint::load(&env, temp.path()).unwrap(), Some(example()));
    }
}
