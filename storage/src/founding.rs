//! How a node came into its cluster (docs/disk.md, "`cluster`"): the identity of its data folder, its replica of the
//! metadata log, and the group that the metadata log began with, which the log itself does not say.

use std::path::Path;

use uuid::Uuid;

use crate::env::Env;
use crate::error::{Error, Result};
use crate::frame::{self, Fields, Kind};

const CLUSTER: Kind = Kind(*b"CLUS");

/// The largest number of founders that is read.
const FOUNDERS_MAX: u32 = 1024;

/// One of the first voters of the metadata group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founder {
    pub node_id: i32,
    /// At least 1.
    pub replica_id: u64,
    /// `host:port` between brokers; empty for a node that was alone.
    pub address: String,
}

/// The file `cluster` of a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founding {
    /// Drawn when the folder was made: another disk in the same node has another one.
    pub folder_id: Uuid,
    /// This node's replica of the metadata log.
    pub replica_id: u64,
    pub founders: Vec<Founder>,
}

impl Founding {
    /// `None` for a folder that has none.
    pub fn load(env: &Env, folder: &Path) -> Result<Option<Founding>> {
        let path = folder.join("cluster");
        let Some(body) = frame::load(&*env.fs, &path, CLUSTER)? else { return Ok(None) };
        let mut fields = Fields::new(&path, &body);
        let folder_id = Uuid::from_bytes(fields.array()?);
        let replica_id = fields.u64()?;
        let count = fields.u32()?;
        if count > FOUNDERS_MAX {
            return Err(Error::corrupt(&path, 0, format!("it names {count} founders")));
        }
        let mut founders = Vec::new();
        for _ in 0..count {
            founders.push(Founder { node_id: fields.i32()?, replica_id: fields.u64()?, address: fields.string()? });
        }
        fields.end()?;
        Ok(Some(Founding { folder_id, replica_id, founders }))
    }

    pub fn save(&self, env: &Env, folder: &Path) -> Result<()> {
        env.fs.create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        let mut body = self.folder_id.as_bytes().to_vec();
        body.extend_from_slice(&self.replica_id.to_be_bytes());
        body.extend_from_slice(&u32::try_from(self.founders.len()).unwrap_or(u32::MAX).to_be_bytes());
        for founder in &self.founders {
            body.extend_from_slice(&founder.node_id.to_be_bytes());
            body.extend_from_slice(&founder.replica_id.to_be_bytes());
            frame::put_string(&mut body, &founder.address);
        }
        frame::replace(&*env.fs, &folder.join("cluster"), &frame::encode(CLUSTER, &body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let temp = tempfile::tempdir().unwrap();
        let founding = Founding {
            folder_id: Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
            replica_id: 2,
            founders: vec![Founder { node_id: 1, replica_id: 1, address: "a:1".into() }],
        };
        founding.save(&Env::default(), temp.path()).unwrap();
        let bytes = std::fs::read(temp.path().join("cluster")).unwrap();
        assert!(bytes.starts_with(b"LEATCLUS"));
        let body: Vec<u8> = [
            &founding.folder_id.as_bytes()[..],
            &[0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1],
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 3],
            b"a:1",
        ]
        .concat();
        assert_eq!(&bytes[frame::HEAD_LEN..], body);
        assert_eq!(Founding::load(&Env::default(), temp.path()).unwrap(), Some(founding));
    }

    #[test]
    fn a_folder_without_one_has_none_and_a_damaged_one_is_an_error() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(Founding::load(&Env::default(), temp.path()).unwrap(), None);
        std::fs::write(temp.path().join("cluster"), b"LEATCLUSx").unwrap();
        assert!(Founding::load(&Env::default(), temp.path()).is_err());
    }
}
