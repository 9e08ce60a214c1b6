//! The file system as a thin trait, so that tests can lose power, tear writes and fill the disk.
//!
//! [`RealFs`] adds one virtual call to each system call. Positions are always explicit: no file has a cursor, so a half-done
//! write is overwritten by the next one.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

pub mod fault;
mod real;

pub use fault::FaultFs;
pub use real::RealFs;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Must exist; reads only.
    Read,
    /// Must exist; reads and writes.
    Write,
    /// Reads and writes; made if missing, kept if not.
    Create,
    /// Reads and writes; emptied if it exists.
    Replace,
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub is_dir: bool,
}

/// Size and age of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub len: u64,
    /// Last change, ms since 1970.
    pub modified_ms: i64,
}

/// The operations on names.
pub trait Fs: Debug + Send + Sync {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>>;
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Names in a folder, in no order. Names that are not UTF-8 are not ours and left out.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Differs after each boot of the machine: unsynced writes survive within one boot and not beyond.
    fn boot_id(&self) -> io::Result<String>;
}

/// The operations on content. Shared between a writer and readers.
pub trait File: Debug + Send + Sync {
    /// Reads up to `buffer.len()` bytes; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes some of `slices` at `position`; a short count is no error.
    fn write_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize>;
    fn stat(&self) -> io::Result<Stat>;
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Content, and what is needed to find it, to stable storage.
    fn sync_data(&self) -> io::Result<()>;
    /// For `sendfile` and for mapping.
    fn as_fd(&self) -> BorrowedFd<'_>;
}

/// Reads exactly `buffer.len()` bytes or fails with `UnexpectedEof`.
pub(crate) fn read_exact_at(file: &dyn File, mut buffer: &mut [u8], mut position: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let read = read_some_at(file, buffer, position)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[read..];
        position += read as u64;
    }
    Ok(())
}

/// Reads until `buffer` is full or the file ends; returns how much was read.
pub(crate) fn read_full_at(file: &dyn File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        let read = read_some_at(file, &mut buffer[filled..], position + filled as u64)?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    Ok(filled)
}

fn read_some_at(file: &dyn File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, position) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => return other,
        }
    }
}

/// Writes all of `bytes`, or fails with some of it written.
pub(crate) fn write_all_at(file: &dyn File, bytes: &[u8], position: u64) -> io::Result<()> {
    write_all_vectored_at(file, &mut [IoSlice::new(bytes)], position)
}

/// As [`write_all_at`] for several slices, in as few calls as the kernel allows (1,024 slices each).
pub(crate) fn write_all_vectored_at(
    file: &dyn File,
    mut slices: &mut [IoSlice<'_>],
    mut position: u64,
) -> io::Result<()> {
    const SLICES_MAX: usize = 1024;
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let some = slices.len().min(SLICES_MAX);
        match file.write_vectored_at(&slices[..some], position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
