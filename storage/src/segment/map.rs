//! Read-only mappings of index files: the only `unsafe` of the workspace's storage.
//!
//! Never maps a `.log`, never writes through a mapping, never looks past a length that its caller knows to be written.
#![expect(unsafe_code, reason = "reading a mapping without building a slice over pages past the end of the file")]

use std::io;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use memmap2::{MmapOptions, MmapRaw};

use crate::fs::File;

/// A file that is still appended to is mapped with room to grow, so that it is mapped anew a few times only.
const GROWING_MIN: usize = 64 << 10;

/// An index file: its mapping, and while it is written the file itself.
#[derive(Debug)]
pub(crate) struct IndexFile {
    file: Option<Arc<dyn File>>,
    mapping: ArcSwapOption<MmapRaw>,
}

impl IndexFile {
    /// A file that is appended to.
    pub(crate) fn growing(file: Arc<dyn File>) -> Self {
        Self { file: Some(file), mapping: ArcSwapOption::empty() }
    }

    /// A file of `len` bytes that no longer changes; it is closed once it is mapped.
    pub(crate) fn fixed(file: &dyn File, len: usize) -> io::Result<Self> {
        let mapping = if len == 0 { None } else { Some(Arc::new(map(file, len)?)) };
        Ok(Self { file: None, mapping: ArcSwapOption::new(mapping) })
    }

    /// The file, while it is written.
    pub(crate) fn file(&self) -> Option<&Arc<dyn File>> {
        self.file.as_ref()
    }

    /// The first `len` bytes, which must have been written and must stay (see [`IndexBytes::deref`]).
    pub(crate) fn bytes(&self, len: usize) -> io::Result<IndexBytes> {
        if len == 0 {
            return Ok(IndexBytes { mapping: None, len });
        }
        if let Some(mapping) = self.mapping.load_full()
            && mapping.len() >= len
        {
            return Ok(IndexBytes { mapping: Some(mapping), len });
        }
        let Some(file) = &self.file else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        // Two readers may both map it; one mapping is dropped with its reader.
        let mapping = Arc::new(map(&**file, (len * 2).next_power_of_two().max(GROWING_MIN))?);
        self.mapping.store(Some(mapping.clone()));
        Ok(IndexBytes { mapping: Some(mapping), len })
    }
}

fn map(file: &dyn File, len: usize) -> io::Result<MmapRaw> {
    MmapOptions::new().len(len).map_raw_read_only(&file.as_fd())
}

/// The written part of a mapped index file. Keeps the mapping alive.
#[derive(Debug)]
pub(crate) struct IndexBytes {
    mapping: Option<Arc<MmapRaw>>,
    len: usize,
}

impl Deref for IndexBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let Some(mapping) = &self.mapping else {
            return &[];
        };
        assert!(self.len <= mapping.len(), "an index is read past its mapping");
        // SAFETY: the pointer is valid for `len` bytes, because
        // - the mapping is at least that long (asserted) and lives as long as `self`;
        // - the file is at least that long: lengths are published after the bytes are written (segment/mod.rs), or taken
        //   from the file when it is opened, and a file that may be mapped is never shortened: truncation renames a new
        //   file over it (log/truncate.rs) and deletion unlinks it, both of which leave this inode as it is;
        // - the bytes do not change: an index is appended to, at positions past every published length.
        // Pages past the end of the file are never part of the slice. Someone else who truncates files in a data folder
        // that is in use can still cause a SIGBUS; the folder's lock is there to keep other processes of ours out.
        unsafe { std::slice::from_raw_parts(mapping.as_ptr(), self.len) }
    }
}
