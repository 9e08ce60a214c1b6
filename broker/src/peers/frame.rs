//! Frames on a socket: what is reserved for one follows the bytes that have come, and entries are written from where they lie.

use std::io::{self, IoSlice};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most that a frame may have before both sides know each other.
pub(crate) const STRANGER_BYTES_MAX: usize = 64 << 10;

/// The most that a frame may have: raft's largest message, and one entry beyond it.
pub(crate) const BYTES_MAX: usize = 160 << 20;

/// Reserved at a time.
const STEP: usize = 256 << 10;

/// Payloads up to this size are copied behind their head, so that small frames share a packet.
const COPIED_MAX: usize = 2 << 10;

/// Slices given to one write.
const SLICES_MAX: usize = 64;

/// A head with its payload.
#[derive(Debug, Clone)]
pub(crate) struct Framed {
    pub(crate) head: Bytes,
    pub(crate) payload: Bytes,
}

/// Reads frames from one half of a connection.
pub(crate) struct FrameReader<R> {
    half: R,
    buffer: BytesMut,
}

impl<R: AsyncReadExt + Unpin> FrameReader<R> {
    pub(crate) fn new(half: R) -> FrameReader<R> {
        FrameReader { half, buffer: BytesMut::new() }
    }

    /// Goes on with what another reader had read.
    pub(crate) fn begun(half: R, buffer: BytesMut) -> FrameReader<R> {
        FrameReader { half, buffer }
    }

    /// The half, and what was read beyond the last frame.
    pub(crate) fn into_parts(self) -> (R, BytesMut) {
        (self.half, self.buffer)
    }

    /// The next frame; `None` where the other side has closed between two.
    ///
    /// # Errors
    /// A frame of more than `bytes_max` or one that contradicts itself, the connection's error, or its end within a frame.
    pub(crate) async fn next(&mut self, bytes_max: usize) -> io::Result<Option<Framed>> {
        if !self.fill(4, true).await? {
            return Ok(None);
        }
        let len = (&self.buffer[..4]).get_u32() as usize;
        if len < 4 || len > bytes_max {
            return Err(invalid(format!("a frame of {len} bytes; 4 to {bytes_max} are taken")));
        }
        self.fill(4 + len, false).await?;
        let mut frame = self.buffer.split_to(4 + len);
        frame.advance(4);
        let head_len = frame.get_u32() as usize;
        if head_len > frame.len() {
            return Err(invalid(format!("a head of {head_len} bytes in a frame of {len}")));
        }
        let mut payload = frame.freeze();
        let head = payload.split_to(head_len);
        Ok(Some(Framed { head, payload }))
    }

    /// The next frame's head, of a frame without payload.
    pub(crate) async fn message<M: Message + Default>(&mut self, bytes_max: usize) -> io::Result<M> {
        let frame = self.next(bytes_max).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        M::decode(frame.head).map_err(|error| invalid(error.to_string()))
    }

    /// Reads until the buffer has `len` bytes. False at an end before the first, where that is allowed.
    async fn fill(&mut self, len: usize, may_end: bool) -> io::Result<bool> {
        while self.buffer.len() < len {
            let missing = len - self.buffer.len();
            // Doubled as it comes, so that a large frame is not moved at every step.
            self.buffer.reserve(missing.min(STEP.max(self.buffer.len())));
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return match may_end && self.buffer.is_empty() {
                    true => Ok(false),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
        Ok(true)
    }
}

/// Gathers frames, and writes them at once.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    chunks: Vec<Bytes>,
    /// Heads and small payloads since the last large one.
    open: BytesMut,
}

impl Outgoing {
    pub(crate) fn push<'a>(&mut self, head: &impl Message, payload: impl Iterator<Item = &'a Bytes> + Clone) {
        let (head_len, payload_len) = (head.encoded_len(), payload.clone().map(Bytes::len).sum::<usize>());
        self.open.reserve(8 + head_len);
        // A frame is bounded by raft's largest message.
        self.open.put_u32((4 + head_len + payload_len) as u32);
        self.open.put_u32(head_len as u32);
        // There is room: a BytesMut grows.
        let _ = head.encode(&mut self.open);
        for part in payload {
            if part.len() <= COPIED_MAX {
                self.open.extend_from_slice(part);
            } else {
                self.chunks.push(self.open.split().freeze());
                self.chunks.push(part.clone());
            }
        }
    }

    pub(crate) fn message(head: &impl Message) -> Outgoing {
        let mut outgoing = Outgoing::default();
        outgoing.push(head, [].iter());
        outgoing
    }

    pub(crate) async fn write(&mut self, half: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        if !self.open.is_empty() {
            self.chunks.push(self.open.split().freeze());
        }
        let mut chunks = std::mem::take(&mut self.chunks).into_iter().collect::<std::collections::VecDeque<_>>();
        while !chunks.is_empty() {
            let slices: Vec<IoSlice<'_>> = chunks.iter().take(SLICES_MAX).map(|chunk| IoSlice::new(chunk)).collect();
            let mut written = half.write_vectored(&slices).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            while let Some(first) = chunks.front_mut() {
                if written < first.len() {
                    first.advance(written);
                    break;
                }
                written -= first.len();
                chunks.pop_front();
            }
        }
        half.flush().await
    }
}

pub(crate) fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::super::wire::Founder;
    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<Option<Framed>> {
        FrameReader::new(bytes).next(1000).await
    }

    #[tokio::test]
    async fn golden_bytes_of_a_frame_with_a_payload() {
        let head = Founder { node_id: 1, replica_id: 2, address: "a".into() };
        let parts = [Bytes::from_static(b"xy"), Bytes::from_static(b"z")];
        let mut outgoing = Outgoing::default();
        outgoing.push(&head, parts.iter());
        let mut bytes = Vec::new();
        outgoing.write(&mut bytes).await.unwrap();
        assert_eq!(bytes, [&[0, 0, 0, 14, 0, 0, 0, 7, 8, 1, 16, 2, 26, 1][..], b"axyz"].concat());
        let frame = read(&bytes).await.unwrap().unwrap();
        assert_eq!(Founder::decode(frame.head).unwrap(), head);
        assert_eq!(frame.payload, b"xyz"[..]);
        assert!(read(&[]).await.unwrap().is_none());
        for cut in 1..bytes.len() {
            assert_eq!(read(&bytes[..cut]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{cut}");
        }
    }

    #[tokio::test]
    async fn lengths_that_can_not_be_are_refused_at_once() {
        for bytes in [&[0, 0, 0, 3, 0][..], &[0xff; 8], &[0, 0, 0, 5, 0, 0, 0, 2, 0]] {
            assert_eq!(read(bytes).await.unwrap_err().kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn large_payloads_are_written_whole() {
        let parts: Vec<Bytes> = (0..200).map(|n| Bytes::from(vec![n as u8; 3000])).collect();
        let mut outgoing = Outgoing::default();
        outgoing.push(&Founder::default(), parts.iter());
        outgoing.push(&Founder::default(), [].iter());
        let mut bytes = Vec::new();
        outgoing.write(&mut bytes).await.unwrap();
        let mut reader = FrameReader::new(&bytes[..]);
        assert_eq!(reader.next(1 << 20).await.unwrap().unwrap().payload, parts.concat());
        assert!(reader.next(1 << 20).await.unwrap().unwrap().payload.is_empty());
    }
}
