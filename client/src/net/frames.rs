//! Cuts a socket's bytes into frames without copying them.
//!
//! One buffer is read into directly; a frame is split off it. A frame that does not fit makes the buffer grow to the
//! frame's exact size, so a large answer is one allocation that the kernel fills.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::Error;

/// Room for the small answers: many of them arrive in one read.
const READ_BYTES: usize = 64 << 10;

/// No answer of a right broker is larger: fetches are bounded by `fetch.max.bytes` plus one batch.
const FRAME_BYTES_MAX: usize = 1 << 30;

/// A frame of at least this size has memory of its own, which is used again once nobody holds a part of it any more:
/// fresh memory costs the kernel as much as the copy out of the socket does.
const LARGE_BYTES: usize = 128 << 10;

/// Memory kept for that.
const SPARES_MAX: usize = 8;
const SPARE_BYTES_MAX: usize = 32 << 20;

/// A reader's bytes as frames, without their length prefix.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: BytesMut,
    /// Large frames handed out, oldest first.
    spares: VecDeque<Bytes>,
    /// The last frame was large, so the next one may be too.
    expects_large: bool,
}

impl Frames {
    /// The next frame; `None` when the peer closed between two frames. Losing the future loses no bytes.
    pub(super) async fn next(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        address: &str,
    ) -> Result<Option<Bytes>, Error> {
        let gone = |reason: String| Error::Connection { address: address.to_owned(), reason };
        loop {
            let missing = match self.buffer.first_chunk::<4>() {
                None => 4 - self.buffer.len(),
                Some(size) => {
                    let size = usize::try_from(i32::from_be_bytes(*size)).unwrap_or(usize::MAX);
                    if size > FRAME_BYTES_MAX {
                        return Err(gone(
                            "sent a frame length that can't be right; is this a Kafka broker?".to_owned(),
                        ));
                    }
                    if self.buffer.len() - 4 >= size {
                        return Ok(Some(self.cut(size)));
                    }
                    4 + size - self.buffer.len()
                }
            };
            self.make_room(missing);
            match from.read_buf(&mut self.buffer).await {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(gone("closed the connection within an answer".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(gone(error.to_string())),
            }
        }
    }

    /// Cuts off the frame at the front, which is there.
    fn cut(&mut self, size: usize) -> Bytes {
        self.buffer.advance(4);
        let frame = self.buffer.split_to(size).freeze();
        self.expects_large = size >= LARGE_BYTES;
        if self.expects_large {
            // What is left of the buffer would keep the frame's memory from being used again.
            self.buffer = BytesMut::from(&self.buffer[..]);
            self.spares.push_back(frame.clone());
            let mut total: usize = self.spares.iter().map(Bytes::len).sum();
            while self.spares.len() > SPARES_MAX || total > SPARE_BYTES_MAX {
                total -= self.spares.pop_front().map_or(0, |spare| spare.len());
            }
        }
        frame
    }

    fn make_room(&mut self, missing: usize) {
        if self.buffer.capacity() - self.buffer.len() >= missing {
            return;
        }
        let need = self.buffer.len() + missing;
        if (self.expects_large || need >= LARGE_BYTES)
            && let Some(mut spare) = self.spare(need)
        {
            spare.extend_from_slice(&self.buffer);
            self.buffer = spare;
            return;
        }
        self.buffer.reserve(missing.max(READ_BYTES));
    }

    /// Memory for `need` bytes that a large frame had before.
    fn spare(&mut self, need: usize) -> Option<BytesMut> {
        let at = self.spares.iter().position(|spare| spare.is_unique() && spare.len() >= need)?;
        let mut spare = self.spares.remove(at)?.try_into_mut().ok()?;
        spare.clear();
        Some(spare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn frames_survive_any_split_of_the_stream() {
        let mut bytes = Vec::new();
        let sizes = [0_usize, 1, 3, 100_000, 7];
        for size in sizes {
            bytes.extend_from_slice(&(size as u32).to_be_bytes());
            bytes.extend((0..size).map(|i| i as u8));
        }
        for step in [1, 2, 5, 4096, 1 << 20] {
            let (mut near, mut far) = tokio::io::duplex(1 << 16);
            let bytes = bytes.clone();
            let write = tokio::spawn(async move {
                for chunk in bytes.chunks(step) {
                    far.write_all(chunk).await.unwrap();
                }
            });
            let mut frames = Frames::default();
            for size in sizes {
                let frame = frames.next(&mut near, "test").await.unwrap().unwrap();
                assert!(frame.iter().copied().eq((0..size).map(|i| i as u8)));
            }
            assert!(frames.next(&mut near, "test").await.unwrap().is_none());
            write.await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_memory_of_a_large_frame_is_used_again_only_when_nobody_holds_it() {
        let (mut near, mut far) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            for fill in 0..6_u8 {
                far.write_all(&300_000_u32.to_be_bytes()).await.unwrap();
                far.write_all(&vec![fill; 300_000]).await.unwrap();
            }
        });
        let mut frames = Frames::default();
        let mut held = Vec::new();
        for fill in 0..6_u8 {
            let frame = frames.next(&mut near, "test").await.unwrap().unwrap();
            assert!(frame.iter().all(|byte| *byte == fill));
            if fill % 2 == 0 {
                held.push((fill, frame.slice(1000..1001)));
            }
        }
        assert!(held.iter().all(|(fill, part)| part[0] == *fill));
        assert!(frames.spares.len() < 6, "the memory of frames that nobody held served later ones");
    }

    #[tokio::test]
    async fn a_hostile_length_is_refused_before_memory_is_reserved() {
        let mut frames = Frames::default();
        for bytes in [&[0xff_u8, 0xff, 0xff, 0xff][..], &[0x7f, 0xff, 0xff, 0xff]] {
            assert!(frames.next(&mut &bytes[..], "test").await.is_err());
            frames = Frames::default();
        }
        assert!(frames.next(&mut &b"\0\0\0\x05ab"[..], "test").await.is_err());
    }
}
