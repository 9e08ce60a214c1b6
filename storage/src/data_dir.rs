//! A data folder: whose it is, that only one live process uses it, and whether the machine has restarted since.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use crate::env::Env;
use crate::error::{Error, Result};
use crate::frame::{self, Fields, Kind};
use crate::fs::{self, File, Mode};
use crate::seed;

const META: Kind = Kind(*b"META");
const BOOT: Kind = Kind(*b"BOOT");
/// The suffix of a partition's folder that is being deleted.
pub(crate) const DELETED: &str = ".deleted";

/// An open data folder. It stays locked until this is dropped.
#[derive(Debug)]
pub struct DataDir {
    env: Env,
    path: PathBuf,
    cluster_id: String,
    node_id: i32,
    boot_id: String,
    intact: bool,
    _lock: Arc<dyn File>,
}

impl DataDir {
    /// Opens, or on first use makes, the folder of node `node_id`.
    ///
    /// `cluster_id` is the cluster that the node is in; `None` takes the folder's own and is an error in a new folder, which
    /// is told apart beforehand with [`DataDir::cluster_id_of`].
    pub fn open(env: &Env, path: &Path, cluster_id: Option<&str>, node_id: i32) -> Result<Self> {
        let fs = &*env.fs;
        fs.create_dir_all(path).map_err(|e| Error::io("create", path, e))?;
        let lock = lock(env, path)?;
        let (cluster_id, found_node) = match (load_meta(env, path)?, cluster_id) {
            (Some((found, node)), wanted) => {
                if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
                    return Err(foreign(path, "cluster", found, wanted.to_owned()));
                }
                (found, node)
            }
            (None, Some(wanted)) => {
                save_meta(env, path, wanted, node_id)?;
                (wanted.to_owned(), node_id)
            }
            (None, None) => {
                let meta = path.join("meta");
                return Err(Error::corrupt(&meta, 0, "it is missing, and no cluster id was given to make it with"));
            }
        };
        if found_node != node_id {
            return Err(foreign(path, "node", found_node.to_string(), node_id.to_string()));
        }
        let boot_path = path.join("boot");
        let boot_id = fs.boot_id().map_err(|e| Error::io("read the boot id for", path, e))?;
        let intact = match frame::load(fs, &boot_path, BOOT)? {
            None => false,
            Some(body) => {
                let mut fields = Fields::new(&boot_path, &body);
                let same = fields.string()? == boot_id;
                let clean = fields.u8()? == 1;
                fields.end()?;
                same || clean
            }
        };
        let dir = Self { env: env.clone(), path: path.to_owned(), cluster_id, node_id, boot_id, intact, _lock: lock };
        dir.mark(false)?;
        dir.remove_leftovers()?;
        Ok(dir)
    }

    /// The cluster that a folder belongs to; `None` for a folder that was never used.
    pub fn cluster_id_of(env: &Env, path: &Path) -> Result<Option<String>> {
        Ok(load_meta(env, path)?.map(|(cluster_id, _)| cluster_id))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The cluster that this node is in.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The node whose folder this is.
    pub fn node_id(&self) -> i32 {
        self.node_id
    }

    /// All that was written is still there, synced or not: the machine has not restarted since, or the last stop was clean.
    /// This is what [`OpenHint::same_boot`](crate::OpenHint) asks for.
    pub fn same_boot(&self) -> bool {
        self.intact
    }

    /// Where a partition's files are.
    pub fn partition_path(&self, topic: &str, partition: i32) -> PathBuf {
        self.path.join(format!("{topic}-{partition}"))
    }

    /// Names of the partition folders, in no order.
    pub fn partitions(&self) -> Result<Vec<String>> {
        let entries = self.env.fs.list(&self.path).map_err(|e| Error::io("list", &self.path, e))?;
        Ok(entries.into_iter().filter(|e| e.is_dir && !e.name.ends_with(DELETED)).map(|e| e.name).collect())
    }

    /// Marks the folder as left cleanly. Call it last: after every log is closed and every ballot synced.
    pub fn close(self) -> Result<()> {
        self.mark(true)
    }

    fn mark(&self, clean: bool) -> Result<()> {
        let mut body = Vec::new();
        frame::put_string(&mut body, &self.boot_id);
        body.push(clean.into());
        frame::replace(&*self.env.fs, &self.path.join("boot"), &frame::encode(BOOT, &body))
    }

    /// Ends what an earlier process left half done.
    fn remove_leftovers(&self) -> Result<()> {
        let fs = &*self.env.fs;
        for entry in fs.list(&self.path).map_err(|e| Error::io("list", &self.path, e))? {
            let path = self.path.join(&entry.name);
            if entry.is_dir && entry.name.ends_with(DELETED) {
                remove_folder(fs, &path)?;
            } else if entry.is_dir && [seed::STAGED, seed::WHOLE].iter().any(|suffix| entry.name.ends_with(suffix)) {
                seed::finish(&self.env, &self.path, &entry.name)?;
            } else if !entry.is_dir && entry.name.ends_with(".new") {
                fs.remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
            }
        }
        Ok(())
    }
}

/// Removes a folder of files.
pub(crate) fn remove_folder(fs: &dyn fs::Fs, path: &Path) -> Result<()> {
    for entry in fs.list(path).map_err(|e| Error::io("list", path, e))? {
        let file = path.join(entry.name);
        fs.remove_file(&file).map_err(|e| Error::io("remove", &file, e))?;
    }
    fs.remove_dir(path).map_err(|e| Error::io("remove", path, e))
}

fn foreign(path: &Path, what: &'static str, found: String, expected: String) -> Error {
    Error::Foreign { path: path.to_owned(), what, found, expected }
}

/// `flock` goes with the process, so a lock that is held is held by a live one.
fn lock(env: &Env, folder: &Path) -> Result<Arc<dyn File>> {
    let path = folder.join("lock");
    let file = env.fs.open(&path, Mode::Create).map_err(|e| Error::io("open", &path, e))?;
    if let Err(e) = flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
        if e != rustix::io::Errno::WOULDBLOCK {
            return Err(Error::io("lock", &path, e.into()));
        }
        let mut text = [0; 20];
        let read = fs::read_full_at(&*file, &mut text, 0).unwrap_or(0);
        let pid = String::from_utf8_lossy(&text[..read]).trim().to_owned();
        let holder = if pid.is_empty() { "another process".to_owned() } else { format!("process {pid}") };
        return Err(Error::Locked { path: folder.to_owned(), holder });
    }
    file.truncate(0).map_err(|e| Error::io("truncate", &path, e))?;
    let pid = format!("{}\n", std::process::id());
    fs::write_all_at(&*file, pid.as_bytes(), 0).map_err(|e| Error::io("write", &path, e))?;
    Ok(file)
}

fn load_meta(env: &Env, folder: &Path) -> Result<Option<(String, i32)>> {
    let path = folder.join("meta");
    let Some(body) = frame::load(&*env.fs, &path, META)? else {
        return Ok(None);
    };
    let mut fields = Fields::new(&path, &body);
    let meta = (fields.string()?, fields.i32()?);
    fields.end()?;
    Ok(Some(meta))
}

fn save_meta(env: &Env, folder: &Path, cluster_id: &str, node_id: i32) -> Result<()> {
    let mut body = Vec::new();
    frame::put_string(&mut body, cluster_id);
    body.extend_from_slice(&node_id.to_be_bytes());
    frame::replace(&*env.fs, &folder.join("meta"), &frame::encode(META, &body))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::fs::fault::{Call, FaultFs};

    fn open(path: &Path) -> Result<DataDir> {
        DataDir::open(&Env::default(), path, Some("c1"), 0)
    }

    #[test]
    fn a_folder_is_made_once_and_known_again() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("data");
        assert_eq!(DataDir::cluster_id_of(&Env::default(), &path).unwrap(), None);
        let dir = open(&path).unwrap();
        assert!(!dir.same_boot());
        drop(dir);
        let dir = DataDir::open(&Env::default(), &path, None, 0).unwrap();
        assert_eq!((dir.cluster_id(), dir.node_id(), dir.same_boot()), ("c1", 0, true));
    }

    #[test]
    fn a_folder_in_use_by_a_live_process_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let _held = open(temp.path()).unwrap();
        let error = open(temp.path()).unwrap_err();
        assert!(matches!(&error, Error::Locked { .. }), "{error}");
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    }

    #[test]
    fn a_folder_of_another_cluster_or_node_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        drop(open(temp.path()).unwrap());
        let error = DataDir::open(&Env::default(), temp.path(), Some("c2"), 0).unwrap_err();
        assert!(error.to_string().contains("belongs to cluster c1, not to c2"), "{error}");
        let error = DataDir::open(&Env::default(), temp.path(), None, 5).unwrap_err();
        assert!(error.to_string().contains("belongs to node 0, not to 5"), "{error}");
    }

    #[test]
    fn a_folder_of_a_newer_format_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        drop(open(temp.path()).unwrap());
        let meta = temp.path().join("meta");
        let mut bytes = std::fs::read(&meta).unwrap();
        bytes[9] = 2;
        std::fs::write(&meta, bytes).unwrap();
        let error = open(temp.path()).unwrap_err();
        assert!(matches!(error, Error::NewerFormat { found: 2, known: 1, .. }), "{error}");
    }

    #[test]
    fn a_read_only_or_full_folder_says_so() {
        let temp = tempfile::tempdir().unwrap();
        for (kind, call) in [(ErrorKind::ReadOnlyFilesystem, Call::Open), (ErrorKind::PermissionDenied, Call::Open)] {
            let fs = FaultFs::new(temp.path(), 1);
            fs.fail(call, 1, kind);
            let error = DataDir::open(&Env::with_fs(Arc::new(fs)), temp.path(), Some("c"), 0).unwrap_err();
            assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        }
        let fs = FaultFs::new(temp.path(), 1);
        fs.set_space(Some(0));
        let error = DataDir::open(&Env::with_fs(Arc::new(fs)), temp.path(), Some("c"), 0).unwrap_err();
        assert!(error.is_full() && error.is_retryable(), "{error}");
    }

    #[test]
    fn unsynced_writes_are_trusted_within_a_boot_or_after_a_clean_stop_only() {
        let temp = tempfile::tempdir().unwrap();
        let fs = FaultFs::new(temp.path(), 7);
        let env = Env::with_fs(Arc::new(fs.clone()));
        let open = || DataDir::open(&env, temp.path(), Some("c"), 0).unwrap();
        drop(open());
        assert!(open().same_boot());
        fs.crash().unwrap();
        assert!(!open().same_boot());
        open().close().unwrap();
        fs.crash().unwrap();
        assert!(open().same_boot());
    }

    #[test]
    fn meta_and_boot_have_these_bytes() {
        let temp = tempfile::tempdir().unwrap();
        drop(open(temp.path()).unwrap());
        let bytes = std::fs::read(temp.path().join("meta")).unwrap();
        assert_eq!(bytes[..16], *b"LEATMETA\0\x01\0\0\0\0\0\x08");
        assert_eq!(bytes[20..], *b"\0\x02c1\0\0\0\0");
        let boot_id = crate::fs::Fs::boot_id(&crate::fs::RealFs).unwrap();
        let bytes = std::fs::read(temp.path().join("boot")).unwrap();
        assert_eq!(bytes[..8], *b"LEATBOOT");
        assert_eq!(bytes[20..], [&[0, boot_id.len() as u8], boot_id.as_bytes(), &[0]].concat());
    }

    #[test]
    fn what_was_half_deleted_is_gone_after_the_next_start() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("00-0.deleted");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("x.log"), b"x").unwrap();
        std::fs::write(temp.path().join("meta.new"), b"x").unwrap();
        let dir = open(temp.path()).unwrap();
        assert!(dir.partitions().unwrap().is_empty());
        assert!(!folder.exists() && !temp.path().join("meta.new").exists());
    }
}
