//! A file system of its own, where this user may mount one: to be full, or read-only.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

#[derive(Debug)]
pub(crate) struct Mount {
    folder: tempfile::TempDir,
}

impl Mount {
    pub(crate) fn new(test: &str, size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "leat-tests"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("{test}: skipped, this user may not mount a file system");
        }
        mounted.then_some(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn set_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()).status().unwrap();
        assert!(status.success());
    }

    /// Takes all of its room but this much.
    pub(crate) fn fill(&self, bytes_left: u64) {
        let mut size = 0;
        let mut ballast = File::create(self.path().join("ballast")).unwrap();
        // The last pages, one by one.
        for block in [vec![1; 256 << 10], vec![1; 4 << 10]] {
            while ballast.write_all(&block).is_ok() {
                size += block.len() as u64;
            }
        }
        ballast.set_len(size.saturating_sub(bytes_left)).unwrap();
    }

    /// Gives the room back.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}
