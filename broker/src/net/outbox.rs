//! What is on its way to one client: bytes in memory by vectored writes, ranges of files by `sendfile`.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use leat_protocol::wire::Part;
use leat_storage::FileRange;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Slices of one vectored write; the kernel takes up to 1,024.
const SLICES_MAX: usize = 64;

/// Bytes of a file sent before other connections get their turn.
const TURN_BYTES: usize = 1 << 20;

/// An encoded answer: its parts, and the file ranges that external parts stand for by their id.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) parts: Vec<Part>,
    pub(crate) files: Vec<FileRange>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    File(FileRange),
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn push(&mut self, reply: Reply) {
        let Reply { parts, files } = reply;
        for part in parts {
            match part {
                Part::Bytes(bytes) if bytes.is_empty() => {}
                Part::Bytes(bytes) => self.pieces.push_back(Piece::Bytes(bytes)),
                Part::External { id, .. } => {
                    if let Some(range) = files.get(id as usize) {
                        self.pieces.push_back(Piece::File(range.clone()));
                    }
                }
            }
        }
    }

    /// Sends what the socket takes without waiting.
    pub(crate) fn write(&mut self, stream: &TcpStream) -> io::Result<()> {
        let mut sent_from_files = 0;
        while let Some(front) = self.pieces.front_mut() {
            let result = match front {
                Piece::Bytes(_) => self.write_bytes(stream),
                Piece::File(range) => match send_file(stream, range) {
                    Ok(count) => {
                        sent_from_files += count;
                        if range.len == 0 {
                            self.pieces.pop_front();
                        }
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
            };
            match result {
                Ok(()) if sent_from_files >= TURN_BYTES => return Ok(()),
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_bytes(&mut self, stream: &TcpStream) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            let Piece::Bytes(bytes) = piece else { break };
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        let mut sent = match count {
            1 => stream.try_write(&slices[0])?,
            _ => stream.try_write_vectored(&slices[..count])?,
        };
        while let Some(Piece::Bytes(bytes)) = self.pieces.front_mut() {
            if sent < bytes.len() {
                bytes.advance(sent);
                break;
            }
            sent -= bytes.len();
            self.pieces.pop_front();
            if sent == 0 && !matches!(self.pieces.front(), Some(Piece::Bytes(bytes)) if bytes.is_empty()) {
                break;
            }
        }
        Ok(())
    }
}

/// Sends from the page cache to the socket and moves the range on by what was sent.
fn send_file(stream: &TcpStream, range: &mut FileRange) -> io::Result<usize> {
    let mut position = range.position;
    let file = range.file.as_fd();
    let send = || Ok(rustix::fs::sendfile(stream, file, Some(&mut position), range.len as usize)?);
    let count = stream.try_io(Interest::WRITABLE, send)?;
    if count == 0 {
        // The file is shorter than its index said: nothing can be made up for it.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    range.position = position;
    range.len -= u32::try_from(count).unwrap_or(range.len);
    Ok(count)
}
