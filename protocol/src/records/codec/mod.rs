//! The four codecs. Decompression writes into a buffer that grows with what really comes out and stops at a bound: no
//! length that the data claims is believed.

mod gzip;
mod lz4;
mod snappy;
mod zstandard;

use super::{BatchError, BatchHeader, HEADER_LEN};
use bytes::Bytes;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

/// How a batch's records are compressed. The numbers are those of the attributes' low bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// DEFLATE with gzip's header.
    Gzip,
    /// Snappy, as Java frames it; read with and without the frame.
    Snappy,
    /// LZ4 frame format.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// All of them, by number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec with this number.
    #[inline]
    pub fn from_id(id: u8) -> Result<Self, BatchError> {
        Self::ALL.get(usize::from(id)).copied().ok_or(BatchError::Compression(id))
    }

    /// Its number in the attributes.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The name that Kafka's `compression.type` has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(name: &str) -> Result<Self, UnknownCompression> {
        Self::ALL.into_iter().find(|codec| codec.name() == name).ok_or_else(|| UnknownCompression(name.to_owned()))
    }
}

/// A name that is no codec's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression type {0:?}: expected none, gzip, snappy, lz4 or zstd")]
pub struct UnknownCompression(String);

/// The records of a batch, decompressed where they are compressed. At most `max` bytes then; what is not compressed is
/// shared whatever its size.
pub(super) fn body(header: &BatchHeader, batch: &Bytes, max: usize) -> Result<Bytes, BatchError> {
    let need = header.size();
    if batch.len() < need {
        return Err(BatchError::Truncated { need, have: batch.len() });
    }
    let stored = batch.slice(HEADER_LEN..need);
    let codec = header.compression()?;
    let decompressed = match codec {
        Compression::None => return Ok(stored),
        Compression::Gzip => gzip::decompress(&stored, max),
        Compression::Snappy => snappy::decompress(&stored, max),
        Compression::Lz4 => lz4::decompress(&stored, max),
        Compression::Zstd => zstandard::decompress(&stored, max),
    };
    match decompressed {
        Ok(body) => Ok(Bytes::from(body)),
        Err(Failure::TooLarge) => Err(BatchError::TooLarge { what: "decompressed batch", max }),
        Err(Failure::Invalid(reason)) => Err(BatchError::Codec { codec, reason }),
    }
}

/// Compresses `body` behind `reserved` zero bytes.
pub(super) fn compress(
    codec: Compression,
    level: Option<i32>,
    reserved: usize,
    body: &[u8],
) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::with_capacity(reserved + body.len() / 2 + 64);
    out.resize(reserved, 0);
    let done = match codec {
        Compression::None => {
            out.extend_from_slice(body);
            Ok(())
        }
        Compression::Gzip => gzip::compress(body, level, &mut out),
        Compression::Snappy => snappy::compress(body, &mut out),
        Compression::Lz4 => lz4::compress(body, &mut out),
        Compression::Zstd => zstandard::compress(body, level, &mut out),
    };
    done.map_err(|failure| match failure {
        Failure::TooLarge => BatchError::TooLarge { what: "compressed batch", max: usize::MAX },
        Failure::Invalid(reason) => BatchError::Codec { codec, reason },
    })?;
    Ok(out)
}

/// Why a codec gave up.
#[derive(Debug)]
enum Failure {
    /// More would come out than the bound allows.
    TooLarge,
    /// The codec's own words.
    Invalid(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Reads a decoder to its end, or to the bound.
fn read_bounded(decoder: impl Read, compressed: usize, max: usize) -> Result<Vec<u8>, Failure> {
    // Records compress 2 to 8 fold; a first guess of four saves most of the growing, and is no more than an honest
    // client would need for what it sent.
    let mut out = Vec::with_capacity(compressed.saturating_mul(4).min(max));
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(limit).read_to_end(&mut out)?;
    if out.len() > max { Err(Failure::TooLarge) } else { Ok(out) }
}
