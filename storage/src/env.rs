//! What all logs of a process share: the file system and the budget of open segments.

use std::sync::Arc;

use crate::budget::OpenFiles;
use crate::fs::{Fs, RealFs};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Env {
    pub fs: Arc<dyn Fs>,
    pub open_files: Arc<OpenFiles>,
}

impl Env {
    /// Real files, and at most `segments_max` segments open at once.
    pub fn new(segments_max: usize) -> Self {
        Self { fs: Arc::new(RealFs), open_files: Arc::new(OpenFiles::new(segments_max)) }
    }

    /// Another file system, with the default budget.
    pub fn with_fs(fs: Arc<dyn Fs>) -> Self {
        Self { fs, ..Self::default() }
    }
}

impl Default for Env {
    fn default() -> Self {
        Self::new(OpenFiles::DEFAULT_MAX)
    }
}
