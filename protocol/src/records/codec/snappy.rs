//! Snappy in its two framings: Java's (xerial: a header, then blocks with their length) and none at all, as librdkafka
//! and others send. Both are read; Java's is written, because older Java consumers read nothing else.
//!
//! ```text
//! 82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version i32 | least version that can read it i32 | { length i32 | raw snappy } ...
//! ```

use super::Failure;
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const VERSION: i32 = 1;
const HEADER_LEN: usize = MAGIC.len() + 8;
/// Java's block: one piece of input.
const BLOCK: usize = 32 * 1024;
/// No element of raw snappy makes more than 64 bytes, and none is shorter than 2; so a claim beyond this is a lie.
const MAX_RATIO: usize = 32;

pub(super) fn decompress(stored: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    if !stored.starts_with(&MAGIC) {
        block(stored, max, &mut out)?;
        return Ok(out);
    }
    let mut rest = stored;
    while !rest.is_empty() {
        // Streams may be put one after the other; each opens with its header.
        if rest.starts_with(&MAGIC) {
            rest = rest.get(HEADER_LEN..).ok_or_else(|| cut_off("header"))?;
            continue;
        }
        let (length, blocks) = rest.split_first_chunk().ok_or_else(|| cut_off("block length"))?;
        let length = u32::from_be_bytes(*length) as usize;
        let (compressed, after) = blocks.split_at_checked(length).ok_or_else(|| cut_off("block"))?;
        block(compressed, max, &mut out)?;
        rest = after;
    }
    Ok(out)
}

fn block(compressed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), Failure> {
    let claimed = decompress_len(compressed).map_err(invalid)?;
    if claimed > max - out.len() {
        return Err(Failure::TooLarge);
    }
    if claimed > compressed.len().saturating_mul(MAX_RATIO) {
        return Err(Failure::Invalid(format!("{} bytes can't hold the {claimed} that they claim", compressed.len())));
    }
    let at = out.len();
    out.resize(at + claimed, 0);
    let written = Decoder::new().decompress(compressed, &mut out[at..]).map_err(invalid)?;
    out.truncate(at + written);
    Ok(())
}

pub(super) fn compress(body: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = Encoder::new();
    for piece in body.chunks(BLOCK) {
        let at = out.len() + 4;
        out.resize(at + max_compress_len(piece.len()), 0);
        let written = encoder.compress(piece, &mut out[at..]).map_err(invalid)?;
        out[at - 4..at].copy_from_slice(&(written as u32).to_be_bytes());
        out.truncate(at + written);
    }
    Ok(())
}

fn cut_off(what: &str) -> Failure {
    Failure::Invalid(format!("a {what} is cut off"))
}

fn invalid(error: snap::Error) -> Failure {
    Failure::Invalid(error.to_string())
}
