//! Reads size-prefixed frames from a socket. Each frame has memory of its own, so that a batch in it can be patched in place.
//!
//! Bytes go through one buffer per shard first; a large frame then takes the rest straight from the socket. Memory follows
//! the bytes that have come, never the length that was announced.

use std::cell::RefCell;
use std::io;

use bytes::{BufMut, BytesMut};
use tokio::net::TcpStream;

/// What a shard reads from a socket at once, before it is known where frames begin.
const SCRATCH_BYTES: usize = 64 << 10;

/// Reserved at once for a frame; beyond it, as much again as has come.
const RESERVE_BYTES: usize = 1 << 20;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// Why no more frames come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {0} bytes was announced; it must be between 0 and {1} (socket.request.max.bytes)")]
    Size(i64, usize),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One connection's place in its byte stream.
#[derive(Debug)]
pub(crate) struct FrameReader {
    bytes_max: usize,
    prefix: [u8; 4],
    prefix_len: usize,
    body: BytesMut,
    /// Size of the frame in `body`, once its prefix is whole.
    size: Option<usize>,
}

impl FrameReader {
    pub(crate) fn new(bytes_max: usize) -> FrameReader {
        FrameReader { bytes_max, prefix: [0; 4], prefix_len: 0, body: BytesMut::new(), size: None }
    }

    /// Size of the frame that is still on its way, and how much of it has come.
    pub(crate) fn pending(&self) -> Option<(usize, usize)> {
        self.size.map(|size| (size, self.body.len()))
    }

    /// Reads what is there without waiting and adds whole frames to `frames`. `Ok(false)` at the end of the stream.
    pub(crate) fn read(&mut self, stream: &TcpStream, frames: &mut Vec<BytesMut>) -> Result<bool, FrameError> {
        if let Some(size) = self.size
            && size - self.body.len() >= SCRATCH_BYTES / 2
        {
            return self.read_body(stream, size, frames);
        }
        SCRATCH.with_borrow_mut(|scratch| match stream.try_read(scratch) {
            Ok(0) => Ok(false),
            Ok(count) => self.take(&scratch[..count], frames).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error.into()),
        })
    }

    /// Straight from the socket into the frame, up to its end.
    fn read_body(&mut self, stream: &TcpStream, size: usize, frames: &mut Vec<BytesMut>) -> Result<bool, FrameError> {
        let missing = size - self.body.len();
        if self.body.capacity() == self.body.len() {
            self.body.reserve(missing.min(self.body.len().max(RESERVE_BYTES)));
        }
        match stream.try_read_buf(&mut (&mut self.body).limit(missing)) {
            Ok(0) => Ok(false),
            Ok(_) => {
                self.finish(frames);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn take(&mut self, mut bytes: &[u8], frames: &mut Vec<BytesMut>) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            let Some(size) = self.size else {
                let count = bytes.len().min(4 - self.prefix_len);
                self.prefix[self.prefix_len..][..count].copy_from_slice(&bytes[..count]);
                self.prefix_len += count;
                bytes = &bytes[count..];
                if self.prefix_len == 4 {
                    self.begin()?;
                    self.finish(frames);
                }
                continue;
            };
            let count = bytes.len().min(size - self.body.len());
            self.body.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.finish(frames);
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), FrameError> {
        let announced = i32::from_be_bytes(self.prefix);
        self.prefix_len = 0;
        let size = usize::try_from(announced).ok().filter(|&size| size <= self.bytes_max);
        let size = size.ok_or(FrameError::Size(announced.into(), self.bytes_max))?;
        self.body = BytesMut::with_capacity(size.min(RESERVE_BYTES));
        self.size = Some(size);
        Ok(())
    }

    fn finish(&mut self, frames: &mut Vec<BytesMut>) {
        if self.size == Some(self.body.len()) {
            self.size = None;
            frames.push(std::mem::take(&mut self.body));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(reader: &mut FrameReader, bytes: &[u8]) -> Vec<BytesMut> {
        let mut frames = Vec::new();
        reader.take(bytes, &mut frames).unwrap();
        frames
    }

    #[test]
    fn frames_come_whole_however_the_bytes_are_cut() {
        let bytes = b"\0\0\0\x03abc\0\0\0\0\0\0\0\x01x";
        for cut in 0..bytes.len() {
            let mut reader = FrameReader::new(16);
            let mut all = frames(&mut reader, &bytes[..cut]);
            all.extend(frames(&mut reader, &bytes[cut..]));
            assert_eq!(all, [&b"abc"[..], b"", b"x"]);
        }
    }

    #[test]
    fn a_size_out_of_bounds_is_refused_and_reserves_nothing() {
        for announced in [-1i32, 17, i32::MAX, i32::MIN] {
            let mut reader = FrameReader::new(16);
            let error = reader.take(&announced.to_be_bytes(), &mut Vec::new()).unwrap_err();
            assert!(matches!(error, FrameError::Size(size, 16) if size == i64::from(announced)));
            assert_eq!(reader.body.capacity(), 0);
        }
    }
}
