//! A log on its way to a replica that entries can't serve, over a connection of its own and at a bounded rate.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_storage::{Checkpoint, Env, GroupId, Identity, LogConfig, Outline, Seed, Seeding, Staged};
use prost::Message;
use tokio::sync::oneshot;

use super::Peers;
use super::frame::{BYTES_MAX, FrameReader, Outgoing, invalid};
use super::handshake::{self, Known};
use super::wire::{self, Body, Frame, Piece, Purpose, Whole};
use crate::disk::Pool;

/// Bytes of a piece.
const PIECE_BYTES: u32 = 1 << 20;

/// Whoever sends nothing for this long has ended.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A log as one node has it, at its last checkpoint.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) seed: Seed,
}

/// Sends what a node has asked for.
pub(super) async fn send(
    mut writer: impl tokio::io::AsyncWrite + Unpin,
    source: Result<Source, String>,
    pool: &Pool,
    bytes_per_second: u64,
) -> io::Result<()> {
    let Source { checkpoint, seed } = match source {
        Ok(source) => source,
        Err(refusal) => {
            let outline = wire::Outline { refusal, ..wire::Outline::default() };
            return write(&mut writer, Body::Outline(outline), Bytes::new()).await;
        }
    };
    let Outline { first_index, previous_term, clean_end } = seed.outline;
    let checkpoint = Bytes::from(checkpoint.to_bytes());
    let outline = wire::Outline { refusal: String::new(), first_index, previous_term, clean_end, checkpoint };
    write(&mut writer, Body::Outline(outline), Bytes::new()).await?;
    let (begun, mut sent) = (Instant::now(), 0);
    for part in seed.parts {
        let part = Arc::new(part);
        let mut position = 0;
        while position < part.len {
            let len = (part.len - position).min(PIECE_BYTES);
            let (reply, read) = oneshot::channel();
            let reading = part.clone();
            pool.spawn(move || {
                // The connection may be gone.
                let _ = reply.send(reading.read(position, len));
            });
            let bytes = read.await.map_err(|_| io::Error::other("the broker stops"))?;
            let bytes = bytes.map_err(|error| io::Error::other(error.to_string()))?;
            write(&mut writer, Body::Piece(Piece { base_offset: part.base_offset, position }), bytes).await?;
            position += len;
            sent += u64::from(len);
            let due = Duration::try_from_secs_f64(sent as f64 / bytes_per_second as f64).unwrap_or_default();
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        }
    }
    write(&mut writer, Body::Whole(Whole {}), Bytes::new()).await
}

async fn write(writer: &mut (impl tokio::io::AsyncWrite + Unpin), body: Body, payload: Bytes) -> io::Result<()> {
    let mut outgoing = Outgoing::default();
    outgoing.push(&Frame { body: Some(body) }, std::iter::once(&payload));
    outgoing.write(writer).await
}

/// What to fetch, and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) group: GroupId,
    pub(crate) from: i32,
    pub(crate) env: Env,
    pub(crate) folder: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) config: LogConfig,
}

/// Fetches a log and makes it whole beside the replica's folder. Blocks, on a thread of its own.
pub(crate) fn fetch(peers: &Peers, wanted: &Wanted) -> io::Result<Staged> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let address = peers.address(wanted.from).ok_or(io::ErrorKind::NotFound)?;
        let (known, _) = handshake::connect(&address, &peers.me, Purpose::Seed, 0).await?;
        let Known { mut reader, mut writer, .. } = known;
        write(&mut writer, Body::AskSeed(wanted.group.into()), Bytes::new()).await?;
        receive(&mut reader, wanted).await
    })
}

async fn receive<R: tokio::io::AsyncReadExt + Unpin>(
    reader: &mut FrameReader<R>,
    wanted: &Wanted,
) -> io::Result<Staged> {
    let failed = |error: leat_storage::Error| io::Error::other(error.to_string());
    let (Body::Outline(outline), _) = next(reader).await? else { return Err(invalid("no outline".to_owned())) };
    if !outline.refusal.is_empty() {
        return Err(io::Error::other(outline.refusal));
    }
    let checkpoint = Checkpoint::from_bytes(&wanted.folder, &outline.checkpoint).map_err(failed)?;
    let mut seeding = Seeding::begin(&wanted.env, &wanted.folder, wanted.identity).map_err(failed)?;
    let mut at = None;
    loop {
        match next(reader).await? {
            (Body::Piece(Piece { base_offset, position }), payload) => {
                if at.is_none_or(|(base, _)| base < base_offset) && position == 0 {
                    seeding.segment(base_offset).map_err(failed)?;
                } else if at != Some((base_offset, position)) {
                    return Err(invalid(format!("a piece of {base_offset} at {position}, out of turn")));
                }
                seeding.write(&payload).map_err(failed)?;
                at = Some((base_offset, position.saturating_add(u32::try_from(payload.len()).unwrap_or(u32::MAX))));
            }
            (Body::Whole(_), _) => {
                let wire::Outline { first_index, previous_term, clean_end, .. } = outline;
                let outline = Outline { first_index, previous_term, clean_end };
                return seeding.finish(outline, &checkpoint, wanted.config).map_err(failed);
            }
            _ => return Err(invalid("a frame that is no piece of a seed".to_owned())),
        }
    }
}

async fn next<R: tokio::io::AsyncReadExt + Unpin>(reader: &mut FrameReader<R>) -> io::Result<(Body, Bytes)> {
    let frame = tokio::time::timeout(SILENCE_MAX, reader.next(BYTES_MAX)).await;
    let frame = frame.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??.ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = Frame::decode(frame.head).map_err(|error| invalid(error.to_string()))?;
    let body = head.body.ok_or_else(|| invalid("a kind of frame that is not known".to_owned()))?;
    Ok((body, frame.payload))
}
