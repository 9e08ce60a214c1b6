//! Folders that are on their way out. A topic that is made again has its old one's folder names, so a partition is not
//! opened before its predecessor's folder is gone.

use std::collections::HashSet;

use parking_lot::Mutex;

/// Names of folders being deleted.
#[derive(Debug, Default)]
pub(crate) struct Deleting(Mutex<HashSet<String>>);

impl Deleting {
    pub(crate) fn begin(&self, folder: String) {
        self.0.lock().insert(folder);
    }

    pub(super) fn end(&self, folder: &str) {
        self.0.lock().remove(folder);
    }

    pub(super) fn end_after(&self, folder: &str, delete: impl FnOnce()) {
        delete();
        self.end(folder);
    }

    pub(super) fn contains(&self, folder: &str) -> bool {
        self.0.lock().contains(folder)
    }
}
