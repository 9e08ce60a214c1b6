//! How far a compacted log is clean, where its Raft entries begin, and the cleaned segment that takes its place: replaced as
//! one (docs/disk.md, "Compaction"). Writing it is the moment at which a cleaned segment counts.

use std::path::{Path, PathBuf};

use super::{Identity, View};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::frame::{self, Fields, Kind};
use crate::segment::name::{self, Part};

const KIND: Kind = Kind(*b"MNFT");
const NAME: &str = "manifest";

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Raft index of the first entry that raft may be given, and the term of the one before.
    pub(crate) first_index: u64,
    pub(crate) previous_term: u64,
    /// Below it no key has two records.
    pub(crate) clean_end: i64,
    pub(crate) swap: Option<Swapped>,
}

/// The range of offsets that a cleaned segment takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swapped {
    pub(crate) base_offset: i64,
    pub(crate) end_offset: i64,
}

impl Manifest {
    /// The manifest of a log that is as `view` says.
    pub(crate) fn of(view: &View) -> Self {
        let View { first_index, previous_term, clean_end, .. } = *view;
        Self { first_index, previous_term, clean_end, swap: None }
    }

    /// Reads it; none where there is none, or where the folder was another topic's before.
    pub(crate) fn load(env: &Env, folder: &Path, identity: &Identity) -> Result<Option<Self>> {
        let path = path(folder);
        let Some(body) = frame::load(&*env.fs, &path, KIND)? else { return Ok(None) };
        let mut fields = Fields::new(&path, &body);
        let own = (fields.array()?, fields.i32()?) == (*identity.topic_id.as_bytes(), identity.partition);
        let (first_index, previous_term, clean_end) = (fields.u64()?, fields.u64()?, fields.i64()?);
        let swap = Swapped { base_offset: fields.i64()?, end_offset: fields.i64()? };
        fields.end()?;
        let swap = (swap.base_offset >= 0).then_some(swap);
        Ok(own.then_some(Self { first_index, previous_term, clean_end, swap }))
    }

    /// Replaces it; on stable storage when this returns.
    pub(crate) fn save(&self, env: &Env, folder: &Path, identity: &Identity) -> Result<()> {
        frame::replace(&*env.fs, &path(folder), &self.encode(identity))
    }

    fn encode(&self, identity: &Identity) -> Vec<u8> {
        let swap = self.swap.unwrap_or(Swapped { base_offset: -1, end_offset: -1 });
        let mut body = Vec::with_capacity(60);
        body.extend_from_slice(identity.topic_id.as_bytes());
        body.extend_from_slice(&identity.partition.to_be_bytes());
        body.extend_from_slice(&self.first_index.to_be_bytes());
        body.extend_from_slice(&self.previous_term.to_be_bytes());
        for offset in [self.clean_end, swap.base_offset, swap.end_offset] {
            body.extend_from_slice(&offset.to_be_bytes());
        }
        frame::encode(KIND, &body)
    }
}

impl Swapped {
    /// Gives the cleaned files their names and deletes `replaced`, the bases of the segments behind the first that they
    /// stand for. May be repeated from any point.
    pub(crate) fn finish(
        &self,
        env: &Env,
        folder: &Path,
        cleaned: impl IntoIterator<Item = Part>,
        replaced: impl IntoIterator<Item = i64>,
    ) -> Result<()> {
        for part in cleaned {
            let from = name::cleaned_path(folder, self.base_offset, part);
            let to = name::path(folder, self.base_offset, part);
            env.fs.rename(&from, &to).map_err(|e| Error::io("rename", &from, e))?;
        }
        for base in replaced {
            Part::ALL.into_iter().try_for_each(|part| super::open::remove(env, &name::path(folder, base, part)))?;
        }
        Ok(())
    }

    /// Whether a segment with this base offset lies behind the first one that was replaced.
    pub(crate) fn covers(&self, base_offset: i64) -> bool {
        self.base_offset < base_offset && base_offset < self.end_offset
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::testing::identity;
    use uuid::Uuid;

    #[test]
    fn a_manifest_has_these_bytes() {
        let swap = Some(Swapped { base_offset: 4, end_offset: 5 });
        let bytes = Manifest { first_index: 1, previous_term: 2, clean_end: 3, swap }.encode(&identity());
        assert_eq!(bytes[..16], *b"LEATMNFT\0\x01\0\0\0\0\0\x3C");
        let mut body = identity().topic_id.as_bytes().to_vec();
        body.extend_from_slice(&0u32.to_be_bytes());
        for n in [1u64, 2, 3, 4, 5] {
            body.extend_from_slice(&n.to_be_bytes());
        }
        assert_eq!(bytes[20..], body);
    }

    #[test]
    fn it_comes_back_for_its_own_topic_only() {
        let temp = tempfile::tempdir().unwrap();
        let (env, own) = (Env::default(), identity());
        assert_eq!(Manifest::load(&env, temp.path(), &own).unwrap(), None);
        let manifest = Manifest { first_index: 9, previous_term: 1, clean_end: 8, swap: None };
        manifest.save(&env, temp.path(), &own).unwrap();
        assert_eq!(Manifest::load(&env, temp.path(), &own).unwrap(), Some(manifest));
        let other = Identity { topic_id: Uuid::from_u128(7), ..own };
        assert_eq!(Manifest::load(&env, temp.path(), &other).unwrap(), None);
    }
}
