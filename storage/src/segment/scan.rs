//! Frames of a `.log`, one after another, each checked: length, magic, CRC-32C.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use leat_protocol::records::{self, BatchHeader, HEADER_LEN};

use crate::error::{Error, Result};
use crate::fs::{self, File};

/// Read at once; a larger frame is read whole.
const CHUNK: usize = 256 << 10;

/// Walks over the frames of a log.
#[derive(Debug)]
pub(crate) struct Scanner {
    path: PathBuf,
    file: Arc<dyn File>,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Position of the buffer's first byte, and how much of it holds content.
    buffer_at: u64,
    buffer_len: usize,
}

/// What is found at a position.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Frame {
        position: u32,
        header: BatchHeader,
        bytes: &'a [u8],
    },
    /// The log ends where a frame ends.
    End,
    Bad(Bad),
}

/// A frame that is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) position: u32,
    pub(crate) what: String,
}

impl Scanner {
    /// From `position` up to `end`, which is at most the file's length. A segment ends before 2 GiB: positions have 31 bits.
    pub(crate) fn new(path: &Path, file: Arc<dyn File>, position: u32, end: u64) -> Self {
        let end = end.min(i32::MAX as u64);
        Self {
            path: path.to_owned(),
            file,
            position: position.into(),
            end,
            buffer: Vec::new(),
            buffer_at: 0,
            buffer_len: 0,
        }
    }

    /// Where the next frame is looked for.
    pub(crate) fn position(&self) -> u32 {
        self.position as u32
    }

    /// Goes on elsewhere.
    pub(crate) fn seek(&mut self, position: u32) {
        self.position = position.into();
    }

    /// The next frame. After a bad one the position is still at it.
    pub(crate) fn next(&mut self) -> Result<Found<'_>> {
        let left = self.end.saturating_sub(self.position);
        let position = self.position as u32;
        let bad = |what: String| Ok(Found::Bad(Bad { position, what }));
        if left == 0 {
            return Ok(Found::End);
        }
        if left < HEADER_LEN as u64 {
            return bad(format!("only {left} bytes of a {HEADER_LEN}-byte batch header"));
        }
        self.fill(HEADER_LEN)?;
        let header = match BatchHeader::parse(self.buffered(HEADER_LEN)) {
            Ok(header) => header,
            Err(e) => return bad(e.to_string()),
        };
        let size = header.size();
        if size as u64 > left {
            return bad(format!("a batch of {size} bytes of which only {left} are there"));
        }
        self.fill(size)?;
        let at = (self.position - self.buffer_at) as usize;
        let bytes = &self.buffer[at..at + size];
        if let Err(e) = records::check(bytes) {
            return bad(e.to_string());
        }
        self.position += size as u64;
        Ok(Found::Frame { position, header, bytes })
    }

    fn buffered(&self, len: usize) -> &[u8] {
        let at = (self.position - self.buffer_at) as usize;
        &self.buffer[at..at + len]
    }

    /// Makes sure that `len` bytes from the position on are in the buffer; they are known to be in the file.
    fn fill(&mut self, len: usize) -> Result<()> {
        let have = self.buffer_at..self.buffer_at + self.buffer_len as u64;
        if have.contains(&self.position) && self.position + len as u64 <= have.end {
            return Ok(());
        }
        let want = len.max(CHUNK).min((self.end - self.position) as usize);
        if self.buffer.len() < want {
            self.buffer.resize(want, 0);
        }
        let buffer = &mut self.buffer[..want];
        fs::read_exact_at(&*self.file, buffer, self.position).map_err(|e| Error::io("read", &self.path, e))?;
        (self.buffer_at, self.buffer_len) = (self.position, want);
        Ok(())
    }
}

/// The header of the frame at `position`, not checked further.
pub(crate) fn header_at(file: &dyn File, position: u32) -> std::io::Result<BatchHeader> {
    let mut head = [0; HEADER_LEN];
    fs::read_exact_at(file, &mut head, position.into())?;
    BatchHeader::parse(&head).map_err(std::io::Error::other)
}

/// Walks over headers only, a few in each read.
#[derive(Debug)]
pub(crate) struct Headers<'a> {
    path: &'a Path,
    file: &'a dyn File,
    position: u32,
    end: u32,
    buffer: [u8; 4096],
    at: u32,
    len: u32,
}

impl<'a> Headers<'a> {
    pub(crate) fn new(path: &'a Path, file: &'a dyn File, position: u32, end: u32) -> Self {
        Self { path, file, position, end, buffer: [0; 4096], at: 0, len: 0 }
    }

    /// The next header and its position; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, BatchHeader)>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let (position, head_len) = (self.position, HEADER_LEN as u32);
        if position < self.at || position + head_len > self.at + self.len {
            let want = (self.end - position).min(self.buffer.len() as u32) as usize;
            let read = fs::read_full_at(self.file, &mut self.buffer[..want], position.into());
            self.len = read.map_err(|e| Error::io("read", self.path, e))? as u32;
            self.at = position;
        }
        let from = (position - self.at) as usize;
        let head = self.buffer[from..self.len as usize].get(..HEADER_LEN);
        let header = head.ok_or_else(|| "it ends within a batch".to_owned());
        let header = header.and_then(|head| BatchHeader::parse(head).map_err(|e| e.to_string()));
        let header = header.map_err(|what| Error::corrupt(self.path, position.into(), what))?;
        let next = u64::from(position) + header.size() as u64;
        if next > self.end.into() {
            return Err(Error::corrupt(self.path, position.into(), "a batch is longer than the log"));
        }
        self.position = next as u32;
        Ok(Some((position, header)))
    }
}
